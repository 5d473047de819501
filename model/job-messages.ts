/** What a job's workflow is told and asked. */
import type { JobChanged } from './commands.ts';
import type { Allotment, JobStatus } from './job.ts';
import type { NodeInfo } from './machines.ts';

/**
 * Of a job's workflow. `secrets`: its task's, closed, so that their values can be masked in its output. `success`: how it ends, once it has
 * been told that all of its ranks ended well; else null.
 */
export const JOB_QUERIES = { secrets: 'secrets', success: 'success' } as const;

/** How a job ended that SUCCEEDED. */
export type JobSuccess = Pick<JobChanged, 'exitCodes' | 'outputs'>;

/** What a process on a node is of: a job's setup or run, or a service that serves jobs. */
export type ProcessPhase = 'setup' | 'run' | 'service';

/** Signals to a job's workflow. */
export const JOB_SIGNALS = {
  run: 'run',
  cancel: 'cancel',
  abandon: 'abandon',
  rankEnded: 'rankEnded',
  interrupt: 'interrupt',
} as const;

/** The cluster gives the job its place. */
export interface RunJob {
  readonly allotment: Allotment;
  /** In rank order of the job. */
  readonly nodes: readonly NodeInfo[];
  readonly clusterInfo: { readonly cloud: string; readonly region: string; readonly zone: string };
  /** Its scripts find conda. Default false. */
  readonly conda?: boolean;
  /** Its scripts find the cluster's Ray, whose address this is, and run in its environment. */
  readonly ray?: string;
}

/** Machines go away under the job: it ends so. `killRest`: some machines stay, and what runs of it there has to end. */
export interface AbandonJob {
  readonly killRest: boolean;
  readonly status: JobStatus;
  readonly reason: string;
}

export interface RankEnded {
  /** What it was a process of: an owner's number may have been another's. Absent in what older builds send. */
  readonly jobKey?: string;
  readonly phase: ProcessPhase;
  readonly rank: number;
  readonly exitCode: number;
  readonly lost: boolean;
  /** It was told to end because the cloud takes the machine back then: what it exited with says nothing. Milliseconds since the epoch. */
  readonly interrupted?: number;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
  /** Of rank 0 of a run that ended with 0: what it wrote for others; see model/outputs.ts. */
  readonly output?: string;
}
