/** A cluster that belongs to another workflow: what it is told by its owner, and what it tells. */
import type { ClusterState, ClusterStatus, OperationKind } from './cluster.ts';
import { costAt, hourlyNow } from './cost.ts';
import type { Failure } from './errors.ts';
import type { JobRow, JobStatus } from './job.ts';
import { firstInterruption } from './machine-notices.ts';
import type { InstanceTypeOffer } from './machines.ts';
import type { Outputs } from './outputs.ts';
import type { Task } from './task.ts';

/** In a cluster's input. */
export interface ClusterOwner {
  readonly workflowId: string;
  /** Which of the owner's clusters it is. */
  readonly copy: number;
  /** In place of the id that its job would have. */
  readonly taskId: string;
  /** What is kept of its job's output while it runs: which phases it has, and what is masked. Absent: nothing. */
  readonly logs?: { readonly phases: readonly ('setup' | 'run')[]; readonly secrets: Task['secrets'] };
  /** Its job starts only when the owner says so (`release`). Default false. */
  readonly held?: boolean;
  /** It takes jobs that other workflows give it (`guestCommand`). Default false. */
  readonly guests?: boolean;
}

/** Signals of the owner to its cluster, and of the cluster to its owner. */
export const OWNER_SIGNALS = { command: 'ownerCommand', report: 'clusterReport', guest: 'guestCommand' } as const;

export interface OwnerCommand {
  /** release: the job of a cluster that is `held` may start. */
  readonly kind: 'cancel' | 'down' | 'release';
  /** The same id is carried out once. */
  readonly requestId: string;
  readonly user: string;
}

/** Whose job it is on a cluster that a pool owns, and which of its copies. */
export interface GuestRef {
  readonly workflowId: string;
  readonly copy: number;
}

/** Of a managed job to a worker of a pool. leave: its output is kept, and the worker may forget it. evict: the pool's word, of a job that is no more. */
export type GuestCommand =
  | {
      readonly kind: 'submit';
      readonly guest: GuestRef;
      readonly user: string;
      readonly task: Task;
      readonly taskId: string;
      readonly commandLine: string;
    }
  | { readonly kind: 'cancel' | 'leave' | 'evict'; readonly guest: GuestRef };

/** What a worker has for jobs. */
export interface WorkerSize {
  readonly nodes: number;
  /** Of each node. */
  readonly cpus: number;
  readonly gpus: number;
  readonly memory: number;
}

/** The whole of what an owner goes by, each time: one that is lost or comes late is made good by the next. */
export interface ClusterReport {
  readonly copy: number;
  /** Its name; absent in what older versions told. */
  readonly cluster?: string;
  /** Of a cluster that takes guests, while it stands. */
  readonly size?: WorkerSize;
  /** To a guest: nothing of its job runs there or will run there. */
  readonly ended?: boolean;
  readonly generation: string;
  readonly status: ClusterStatus;
  readonly reason: string;
  readonly operation: OperationKind | null;
  /** The launch, once it has ended. */
  readonly launch: { readonly outcome: 'succeeded' | 'failed' | 'aborted'; readonly failure: Failure | null } | null;
  /** Places that were tried and given up. */
  readonly tried: number;
  readonly job: {
    readonly id: number;
    readonly status: JobStatus;
    readonly reason: string | null;
    readonly startedAt?: number | null;
    /** Those that are not 0, each once. */
    readonly exitCodes: readonly number[];
    readonly outputs?: Outputs;
    /** What its script said last of its progress; see model/progress.ts. */
    readonly progress?: string;
  } | null;
  /** The cloud says that a node is stopped or gone. */
  readonly gone: boolean;
  /** The cloud takes a node back then; absent: it said nothing of the kind. */
  readonly interruption?: { readonly at: number };
  /** The cloud warned that it may; absent: it did not. */
  readonly rebalance?: { readonly at: number };
  /** Since when a node does not answer; null: all do. */
  readonly silentSince: number | null;
  /** Where it stands. */
  readonly place: Pick<InstanceTypeOffer, 'cloud' | 'region' | 'zone' | 'instanceType' | 'useSpot'> | null;
  /** Dollars until `at`, and in an hour from then on. */
  readonly cost: number;
  readonly hourly: number;
  readonly at: number;
}

const SHOWN_CODES = 20;
const REASON_CHARS = 500;

export function clusterReport(state: ClusterState, copy: number, generation: string, now: number): ClusterReport {
  const { relaunch } = state;
  const launch = launchOf(state);
  const job = ownersJob(state);
  const silent = state.lost.filter(({ gone }) => !gone).map(({ since }) => since);
  const { placement, notices } = state;
  const interrupted = firstInterruption(notices);
  const warned = notices?.find(({ kind }) => kind === 'rebalance');
  return {
    copy: relaunch?.copy ?? copy,
    cluster: state.name,
    generation,
    status: state.status,
    reason: state.statusReason.slice(0, REASON_CHARS),
    operation: state.operation?.kind ?? null,
    launch,
    tried: state.tries.length,
    job: jobOfReport(job),
    gone: state.lost.some(({ gone }) => gone),
    ...(interrupted === undefined ? {} : { interruption: { at: interrupted.at } }),
    ...(warned === undefined ? {} : { rebalance: { at: warned.at } }),
    silentSince: silent.length === 0 ? null : Math.min(...silent),
    place:
      placement === null
        ? null
        : {
            cloud: placement.cloud,
            region: placement.region,
            zone: placement.zone,
            instanceType: placement.instanceType,
            useSpot: placement.useSpot,
          },
    cost: costAt(state.cost, now),
    hourly: hourlyNow(state.cost),
    at: now,
  };
}

/** Of the owner: that of its last relaunch, or the one that the cluster was launched with. */
export function ownersJob({ relaunch, jobs }: Pick<ClusterState, 'relaunch' | 'jobs'>): JobRow | undefined {
  return relaunch === undefined ? jobs[0] : jobs.find(({ id }) => id === relaunch.jobId);
}

/** That of the owner's last relaunch, or the last. */
function launchOf({ relaunch, operations }: ClusterState): ClusterReport['launch'] {
  if (relaunch?.refused != null) return { outcome: 'failed', failure: cut(relaunch.refused) };
  const launch = operations.findLast(({ kind, id }) => kind === 'launch' && (relaunch?.opId ?? id) === id);
  return launch?.outcome == null ? null : { outcome: launch.outcome, failure: cut(launch.failure) };
}

function cut(failure: Failure | null): Failure | null {
  return failure === null ? null : { ...failure, message: failure.message.slice(0, REASON_CHARS) };
}

export function jobOfReport(job: JobRow | undefined): ClusterReport['job'] {
  if (job === undefined) return null;
  const codes = (job.exitCodes ?? []).filter((code): code is number => code !== null && code !== 0);
  return {
    id: job.id,
    status: job.status,
    reason: job.reason?.slice(0, REASON_CHARS) ?? null,
    startedAt: job.startedAt,
    exitCodes: [...new Set(codes)].slice(0, SHOWN_CODES),
    ...(job.outputs === undefined ? {} : { outputs: job.outputs }),
    ...(job.progress === undefined ? {} : { progress: job.progress }),
  };
}

/** Null while it does not stand. Nodes of a cluster are alike; where they differ, the least counts. */
export function workerSize({ nodes }: Pick<ClusterState, 'nodes'>): WorkerSize | null {
  if (nodes.length === 0) return null;
  const least = (of: 'cpus' | 'gpus' | 'memory') => Math.min(...nodes.map((node) => node[of]));
  return { nodes: nodes.length, cpus: least('cpus'), gpus: least('gpus'), memory: least('memory') };
}

/** What the cloud said ahead, where the report before this one did not have it yet; for people. */
export function newWarnings(before: ClusterReport | null, { interruption, rebalance }: ClusterReport): string[] {
  const utc = (at: number) => `${new Date(at).toISOString().slice(0, 19)}Z`;
  const found: string[] = [];
  if (interruption !== undefined && before?.interruption === undefined) {
    found.push(`the cloud takes a machine back at ${utc(interruption.at)}; the job is told to end`);
  }
  if (rebalance !== undefined && before?.rebalance === undefined) {
    found.push(`the cloud warned at ${utc(rebalance.at)} that it may take a machine back`);
  }
  return found;
}

/** What of a report makes it worth telling: time and money that pass are not. */
export function reportDigest({ cost: _cost, at: _at, ...rest }: ClusterReport): string {
  return JSON.stringify(rest);
}
