/**
 * A cluster as its entity workflow holds it: plain JSON with a version. `model/cluster-transition.ts` is the only code that
 * changes it, `workflows/cluster.ts` its only writer.
 */
import type { Cost } from './cost.ts';
import type { Budget, ClusterBudget, Spending } from './cost-budget.ts';
import type { Failure } from './errors.ts';
import type { JobRow } from './job.ts';
import type { MachineNotice } from './machine-notices.ts';
import type { NodeInfo, Placement, ResourceRequest } from './machines.ts';
import type { ClusterRay, RayRequest } from './ray.ts';
import type { AutostopRule, Task } from './task.ts';

/**
 * NEW: no accepted command yet. INIT: machines are being made, or were and their state is not known. UNHEALTHY: a node is lost or
 * cannot be reached. What runs at the moment is in `ops`; `displayStatus` puts both together.
 */
export const CLUSTER_STATUSES = ['NEW', 'INIT', 'UP', 'UNHEALTHY', 'STOPPED', 'TERMINATED'] as const;
export type ClusterStatus = (typeof CLUSTER_STATUSES)[number];

/** What people see; SkyPilot's names where it has one. */
export const DISPLAY_STATUSES = [
  'INIT',
  'UP',
  'UNHEALTHY',
  'STOPPING',
  'STOPPED',
  'AUTOSTOPPING',
  'TERMINATING',
  'TERMINATED',
] as const;
export type DisplayStatus = (typeof DISPLAY_STATUSES)[number];

/** An operation changes what machines there are, or who reaches them; at most one runs at a time. A start of an UNHEALTHY cluster repairs it. */
export type OperationKind = 'launch' | 'start' | 'stop' | 'down' | 'ports';

export interface Operation {
  readonly id: string;
  readonly kind: OperationKind;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Null while running. */
  readonly endedAt: number | null;
  readonly outcome: 'succeeded' | 'failed' | 'aborted' | null;
  readonly failure: Failure | null;
  /** What happens now, for people: `creating 2x local-2x in local/local-a`. */
  readonly progress: string;
  readonly progressSince: number;
  /** Started by the autostop rule or a budget, not by a person. */
  readonly auto: boolean;
  /** Why it was started, where that is not the autostop rule. */
  readonly why?: string;
  /** Counts the children that worked on this; a crashed one is replaced under the next number. */
  readonly child: number;
  /** Asked to end early; what comes after it waits for its last word. */
  readonly aborting: boolean;
  readonly retryUntilUp: boolean;
  /** Milliseconds since the epoch: the last time that all places are tried. Absent: they are for ever. */
  readonly retryUntil?: number;
  /** Of `ports`: all that shall be open. */
  readonly ports?: readonly string[];
}

/** One placement that a launch tried and gave up. */
export interface Try {
  readonly at: number;
  readonly cloud: string;
  readonly region: string;
  readonly zone: string;
  readonly instanceType: string;
  /** Milliseconds from when it was recorded to its failure; that its machines ended is not in it. Absent in states of before. */
  readonly took?: number;
  readonly useSpot?: true;
  readonly failure: Failure;
}

/** A command that waits for the running operation to end. */
export type Waiting =
  | {
      readonly kind: 'launch';
      readonly opId: string;
      readonly spec: ClusterSpec;
      readonly retryUntilUp: boolean;
      readonly retryUntil?: number;
      readonly job: NewJob | null;
      /** Absent: leave the cluster's rule as it is. */
      readonly autostop?: AutostopRule | null;
      /** Absent: leave the cluster's budget as it is. */
      readonly budget?: Budget;
      /** Absent: leave the cluster's Ray as it is. */
      readonly ray?: RayRequest;
      readonly user: string;
      readonly commandLine: string;
    }
  | { readonly kind: 'start'; readonly opId: string; readonly retryUntilUp: boolean; readonly retryUntil?: number }
  | { readonly kind: 'stop'; readonly opId: string; readonly auto: boolean; readonly why?: string }
  | { readonly kind: 'down'; readonly opId: string; readonly auto: boolean; readonly why?: string }
  | {
      readonly kind: 'ports';
      readonly opId: string;
      readonly open: readonly string[];
      readonly close: readonly string[];
    };

/** A job that another workflow gave to a cluster of a pool; it is remembered until that one leaves. */
export interface Guest {
  readonly workflowId: string;
  readonly copy: number;
  /** Null: it was refused, or cancelled before it came. */
  readonly jobId: number | null;
  readonly refused: Failure | null;
}

/** A job that has a number but no workflow yet. */
export interface NewJob {
  readonly id: number;
  readonly task: Task;
  readonly withSetup: boolean;
  readonly user: string;
  readonly submittedAt: number;
  /** In place of the id that it would have. */
  readonly taskId?: string;
  /** Of the same work, by `numberOnNodes`: nothing of it begins before what runs of these has ended. */
  readonly after?: readonly (number | string)[];
}

/** What an owner had done last on a cluster that lost nodes: see cluster-relaunch.ts. */
export interface Relaunch {
  /** The copy that the cluster is of since. */
  readonly copy: number;
  /** Null with `refused`. */
  readonly opId: string | null;
  readonly jobId: number | null;
  readonly refused: Failure | null;
  /** As its job was given it. */
  readonly after: readonly (number | string)[];
}

/** What the cluster was launched for; later launches on it must fit into this. */
export interface ClusterSpec {
  readonly resources: ResourceRequest;
  readonly numNodes: number;
  /** Resources as text, for people. */
  readonly resourcesText: string;
  /** Jobs find conda (`provision.install_conda`). Default false. */
  readonly conda?: boolean;
  /** Of a new cluster whose launch names none (`budget` of the configuration). */
  readonly budget?: Budget;
}

export interface LostNode {
  readonly rank: number;
  readonly since: number;
  readonly reason: string;
  readonly gone: boolean;
}

export interface RememberedRequest {
  readonly id: string;
  readonly answer: CommandAnswer;
}

export interface CommandAnswer {
  /** Null when the command changed something at once and nothing has to be waited for. */
  readonly operationId: string | null;
  readonly jobId: number | null;
  /** Jobs that a cancel applies to. */
  readonly jobIds: readonly number[];
  /** For people: what was done or why nothing had to be. */
  readonly note: string | null;
  readonly generation: string;
}

export interface ClusterState {
  readonly version: 1;
  readonly workspace: string;
  readonly name: string;
  readonly user: string;
  readonly life: string;
  readonly n: number;
  readonly status: ClusterStatus;
  readonly statusSince: number;
  /** Why it is in this state, for people; empty when that is plain. */
  readonly statusReason: string;
  readonly launchedAt: number;
  /** The command line that launched it last, for people. */
  readonly lastUse: string;
  readonly spec: ClusterSpec | null;
  /** Where it stands. Null until machines stand, and after they are gone. */
  readonly placement: Placement | null;
  readonly nodes: readonly NodeInfo[];
  /** Placements of repairs that stand beside it, oldest first; see model/cluster-repair.ts. Absent: none ever did. */
  readonly added?: readonly Placement[];
  /** Ports of the nodes that anybody may reach; absent: none were asked for. */
  readonly ports?: readonly string[];
  /** Placements that machines may exist under; recorded before the create call, dropped when proved gone. */
  readonly intents: readonly Placement[];
  /** Counts placements in this generation. */
  readonly attempts: number;
  readonly operation: Operation | null;
  /** Counts operations over the whole life of the name. */
  readonly nextOperation: number;
  readonly waiting: readonly Waiting[];
  readonly operations: readonly Operation[];
  readonly tries: readonly Try[];
  /** Children that prove failed placements gone while the cluster lives on: duty ids. */
  readonly duties: readonly string[];
  /** The watch child: null when none should run. `child` counts replacements. */
  readonly watch: { readonly child: number; readonly stopping: boolean } | null;
  readonly watches: number;
  readonly jobs: readonly JobRow[];
  readonly nextJobId: number;
  readonly finishedJobs: number;
  readonly queuePolicy: 'fifo' | 'backfill';
  readonly autostop: AutostopRule | null;
  readonly autostopSetAt: number;
  readonly upAt: number;
  readonly sessions: number;
  readonly lastSessionEndedAt: number;
  readonly lastJobEndedAt: number;
  readonly lastSubmitAt: number;
  /** Nodes that do not answer (`gone: false`) or that the cloud says are stopped or terminated. */
  readonly lost: readonly LostNode[];
  /** What its cloud said ahead of taking machines back; absent: nothing. */
  readonly notices?: readonly MachineNotice[];
  /** Over all generations. */
  readonly cost: Cost;
  /** Of `cost`, what older generations had spent. */
  readonly earlier?: Spending;
  readonly budget?: ClusterBudget | null;
  /** Absent: none is wanted, and none is there. */
  readonly ray?: ClusterRay | null;
  /** Counts the workflows that saw to Ray. */
  readonly rays?: number;
  /** What stood before it was all taken down, for people. */
  readonly stood?: { readonly resources: string; readonly infra: string } | null;
  readonly requests: readonly RememberedRequest[];
  /** Absent: there never was one. */
  readonly guests?: readonly Guest[];
  readonly relaunch?: Relaunch;
  /** Nothing starts on it before its owner says so; absent: false. */
  readonly held?: boolean;
  /** Of a cluster that is STOPPED, ranks whose machines somebody started elsewhere; absent: none. */
  readonly running?: readonly number[];
}

/** Nothing is certain of its machines meanwhile: what is seen of them is left to a later look, and nothing is begun on them. */
export function machinesChange({ operation }: Pick<ClusterState, 'operation'>): boolean {
  return operation !== null && operation.kind !== 'ports';
}

export function displayStatus(state: Pick<ClusterState, 'status' | 'operation'>): DisplayStatus {
  const operation = state.operation;
  if (operation !== null && operation.kind === 'stop') return operation.auto ? 'AUTOSTOPPING' : 'STOPPING';
  if (operation !== null && operation.kind === 'down') return operation.auto ? 'AUTOSTOPPING' : 'TERMINATING';
  if (operation !== null && (operation.kind === 'launch' || operation.kind === 'start')) return 'INIT';
  return state.status === 'NEW' ? 'INIT' : state.status;
}
