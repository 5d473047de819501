/** What a job's workflow knows of it: signals, and the ranks' exits from whichever source came first. */
import type { JobRef, RankState } from '../activities/types.ts';
import type { GroupHosts } from '../model/group-hosts.ts';
import { jobKey } from '../model/identity.ts';
import type { JobStatus } from '../model/job.ts';
import type { AbandonJob, ProcessPhase, RankEnded, RunJob } from '../model/job-messages.ts';
import type { MachineNotice } from '../model/machine-notices.ts';
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
  /** Its machine was to be taken then, and it was told to end. */
  readonly interrupted: number | null;
}

export class JobProgress {
  /** As its steps know it. */
  readonly job: JobRef;
  /** Its part of the job's key; undefined: nodes know the job by its number alone. */
  readonly life: string | undefined;
  run: RunJob | null = null;
  cancelled = false;
  abandoned: AbandonJob | null = null;
  /** What its run wrote for others. */
  output = '';
  /** A machine of its is taken back. */
  notice: MachineNotice | null = null;
  /** The latest names of its group. */
  hosts: GroupHosts | null = null;
  private readonly ends = new Map<string, RankEnd>();

  constructor(job: JobRef, life: string | undefined) {
    this.job = job;
    this.life = life;
  }

  interrupted(): boolean {
    return this.cancelled || this.abandoned !== null;
  }

  /** Names may be told out of their order. */
  named(hosts: GroupHosts): void {
    if (hosts.version > (this.hosts?.version ?? 0)) this.hosts = hosts;
  }

  /** A watch's word. What it says of another job that had this one's number means nothing. */
  told(ended: RankEnded): void {
    const key = jobKey(this.job.cluster.generation, this.job.jobId);
    if ((ended.jobKey ?? key) === key) this.record(ended.phase, ended);
  }

  record(phase: ProcessPhase, state: RankState | RankEnded): void {
    if (state.exitCode === null) return;
    const key = `${phase}/${state.rank}`;
    const { rank, exitCode, lost, interrupted = null, output } = state;
    if (phase === 'run' && rank === 0 && output !== undefined) this.output = output;
    if (this.ends.get(key)?.exitCode == null) this.ends.set(key, { rank, exitCode, lost, interrupted });
  }

  /** The rank was barred before it started. */
  neverStarted(phase: Phase, rank: number): void {
    const key = `${phase}/${rank}`;
    if (!this.ends.has(key)) this.ends.set(key, { rank, exitCode: null, lost: false, interrupted: null });
  }

  allEnded(phase: Phase, count: number): boolean {
    for (let rank = 0; rank < count; rank++) if (!this.ends.has(`${phase}/${rank}`)) return false;
    return true;
  }

  /** The first rank that ended with anything but 0, or because its machine goes: a handler that saves what there is may say 0. */
  failed(phase: Phase, count: number): RankEnd | null {
    for (let rank = 0; rank < count; rank++) {
      const end = this.ends.get(`${phase}/${rank}`);
      if (end !== undefined && (end.exitCode !== 0 || end.interrupted !== null)) return end;
    }
    return null;
  }

  codes(phase: Phase, count: number): (number | null)[] {
    return Array.from({ length: count }, (_, rank) => this.ends.get(`${phase}/${rank}`)?.exitCode ?? null);
  }
}
