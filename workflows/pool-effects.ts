/** Carries out what a pool's transitions ask for. Each effect may be repeated; what takes time goes on beside the loop. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import { CLUSTER_WORKFLOW, type ClusterInput } from '../model/commands.ts';
import { assertNever } from '../model/errors.ts';
import { clusterWorkflowId } from '../model/identity.ts';
import type { PoolInput, PoolState, PoolVersion } from '../model/pool.ts';
import type { PoolEffect } from '../model/pool-draft.ts';
import type { PoolChange } from '../model/pool-transition.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import { guestCommandSignal, ownerCommandSignal, poolPlacedSignal } from './messages.ts';
import { endMachinesOf, lookAt } from './owned-cluster.ts';
import { tell } from './parent.ts';
import { step } from './steps.ts';

/** Jobs that one look asks about. */
const LOOKED_AT = 200;

export class PoolEffects {
  private readonly input: PoolInput;
  private readonly change: (change: PoolChange) => void;
  private readonly id = workflowInfo().workflowId;
  private busy = 0;
  private looking = false;
  /** Where the next look at jobs begins. */
  private looked = 0;

  /** @param change takes what comes of an effect */
  constructor(input: PoolInput, change: (change: PoolChange) => void) {
    this.input = input;
    this.change = change;
  }

  /** No step is under way. */
  get idle(): boolean {
    return this.busy === 0;
  }

  /** False when whoever it is for is no more. */
  async carryOut(effect: PoolEffect): Promise<boolean> {
    switch (effect.type) {
      case 'startWorker':
        await this.startWorker(effect.number, effect.cluster, effect.version);
        return true;
      case 'endWorker':
        return await tell(this.clusterId(effect.cluster), ownerCommandSignal, {
          kind: 'down',
          requestId: `down-${effect.cluster}`,
          user: this.input.user,
        });
      case 'fence':
        this.beside(() => this.fence(effect.cluster));
        return true;
      case 'place': {
        const { id, copy, cluster } = effect;
        if (!(await tell(id, poolPlacedSignal, { kind: 'placed', copy, cluster })))
          this.change({ type: 'jobsGone', ids: [id] });
        return true;
      }
      case 'cancelJob':
        if (!(await tell(effect.id, poolPlacedSignal, { kind: 'cancel', user: effect.user })))
          this.change({ type: 'jobsGone', ids: [effect.id] });
        return true;
      case 'evict': {
        const guest = { workflowId: effect.id, copy: effect.copy };
        return await tell(this.clusterId(effect.cluster), guestCommandSignal, { kind: 'evict', guest });
      }
      default:
        return assertNever(effect);
    }
  }

  /** In case a word got lost, or a workflow was ended from outside. */
  look(state: PoolState): void {
    if (this.looking) return;
    this.looking = true;
    this.beside(async () => {
      try {
        await this.lookAtJobs(state);
        for (const { cluster } of state.workers) await this.lookAtWorker(cluster);
      } finally {
        this.looking = false;
      }
    });
  }

  private async lookAtWorker(cluster: string): Promise<void> {
    const { state, report } = await lookAt(this.input.timing, this.clusterId(cluster));
    if (report !== null) this.change({ type: 'report', report });
    if (state !== 'running' && report?.status !== 'TERMINATED') this.change({ type: 'workerLost', cluster });
  }

  private async lookAtJobs({ waiting, workers }: PoolState): Promise<void> {
    const all = [...workers.flatMap(({ jobs }) => jobs), ...waiting].map(({ id }) => id);
    if (this.looked >= all.length) this.looked = 0;
    const workflowIds = all.slice(this.looked, this.looked + LOOKED_AT);
    this.looked += LOOKED_AT;
    if (workflowIds.length === 0) return;
    const found = await step(this.input.timing, 'see that jobs run').describe({ workflowIds });
    const ids = workflowIds.filter((id) => found[id] !== 'running');
    if (ids.length > 0) this.change({ type: 'jobsGone', ids });
  }

  private beside(work: () => Promise<void>): void {
    this.busy += 1;
    work()
      .catch(() => undefined)
      .finally(() => {
        this.busy -= 1;
      });
  }

  private clusterId(name: string): string {
    return clusterWorkflowId(this.input.workspace, name);
  }

  private async startWorker(number: number, cluster: string, version: PoolVersion): Promise<void> {
    const { workspace, installation, timing, name, user } = this.input;
    const { task, resourcesText, conda } = version;
    const input: ClusterInput = {
      version: 1,
      workspace,
      name: cluster,
      installation,
      timing,
      owner: { workflowId: this.id, copy: number, taskId: `sky-pool-${name}-${number}`, guests: true },
      launch: {
        requestId: `worker-${number}`,
        user,
        task: { ...task, autostop: null },
        spec: { resources: task.resources, numNodes: task.numNodes, resourcesText, ...(conda ? { conda } : {}) },
        retryUntilUp: false,
        autostop: null,
        noSetup: false,
        commandLine: `worker ${number} of pool ${name}`,
      },
    };
    const started = startChild<(input: ClusterInput) => Promise<void>>(CLUSTER_WORKFLOW, {
      workflowId: this.clusterId(cluster),
      taskQueue: CLUSTER_QUEUE,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      args: [input],
      staticSummary: `Worker ${number} of pool ${name}`,
    });
    await started.catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    });
  }

  private async fence(cluster: string): Promise<void> {
    await endMachinesOf(this.input.timing, this.clusterId(cluster), cluster);
    this.change({ type: 'fenced', cluster });
  }
}
