/** What is in a directory, or one file, at this moment, kept in a store under the hash of all of it. */
import { closeSync, fstatSync, openSync, readSync, realpathSync, type Stats, statSync } from 'node:fs';
import { setImmediate as breath } from 'node:timers/promises';
import { StyxError } from '../model/errors.ts';
import type { Snapshot } from '../model/task-files.ts';
import { encodeManifest, type ManifestEntry, MODE_BITS } from './manifest.ts';
import { StatCache } from './stat-cache.ts';
import { type BlobWriter, LARGE_BYTES, type Store } from './store.ts';
import { type Found, isGone, unreadable, type Walked, walkTree } from './tree-walk.ts';

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
  if (!stat.isFile() && !stat.isDirectory()) {
    throw new StyxError('invalid', `${source} is neither a file nor a directory`);
  }
  const kind = stat.isFile() ? 'file' : 'directory';
  const { found, left }: Walked = stat.isFile()
    ? { found: [{ kind: 'file', path: '', stat }], left: [] }
    : await walkTree(root, options.signal);
  const cache = StatCache.open(options.cache, root);
  const taken = (entries: readonly ManifestEntry[], manifest: string, read: number): Taken => {
    cache.save();
    return { snapshot: { manifest, kind, ...sizes(entries) }, read, left };
  };

  // When nothing has changed, the manifest that is in the store promises that all it names is there too.
  const known = knownEntries(found, cache);
  if (known !== null) {
    const manifest = await store.findManifest(encodeManifest({ version: 1, root: kind, entries: known }));
    if (manifest !== null) return taken(known, manifest, 0);
  }
  const writer = store.writer();
  try {
    const reading = new Reading(root, writer, cache, options);
    const entries: ManifestEntry[] = [];
    for (const one of found) {
      const entry = await reading.entry(one);
      if (entry !== null) entries.push(entry);
    }
    if (kind === 'file' && entries.length === 0) throw new StyxError('invalid', `${source} does not exist`);
    // Before the manifest, for the sake of its promise.
    await writer.finish();
    return taken(entries, await store.putManifest(encodeManifest({ version: 1, root: kind, entries })), reading.count);
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

function sizes(entries: readonly ManifestEntry[]): { files: number; bytes: number } {
  let [files, bytes] = [0, 0];
  for (const entry of entries) {
    if (entry[0] !== 'f') continue;
    files += 1;
    bytes += entry[3];
  }
  return { files, bytes };
}

/** Null when a file has to be read. */
function knownEntries(found: readonly Found[], cache: StatCache): ManifestEntry[] | null {
  const entries: ManifestEntry[] = [];
  for (const one of found) {
    const hash = one.kind === 'file' ? cache.find(one.path, one.stat) : '';
    if (hash === null) return null;
    entries.push(one.kind === 'file' ? entryOf(one.path, one.stat, one.stat.size, hash) : plainEntry(one));
  }
  return entries;
}

function plainEntry(found: Exclude<Found, { kind: 'file' }>): ManifestEntry {
  if (found.kind === 'link') return ['l', found.path, found.to];
  return ['d', found.path, found.stat.mode & MODE_BITS];
}

class Reading {
  count = 0;
  readonly #root: string;
  readonly #writer: BlobWriter;
  readonly #cache: StatCache;
  readonly #options: SnapshotOptions;
  readonly #buffer = Buffer.allocUnsafe(LARGE_BYTES);
  #done = 0;

  constructor(root: string, writer: BlobWriter, cache: StatCache, options: SnapshotOptions) {
    this.#root = root;
    this.#writer = writer;
    this.#cache = cache;
    this.#options = options;
  }

  /** Null when it was deleted meanwhile. */
  async entry(found: Found): Promise<ManifestEntry | null> {
    if (found.kind !== 'file') return plainEntry(found);
    const full = found.path === '' ? this.#root : `${this.#root}/${found.path}`;
    return await this.#file(full, found.path, found.stat);
  }

  async #file(full: string, path: string, stat: Stats): Promise<ManifestEntry | null> {
    const { signal, onProgress } = this.#options;
    signal?.throwIfAborted();
    this.#done += 1;
    if (this.#done % PROGRESS_EVERY === 0) onProgress?.(`${this.#done} files`);
    const known = this.#cache.find(path, stat);
    if (known !== null && this.#writer.has(known)) return entryOf(path, stat, stat.size, known);
    this.count += 1;
    if (this.count % BREATH_EVERY === 0) await breath();
    try {
      return stat.size < LARGE_BYTES ? await this.#small(full, path, stat) : await this.#large(full, path, stat);
    } catch (error) {
      if (isGone(error)) return null;
      throw error instanceof StyxError ? error : unreadable(full, error);
    }
  }

  async #small(full: string, path: string, stat: Stats): Promise<ManifestEntry> {
    let before = stat;
    for (let left = TRIES; ; left--) {
      const { size, after } = readInto(this.#buffer, full);
      const isSame = !changed(before, after) && size === after.size;
      if (!isSame && left > 1) {
        before = after;
        continue;
      }
      const hash = await this.#writer.add(this.#buffer.subarray(0, size));
      if (isSame) this.#cache.remember(path, before, hash);
      return entryOf(path, before, size, hash);
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

/** As much as fits; a file that has grown beyond that is another one by its stat. */
function readInto(buffer: Buffer, path: string): { size: number; after: Stats } {
  const fd = openSync(path, 'r');
  try {
    let size = 0;
    while (size < buffer.length) {
      const bytes = readSync(fd, buffer, size, buffer.length - size, size);
      if (bytes === 0) break;
      size += bytes;
    }
    return { size, after: fstatSync(fd) };
  } finally {
    closeSync(fd);
  }
}
