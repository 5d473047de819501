/** What a job's workflow knows of it: signals, and the ranks' exits from whichever source came first. */
import type { RankState } from '../activities/types.ts';
import type { AbandonJob, ProcessPhase, RankEnded, RunJob } from '../model/commands.ts';
import type { JobStatus } from '../model/job.ts';
import type { Outputs } from '../model/outputs.ts';

export type Phase = 'setup' | 'run';

export interface JobEnd {
  readonly status: JobStatus;
  readonly reason: string | null;
  readonly exitCodes: (number | null)[] | null;
  readonly outputs?: Outputs;
}

export interface RankEnd {
  readonly rank: number;
  /** Null: it never started, and never will. */
  readonly exitCode: number | null;
  readonly lost: boolean;
}

export class JobProgress {
  run: RunJob | null = null;
  cancelled = false;
  abandoned: AbandonJob | null = null;
  /** What its run wrote for others. */
  output = '';
  private readonly ends = new Map<string, RankEnd>();

  interrupted(): boolean {
    return this.cancelled || this.abandoned !== null;
  }

  record(phase: ProcessPhase, state: RankState | RankEnded): void {
    if (state.exitCode === null) return;
    const key = `${phase}/${state.rank}`;
    const { rank, exitCode, lost, output } = state;
    if (phase === 'run' && rank === 0 && output !== undefined) this.output = output;
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
