/**
 * The steps that workflows call. Each takes one plain object, is idempotent, and fails with an ApplicationFailure whose type is a
 * kind of `model/errors.ts`. Workflows import this file's types only.
 */
import type { CreateRequest } from '../clouds/cloud.ts';
import type { CatalogUpdateInput, PricesUpdated } from '../model/catalog-update.ts';
import type { WantedContainer } from '../model/container.ts';
import type { ErrorKind } from '../model/errors.ts';
import type { GroupHosts } from '../model/group-hosts.ts';
import type { ProcessPhase, RunJob } from '../model/job-messages.ts';
import type { Notice, NoticeReceiver } from '../model/job-notices.ts';
import type { WaitingRow } from '../model/job-queue.ts';
import type { MachineWants } from '../model/machine-wants.ts';
import type { Instance, InstanceTypeOffer, NodeInfo, Placement, ResourceRequest } from '../model/machines.ts';
import type { HoursInput, HoursResult } from '../model/office-hours.ts';
import type { ClusterReport, GuestRef } from '../model/owned-cluster.ts';
import type { RaySpec } from '../model/ray.ts';
import type { Look, Unclaimed } from '../model/sweep.ts';
import type { AutostopRule, Task } from '../model/task.ts';
import type { Timing } from '../model/timing.ts';
import type { KeptJob } from './kept-job.ts';

/** Whose machines: part of every step that touches a cluster. */
export interface ClusterRef {
  readonly workflowId: string;
  readonly workspace: string;
  readonly name: string;
  readonly generation: string;
}

export interface PlanInput {
  readonly resources: ResourceRequest;
}

export interface PrepareInput {
  readonly cluster: ClusterRef;
  readonly placement: Placement;
  /** Absent: nothing besides its size and place. */
  readonly wants?: MachineWants;
}

export interface OpenPortsInput {
  readonly cluster: ClusterRef;
  readonly placement: Placement;
  /** Ranges, as `MachineWants` has them. */
  readonly ports: readonly string[];
}

export interface CreateInput {
  readonly cluster: ClusterRef;
  readonly request: CreateRequest;
  readonly timing: Timing;
}

export interface PlacementInput {
  readonly cluster: ClusterRef;
  readonly placement: Placement;
  readonly timing: Timing;
  /** The operation that hears why it has to be tried again; absent: none does. */
  readonly opId?: string;
}

export interface ReviveInput {
  readonly cluster: ClusterRef;
  /** All that stand, oldest first. */
  readonly placements: readonly Placement[];
  readonly nodes: readonly NodeInfo[];
  readonly timing: Timing;
}

export interface LostMachine {
  readonly rank: number;
  readonly reason: string;
}

export interface Revived {
  /** Of each placement, those that run and have an address. */
  readonly instances: Instance[][];
  readonly lost: LostMachine[];
}

export interface TerminateInput extends PlacementInput {
  /** `ending`: every machine is shutting down or gone. `gone`: nothing is left. */
  readonly until: 'ending' | 'gone';
}

export interface BootstrapInput {
  readonly cluster: ClusterRef;
  readonly placement: Placement;
  readonly instances: readonly Instance[];
  /** In which jobs run; absent: on the machine itself. */
  readonly container?: WantedContainer;
  readonly timing: Timing;
}

/** What a job's steps need to know of it. */
export interface JobRef {
  readonly cluster: ClusterRef;
  /** `numberOnNodes`. The field that steps of older builds make the job's key of too, so that a job has one key whoever begins it. */
  readonly jobId: number | string;
  /** Its number; absent: `jobId` is. */
  readonly number?: number;
  readonly taskId: string;
  /** Workflow that exits are reported to. */
  readonly owner: string;
  readonly user: string;
}

export interface StartPhaseInput {
  readonly job: JobRef;
  readonly phase: 'setup' | 'run';
  readonly task: Task;
  readonly run: RunJob;
}

/** One node's part in a cluster's Ray. */
export interface RayPlace {
  readonly node: NodeInfo;
  /** Among the nodes of the cluster; 0 is the head. */
  readonly index: number;
  /** Counts the starts on this node, from 1: each is a process of its own. */
  readonly attempt: number;
}

export interface RayInputBase {
  readonly cluster: ClusterRef;
  /** `numberOnNodes` of the workflow that sees to Ray. */
  readonly child: number | string;
  readonly spec: RaySpec;
  readonly timing: Timing;
  /** Workflow that exits are reported to. */
  readonly owner: string;
}

export interface RayStepInput extends RayInputBase {
  readonly places: readonly RayPlace[];
}

export interface StartRayInput extends RayStepInput {
  /** Of the head; null: it is the head that is started. */
  readonly address: string | null;
}

export interface EndRayInput extends RayInputBase {
  readonly place: RayPlace;
}

export interface RayHead {
  readonly address: string;
  readonly dashboardPort: number;
}

/** A process of Ray that ended, and why. `invalid`: another try would end so, too. */
export interface RayProcessEnded {
  readonly index: number;
  readonly rank: number;
  readonly kind: ErrorKind;
  readonly message: string;
}

export interface SyncFilesInput {
  readonly job: Pick<JobRef, 'cluster' | 'jobId'>;
  readonly trees: readonly SyncTree[];
  readonly nodes: readonly NodeInfo[];
  /** Where the nodes are; needed for targets outside of their home directories. */
  readonly place: RunJob['clusterInfo'];
  readonly timing: Timing;
}

export interface PutHostsInput extends Pick<SyncFilesInput, 'nodes' | 'place'> {
  readonly cluster: ClusterRef;
  readonly hosts: GroupHosts;
}

/** A place on the nodes and the snapshot that it shall hold. */
export interface SyncTree {
  readonly target: string;
  readonly manifest: string;
}

/** A rank of a phase, after a start or a look. */
export interface RankState {
  readonly rank: number;
  /** Null while it runs. */
  readonly exitCode: number | null;
  readonly lost: boolean;
  /** As in `RankEnded`. */
  readonly interrupted?: number;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** See ProcessState. */
  readonly output?: string;
}

/** A process of a job that a cancel found on a node. */
export interface ProcessView extends RankState {
  readonly phase: ProcessPhase;
}

export interface CancelJobInput {
  readonly job: Pick<JobRef, 'cluster' | 'jobId'>;
  readonly node: NodeInfo;
  readonly graceMs: number;
}

export interface LeaseInput {
  readonly cluster: ClusterRef;
  readonly placement: Placement;
  /** Of repairs, beside it. */
  readonly added?: readonly Placement[];
  readonly nodes: readonly NodeInfo[];
  readonly autostop: AutostopRule | null;
  readonly timing: Timing;
}

export interface WatchInput extends LeaseInput {
  readonly keep?: KeptJob;
  /** The cluster belongs to a managed job or a pool, who want to know of the progress of its jobs. Default false. */
  readonly owned?: boolean;
  /** Where signals about the nodes go: the entity's workflow id is `cluster.workflowId`. */
  readonly child: number;
  /** Last event handled, by node rank; empty at first. */
  readonly positions: readonly number[];
}

export interface LookInput {
  readonly installation: string;
  readonly timing: Timing;
}

export interface RemoveInput {
  readonly orphans: readonly Unclaimed[];
  readonly timing: Timing;
}

export interface DescribeInput {
  readonly workflowIds: readonly string[];
}

export interface UpdatePricesInput {
  readonly cloud: string;
  /** Somebody asked for this cloud: that it has no credentials is a failure then. */
  readonly named: boolean;
  readonly timing: Pick<CatalogUpdateInput['timing'], 'heartbeatEvery'>;
}

/** Of catalogues, on ACTIVITY_QUEUE. */
export interface PriceActivities {
  /** Those whose prices can be fetched. */
  pricedClouds(): Promise<string[]>;
  /** Fetches a cloud's prices; another try goes on where it was. Heartbeats. @throws invalid, auth, refused, throttled, transient, unreachable */
  updatePrices(input: UpdatePricesInput): Promise<PricesUpdated>;
}

export interface OwnedClusterInput {
  /** Its workflow. */
  readonly workflowId: string;
  /** What it tells this one; absent: its owner. */
  readonly guest?: GuestRef;
}

export interface CollectLogsInput extends OwnedClusterInput {
  /** The managed job's workflow. */
  readonly job: string;
  readonly copy: number;
  /** Which of its cluster's jobs; absent: the first. */
  readonly jobId?: number;
  /** Masked in what is kept. */
  readonly secrets: Task['secrets'];
  readonly timing: Timing;
}

export interface CommandClusterInput extends Pick<HoursInput, 'workspace' | 'cluster' | 'user' | 'side' | 'command'> {
  readonly requestId: string;
  /** ms. */
  readonly due: number;
}

export interface JobRowsInput {
  readonly workspace: string;
  readonly what: 'waiting' | 'live';
  /** Of `live`: those with higher numbers. */
  readonly after: number;
}

export interface JobRows {
  readonly rows: WaitingRow[];
  /** Of `rows`, by their places. */
  readonly users: string[];
  readonly more: boolean;
  /** The highest number that any job has, ended ones too. */
  readonly last: number;
}

/** Short steps, on ACTIVITY_QUEUE. */
export interface ActActivities {
  /**
   * Ranked by cost; ≤ LAUNCH_OFFERS. Empty when nothing fits. Of a plan: what is left of it, in its order.
   * @throws invalid, auth; capacity when nothing of a plan is left
   */
  plan(input: PlanInput): Promise<InstanceTypeOffer[]>;
  prepare(input: PrepareInput): Promise<CreateRequest>;
  /** Creates, and waits until every machine runs and has an address. Heartbeats. @throws capacity, quota, auth, invalid, not-found */
  createMachines(input: CreateInput): Promise<Instance[]>;
  /** Starts stopped machines of a placement and waits as above. Heartbeats. @throws not-found when one is gone, capacity */
  startMachines(input: PlacementInput): Promise<Instance[]>;
  /**
   * Starts what is stopped of all machines of a cluster, and waits until each runs or is proved gone: terminated by its cloud's word, or
   * for `unreachableAfter` neither listed nor known by its id. Heartbeats. @throws capacity
   */
  reviveMachines(input: ReviveInput): Promise<Revived>;
  /** Lets anybody reach these ports of machines that stand, and no others. @throws not-found when they are gone */
  openPorts(input: OpenPortsInput): Promise<void>;
  /** Waits until all are stopped or gone. Heartbeats. @throws invalid for machines that cannot be stopped */
  stopMachines(input: PlacementInput): Promise<void>;
  /** Answers what was reached. Heartbeats. */
  terminateMachines(input: TerminateInput): Promise<'ending' | 'gone'>;
  /** Waits for SSH, puts the agent there, pins host keys. Heartbeats. */
  bootstrap(input: BootstrapInput): Promise<NodeInfo[]>;
  /** Puts a job's files on all its nodes, sending what they lack. Heartbeats. @throws invalid, not-found (the store has them not), aborted */
  syncFiles(input: SyncFilesInput): Promise<void>;
  /** Makes host names known on nodes, in place of older ones, and lets their machines in. @throws invalid where that cannot be done */
  putHosts(input: PutHostsInput): Promise<void>;
  /** Starts a phase on every node of the job, once whoever asks how often, and answers how each rank stands. */
  startPhase(input: StartPhaseInput): Promise<RankState[]>;
  /** Ends a job's processes on a node and bars later starts; answers what there was. Exits are reported as events. */
  cancelJob(input: CancelJobInput): Promise<ProcessView[]>;
  /** Makes Ray's environment on nodes, having ended what older tries left there; answers where that failed. Heartbeats. */
  installRay(input: RayStepInput): Promise<RayProcessEnded[]>;
  /** Starts Ray on nodes, once whoever asks how often, and waits until it stands or has ended; answers the head when it was asked for. Heartbeats. */
  startRay(input: StartRayInput): Promise<{ head: RayHead | null; ended: RayProcessEnded[] }>;
  /** Ends all that runs of the cluster's Ray on a node, and bars this try there. */
  endRay(input: EndRayInput): Promise<void>;
  setLease(input: LeaseInput): Promise<void>;
  /** Whether each workflow runs. */
  describe(input: DescribeInput): Promise<Record<string, 'running' | 'closed' | 'missing'>>;
  /** What the configuration of the worker says of sweeps. */
  sweepSettings(): Promise<{ fix: boolean; max: number | null }>;
  /** Asks each cloud for what an installation made, and each workflow for what it claims. Heartbeats. */
  lookForOrphans(input: LookInput): Promise<Look>;
  /** Removes what still nobody claims, and waits until it is gone, for a few minutes. Answers ids. Heartbeats. */
  removeOrphans(input: RemoveInput): Promise<{ removed: string[]; left: string[] }>;
  /** How a managed job's cluster stands by its own word, and whether its workflow still runs. */
  lookAtCluster(
    input: OwnedClusterInput,
  ): Promise<{ state: 'running' | 'closed' | 'missing'; report: ClusterReport | null }>;
  /** Do all its machines run, by the cloud's word of now? */
  machinesStand(input: OwnedClusterInput): Promise<boolean>;
  /** Under which placements its machines may exist; of a workflow that is closed too. Null: nothing is known of it any more. */
  intentsOf(input: OwnedClusterInput): Promise<{ cluster: ClusterRef; placements: Placement[] } | null>;
  /** Keeps the output of its job in the data directory, as far as it can be had; answers what could not. Heartbeats. */
  collectLogs(input: CollectLogsInput): Promise<{ problem: string | null }>;
  /** Managed jobs as lists know them, for a queue. */
  jobRows(input: JobRowsInput): Promise<JobRows>;
  /** Sends a cluster a command, once whoever asks how often, unless the other side of its schedule was due meanwhile. @throws what the cluster says */
  commandCluster(input: CommandClusterInput): Promise<HoursResult>;
}

/** The managed job that a notice is about. */
export interface NotifiedJob {
  readonly workflowId: string;
  readonly number: number | null;
  readonly name: string | null;
  readonly workspace: string;
  readonly user: string;
  readonly taskId: string | null;
}

export interface ReceiversInput {
  readonly job: NotifiedJob;
  readonly timing: Pick<Timing, 'heartbeatEvery'>;
}

export interface SendNoticeInput extends ReceiversInput {
  /** Key of a receiver. */
  readonly receiver: string;
  readonly notice: Omit<Notice, 'to'>;
  /** Time after which it is not tried much longer. */
  readonly giveUpAt: number;
}

/** Of notifications, on NOTICE_QUEUE. */
export interface NoticeActivities {
  /** Those of the worker's configuration that want to be told of this job. */
  receiversOf(input: ReceiversInput): Promise<NoticeReceiver[]>;
  /** Sends it, maybe again; answers why it was given up. @throws transient until then */
  sendNotice(input: SendNoticeInput): Promise<{ problem: string | null }>;
}

/** Long ones, on WATCH_QUEUE. */
export interface WatchActivities {
  /** Follows all nodes' events until `timing.watchLease` is over; signals what changes. Heartbeats and answers its positions. */
  watchNodes(input: WatchInput): Promise<number[]>;
}
