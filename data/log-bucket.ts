/**
 * A store of logs in a bucket: `<folder>/<rank>-<phase>.<offset>.log`, each an object that is a piece of a log. A bucket has no "append": the
 * last piece is written again as it grows, each time on the condition that nobody else did meanwhile, and longer than it was. What is
 * appended is held back for a few seconds, so that a log that grows by lines is not written for each. Who is killed loses what it held
 * back, and the store's end says so to the next one.
 */
import { StyxError } from '../model/errors.ts';
import { mapLimited } from '../model/map-limited.ts';
import {
  logsAmong,
  markName,
  mostPieces,
  type Piece,
  parsePiece,
  pieceName,
  piecesOf,
  positionAt,
  readMark,
  surplus,
} from './log-pieces.ts';
import type { KeptJobLogs, KeptPiece, LogName, LogPosition, LogStore } from './log-store.ts';
import type { ObjectStore } from './object-store.ts';

/** Bytes of a piece. Keys count on it. What is written again as it grows is that at most. */
export const BUCKET_PIECE_BYTES = 256 * 1024;
/** What was appended is in the bucket after so long. */
const HOLD_MS = 5_000;
/** Of what could not be written nobody tries more often by itself; whoever appends next is told. */
const TRIES = 12;
const CALLS_AT_ONCE = 16;

export interface LogBucketOptions {
  readonly holdMs?: number;
}

export class LogBucket implements LogStore {
  readonly #objects: ObjectStore;
  readonly #most: number;
  readonly #holdMs: number;
  readonly #tails = new Map<string, Tail>();

  /** @param maxBytes most that is kept of one log; at least two pieces are */
  constructor(objects: ObjectStore, maxBytes: number, { holdMs = HOLD_MS }: LogBucketOptions = {}) {
    this.#objects = objects;
    this.#most = mostPieces(maxBytes, BUCKET_PIECE_BYTES);
    this.#holdMs = holdMs;
  }

  async end(name: LogName, masked: boolean): Promise<LogPosition> {
    const last = (await this.#pieces(name)).at(-1);
    if (last === undefined) return { raw: 0, kept: 0 };
    const mark = masked ? await this.#objects.get(this.#key(name.folder, markName(name))) : null;
    return positionAt(last.start + last.size, masked, mark === null ? null : readMark(jsonIn(mark.data)));
  }

  async append(name: LogName, at: number, data: Buffer): Promise<void> {
    await this.#tail(name).add(at, data);
  }

  async mark(name: LogName, at: LogPosition): Promise<void> {
    // It speaks of nothing that is not there.
    await this.settle(name);
    await this.#objects.put(this.#key(name.folder, markName(name)), Buffer.from(JSON.stringify(at)));
  }

  async settle(name: LogName): Promise<void> {
    await this.#tails.get(keyOf(name))?.settle();
  }

  async *read(name: LogName, from: number): AsyncGenerator<KeptPiece, void, void> {
    for (const { key, start, size } of await this.#pieces(name)) {
      if (start + size <= from) continue;
      const at = Math.max(start, from);
      const found = await this.#objects.get(key, at - start);
      // Left out meanwhile.
      if (found !== null) yield { at, data: found.data };
    }
  }

  async logsOf(folder: string): Promise<LogName[]> {
    const pieces: Piece[] = [];
    for await (const piece of this.#below(`${folder}/`)) pieces.push(piece);
    return logsAmong(folder, pieces);
  }

  /** Keys come in order, and those of a job one after the other. */
  async *jobs(): AsyncGenerator<KeptJobLogs, void, void> {
    let job: string | null = null;
    let copies = new Set<number>();
    let changedAt = 0;
    const found = () =>
      job === null || copies.size === 0 ? [] : [{ job, copies: [...copies].toSorted((a, b) => a - b), changedAt }];
    for await (const object of this.#objects.list('')) {
      const [name = '', copy, file] = object.key.split('/');
      if (file === undefined || !/^\d+$/.test(copy ?? '')) continue;
      if (name !== job) {
        yield* found();
        job = name;
        copies = new Set();
        changedAt = 0;
      }
      copies.add(Number(copy));
      changedAt = Math.max(changedAt, object.changedAt);
    }
    yield* found();
  }

  async remove(job: string, copy?: number): Promise<void> {
    const keys: string[] = [];
    for await (const { key } of this.#objects.list(copy === undefined ? `${job}/` : `${job}/${copy}/`)) keys.push(key);
    await mapLimited(keys, CALLS_AT_ONCE, (key) => this.#objects.remove(key));
  }

  async #leaveOut(name: LogName): Promise<void> {
    const starts = (await this.#pieces(name)).map(({ start }) => start);
    for (const start of surplus(starts, this.#most)) {
      await this.#objects.remove(this.#key(name.folder, pieceName(name, start)));
    }
  }

  #tail(name: LogName): Tail {
    const known = this.#tails.get(keyOf(name));
    if (known !== undefined) return known;
    const key = (start: number) => this.#key(name.folder, pieceName(name, start));
    const made = new Tail(this.#objects, key, this.#holdMs, () => this.#leaveOut(name));
    this.#tails.set(keyOf(name), made);
    return made;
  }

  async #pieces(name: LogName) {
    const pieces = [];
    for await (const piece of this.#below(`${name.folder}/${piecesOf(name)}`)) pieces.push(piece);
    return pieces;
  }

  async *#below(prefix: string) {
    for await (const object of this.#objects.list(prefix)) {
      const piece = parsePiece(object.key.slice(object.key.lastIndexOf('/') + 1));
      if (piece !== null) yield { ...object, ...piece };
    }
  }

  #key(folder: string, file: string): string {
    return `${folder}/${file}`;
  }
}

/** What one log was given and the bucket does not have yet: of one piece, without a gap. */
class Tail {
  readonly #objects: ObjectStore;
  readonly #key: (start: number) => string;
  readonly #holdMs: number;
  /** Called when a piece was begun. */
  readonly #begun: () => Promise<void>;
  #at = 0;
  #held: Buffer[] = [];
  #size = 0;
  /** The last piece as this one wrote it, until it is full. */
  #seen: { readonly start: number; readonly content: Buffer; readonly version: string | null } | null = null;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #failure: unknown;
  /** One thing at a time. */
  #turn: Promise<void> = Promise.resolve();

  constructor(objects: ObjectStore, key: (start: number) => string, holdMs: number, begun: () => Promise<void>) {
    this.#objects = objects;
    this.#key = key;
    this.#holdMs = holdMs;
    this.#begun = begun;
  }

  /** @throws what went wrong with what was held back before, too */
  async add(at: number, data: Buffer): Promise<void> {
    await this.#inTurn(async () => {
      this.#report();
      for (let done = 0; done < data.length; ) {
        const from = at + done;
        if (this.#size > 0 && from !== this.#at + this.#size) await this.#write();
        if (this.#size === 0) this.#at = from;
        const length = Math.min(data.length - done, BUCKET_PIECE_BYTES - (from % BUCKET_PIECE_BYTES));
        this.#held.push(data.subarray(done, done + length));
        this.#size += length;
        done += length;
        if ((this.#at + this.#size) % BUCKET_PIECE_BYTES === 0) await this.#write();
      }
      this.#arm();
    });
  }

  async settle(): Promise<void> {
    await this.#inTurn(() => this.#write());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #report(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  #arm(): void {
    if (this.#size === 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#inTurn(() => this.#write()).catch((error: unknown) => {
        this.#failure = error;
        this.#failures += 1;
        if (this.#failures < TRIES) this.#arm();
      });
    }, this.#holdMs);
    this.#timer.unref();
  }

  async #write(): Promise<void> {
    if (this.#size > 0) await this.#extend(Buffer.concat(this.#held));
    this.#drop();
    this.#failures = 0;
    this.#failure = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #drop(): void {
    this.#held = [];
    this.#size = 0;
  }

  /** Again when somebody else wrote meanwhile: then there is more than before, and at last nothing to add. */
  async #extend(data: Buffer): Promise<void> {
    const within = this.#at % BUCKET_PIECE_BYTES;
    const start = this.#at - within;
    for (;;) {
      const { content, version } = this.#seen?.start === start ? this.#seen : await this.#load(start);
      // A piece is begun at its beginning only: somebody who is far behind does not bring back half of one that was left out.
      if (version === null && within > 0) return;
      if (content.length < within) {
        this.#drop();
        throw new StyxError(
          'internal',
          `${this.#key(start)} has ${content.length} bytes, and not the ${within} before these`,
        );
      }
      if (content.length >= within + data.length) return;
      const whole = Buffer.concat([content.subarray(0, within), data]);
      const written = await this.#objects.put(this.#key(start), whole, version);
      this.#seen = null;
      if (written === null) continue;
      if (whole.length < BUCKET_PIECE_BYTES) this.#seen = { start, content: whole, version: written };
      if (version === null) await this.#begun();
      return;
    }
  }

  async #load(start: number): Promise<{ readonly content: Buffer; readonly version: string | null }> {
    const found = await this.#objects.get(this.#key(start));
    return found === null
      ? { content: Buffer.alloc(0), version: null }
      : { content: found.data, version: found.version };
  }
}

function keyOf({ folder, rank, phase }: LogName): string {
  return `${folder} ${rank} ${phase}`;
}

function jsonIn(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString());
  } catch {
    return null;
  }
}
