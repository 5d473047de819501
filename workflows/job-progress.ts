/** What a job's workflow knows of it: signals, and the ranks' exits from whichever source came first. */
import type { JobRef, RankState } from '../activities/types.ts';
import type { AbandonJob, ProcessPhase, RankEnded, RunJob } from '../model/commands.ts';
import { jobKey } from '../model/identity.ts';
import type { JobStatus } from '../model/job.ts';

export type Phase = 'setup' | 'run';

export interface JobEnd {
  readonly status: JobStatus;
  readonly reason: string | null;
  readonly exitCodes: (number | null)[] | null;
}

export interface RankEnd {
  readonly rank: number;
  /** Null: it never started, and never will. */
  readonly exitCode: number | null;
  readonly lost: boolean;
}

export class JobProgress {
  /** As its steps know it. */
  readonly job: JobRef;
  /** Its part of the job's key; undefined: nodes know the job by its number alone. */
  readonly life: string | undefined;
  run: RunJob | null = null;
  cancelled = false;
  abandoned: AbandonJob | null = null;
  private readonly ends = new Map<string, RankEnd>();

  constructor(job: JobRef, life: string | undefined) {
    this.job = job;
    this.life = life;
  }

  interrupted(): boolean {
    return this.cancelled || this.abandoned !== null;
  }

  /** A watch's word. What it says of another job that had this one's number means nothing. */
  told(ended: RankEnded): void {
    const key = jobKey(this.job.cluster.generation, this.job.jobId);
    if ((ended.jobKey ?? key) === key) this.record(ended.phase, ended);
  }

  record(phase: ProcessPhase, state: RankState | RankEnded): void {
    if (state.exitCode === null) return;
    const key = `${phase}/${state.rank}`;
    const { rank, exitCode, lost } = state;
    if (this.ends.get(key)?.exitCode == null) this.ends.set(key, { rank, exitCode, lost });
  }

  /** The rank was barred before it started. */
  neverStarted(phase: Phase, rank: number): void {
    const key = `${phase}/${rank}`;
    if (!this.ends.has(key)) this.ends.set(key, { rank, exitCode: null, lost: false });
  }

  allEnded(phase: Phase, count: number): boolean {
    for (let rank = 0; rank < count; rank++) if (!this.ends.has(`${phase}/${rank}`)) return false;
    return true;
  }

  /** The first rank that ended with anything but 0. */
  failed(phase: Phase, count: number): RankEnd | null {
    for (let rank = 0; rank < count; rank++) {
      const end = this.ends.get(`${phase}/${rank}`);
      if (end !== undefined && end.exitCode !== 0) return end;
    }
    return null;
  }

  codes(phase: Phase, count: number): (number | null)[] {
    return Array.from({ length: count }, (_, rank) => this.ends.get(`${phase}/${rank}`)?.exitCode ?? null);
  }
}
