/**
 * A managed job as its workflow holds it: plain JSON with a version. It has one copy at a time, on a cluster of its own; the next is made
 * only when the last one's machines are proved gone. `managed-job-transition.ts` is the only code that changes it.
 */
import type { Failure } from './errors.ts';
import { stableHash } from './identity.ts';
import type { JobNotices } from './job-notices.ts';
import type { LossCause, RecoveryPolicy } from './job-recovery.ts';
import type { Market } from './market.ts';
import type { MarketState } from './market-state.ts';
import type { Outputs } from './outputs.ts';
import type { ClusterReport } from './owned-cluster.ts';
import type { RetryOf, TaskPart } from './pipeline.ts';
import type { RegionRef } from './place-order.ts';
import type { JobOfSchedule } from './scheduled.ts';
import type { Task } from './task.ts';
import type { Timing } from './timing.ts';

/** As SkyPilot's users know them. */
export const MANAGED_STATUSES = [
  'PENDING',
  'STARTING',
  'RUNNING',
  'RECOVERING',
  'CANCELLING',
  'SUCCEEDED',
  'FAILED',
  'FAILED_SETUP',
  'FAILED_PRECHECKS',
  'FAILED_NO_RESOURCE',
  'CANCELLED',
] as const;
export type ManagedStatus = (typeof MANAGED_STATUSES)[number];
export type ManagedEnd = Exclude<ManagedStatus, 'PENDING' | 'STARTING' | 'RUNNING' | 'RECOVERING' | 'CANCELLING'>;

/** Nothing comes after an end; only what a cancel comes too late for goes on to one of its own. */
export const MANAGED_TRANSITIONS: Readonly<Record<ManagedStatus, readonly ManagedStatus[]>> = {
  // A job that was paused is PENDING too, while its last copy goes: it may have been done by then.
  PENDING: ['STARTING', 'CANCELLING', 'SUCCEEDED', 'CANCELLED', 'FAILED_PRECHECKS'],
  STARTING: [
    'PENDING',
    'RUNNING',
    'RECOVERING',
    'CANCELLING',
    'SUCCEEDED',
    'FAILED',
    'FAILED_SETUP',
    'FAILED_PRECHECKS',
    'FAILED_NO_RESOURCE',
    'CANCELLED',
  ],
  RUNNING: ['PENDING', 'RECOVERING', 'CANCELLING', 'SUCCEEDED', 'FAILED', 'FAILED_SETUP', 'CANCELLED'],
  RECOVERING: ['PENDING', 'STARTING', 'RUNNING', 'CANCELLING', 'SUCCEEDED', 'FAILED', 'FAILED_SETUP', 'CANCELLED'],
  CANCELLING: ['CANCELLED'],
  SUCCEEDED: [],
  FAILED: [],
  FAILED_SETUP: [],
  FAILED_PRECHECKS: [],
  FAILED_NO_RESOURCE: [],
  CANCELLED: [],
};

export function isManagedEnd(status: ManagedStatus): status is ManagedEnd {
  return MANAGED_TRANSITIONS[status].length === 0;
}

/**
 * live: launched, followed. replacing: some of its nodes are lost, and it goes on on its cluster as another copy as soon as it may. cancelling: its job was told to end. verifying: the job failed, and the cloud is asked whether the machines
 * are still there. collecting: its logs are being kept. ending: its machines go. fencing: its cluster's workflow was ended from outside,
 * and the job itself ends the machines.
 */
export const COPY_PHASES = ['live', 'replacing', 'cancelling', 'verifying', 'collecting', 'ending', 'fencing'] as const;
export type CopyPhase = (typeof COPY_PHASES)[number];

export interface Copy {
  readonly number: number;
  /** Name of its cluster. */
  readonly cluster: string;
  /** What its strategy chose; null: what the task asks for. */
  readonly market: Market | null;
  /** STYX_JOB_TRY of its scripts. */
  readonly try: number;
  readonly phase: CopyPhase;
  readonly phaseSince: number;
  readonly startedAt: number;
  /** Its machines stood. */
  readonly stood: boolean;
  readonly report: ClusterReport | null;
  readonly logs: 'kept' | 'lost' | null;
  /** Why it ends, for people; empty while it lives. */
  readonly why: string;
  /** Another copy follows on the same cluster, in place of another cluster. */
  readonly replaces?: true;
  /** Dollars that the cluster had cost before it; absent: it has a cluster of its own from the start. */
  readonly costBefore?: number;
}

export interface PastCopy {
  readonly number: number;
  readonly cluster: string;
  readonly try: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly infra: string | null;
  readonly logs: 'kept' | 'lost' | null;
  readonly why: string;
  readonly cost: number;
  readonly market: Market | null;
}

export interface JobEvent {
  readonly at: number;
  readonly text: string;
}

/** What the job last told the queue. parked: it waits before another launch, and holds no slot. */
export type QueuePhase = 'waiting' | 'launching' | 'running' | 'parked' | 'ended';

export interface ManagedJobState {
  readonly version: 1;
  readonly status: ManagedStatus;
  readonly statusSince: number;
  /** Why, for people; empty when that is plain. */
  readonly reason: string;
  /** Of the last recovery. */
  readonly cause: LossCause | null;
  /** From the queue; null until it answered. */
  readonly number: number | null;
  readonly submittedAt: number;
  /** First time RUNNING. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** ms of RUNNING so far, without what is under way since `runningSince`. */
  readonly ranMs: number;
  readonly runningSince: number | null;
  readonly cancelledBy: string | null;
  /** Who paused it; null: nobody. */
  readonly paused: string | null;
  /** Copies that stood and were ended by a pause. */
  readonly pauses: number;
  /** How it ends, once decided; its machines may still be there. */
  readonly outcome: { readonly status: ManagedEnd; readonly reason: string } | null;
  /** Copies made so far: clusters, also those whose launch failed. */
  readonly copies: number;
  readonly copy: Copy | null;
  /** The last ones. */
  readonly past: readonly PastCopy[];
  /** Copies that stood and were lost or started again. */
  readonly recoveries: number;
  /** Of those, taken from `max_restarts_on_errors`. */
  readonly errorRestarts: number;
  /** Launches that failed since machines last stood. */
  readonly failedLaunches: number;
  /** Copies that stood and whose machines were taken away, vanished or fell silent. */
  readonly preemptions: number;
  /** Copies in a row that ended soon after they stood. */
  readonly shortRuns: number;
  readonly everStood: boolean;
  readonly lastPlace: RegionRef | null;
  readonly lostRegions: readonly RegionRef[];
  readonly market: MarketState;
  /** The next copy, whose machines are made while the present ones are being taken; its job is held. */
  readonly spare: Copy | null;
  /** The copy that the last spare was asked for; 0: none was. */
  readonly askedAhead: number;
  readonly queue: QueuePhase;
  /** When another launch is asked for; null: no such wait. */
  readonly nextAt: number | null;
  /** Dollars of past copies. */
  readonly spent: number;
  /** What the run that SUCCEEDED left; see model/outputs.ts. */
  readonly outputs: Outputs;
  /** Of its work, from 0 to 1: what its script said last, in whichever try; null: it has said nothing. */
  readonly progress: number | null;
  readonly events: readonly JobEvent[];
  readonly notices: JobNotices;
  /** Ids of the last cancels. */
  readonly requests: readonly string[];
}

/** What holds over the whole life of a job. */
export interface JobRules {
  readonly workflowId: string;
  readonly numNodes: number;
  /** Its copies run on workers of this pool. */
  readonly pool?: string;
  /** As in its input. */
  readonly place?: RegionRef;
  readonly recovery: RecoveryPolicy;
  /** ms that a node may be silent before its cluster is ended and the job starts elsewhere. */
  readonly fenceAfter: number;
  readonly timing: Timing;
}

/** Of the workspace's queue; absent: no limit. */
export interface JobLimits {
  readonly launching: number;
  readonly running: number;
  /** Of each user. */
  readonly userLaunching?: number;
  readonly userRunning?: number;
  /** Dollars: nothing is launched while the machines of jobs cost this much in an hour. */
  readonly hourlyCost?: number;
}

/** Input of the workflow: of its first run, and through continue-as-new with `state`. */
export interface ManagedJobInput {
  readonly version: 1;
  readonly workspace: string;
  readonly requestId: string;
  /** The Temporal namespace's UUID. */
  readonly installation: string;
  readonly user: string;
  readonly task: Task;
  readonly resourcesText: string;
  /** Of the same workspace; absent: it has clusters of its own. */
  readonly pool?: string;
  readonly recovery: RecoveryPolicy;
  readonly limits: JobLimits;
  readonly fenceAfter: number;
  /** Its scripts find conda. */
  readonly conda: boolean;
  readonly submittedAt: number;
  readonly timing: Timing;
  /** Of which pipeline it is a task; absent: of none. */
  readonly part?: TaskPart;
  /** Where its machines are looked for first; absent: by its recovery and cost alone. */
  readonly place?: RegionRef;
  /** The ended one that this one takes up. */
  readonly retryOf?: RetryOf;
  /** Absent: somebody submitted it. Else its request id and the time of its submission are those of its workflow. */
  readonly schedule?: JobOfSchedule;
  readonly state?: unknown;
}

/** What its workflow answers when the last of its machines is gone. */
export interface ManagedJobResult {
  /** Its workflow. */
  readonly id: string;
  /** Null: it ended before the queue gave it one. */
  readonly number: number | null;
  readonly status: ManagedEnd;
  /** Why, for people; empty when that is plain. */
  readonly reason: string;
  /** Dollars, of all its copies. */
  readonly cost: number;
}

export const MANAGED_JOB_WORKFLOW = 'managedJob';
export const JOB_KIND = 'job';

export const MANAGED_UPDATES = { cancel: 'cancelJob', pause: 'pauseJob', resume: 'resumeJob' } as const;

export interface ManagedJobCommand {
  readonly requestId: string;
  readonly user: string;
}

export interface ManagedJobAnswer {
  readonly status: ManagedStatus;
  /** Why nothing had to be done; null: it is being done. */
  readonly note: string | null;
}

type Paused = Pick<ManagedJobState, 'status' | 'paused' | 'requests'>;

/** What a pause or a resume came to. */
export function pauseAnswer(
  type: 'pause' | 'resume',
  requestId: string,
  before: Paused,
  { status, paused }: Paused,
): ManagedJobAnswer {
  const changed = (before.paused === null) !== (paused === null);
  if (before.requests.includes(requestId) || changed) return { status, note: null };
  if (before.paused !== null) return { status, note: 'It is paused already.' };
  return { status, note: type === 'resume' ? 'It is not paused.' : `It is ${status} already.` };
}

/** All that is known of a job; what the query `view` answers. */
export interface ManagedJobView extends Omit<ManagedJobState, 'version' | 'requests' | 'lostRegions' | 'notices'> {
  readonly id: string;
  readonly workspace: string;
  readonly user: string;
  readonly name: string | null;
  readonly resources: string;
  readonly pool: string | null;
  readonly priority: number;
  readonly recovery: RecoveryPolicy;
  readonly taskId: string | null;
  readonly numNodes: number;
  readonly retryOf: RetryOf | null;
  readonly costSoFar: number;
  /** Name of the schedule that started it. */
  readonly schedule?: string;
}

/** Memo of the workflow, ≤ 2 kB: what a list shows without a worker. Cut to size. */
export interface ManagedJobMemo {
  readonly status: ManagedStatus;
  readonly statusSince: number;
  readonly reason: string;
  readonly number: number | null;
  readonly name: string | null;
  readonly user: string;
  readonly resources: string;
  readonly priority: number;
  readonly submittedAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly ranMs: number;
  readonly runningSince: number | null;
  readonly recoveries: number;
  /** Absent: it says nothing of it. */
  readonly progress?: number;
  readonly cluster: string | null;
  readonly infra: string | null;
  /** Absent: it has clusters of its own. */
  readonly pool?: string;
  readonly queue: QueuePhase;
  readonly paused: boolean;
  /** Dollars when it was written. */
  readonly cost: number;
  /** Number of the one that it takes up. */
  readonly retryOf?: number;
  /** Name of the schedule that started it. */
  readonly schedule?: string;
}

/** Those that schedules make have colons. */
const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,35}$/;

/** Null when it can be a job's request id; else what is wrong with it. The queue counts on its length. */
export function requestIdProblem(id: string): string | null {
  return REQUEST_ID.test(id)
    ? null
    : 'must have 1 to 36 letters, digits, ".", "_", ":" and "-", and begin with a letter or digit';
}

export function managedJobId(workspace: string, requestId: string): string {
  return `job/${workspace}/${requestId}`;
}

/** Of one copy: nobody else's, and never used again. */
export function copyCluster(workflowId: string, copy: number): string {
  return `job-${stableHash(['job cluster', workflowId], 10)}-${copy}`;
}

/** So many of its last copies a job speaks of, and of so many its output is kept. */
export const REMEMBERED_COPIES = 20;

/** Where the output of a job is kept, below the directory of all. */
export function jobLogsOf(workflowId: string): string {
  return stableHash(['job logs', workflowId], 24);
}

/** And that of one of its copies. */
export function jobLogFolder(workflowId: string, copy: number): string {
  return `${jobLogsOf(workflowId)}/${copy}`;
}

/** `sky-managed-2026-11-22-17-58-13-042000_<name>_<number>-<task>`, the same over all recoveries: what checkpoints are keyed by. */
export function managedTaskId(name: string | null, number: number, submittedAt: number, task = 0): string {
  const [date = '', time = ''] = new Date(submittedAt).toISOString().split('T');
  const micros = `${String(submittedAt % 1000).padStart(3, '0')}000`;
  return `sky-managed-${date}-${time.slice(0, 8).replaceAll(':', '-')}-${micros}_${name ?? 'job'}_${number}-${task}`;
}

export function failureText({ message, hint }: Failure): string {
  return hint === undefined ? message : `${message} ${hint}`;
}
