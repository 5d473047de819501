/**
 * A pool as its workflow holds it: workers, each a cluster of its own, that stand ready for managed jobs. It says which job goes to which
 * worker; the job itself gives its task to the worker and follows it. `pool-transition.ts` is the only code that changes it.
 */
import type { ClusterStatus } from './cluster.ts';
import { stableHash } from './identity.ts';
import type { WorkerSize } from './owned-cluster.ts';
import type { JobDemand, Task } from './task.ts';
import type { Timing } from './timing.ts';

/** How many workers, and when there are more or less of them. Times in ms. */
export interface PoolSize {
  readonly min: number;
  readonly max: number;
  /** Jobs that wait, from which workers are added. */
  readonly threshold: number;
  readonly upAfter: number;
  readonly downAfter: number;
}

/** Of all workers of a pool together: what its workflow can hold. */
export const MAX_WORKERS = 200;

/** What a pool's file says, as one `apply` gave it. */
export interface PoolVersion {
  /** Counts those that changed what workers are. */
  readonly number: number;
  /** Of what makes a worker: one with another digest is replaced. */
  readonly digest: string;
  readonly task: Task;
  readonly resourcesText: string;
  /** Scripts of jobs find conda. */
  readonly conda: boolean;
  readonly size: PoolSize;
}

/** A job as a pool knows it. */
export interface PoolJob {
  /** Its workflow. */
  readonly id: string;
  /** Which of its copies asks, or runs. */
  readonly copy: number;
  readonly number: number;
  readonly priority: number;
  readonly numNodes: number;
  readonly demand: JobDemand;
}

/** starting: launched and set up. ending: it goes. fencing: its workflow was ended from outside, and the pool itself ends the machines. */
export const WORKER_PHASES = ['starting', 'ready', 'ending', 'fencing'] as const;
export type WorkerPhase = (typeof WORKER_PHASES)[number];

export interface PoolWorker {
  readonly number: number;
  /** Name of its cluster. */
  readonly cluster: string;
  readonly version: number;
  readonly digest: string;
  readonly phase: WorkerPhase;
  readonly phaseSince: number;
  readonly launchedAt: number;
  /** It takes no more jobs, and goes when it has none. */
  readonly draining: boolean;
  /** Null until it stands. */
  readonly size: WorkerSize | null;
  readonly jobs: readonly PoolJob[];
  /** Since when it is ready and has none. */
  readonly idleSince: number | null;
  readonly status: ClusterStatus;
  readonly infra: string | null;
  readonly instanceType: string | null;
  readonly silentSince: number | null;
  /** Why it is as it is, for people. */
  readonly why: string;
  /** Dollars until `costAt`, and in an hour from then on. */
  readonly cost: number;
  readonly hourly: number;
  readonly costAt: number;
}

export interface PoolEvent {
  readonly at: number;
  readonly text: string;
}

export interface PoolState {
  readonly version: 1;
  readonly createdAt: number;
  readonly current: PoolVersion;
  readonly workers: readonly PoolWorker[];
  /** Workers made so far. */
  readonly made: number;
  /** Jobs that ask for a worker, in the order in which they get one. */
  readonly waiting: readonly PoolJob[];
  /** Since when at least `threshold` of them wait; null: less do. */
  readonly crowdedSince: number | null;
  /** Launches in a row that came to nothing. */
  readonly failures: number;
  /** When the next one is tried; null: at once. */
  readonly nextLaunchAt: number | null;
  /** Why none is tried before the next `apply`; null: they are. */
  readonly broken: string | null;
  /** It is being taken down. */
  readonly ending: { readonly by: string; readonly purge: boolean } | null;
  /** Dollars of workers that are no more. */
  readonly spent: number;
  readonly events: readonly PoolEvent[];
  /** Answers to the last commands. */
  readonly requests: readonly { readonly id: string; readonly answer: PoolAnswer }[];
}

/** What holds over the whole life of a pool. */
export interface PoolRules {
  /** Makes the names of its workers nobody else's: another pool of the same name has others. */
  readonly life: string;
  /** ms that a node may be silent before its worker is ended. */
  readonly fenceAfter: number;
  readonly timing: Timing;
}

export const POOL_WORKFLOW = 'pool';
export const POOL_KIND = 'pool';
export const POOL_SIGNALS = { tell: 'tellPool', placed: 'poolPlaced' } as const;
export const POOL_UPDATES = { apply: 'applyPool', down: 'downPool' } as const;
export const POOL_QUERIES = { view: 'view' } as const;

export interface ApplyPoolCommand {
  readonly requestId: string;
  readonly user: string;
  /** Null: workers stay what they are. */
  readonly workers: Pick<PoolVersion, 'digest' | 'task' | 'resourcesText' | 'conda'> | null;
  readonly size: PoolSize;
}

export interface DownPoolCommand {
  readonly requestId: string;
  readonly user: string;
  /** Workers are not kept until their jobs have ended. */
  readonly purge: boolean;
}

export interface PoolAnswer {
  readonly version: number;
  /** For people. */
  readonly note: string;
}

/** What a job tells a pool. */
export type PoolTold =
  | ({ readonly phase: 'ask' } & PoolJob)
  /** That copy is over, or is not wanted any more. lost: its worker is no good. */
  | { readonly phase: 'leave'; readonly id: string; readonly copy: number; readonly lost: boolean };

/** What a pool tells a job. */
export type PoolPlaced =
  | { readonly kind: 'placed'; readonly copy: number; readonly cluster: string }
  /** The pool is taken down. */
  | { readonly kind: 'cancel'; readonly user: string };

/** Input of the workflow: of its first run, and through continue-as-new with `state`. */
export interface PoolInput {
  readonly version: 1;
  readonly workspace: string;
  readonly name: string;
  /** The Temporal namespace's UUID. */
  readonly installation: string;
  readonly user: string;
  readonly fenceAfter: number;
  readonly timing: Timing;
  readonly state?: unknown;
}

/** SkyPilot's names. */
export const POOL_STATUSES = ['REPLICA_INIT', 'READY', 'NO_REPLICA', 'FAILED', 'SHUTTING_DOWN'] as const;
export type PoolStatus = (typeof POOL_STATUSES)[number];
export const WORKER_STATUSES = ['PROVISIONING', 'STARTING', 'READY', 'NOT_READY', 'SHUTTING_DOWN'] as const;
export type WorkerStatus = (typeof WORKER_STATUSES)[number];

export interface WorkerView {
  readonly id: number;
  readonly cluster: string;
  readonly version: number;
  readonly status: WorkerStatus;
  readonly launchedAt: number;
  readonly infra: string | null;
  readonly resources: string;
  readonly draining: boolean;
  /** Numbers of its jobs. */
  readonly usedBy: readonly number[];
  readonly why: string;
}

/** Memo of the workflow, ≤ 2 kB: what a list shows without a worker process. */
export interface PoolMemo {
  readonly name: string;
  readonly user: string;
  readonly version: number;
  readonly status: PoolStatus;
  readonly reason: string;
  readonly createdAt: number;
  readonly ready: number;
  readonly workers: number;
  readonly min: number;
  readonly max: number;
  readonly waiting: number;
  readonly running: number;
  readonly resources: string;
  /** Dollars when it was written. */
  readonly cost: number;
}

/** All that is known of a pool; what the query `view` answers. */
export interface PoolView extends PoolMemo {
  readonly id: string;
  readonly workspace: string;
  readonly workerViews: readonly WorkerView[];
  /** Numbers, in the order in which they get a worker. */
  readonly waitingJobs: readonly number[];
  readonly events: readonly PoolEvent[];
  readonly costPerHour: number;
}

export function poolId(workspace: string, name: string): string {
  return `pool/${workspace}/${name}`;
}

/** Never used again. */
export function workerCluster(life: string, number: number): string {
  return `pool-${life}-${number}`;
}

/** Of a pool's workflow, from the id of its first run. */
export function poolLife(workflowId: string, firstRunId: string): string {
  return stableHash(['pool', workflowId, firstRunId], 10);
}

/** Does a worker run something before it is ready? */
export function hasSetupJob({ setup, workdir, fileMounts }: Task): boolean {
  return setup !== null || workdir !== undefined || fileMounts !== undefined;
}
