/** A job: one task run on a cluster. Its states, as SkyPilot's users know them, and their transitions. */
import type { Outputs } from './outputs.ts';
import type { JobDemand } from './task.ts';

/**
 * INIT: accepted, the cluster is not up yet. PENDING: waits for room on the cluster. FAILED_DRIVER: not the task's fault (the
 * cluster failed or went away under it).
 */
export const JOB_STATUSES = [
  'INIT',
  'PENDING',
  'SETTING_UP',
  'RUNNING',
  'SUCCEEDED',
  'FAILED',
  'FAILED_SETUP',
  'FAILED_DRIVER',
  'CANCELLED',
] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

export const JOB_TRANSITIONS: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  INIT: ['PENDING', 'SETTING_UP', 'RUNNING', 'FAILED_DRIVER', 'CANCELLED'],
  PENDING: ['SETTING_UP', 'RUNNING', 'SUCCEEDED', 'FAILED', 'FAILED_SETUP', 'FAILED_DRIVER', 'CANCELLED'],
  SETTING_UP: ['RUNNING', 'SUCCEEDED', 'FAILED', 'FAILED_SETUP', 'FAILED_DRIVER', 'CANCELLED'],
  RUNNING: ['SUCCEEDED', 'FAILED', 'FAILED_DRIVER', 'CANCELLED'],
  SUCCEEDED: [],
  FAILED: [],
  FAILED_SETUP: [],
  FAILED_DRIVER: [],
  CANCELLED: [],
};

export function isTerminalJob(status: JobStatus): boolean {
  return JOB_TRANSITIONS[status].length === 0;
}

/** Exit codes of `logs` and of following commands, as SkyPilot's JobExitCode. */
export function jobExitCode(status: JobStatus | null): number {
  if (status === null) return 102;
  if (status === 'SUCCEEDED') return 0;
  if (status === 'CANCELLED') return 103;
  return isTerminalJob(status) ? 100 : 101;
}

/** Where on the cluster a job runs: node ranks in order (rank 0 of the job first) and the GPU indices on each. */
export interface Allotment {
  readonly nodes: readonly number[];
  /** Same length as `nodes`. A fraction of a GPU names the one GPU it shares. */
  readonly gpus: readonly (readonly number[])[];
}

/** A job's row in its cluster's state. Times are milliseconds since the epoch. Small: scripts live in the job's own workflow. */
export interface JobRow {
  readonly id: number;
  readonly name: string | null;
  readonly user: string;
  readonly status: JobStatus;
  readonly reason: string | null;
  readonly submittedAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly numNodes: number;
  readonly demand: JobDemand;
  readonly priority: number;
  readonly maxDuration: number | null;
  readonly hasSetup: boolean;
  /** Its output may hold secret values, which are masked where it is shown. Absent: false. */
  readonly hasSecrets?: boolean;
  /** It uses the cluster's Ray and starts when that stands. Absent: false. */
  readonly ray?: boolean;
  readonly hasRun: boolean;
  /** Resources as text, for people: `1x[CPU:0.5]`. */
  readonly resources: string;
  readonly allotment: Allotment | null;
  /** Of its workflow's first run, once that has told of itself: its part of the job's key on the nodes. Absent: the number alone is. */
  readonly life?: string;
  /** Of each rank, once ended. */
  readonly exitCodes: readonly (number | null)[] | null;
  /** What its script left for others; kept only where a managed job owns the cluster. */
  readonly outputs?: Outputs;
  /** What its script said last of its progress, as it said it; likewise. */
  readonly progress?: string;
}
