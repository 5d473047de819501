/**
 * What is known of the files of a directory from the last snapshot of it, so that unchanged ones are not read again. Only a hint:
 * whatever happens to it, a snapshot is right.
 */
import type { Stats } from 'node:fs';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { stableHash } from '../model/identity.ts';
import { readJson, writeAtomically } from '../system/home.ts';

/** Size, times of change of content and of anything, inode, hash. */
type Known = readonly [number, number, number, number, string];

/** Ticks of the clocks of file systems; one that shows whole seconds may have a coarser one. */
const TICK_MS = 50;
const COARSE_MS = 2_000;
const KEPT_MS = 30 * 24 * 60 * 60_000;

export class StatCache {
  readonly #file: string;
  readonly #before: ReadonlyMap<string, Known>;
  readonly #now = new Map<string, Known>();
  readonly #startedAt = Date.now();
  #changed = false;

  private constructor(file: string, before: ReadonlyMap<string, Known>) {
    this.#file = file;
    this.#before = before;
  }

  /** Of one directory, by its real path; `folder` holds the caches of all. */
  static open(folder: string, directory: string): StatCache {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, `${stableHash(['files of', directory], 32)}.json`);
    const read = readJson(file) as { version?: unknown; files?: [string, Known][] } | undefined;
    return new StatCache(file, new Map(read?.version === 1 ? read.files : []));
  }

  /** The hash of a file that has not changed since it was read. */
  find(path: string, stat: Stats): string | null {
    const known = this.#before.get(path);
    if (known === undefined) return null;
    const [size, mtime, ctime, inode, hash] = known;
    const same = size === stat.size && mtime === stat.mtimeMs && ctime === stat.ctimeMs && inode === stat.ino;
    if (!same) return null;
    this.#now.set(path, known);
    return hash;
  }

  /**
   * `stat` is from before the file was read. One that changed within the same tick of the clock could change again without a sign of
   * it, and is not remembered.
   */
  remember(path: string, stat: Stats, hash: string): void {
    this.#changed = true;
    const latest = Math.max(stat.mtimeMs, stat.ctimeMs);
    const isCoarse = stat.mtimeMs % 1_000 === 0 && stat.ctimeMs % 1_000 === 0;
    if (latest >= this.#startedAt - (isCoarse ? COARSE_MS : TICK_MS)) return;
    this.#now.set(path, [stat.size, stat.mtimeMs, stat.ctimeMs, stat.ino, hash]);
  }

  save(): void {
    const isSame = !this.#changed && this.#now.size === this.#before.size;
    if (!isSame) writeAtomically(this.#file, JSON.stringify({ version: 1, files: [...this.#now] }));
  }
}

/** Forgets directories of which no snapshot was taken for a month. */
export function pruneStatCaches(folder: string): void {
  try {
    for (const name of readdirSync(folder)) {
      const file = join(folder, name);
      const stat = statSync(file, { throwIfNoEntry: false });
      if (stat !== undefined && Date.now() - stat.mtimeMs > KEPT_MS) rmSync(file, { force: true });
    }
  } catch {
    // No snapshot was ever taken.
  }
}
