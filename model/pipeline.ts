/**
 * Several managed jobs as one: a chain, any graph without cycles, or a group that runs at once. Plain JSON with a version. Each task is a
 * managed job of its own, with its own recoveries; the pipeline says when it may start. `pipeline-transition.ts` is the only code that
 * changes the state.
 */
import type { GroupState } from './group-hosts.ts';
import type { RecoveryPolicy } from './job-recovery.ts';
import { isManagedEnd, type JobEvent, type JobLimits, type ManagedStatus } from './managed-job.ts';
import type { Outputs } from './outputs.ts';
import type { RegionRef } from './place-order.ts';
import type { Task } from './task.ts';
import type { Timing } from './timing.ts';

export const PIPELINE_WORKFLOW = 'pipeline';
export const PIPELINE_KIND = 'pipeline';
/** Of one pipeline: its state, with all outputs, stays well below what a workflow may carry. */
export const MAX_TASKS = 50;
/** Of all tasks of one, as JSON. */
export const PIPELINE_BYTES = 512 * 1024;

/** What of a task is the pipeline's business. */
export interface TaskRules {
  readonly name: string;
  /** Indices of tasks that have to succeed first. */
  readonly after: readonly number[];
  /** Its failure holds up nobody, and does not fail the whole. */
  readonly continueOnFailure: boolean;
  /** Outputs that templates of its variables name; see model/templates.ts. */
  readonly needs: readonly { readonly task: number; readonly key: string }[];
  /**
   * Of a task that a group does not wait for: ms that it has when those are over. null: it is waited for. Elsewhere null.
   */
  readonly endsAfter: number | null;
}

export interface PipelineTask extends TaskRules {
  readonly task: Task;
  readonly recovery: RecoveryPolicy;
  readonly resourcesText: string;
  /** Where its machines are looked for first, for the sake of the data between the tasks; absent: nothing is said. */
  readonly place?: RegionRef;
}

/** serial: each after the one before. graph: by `depends_on`. group: all at once. */
export type Execution = 'serial' | 'graph' | 'group';

/** Input of the workflow: of its first run, and through continue-as-new with `state`. */
export interface PipelineInput {
  readonly version: 1;
  readonly workspace: string;
  readonly requestId: string;
  /** The Temporal namespace's UUID. */
  readonly installation: string;
  readonly user: string;
  readonly name: string | null;
  readonly execution: Execution;
  readonly tasks: readonly PipelineTask[];
  readonly limits: JobLimits;
  readonly fenceAfter: number;
  readonly conda: boolean;
  readonly submittedAt: number;
  readonly timing: Timing;
  /** The ended one that this one takes up. */
  readonly retryOf?: RetryOf;
  /** Tasks that are not run again, with what they left. */
  readonly kept?: readonly { readonly task: number; readonly outputs: Outputs }[];
  /** Its tasks wait for each other's machines, and reach them by host names: see group-hosts.ts. Of a group; default false. */
  readonly hosts?: boolean;
  readonly state?: unknown;
}

export interface RetryOf {
  /** Its workflow. */
  readonly id: string;
  readonly number: number;
}

/** What a managed job knows of the pipeline that it is a task of. In its input. */
export interface TaskPart {
  /** The pipeline's workflow. */
  readonly pipeline: string;
  /** Which task, from 0. */
  readonly index: number;
  /** The pipeline's. */
  readonly number: number;
  readonly pipelineName: string | null;
  /** Of all tasks, in their order. */
  readonly taskIds: readonly string[];
  /** Name of the group, where it is one. */
  readonly group: string | null;
  /** As the pipeline's. */
  readonly hosts?: boolean;
}

/** The whole of what a pipeline goes by, each time: one that comes twice changes nothing. */
export interface TaskReport {
  readonly task: number;
  readonly status: ManagedStatus;
  readonly reason: string;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly recoveries: number;
  /** Of one that SUCCEEDED. */
  readonly outputs: Outputs;
  /** Its machines are gone, and it has nothing left to do. */
  readonly over: boolean;
  /** Dollars until now. */
  readonly cost: number;
}

export interface TaskState {
  readonly status: ManagedStatus;
  readonly reason: string;
  /** waiting: it has no workflow. started: it has one. over: nothing of it is left. */
  readonly phase: 'waiting' | 'started' | 'over';
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly recoveries: number;
  readonly cost: number;
  readonly outputs: Outputs;
  /** A workflow was started for it. */
  readonly begun: boolean;
  /** It was told to end. */
  readonly cancelled: boolean;
  /** It was done in the one that this one takes up. */
  readonly kept: boolean;
}

export interface PipelineState {
  readonly version: 1;
  readonly status: ManagedStatus;
  readonly statusSince: number;
  readonly reason: string;
  /** From the queue; null until it answered. */
  readonly number: number | null;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly cancelledBy: string | null;
  /** Who paused it; null: nobody. */
  readonly paused: string | null;
  readonly tasks: readonly TaskState[];
  /** Of a group: when what it does not wait for has been ended, or will be; by task, null: not decided. */
  readonly dueAt: readonly (number | null)[];
  /** Of a group whose machines have names. */
  readonly group?: GroupState;
  readonly events: readonly JobEvent[];
  /** Ids of the last commands. */
  readonly requests: readonly string[];
}

export interface PipelineRules {
  readonly tasks: readonly TaskRules[];
}

/** Plain data, may be carried out twice. */
export type PipelineEffect =
  | { readonly type: 'askNumber' }
  | { readonly type: 'startTask'; readonly task: number }
  | { readonly type: 'cancelTask'; readonly task: number; readonly user: string }
  | {
      readonly type: 'pauseTask' | 'resumeTask';
      readonly task: number;
      /** Of the command to the pipeline. */
      readonly requestId: string;
      readonly user: string;
    }
  /** Tells the job of a task the names of its group. */
  | { readonly type: 'tellHosts'; readonly task: number };

export const PIPELINE_QUERIES = { view: 'view', submission: 'submission' } as const;
/** To a pipeline from its tasks, and to a task from its pipeline. */
export const TASK_SIGNALS = {
  report: 'taskReport',
  cancel: 'cancelTask',
  pause: 'pauseTask',
  resume: 'resumeTask',
} as const;
/** To the pipeline of a group from the jobs of its tasks, and back. */
export const GROUP_SIGNALS = { nodes: 'groupNodes', hosts: 'groupHosts' } as const;

export interface TaskView extends Omit<TaskState, 'cancelled' | 'begun'> {
  readonly index: number;
  readonly name: string;
  readonly after: readonly number[];
  readonly continueOnFailure: boolean;
  /** Of a group: the group ends when these have ended. */
  readonly primary: boolean;
  readonly resources: string;
  readonly numNodes: number;
  /** Its workflow; null: it has none, or had it in an earlier submission. */
  readonly id: string | null;
}

/** All that is known of a pipeline; what the query `view` answers. */
export interface PipelineView extends Omit<PipelineState, 'version' | 'requests' | 'tasks' | 'dueAt' | 'group'> {
  readonly kind: 'pipeline';
  readonly id: string;
  readonly workspace: string;
  readonly user: string;
  readonly name: string | null;
  readonly execution: Execution;
  readonly submittedAt: number;
  readonly retryOf: RetryOf | null;
  readonly tasks: readonly TaskView[];
  readonly costSoFar: number;
  /** Nothing of it is left. */
  readonly over: boolean;
}

/** Request id of a task: its workflow is below the pipeline's. */
export function taskRequestId(requestId: string, index: number): string {
  return `${requestId}/${index}`;
}

/** Which task of which pipeline a managed job's workflow id names; null: it is a job by itself. */
export function taskOf(id: string): { readonly pipeline: string; readonly index: number } | null {
  const match = /^(job\/[^/]+\/[^/]+)\/(\d+)$/.exec(id);
  return match === null ? null : { pipeline: match[1] ?? '', index: Number(match[2]) };
}

/** What comes after it may start. */
export function lets({ continueOnFailure }: TaskRules, { status }: TaskState): boolean {
  return status === 'SUCCEEDED' || (continueOnFailure && isFailure(status));
}

export function isFailure(status: ManagedStatus): boolean {
  return isManagedEnd(status) && status !== 'SUCCEEDED' && status !== 'CANCELLED';
}

/** Tasks that come after one of these, directly or not; with these. */
export function withDependents(tasks: readonly Pick<TaskRules, 'after'>[], some: readonly number[]): Set<number> {
  const found = new Set(some);
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const [index, { after }] of tasks.entries()) if (after.some((one) => found.has(one))) found.add(index);
  }
  return found;
}

/** All tasks that come before one, directly or not. */
export function ancestors(tasks: readonly Pick<TaskRules, 'after'>[], index: number): Set<number> {
  const found = new Set<number>();
  const open = [...(tasks[index]?.after ?? [])];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    open.push(...(tasks[next]?.after ?? []));
  }
  return found;
}
