/**
 * A managed job's output over all its tries: from the nodes while they are there, and from what was kept when they are gone. Where reading
 * changes over from one to the other in the middle, it goes on at the very byte.
 */
import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { StyxError } from '../model/errors.ts';
import { type Copy, isManagedEnd, jobLogFolder, type ManagedJobView } from '../model/managed-job.ts';
import { homePaths } from '../system/home.ts';
import type { Jobs } from './jobs.ts';
import type { LogOptions, LogPiece } from './logs.ts';

export interface ManagedLogOptions {
  /** Last lines of what there is to begin with; 0: all, which is the default. */
  readonly tail?: number | undefined;
  /** Go on until the job has ended, over its recoveries. Default true. */
  readonly follow?: boolean | undefined;
  readonly rank?: number | undefined;
  readonly onWait?: ((text: string | null) => void) | undefined;
  /** Something that a reader should know: output that is lost. */
  readonly onNote?: ((text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ManagedLogPiece {
  /** Which of its tries. */
  readonly try: number;
  readonly rank: number;
  readonly phase: 'setup' | 'run';
  readonly data: Buffer;
}

export interface ManagedLogSource {
  /** The job's workflow. */
  readonly id: string;
  readonly home: string;
  readonly jobs: Jobs;
  readonly clusterLogs: (name: string, options: LogOptions) => AsyncGenerator<LogPiece, void, void>;
}

const PHASES = ['setup', 'run'] as const;
type Phase = (typeof PHASES)[number];

interface CopyRef {
  readonly number: number;
  readonly try: number;
  readonly cluster: string;
  /** While it lives. */
  readonly report?: Copy['report'];
}

/** @throws not-found, transient */
export async function* managedJobLogs(
  source: ManagedLogSource,
  options: ManagedLogOptions,
): AsyncGenerator<ManagedLogPiece, void, void> {
  const { tail = 0, follow = true } = options;
  if (tail === 0) return yield* new Reading(source, options).all(follow);
  // What there is now is read through for its last lines; following begins where that ended.
  const before = new Reading(source, options);
  const last = new LastLines(tail);
  for await (const piece of before.all(false)) last.push(piece);
  yield* last.pieces();
  if (follow) yield* new Reading(source, options, before.shown).all(true);
}

class Reading {
  /** Bytes given of each file so far, by copy, rank and phase. */
  readonly shown: Map<string, number>;
  readonly #source: ManagedLogSource;
  readonly #options: ManagedLogOptions;
  #done = 0;

  constructor(source: ManagedLogSource, options: ManagedLogOptions, shown: ReadonlyMap<string, number> = new Map()) {
    this.#source = source;
    this.#options = options;
    this.shown = new Map(shown);
  }

  async *all(follow: boolean): AsyncGenerator<ManagedLogPiece, void, void> {
    for (;;) {
      const next = await this.#next(follow);
      if (next === null) return;
      const { copy, ended, kept } = next;
      if (!ended) yield* this.#live(copy, follow);
      else {
        yield* this.#stored(copy);
        if (kept === 'lost') this.#options.onNote?.(`some of the output of try ${copy.try} went with its machines`);
      }
      if (ended || !follow) this.#done = copy.number;
    }
  }

  /** The copy to be read next. While it is being taken down, its end is waited for: then what is kept is all that there will be. */
  async #next(follow: boolean): Promise<{ copy: CopyRef; ended: boolean; kept: 'kept' | 'lost' | null } | null> {
    const { signal, onWait } = this.#options;
    const decide = (view: ManagedJobView) => {
      const past = view.past.find(({ number }) => number > this.#done);
      if (past !== undefined) return { copy: past, ended: true, kept: past.logs };
      const { copy } = view;
      if (copy === null || copy.number <= this.#done) {
        if (!follow || (isManagedEnd(view.status) && copy === null)) return null;
      } else if (copy.phase === 'live' || copy.phase === 'cancelling') {
        if (copy.stood) return { copy, ended: false, kept: null };
        if (!follow) return null;
      } else if (copy.logs !== null || copy.phase === 'ending' || copy.phase === 'fencing') {
        return { copy, ended: true, kept: copy.stood ? (copy.logs ?? 'lost') : null };
      }
      onWait?.(waitText(view));
      return undefined;
    };
    const found = await this.#source.jobs.until(this.#source.id, decide, signal === undefined ? {} : { signal });
    onWait?.(null);
    return found;
  }

  async *#live(copy: CopyRef, follow: boolean): AsyncGenerator<ManagedLogPiece, void, void> {
    const { rank, onWait, signal } = this.#options;
    // Bytes that were given before, such as by a connection that broke.
    const skip = new Map(this.shown);
    try {
      for await (const piece of this.#source.clusterLogs(copy.cluster, {
        jobId: copy.report?.job?.id ?? 1,
        tail: 0,
        follow,
        rank,
        onWait,
        signal,
      })) {
        const key = keyOf(copy, piece.rank, piece.phase);
        const old = skip.get(key) ?? 0;
        skip.set(key, Math.max(0, old - piece.data.length));
        const data = piece.data.subarray(Math.min(old, piece.data.length));
        if (data.length > 0) yield this.#given(copy, piece.rank, piece.phase, data);
      }
    } catch (error) {
      if (!(error instanceof StyxError) || !['unreachable', 'not-found', 'aborted'].includes(error.kind)) throw error;
    }
    if (!follow) return;
    // Its end is on the way: what follows is what the job's workflow decides.
    const over = (view: ManagedJobView) => view.copy?.number !== copy.number || view.copy.phase !== 'live';
    const options = signal === undefined ? {} : { signal };
    await this.#source.jobs.until(this.#source.id, (view) => (over(view) ? true : undefined), options);
  }

  async *#stored(copy: CopyRef): AsyncGenerator<ManagedLogPiece, void, void> {
    const folder = join(homePaths(this.#source.home).jobLogs, jobLogFolder(this.#source.id, copy.number));
    const ranks = new Set(filesOf(folder).map((name) => Number(name.split('-')[0])));
    for (const rank of [...ranks].sort((a, b) => a - b)) {
      if (this.#options.rank !== undefined && this.#options.rank !== rank) continue;
      for (const phase of PHASES) {
        const start = this.shown.get(keyOf(copy, rank, phase)) ?? 0;
        for await (const data of contentOf(join(folder, `${rank}-${phase}.log`), start)) {
          yield this.#given(copy, rank, phase, data);
        }
      }
    }
  }

  #given(copy: CopyRef, rank: number, phase: Phase, data: Buffer): ManagedLogPiece {
    const key = keyOf(copy, rank, phase);
    this.shown.set(key, (this.shown.get(key) ?? 0) + data.length);
    return { try: copy.try, rank, phase, data };
  }
}

function keyOf(copy: CopyRef, rank: number, phase: Phase): string {
  return `${copy.number}/${rank}/${phase}`;
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^\d+-(?:setup|run)\.log$/.test(name));
  } catch {
    return [];
  }
}

async function* contentOf(file: string, start: number): AsyncGenerator<Buffer, void, void> {
  try {
    for await (const chunk of createReadStream(file, { start })) yield chunk as Buffer;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function waitText(view: ManagedJobView): string {
  const number = view.number === null ? '' : ` ${view.number}`;
  // Its end is told when its output is.
  if (isManagedEnd(view.status)) return `keeping the output of managed job${number}`;
  return `managed job${number} is ${view.status}${view.reason === '' ? '' : `: ${view.reason}`}`;
}

const NEWLINE = 10;

/** The last lines of what went by. */
class LastLines {
  readonly #lines: number;
  #kept: ManagedLogPiece[] = [];
  #count = 0;

  constructor(lines: number) {
    this.#lines = lines;
  }

  push(piece: ManagedLogPiece): void {
    this.#kept.push(piece);
    this.#count += newlines(piece.data);
    // Whole pieces that cannot be among the last lines.
    for (let first = this.#kept[0]; first !== undefined; first = this.#kept[0]) {
      const left = this.#count - newlines(first.data);
      if (left <= this.#lines) return;
      this.#kept.shift();
      this.#count = left;
    }
  }

  pieces(): ManagedLogPiece[] {
    const ends = this.#kept.at(-1)?.data.at(-1) === NEWLINE;
    let surplus = this.#count - this.#lines + (ends ? 0 : 1);
    const shown: ManagedLogPiece[] = [];
    for (const piece of this.#kept) {
      let from = 0;
      while (surplus > 0) {
        const end = piece.data.indexOf(NEWLINE, from);
        if (end < 0) break;
        from = end + 1;
        surplus -= 1;
      }
      const data = surplus > 0 ? Buffer.alloc(0) : piece.data.subarray(from);
      if (data.length > 0) shown.push({ ...piece, data });
    }
    return shown;
  }
}

function newlines(data: Buffer): number {
  let count = 0;
  for (const byte of data) if (byte === NEWLINE) count += 1;
  return count;
}
