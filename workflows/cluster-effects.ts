/** Carries out what the cluster's transitions ask for: starts children and tells them things. Each effect may be repeated. */

import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, type SignalDefinition, startChild, workflowInfo } from '@temporalio/workflow';
import type { ClusterRef, WatchInput } from '../activities/types.ts';
import type { QueuedEffect } from '../model/cluster-effects.ts';
import { type ClusterInput, FILES_MEMO, JOB_WORKFLOW, SEARCH } from '../model/commands.ts';
import { assertNever } from '../model/errors.ts';
import { childWorkflowId, numberOnNodes } from '../model/identity.ts';
import type { RunJob } from '../model/job-messages.ts';
import { jobLogFolder } from '../model/managed-job.ts';
import { CHILD_QUEUE } from '../model/queues.ts';
import { manifestsOf } from '../model/task-files.ts';
import { taskId } from '../model/task-id.ts';
import type { JobInput } from './job.ts';
import {
  abandonJobSignal,
  abortSignal,
  autostopSignal,
  cancelJobSignal,
  endRaySignal,
  endWatchSignal,
  interruptJobSignal,
  runJobSignal,
} from './messages.ts';
import { tell } from './parent.ts';
import type { PortsInput } from './ports.ts';
import type { ProvisionInput } from './provision.ts';
import type { RayInput } from './ray.ts';
import type { ReapInput } from './reap.ts';
import type { RetireInput } from './retire.ts';
import type { WatchWorkflowInput } from './watch.ts';

export function operationChild(clusterId: string, gen: string, opId: string, child: number): string {
  return childWorkflowId(clusterId, gen, child === 1 ? opId : `${opId}.${child}`);
}

export function jobChild(clusterId: string, gen: string, jobId: number): string {
  return childWorkflowId(clusterId, gen, `job-${jobId}`);
}

export function watchChild(clusterId: string, gen: string, child: number): string {
  return childWorkflowId(clusterId, gen, `watch-${child}`);
}

export function rayChild(clusterId: string, gen: string, child: number): string {
  return childWorkflowId(clusterId, gen, `ray-${child}`);
}

/** Carries out effects side by side; what is said to a child waits until the child has started. */
export class EffectCarrier {
  private readonly input: ClusterInput;
  private readonly clusterId = workflowInfo().workflowId;
  private readonly starting = new Map<string, Promise<void>>();

  constructor(input: ClusterInput) {
    this.input = input;
  }

  async carryOut(effects: readonly QueuedEffect[]): Promise<void> {
    const placed = new Map<number, RunJob>();
    const started = new Set(effects.flatMap((effect) => (effect.type === 'startJob' ? [effect.job.id] : [])));
    const rest = effects.filter((effect) => {
      if (effect.type !== 'runJob' || !started.has(effect.jobId)) return true;
      placed.set(effect.jobId, effect.run);
      return false;
    });
    await Promise.all(rest.map((effect) => this.one(effect, placed)));
  }

  /** "Already started" means: mine, running. */
  private start<Input>(
    type: string,
    workflowId: string,
    input: Input,
    staticSummary: string,
    memo?: Record<string, unknown>,
  ): Promise<void> {
    const started = startChild<(input: Input) => Promise<void>>(type, {
      workflowId,
      taskQueue: CHILD_QUEUE,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      args: [input],
      staticSummary,
      searchAttributes: {
        [SEARCH.kind]: [type],
        [SEARCH.name]: [this.input.name],
        [SEARCH.workspace]: [this.input.workspace],
        [SEARCH.parent]: [this.clusterId],
        [SEARCH.installation]: [this.input.installation],
      },
      ...(memo === undefined ? {} : { memo }),
    }).then(
      () => undefined,
      (error: unknown) => {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      },
    );
    const done = started.finally(() => this.starting.delete(workflowId));
    this.starting.set(workflowId, done);
    return done;
  }

  private async tell<Args extends unknown[]>(
    workflowId: string,
    signal: SignalDefinition<Args>,
    ...args: Args
  ): Promise<void> {
    await this.starting.get(workflowId);
    await tell(workflowId, signal, ...args);
  }

  /** `again`: of which copy of the owner's work the cluster is, where not of the first. */
  private forOwner(again?: { copy: number; jobId: number }): Pick<WatchInput, 'keep' | 'owned'> {
    const { owner } = this.input;
    if (owner === undefined) return {};
    if (owner.logs === undefined) return { owned: true };
    const folder = jobLogFolder(owner.workflowId, again?.copy ?? owner.copy);
    const job = again === undefined ? {} : { jobId: again.jobId };
    return { owned: true, keep: { folder, ...job, ...owner.logs } };
  }

  private async one(effect: QueuedEffect, placed: ReadonlyMap<number, RunJob>): Promise<void> {
    const { timing, workspace, name } = this.input;
    const { clusterId } = this;
    const gen = effect.generation;
    const cluster: ClusterRef = { workflowId: clusterId, workspace, name, generation: gen };
    switch (effect.type) {
      case 'startProvision': {
        const {
          opId,
          child: number,
          resources,
          numNodes,
          existing,
          standing,
          retryUntilUp,
          retryUntil,
          attempt,
        } = effect;
        const provisionInput: ProvisionInput = {
          version: 1,
          cluster,
          installation: this.input.installation,
          opId,
          child: number,
          resources,
          numNodes,
          existing,
          ...(standing === undefined ? {} : { standing }),
          retryUntilUp,
          ...(retryUntil === undefined ? {} : { retryUntil }),
          attempt,
          round: 0,
          timing,
        };
        const summary = `${existing === null ? 'find a place for' : 'bring back'} ${numNodes} nodes of ${name}`;
        return await this.start('provision', operationChild(clusterId, gen, opId, number), provisionInput, summary);
      }
      case 'startRetire': {
        const { opId, child: number, mode, placements } = effect;
        const retireInput: RetireInput = { version: 1, cluster, opId, child: number, mode, placements, timing };
        return await this.start(
          'retire',
          operationChild(clusterId, gen, opId, number),
          retireInput,
          `${mode} the machines of ${name}`,
        );
      }
      case 'startPorts': {
        const { opId, child: number, placement, ports } = effect;
        const portsInput: PortsInput = { version: 1, cluster, opId, child: number, placement, ports, timing };
        const summary = `change the ports of ${name}`;
        return await this.start('ports', operationChild(clusterId, gen, opId, number), portsInput, summary);
      }
      case 'abortOperation':
        await this.tell(operationChild(clusterId, gen, effect.opId, effect.child), abortSignal);
        return;
      case 'startWatch': {
        const { child: number, nodes, placement, added, autostop } = effect;
        const beside = added === undefined ? {} : { added };
        const watchInput: WatchWorkflowInput = {
          version: 1,
          watch: {
            cluster,
            child: number,
            placement,
            ...beside,
            nodes,
            autostop,
            timing,
            positions: [],
            ...this.forOwner(effect.owned),
          },
        };
        return await this.start('watch', watchChild(clusterId, gen, number), watchInput, `watch ${name}`);
      }
      case 'stopWatch':
        await this.tell(watchChild(clusterId, gen, effect.child), endWatchSignal);
        return;
      case 'setAutostop':
        await this.tell(watchChild(clusterId, gen, effect.child), autostopSignal, effect.autostop);
        return;
      case 'startRay': {
        const { child: number, nodes, spec } = effect;
        const rayInput: RayInput = { version: 1, cluster, child: number, spec, nodes, timing };
        const summary = `Ray ${spec.version} on ${nodes.length} nodes of ${name}`;
        return await this.start('ray', rayChild(clusterId, gen, number), rayInput, summary);
      }
      case 'stopRay':
        await this.tell(rayChild(clusterId, gen, effect.child), endRaySignal, { clean: effect.clean });
        return;
      case 'startJob': {
        const { job: newJob } = effect;
        const jobInput: JobInput = {
          version: 1,
          cluster,
          jobId: newJob.id,
          taskId: newJob.taskId ?? this.input.owner?.taskId ?? taskId(name, newJob.id, newJob.submittedAt),
          user: newJob.user,
          task: newJob.task,
          withSetup: newJob.withSetup,
          ...(newJob.after === undefined ? {} : { after: newJob.after }),
          run: placed.get(newJob.id) ?? null,
          timing,
        };
        const summary = `job ${newJob.id}${newJob.task.name === null ? '' : ` (${newJob.task.name})`} of ${name}`;
        const manifests = manifestsOf(newJob.task);
        const memo = manifests.length === 0 ? undefined : { [FILES_MEMO]: manifests };
        return await this.start(
          JOB_WORKFLOW,
          jobChild(clusterId, gen, newJob.id),
          jobInput,
          summary.slice(0, 200),
          memo,
        );
      }
      case 'runJob':
        await this.tell(jobChild(clusterId, gen, effect.jobId), runJobSignal, effect.run);
        return;
      case 'cancelJob':
        await this.tell(jobChild(clusterId, gen, effect.jobId), cancelJobSignal);
        return;
      case 'reapJob': {
        const { jobId, nodes, life } = effect;
        const reapInput: ReapInput = { version: 1, cluster, jobId: numberOnNodes(jobId, life), nodes, timing };
        const workflowId = childWorkflowId(clusterId, gen, `reap-${jobId}`);
        return await this.start('reap', workflowId, reapInput, `end what is left of job ${jobId} of ${name}`);
      }
      case 'interruptJob':
        await this.tell(jobChild(clusterId, gen, effect.jobId), interruptJobSignal, effect.notice);
        return;
      case 'abandonJob':
        await this.tell(jobChild(clusterId, gen, effect.jobId), abandonJobSignal, effect.end);
        return;
      default:
        assertNever(effect);
    }
  }
}
