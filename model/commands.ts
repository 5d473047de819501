/**
 * What a cluster's entity workflow can be told and asked, by name and with plain JSON: updates for commands, queries for reads,
 * signals between workflows. Clients in any language can use these names.
 */
import type { ClusterSpec, ClusterStatus, CommandAnswer, DisplayStatus, LostNode, Operation, Try } from './cluster.ts';
import type { Cost } from './cost.ts';
import type { BudgetView } from './cost-budget.ts';
import type { Failure } from './errors.ts';
import type { JobRow, JobStatus } from './job.ts';
import type { MachineNotice } from './machine-notices.ts';
import type { NodeInfo, Placement } from './machines.ts';
import type { Outputs } from './outputs.ts';
import type { ClusterOwner } from './owned-cluster.ts';
import type { ClusterRay, RayRequest, RayStatus } from './ray.ts';
import type { AutostopRule, Task } from './task.ts';
import type { Timing } from './timing.ts';

export const CLUSTER_WORKFLOW = 'cluster';

/** Names of updates; each answers with a CommandAnswer in well under a second, and what was started is followed by `view`. */
export const UPDATES = {
  launch: 'launch',
  exec: 'exec',
  cancel: 'cancel',
  stop: 'stop',
  start: 'start',
  down: 'down',
  autostop: 'autostop',
  ray: 'ray',
  ports: 'ports',
} as const;
export type CommandKind = keyof typeof UPDATES;

/** Common to all commands. */
export interface CommandBase {
  /** The same id gives the same answer, however often it is sent: a client repeats a command under its first id. */
  readonly requestId: string;
  readonly user: string;
}

/** Brings the cluster up when it is not, then queues the task on it with its setup. */
export interface LaunchCommand extends CommandBase {
  readonly task: Task;
  readonly spec: ClusterSpec;
  readonly retryUntilUp: boolean;
  /** Milliseconds for which that is done. Absent: for ever. */
  readonly retryFor?: number;
  /** In place of the task's; undefined: the task's, and without one the cluster's as it is. */
  readonly autostop?: AutostopRule | null;
  readonly noSetup: boolean;
  /** For people: how it was asked. */
  readonly commandLine: string;
}

/** Queues the task on a cluster that stands, without its setup. */
export interface ExecCommand extends CommandBase {
  readonly task: Task;
  readonly commandLine: string;
}

export interface CancelCommand extends CommandBase {
  /** Job ids; null: all that have not ended. */
  readonly jobs: readonly number[] | null;
}

export interface StopCommand extends CommandBase {}

export interface DownCommand extends CommandBase {}

export interface StartCommand extends CommandBase, Pick<LaunchCommand, 'retryUntilUp' | 'retryFor'> {
  readonly autostop?: AutostopRule | null;
}

export interface AutostopCommand extends CommandBase {
  /** null: no autostop. */
  readonly rule: AutostopRule | null;
}

/** Brings Ray up on a cluster that stands, or ends it there. */
export interface RayCommand extends CommandBase {
  /** null: end it. */
  readonly ray: RayRequest | null;
}

/** Opens ports of a cluster that stands to everybody, and closes others. What is in both is closed. */
export interface PortsCommand extends CommandBase {
  /** Ranges, as `MachineWants` has them. */
  readonly open: readonly string[];
  readonly close: readonly string[];
}

export interface CommandPayloads {
  readonly launch: LaunchCommand;
  readonly exec: ExecCommand;
  readonly cancel: CancelCommand;
  readonly stop: StopCommand;
  readonly start: StartCommand;
  readonly down: DownCommand;
  readonly autostop: AutostopCommand;
  readonly ray: RayCommand;
  readonly ports: PortsCommand;
}

/** `files`: the snapshots that jobs need which have no workflow of their own yet. `claims`: see Claims. `report`: what an owner is told. */
export const QUERIES = { view: 'view', files: 'files', claims: 'claims', report: 'report' } as const;

/** In the memo of a job's workflow: the snapshots that it needs. */
export const FILES_MEMO = 'styxFiles';
/** Type of a job's workflow. */
export const JOB_WORKFLOW = 'job';

/** The whole of a cluster for people and programs; what the `view` query answers. */
export interface ClusterView {
  readonly workspace: string;
  readonly name: string;
  readonly user: string;
  readonly generation: string;
  readonly status: DisplayStatus;
  readonly entityStatus: ClusterStatus;
  readonly statusSince: number;
  readonly statusReason: string;
  readonly launchedAt: number;
  readonly lastUse: string;
  readonly resources: string;
  readonly infra: string | null;
  readonly placement: Placement | null;
  readonly nodes: readonly NodeInfo[];
  /** Placements of repairs that stand beside it, oldest first; absent: none. */
  readonly added?: readonly Placement[];
  /** Of the nodes, that anybody may reach; absent: none. */
  readonly ports?: readonly string[];
  /** Placements whose machines are not yet proved gone. */
  readonly intents: readonly Placement[];
  readonly operation: Operation | null;
  /** Running one last; the newest 20. */
  readonly operations: readonly Operation[];
  /** Waiting behind the running one: operation ids. */
  readonly waiting: readonly { readonly opId: string; readonly kind: string }[];
  readonly tries: readonly Try[];
  readonly jobs: readonly JobRow[];
  readonly queuePolicy: 'fifo' | 'backfill';
  /** Of each waiting job, why it waits. */
  readonly waits: Readonly<Record<string, string>>;
  readonly autostop: AutostopRule | null;
  /** When the autostop rule will act if nothing happens; null: it is not idle or has no rule. */
  readonly autostopDueAt: number | null;
  readonly sessions: number;
  readonly lost: readonly LostNode[];
  /** While it is STOPPED, ranks whose machines somebody started elsewhere; absent: none. */
  readonly running?: readonly number[];
  /** What its cloud said ahead of taking machines back; absent: nothing. */
  readonly notices?: readonly MachineNotice[];
  readonly costPerHour: number;
  readonly costSoFar: number;
  readonly budget?: BudgetView;
  /** Absent: it has none. */
  readonly ray?: ClusterRay;
  readonly installation: string;
}

/** Memo of a cluster's workflow, ≤ 2 kB: what a list shows without a worker. */
export interface ClusterMemo {
  readonly status: DisplayStatus;
  readonly user: string;
  readonly launchedAt: number;
  readonly resources: string;
  readonly infra: string | null;
  readonly numNodes: number;
  readonly autostop: AutostopRule | null;
  readonly headIp: string | null;
  readonly lastUse: string;
  readonly jobs: { readonly live: number; readonly finished: number };
  readonly costPerHour: number;
  /** When the memo was written. */
  readonly costSoFar: number;
  /** What makes the cost of any later moment; absent in what older versions wrote. */
  readonly cost?: Cost;
  readonly budget?: BudgetView;
  readonly statusReason: string;
  readonly statusSince: number;
  /** Id of the workflow that it belongs to; absent: a person's. */
  readonly owner?: string;
}

export const MEMO_KEY = 'styx';

/** Search attributes of a cluster; see docs/decisions for the whole fixed set. */
export const SEARCH = {
  kind: 'StyxKind',
  name: 'StyxName',
  status: 'StyxStatus',
  workspace: 'StyxWorkspace',
  user: 'StyxUser',
  infra: 'StyxInfra',
  parent: 'StyxParent',
  installation: 'StyxInstallation',
  number: 'StyxNumber',
  priority: 'StyxPriority',
  hourlyCost: 'StyxHourlyCost',
  deadline: 'StyxDeadline',
  labels: 'StyxLabels',
} as const;

/** Input of the entity: of its first run, and through continue-as-new with `state`. */
export interface ClusterInput {
  readonly version: 1;
  readonly workspace: string;
  readonly name: string;
  /** The Temporal namespace's UUID: another store is another installation, to which these machines are foreign. */
  readonly installation: string;
  readonly timing: Timing;
  /** Absent: it is a person's. */
  readonly owner?: ClusterOwner;
  /** What it begins with, where no update does. */
  readonly launch?: LaunchCommand;
  /** ClusterState of the run before, checked by its schema. */
  readonly state?: unknown;
}

/** Signals to the entity from its children. `generation` of another making of the cluster: dropped. */
export const SIGNALS = {
  /** A child's last act. */
  operationEnded: 'operationEnded',
  /** provision: this placement is about to be created. */
  placing: 'placing',
  progress: 'progress',
  /** provision: a placement failed. */
  placementFailed: 'placementFailed',
  /** A placement's machines are proved gone. */
  placementGone: 'placementGone',
  jobChanged: 'jobChanged',
  watchEnded: 'watchEnded',
  observed: 'observed',
  /** A worker: machines of a stopped cluster are gone. */
  machinesMissing: 'machinesMissing',
  rayChanged: 'rayChanged',
  rayEnded: 'rayEnded',
} as const;

export interface OperationEnded {
  readonly generation: string;
  readonly opId: string;
  readonly child: number;
  readonly outcome: 'succeeded' | 'failed' | 'aborted';
  readonly failure: Failure | null;
  /** Of a launch or start that succeeded. */
  readonly stands: {
    readonly placement: Placement;
    readonly nodes: readonly NodeInfo[];
    /** Absent: no repair made any of them. */
    readonly added?: readonly Placement[];
  } | null;
}

export interface PlacingSignal {
  readonly generation: string;
  readonly opId: string;
  readonly placement: Placement;
}

export interface ProgressSignal {
  readonly generation: string;
  readonly opId: string;
  readonly text: string;
}

export interface PlacementFailedSignal {
  readonly generation: string;
  readonly opId: string;
  readonly placementKey: string | null;
  readonly tried: Try;
}

export interface PlacementGoneSignal {
  readonly generation: string;
  readonly placementKey: string;
}

export interface JobChanged {
  readonly generation: string;
  readonly jobId: number;
  readonly status: JobStatus;
  readonly reason: string | null;
  readonly at: number;
  readonly exitCodes: readonly (number | null)[] | null;
  /** Of a job that SUCCEEDED; absent: it wrote none. */
  readonly outputs?: Outputs;
  /** Of its workflow's first run. Absent: nodes know the job by its number alone. */
  readonly life?: string;
}

export interface WatchEnded {
  readonly generation: string;
  readonly child: number;
}

/** How Ray does. */
export interface RayChanged {
  readonly generation: string;
  readonly child: number;
  readonly status: Extract<RayStatus, 'STARTING' | 'UP'>;
  readonly reason: string;
  readonly address: string | null;
  readonly dashboardPort: number | null;
}

export interface RayEnded {
  readonly generation: string;
  readonly child: number;
  /** Null: it was told to end. */
  readonly failure: Failure | null;
}

/** What a watch saw change. */
export interface Observed {
  readonly generation: string;
  /** Which watch saw it: what an ended one says is dropped. */
  readonly child: number;
  readonly at: number;
  readonly sessions?: number;
  /** Node ranks that do not answer; an empty list: all do again. */
  readonly unreachable?: readonly { readonly rank: number; readonly reason: string }[];
  /** Nodes that the cloud says are stopped or gone. */
  readonly gone?: readonly {
    readonly rank: number;
    readonly state: 'stopped' | 'terminated';
    readonly reason: string;
  }[];
  /** Jobs on them that had ended well, as their workflows had been told before; these may tell the cluster later. Absent: none. */
  readonly ended?: readonly JobChanged[];
  /** What the cloud said ahead; those of before stay. */
  readonly notices?: readonly MachineNotice[];
  /** What a job says of itself. */
  readonly progress?: JobProgressed;
}

/** `line`: as its script wrote it; see model/progress.ts. */
export interface JobProgressed {
  readonly jobKey: string;
  readonly line: string;
}

/** Of a cluster that is stopped. */
export interface MachinesMissing {
  readonly generation: string;
  readonly at: number;
  readonly gone: NonNullable<Observed['gone']>;
  /** Ranks of machines that run all the same; absent: as it is known. */
  readonly running?: readonly number[];
}

export type { CommandAnswer };
