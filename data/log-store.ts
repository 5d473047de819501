/**
 * Where the output of managed jobs is kept. A log grows at its end only, and what stands at an offset is the same whoever writes it: two that
 * write the same log at the same time, or one that begins again further back, do no harm.
 */

/** Of one phase of one rank of a job's copy. */
export interface LogName {
  /** Of the copy: see `jobLogFolder` of model. */
  readonly folder: string;
  readonly rank: number;
  readonly phase: 'setup' | 'run';
}

/** A place in a log: bytes of what the job wrote, and bytes of what is kept of that, which differ where secrets are masked. */
export interface LogPosition {
  readonly raw: number;
  readonly kept: number;
}

export interface KeptPiece {
  /** Bytes of the log before it; more than were read so far where the middle of the log was left out. */
  readonly at: number;
  readonly data: Buffer;
}

/** What there is of one managed job. */
export interface KeptJobLogs {
  /** The first part of its copies' folders. */
  readonly job: string;
  readonly copies: readonly number[];
  /** When something was added last, in ms since the epoch. */
  readonly changedAt: number;
}

export interface LogStore {
  /** Where the next piece goes. `masked`: the log is one in which secrets are masked. */
  end(name: LogName, masked: boolean): Promise<LogPosition>;
  /** `at`: bytes of what is kept before it. Of a log that gets too long the middle is left out. */
  append(name: LogName, at: number, data: Buffer): Promise<void>;
  /** Notes where `raw` and `kept` met, for a log that is masked: whoever goes on may begin there. */
  mark(name: LogName, at: LogPosition): Promise<void>;
  /** Comes back when all of the log is on the disk, which a power failure does not take away. */
  settle(name: LogName): Promise<void>;
  /** From an offset on, as far as it goes now. */
  read(name: LogName, from: number): AsyncIterable<KeptPiece>;
  /** Of one copy; by rank, setup first. */
  logsOf(folder: string): Promise<LogName[]>;
  /** Of whom there is something. */
  jobs(): AsyncIterable<KeptJobLogs>;
  /** All of a job, or of one of its copies. */
  remove(job: string, copy?: number): Promise<void>;
}
