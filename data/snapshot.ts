/** What is in a directory, or one file, at this moment, kept in a store under the hash of all of it. */
import { closeSync, fstatSync, openSync, readSync, realpathSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as breath } from 'node:timers/promises';
import { StyxError } from '../model/errors.ts';
import type { Snapshot } from '../model/task-files.ts';
import { encodeManifest, type ManifestEntry, MODE_BITS } from './manifest.ts';
import { StatCache } from './stat-cache.ts';
import { type BlobWriter, LARGE_BYTES, type Store } from './store.ts';
import { type Found, isGone, unreadable, walkTree } from './tree-walk.ts';

export interface SnapshotOptions {
  /** Directory of what is known from earlier snapshots. */
  readonly cache: string;
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface Taken {
  readonly snapshot: Snapshot;
  /** Files whose content was read, the others being known. */
  readonly read: number;
  /** Sockets, pipes and devices, which are left out. */
  readonly left: readonly string[];
}

const PROGRESS_EVERY = 1_000;
const BREATH_EVERY = 200;
/** A file that changes while it is read is read again this often; then what was read counts. */
const TRIES = 3;

/** @throws invalid for what cannot be read or cannot travel */
export async function takeSnapshot(store: Store, source: string, options: SnapshotOptions): Promise<Taken> {
  let root: string;
  let stat: Stats;
  try {
    root = realpathSync(source);
    stat = statSync(root);
  } catch (error) {
    throw unreadable(source, error);
  }
  const cache = StatCache.open(options.cache, root);
  const writer = store.writer();
  const reading = new Reading(writer, cache, options);
  try {
    if (stat.isFile()) {
      const entry = await reading.file(root, '', stat);
      if (entry === null) throw new StyxError('invalid', `${source} does not exist`);
      return await keep('file', [entry], []);
    }
    if (!stat.isDirectory()) throw new StyxError('invalid', `${source} is neither a file nor a directory`);
    const { found, left } = await walkTree(root, options.signal);
    const entries: ManifestEntry[] = [];
    for (const one of found) {
      const entry = await reading.entry(root, one);
      if (entry !== null) entries.push(entry);
    }
    return await keep('directory', entries, left);
  } catch (error) {
    await writer.abort();
    throw error;
  }

  async function keep(kind: Snapshot['kind'], entries: ManifestEntry[], left: readonly string[]): Promise<Taken> {
    // Blobs first: a manifest in the store promises that all it names is there.
    await writer.finish();
    const { hash } = await store.putManifest(encodeManifest({ version: 1, root: kind, entries }));
    cache.save();
    const files = entries.filter((entry) => entry[0] === 'f');
    const bytes = files.reduce((sum, entry) => sum + (entry[0] === 'f' ? entry[3] : 0), 0);
    return { snapshot: { manifest: hash, kind, files: files.length, bytes }, read: reading.count, left };
  }
}

class Reading {
  count = 0;
  readonly #writer: BlobWriter;
  readonly #cache: StatCache;
  readonly #options: SnapshotOptions;
  #done = 0;

  constructor(writer: BlobWriter, cache: StatCache, options: SnapshotOptions) {
    this.#writer = writer;
    this.#cache = cache;
    this.#options = options;
  }

  /** Null when it was deleted meanwhile. */
  async entry(root: string, found: Found): Promise<ManifestEntry | null> {
    switch (found.kind) {
      case 'directory':
        return ['d', found.path, found.stat.mode & MODE_BITS];
      case 'link':
        return ['l', found.path, found.to];
      case 'file':
        return await this.file(join(root, found.path), found.path, found.stat);
    }
  }

  async file(full: string, path: string, stat: Stats): Promise<ManifestEntry | null> {
    const { signal, onProgress } = this.#options;
    signal?.throwIfAborted();
    this.#done += 1;
    if (this.#done % PROGRESS_EVERY === 0) onProgress?.(`${this.#done} files`);
    const known = this.#cache.find(path, stat);
    if (known !== null && this.#writer.has(known)) return entryOf(path, stat, stat.size, known);
    this.count += 1;
    if (this.count % BREATH_EVERY === 0) await breath();
    try {
      return stat.size < LARGE_BYTES ? await this.#small(full, path) : await this.#large(full, path, stat);
    } catch (error) {
      if (isGone(error)) return null;
      throw error instanceof StyxError ? error : unreadable(full, error);
    }
  }

  async #small(full: string, path: string): Promise<ManifestEntry> {
    for (let left = TRIES; ; left--) {
      const { data, before, after } = readWhole(full);
      if (left > 1 && changed(before, after)) continue;
      const hash = await this.#writer.add(data);
      if (!changed(before, after)) this.#cache.remember(path, before, hash);
      return entryOf(path, before, data.length, hash);
    }
  }

  async #large(full: string, path: string, stat: Stats): Promise<ManifestEntry> {
    let before = stat;
    for (let left = TRIES; ; left--) {
      const { hash, size } = await this.#writer.addFile(full);
      const after = statSync(full);
      if (!changed(before, after)) this.#cache.remember(path, before, hash);
      else if (left > 1) {
        before = after;
        continue;
      }
      return entryOf(path, before, size, hash);
    }
  }
}

function entryOf(path: string, stat: Stats, size: number, hash: string): ManifestEntry {
  return ['f', path, stat.mode & MODE_BITS, size, Math.round(stat.mtimeMs * 1_000), hash];
}

function changed(a: Stats, b: Stats): boolean {
  return a.size !== b.size || a.mtimeMs !== b.mtimeMs || a.ctimeMs !== b.ctimeMs || a.ino !== b.ino;
}

function readWhole(path: string): { data: Buffer; before: Stats; after: Stats } {
  const fd = openSync(path, 'r');
  try {
    const before = fstatSync(fd);
    const data = Buffer.allocUnsafe(before.size);
    let size = 0;
    while (size < data.length) {
      const bytes = readSync(fd, data, size, data.length - size, size);
      if (bytes === 0) break;
      size += bytes;
    }
    return { data: data.subarray(0, size), before, after: fstatSync(fd) };
  } finally {
    closeSync(fd);
  }
}
