/**
 * A store of logs in a directory: `<folder>/<rank>-<phase>.<offset>.log`, each a piece of a log of a fixed length, so that the middle of a long
 * one can be left out. What is masked has `<rank>-<phase>.at` beside it. A process that is killed leaves a beginning of what it
 * wrote; the next one writes the same bytes over it.
 */
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson, writeAtomically } from '../system/home.ts';
import {
  logsAmong,
  markName,
  mostPieces,
  type Piece,
  parsePiece,
  pieceName,
  positionAt,
  readMark,
  surplus,
} from './log-pieces.ts';
import type { KeptJobLogs, KeptPiece, LogName, LogPosition, LogStore } from './log-store.ts';

/** Bytes of a piece. Names of files count on it. */
export const PIECE_BYTES = 1024 * 1024;

export class LogDirectory implements LogStore {
  readonly #root: string;
  readonly #most: number;

  /** @param maxBytes most that is kept of one log; at least two pieces are */
  constructor(root: string, maxBytes: number) {
    this.#root = root;
    this.#most = mostPieces(maxBytes, PIECE_BYTES);
  }

  async end(name: LogName, masked: boolean): Promise<LogPosition> {
    const last = (await this.#starts(name)).at(-1);
    if (last === undefined) return { raw: 0, kept: 0 };
    const end = last + (await stat(this.#file(name, last))).size;
    // A power failure may have taken away more than the mark.
    return positionAt(end, masked, masked ? readMark(readJson(this.#mark(name))) : null);
  }

  async append(name: LogName, at: number, data: Buffer): Promise<void> {
    for (let done = 0; done < data.length; ) {
      const within = (at + done) % PIECE_BYTES;
      const start = at + done - within;
      const length = Math.min(data.length - done, PIECE_BYTES - within);
      await this.#write(name, start, within, data.subarray(done, done + length));
      done += length;
    }
  }

  async mark(name: LogName, at: LogPosition): Promise<void> {
    await mkdir(join(this.#root, name.folder), { recursive: true, mode: 0o700 });
    writeAtomically(this.#mark(name), JSON.stringify(at));
  }

  async settle(name: LogName): Promise<void> {
    const starts = await this.#starts(name);
    if (starts.length === 0) return;
    for (const path of [...starts.map((start) => this.#file(name, start)), join(this.#root, name.folder)]) {
      const file = await open(path, 'r');
      await file.sync().finally(() => file.close());
    }
  }

  async *read(name: LogName, from: number): AsyncGenerator<KeptPiece, void, void> {
    for (const start of await this.#starts(name)) {
      if (start + PIECE_BYTES <= from) continue;
      let at = Math.max(start, from);
      const content = createReadStream(this.#file(name, start), { start: at - start, end: PIECE_BYTES - 1 });
      try {
        for await (const data of content as AsyncIterable<Buffer>) {
          yield { at, data };
          at += data.length;
        }
      } catch (error) {
        // Left out meanwhile.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  async logsOf(folder: string): Promise<LogName[]> {
    return logsAmong(folder, await this.#files(folder));
  }

  async *jobs(): AsyncGenerator<KeptJobLogs, void, void> {
    for (const job of await filesOf(this.#root)) {
      const folders = await filesOf(join(this.#root, job));
      let changedAt = 0;
      for (const folder of folders) {
        const path = join(this.#root, job, folder);
        for (const each of [path, ...(await filesOf(path)).map((file) => join(path, file))]) {
          changedAt = Math.max(changedAt, (await stat(each).catch(() => null))?.mtimeMs ?? 0);
        }
      }
      const copies = folders.map(Number).filter((copy) => Number.isInteger(copy));
      if (copies.length > 0) yield { job, copies: copies.toSorted((a, b) => a - b), changedAt };
    }
  }

  async remove(job: string, copy?: number): Promise<void> {
    await rm(join(this.#root, job, ...(copy === undefined ? [] : [String(copy)])), { recursive: true, force: true });
  }

  /** A piece is begun at its beginning only: somebody who is far behind does not bring back half of one that was left out. */
  async #write(name: LogName, start: number, within: number, data: Buffer): Promise<void> {
    const path = this.#file(name, start);
    const file = await this.#open(path, name, within === 0);
    if (file === null) return;
    try {
      for (let done = 0; done < data.length; ) {
        done += (await file.write(data, done, data.length - done, within + done)).bytesWritten;
      }
    } finally {
      await file.close();
    }
    if (within === 0) await this.#leaveOut(name);
  }

  async #open(path: string, name: LogName, mayBegin: boolean) {
    for (;;) {
      try {
        return await open(path, 'r+');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        if (!mayBegin) return null;
      }
      await mkdir(join(this.#root, name.folder), { recursive: true, mode: 0o700 });
      try {
        return await open(path, 'wx', 0o600);
      } catch (error) {
        // Begun by another one just now.
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  async #leaveOut(name: LogName): Promise<void> {
    for (const start of surplus(await this.#starts(name), this.#most))
      await rm(this.#file(name, start), { force: true });
  }

  async #starts({ folder, rank, phase }: LogName): Promise<number[]> {
    const own = (await this.#files(folder)).filter((piece) => piece.rank === rank && piece.phase === phase);
    return own.map(({ start }) => start).toSorted((a, b) => a - b);
  }

  async #files(folder: string): Promise<Piece[]> {
    return (await filesOf(join(this.#root, folder))).map(parsePiece).filter((piece) => piece !== null);
  }

  #file(name: LogName, start: number): string {
    return join(this.#root, name.folder, pieceName(name, start));
  }

  #mark(name: LogName): string {
    return join(this.#root, name.folder, markName(name));
  }
}

async function filesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}
