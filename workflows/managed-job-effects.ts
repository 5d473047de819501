/** Carries out what a managed job's transitions ask for. Each effect may be repeated; what takes time goes on beside the loop. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import { CLUSTER_WORKFLOW, type ClusterInput, type LaunchCommand } from '../model/commands.ts';
import { assertNever } from '../model/errors.ts';
import { clusterWorkflowId } from '../model/identity.ts';
import type { QueueTold } from '../model/job-queue.ts';
import type { Copy, ManagedJobInput, ManagedJobState } from '../model/managed-job.ts';
import type { JobEffect } from '../model/managed-job-draft.ts';
import type { ManagedJobEvent } from '../model/managed-job-transition.ts';
import { taskIdOf } from '../model/managed-job-view.ts';
import type { OwnerCommand } from '../model/owned-cluster.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import type { Task } from '../model/task.ts';
import { failureOf } from './failures.ts';
import { ownerCommandSignal } from './messages.ts';
import { tell } from './parent.ts';
import { tellJobQueue } from './queue-told.ts';
import { dutyStep, longStep, step } from './steps.ts';

/** The cloud is asked this often about the machines of a job that failed; then the exit code is believed. */
const VERIFY_TRIES = 8;
/** Of log collection: money runs meanwhile. */
const COLLECT_MS = 10 * 60_000;

type Start = Extract<JobEffect, { type: 'startCluster' }>;

export class JobEffects {
  private readonly input: ManagedJobInput;
  private readonly event: (event: ManagedJobEvent) => void;
  private readonly id = workflowInfo().workflowId;
  private busy = 0;
  private looking = false;

  /** @param event takes what comes of an effect */
  constructor(input: ManagedJobInput, event: (event: ManagedJobEvent) => void) {
    this.input = input;
    this.event = event;
  }

  /** No step is under way. */
  get idle(): boolean {
    return this.busy === 0;
  }

  /** False when the cluster that it is for is no more. */
  async carryOut(effect: JobEffect, state: ManagedJobState): Promise<boolean> {
    switch (effect.type) {
      case 'startCluster':
        await this.startCluster(effect, state);
        return true;
      case 'cancelOnCluster':
        return await this.command(effect, 'cancel');
      case 'endCluster':
        return await this.command(effect, 'down');
      case 'verify':
        this.beside(() => this.verify(effect.copy, effect.cluster));
        return true;
      case 'collect':
        this.beside(() => this.collect(effect.copy, effect.cluster));
        return true;
      case 'fence':
        this.beside(() => this.fence(effect.copy, effect.cluster));
        return true;
      case 'tellQueue':
        await this.tellQueue(effect.phase, state);
        return true;
      default:
        return assertNever(effect);
    }
  }

  /** In case a report got lost, or the cluster's workflow was ended from outside. */
  look({ number: copy, cluster }: Copy): void {
    if (this.looking) return;
    this.looking = true;
    this.beside(async () => {
      try {
        const asked = step(this.input.timing, `look at ${cluster}`).lookAtCluster({
          workflowId: this.clusterId(cluster),
        });
        const { state, report } = await asked;
        if (report !== null) this.event({ type: 'report', report });
        if (state !== 'running' && report?.status !== 'TERMINATED') this.event({ type: 'clusterLost', copy });
      } finally {
        this.looking = false;
      }
    });
  }

  /** One that was ended from outside says nothing. */
  lookAtPipeline(workflowId: string, isGone: () => void): void {
    this.beside(async () => {
      const asked = step(this.input.timing, 'see that its pipeline runs').describe({ workflowIds: [workflowId] });
      if ((await asked)[workflowId] !== 'running') isGone();
    });
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

  private async startCluster(effect: Start, state: ManagedJobState): Promise<void> {
    const { workspace, installation, timing } = this.input;
    const number = state.number ?? 0;
    const taskId = taskIdOf(this.input, state);
    const input: ClusterInput = {
      version: 1,
      workspace,
      name: effect.cluster,
      installation,
      timing,
      owner: { workflowId: this.id, copy: effect.copy, taskId },
      launch: this.launch(effect, number, taskId),
    };
    const started = startChild<(input: ClusterInput) => Promise<void>>(CLUSTER_WORKFLOW, {
      workflowId: this.clusterId(effect.cluster),
      taskQueue: CLUSTER_QUEUE,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      args: [input],
      staticSummary: `Cluster of managed job ${number}`,
    });
    await started.catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    });
  }

  private launch(effect: Start, number: number, taskId: string): LaunchCommand {
    const { user, resourcesText, conda, part } = this.input;
    const task = taskOfCopy(this.input.task, {
      ...(part?.group == null ? {} : { SKYPILOT_JOBGROUP_NAME: part.group }),
      SKYPILOT_MANAGED_JOB_ID: String(number),
      SKYPILOT_TASK_IDS: part?.taskIds.join('\n') ?? taskId,
      STYX_MANAGED_JOB_ID: String(number),
      STYX_JOB_TRY: String(effect.try),
    });
    const { order } = effect;
    return {
      requestId: `copy-${effect.copy}`,
      user,
      task,
      spec: {
        resources: order === undefined ? task.resources : { ...task.resources, order },
        numNodes: task.numNodes,
        resourcesText,
        ...(conda ? { conda } : {}),
      },
      retryUntilUp: false,
      autostop: null,
      noSetup: false,
      commandLine: `managed job ${number}, try ${effect.try}`,
    };
  }

  private async command(effect: { copy: number; cluster: string }, kind: OwnerCommand['kind']): Promise<boolean> {
    const requestId = `${kind}-${effect.copy}`;
    const command: OwnerCommand = { kind, requestId, user: this.input.user };
    return await tell(this.clusterId(effect.cluster), ownerCommandSignal, command);
  }

  private async verify(copy: number, cluster: string): Promise<void> {
    const asking = step(this.input.timing, `see whether the machines of ${cluster} run`, VERIFY_TRIES);
    const stands = await asking.machinesStand({ workflowId: this.clusterId(cluster) }).catch(() => true);
    this.event({ type: 'verified', copy, stands });
  }

  private async collect(copy: number, cluster: string): Promise<void> {
    const { timing, task } = this.input;
    const asking = longStep(timing, `keep the logs of ${cluster}`, COLLECT_MS);
    const workflowId = this.clusterId(cluster);
    const kept = await asking
      .collectLogs({ workflowId, job: this.id, copy, secrets: task.secrets, timing })
      .catch((error: unknown) => ({ problem: failureOf(error).message }));
    this.event({ type: 'collected', copy, problem: kept.problem });
  }

  private async fence(copy: number, name: string): Promise<void> {
    const { timing } = this.input;
    const intents = await step(timing, `find the machines of ${name}`).intentsOf({ workflowId: this.clusterId(name) });
    if (intents !== null) {
      const { cluster, placements } = intents;
      const ending = dutyStep(timing, `terminate the machines of ${name}`, 'terminate');
      await Promise.all(
        placements.map((placement) => ending.terminateMachines({ cluster, placement, timing, until: 'gone' })),
      );
    }
    this.event({ type: 'fenced', copy });
  }

  private async tellQueue(phase: QueueTold['phase'], { number }: ManagedJobState): Promise<void> {
    const { workspace, requestId, task, limits, timing } = this.input;
    const told: QueueTold = {
      id: requestId,
      number,
      priority: task.priority,
      phase,
      ...(phase === 'waiting' ? { limits } : {}),
    };
    await tellJobQueue({ workspace, limits, timing }, told);
  }
}

/** With the names that say whose copy it is, which a task cannot replace; its cluster is the job's to end. */
function taskOfCopy(task: Task, own: Readonly<Record<string, string>>): Task {
  const { budget: _budget, ...rest } = task;
  const secrets = Object.fromEntries(Object.entries(task.secrets).filter(([name]) => !Object.hasOwn(own, name)));
  return { ...rest, envs: { ...task.envs, ...own }, secrets, autostop: null };
}
