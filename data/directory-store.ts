/**
 * A store in a directory: small blobs in packs, large ones as files, manifests by themselves. Everything appears whole, by a rename,
 * and what a killed process left half is below `tmp`. Any number of processes may write, read and collect at the same time.
 */
import { createHash, hash as digest, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StyxError } from '../model/errors.ts';
import { ensurePrivateDir } from '../system/home.ts';
import { collectDirectory } from './collect.ts';
import { PackIndex, PackWriter } from './pack.ts';
import type { BlobWriter, Collected, Store } from './store.ts';
import { type StorePaths, storePaths } from './store-paths.ts';

const CHUNK = 1024 * 1024;
const FRESH_MS = 60 * 60_000;

/** Where a blob's bytes are. */
interface Place {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

export class DirectoryStore implements Store {
  readonly paths: StorePaths;
  readonly #packs = new Map<string, PackIndex>();
  /** Those that are files of their own, as they were when somebody looked. */
  #blobs: ReadonlySet<string> = new Set();
  readonly #fresh: number;

  /** `root` is made when absent. What was touched within `fresh` ms counts as young and is not touched again. */
  constructor(root: string, options: { fresh?: number } = {}) {
    this.#fresh = options.fresh ?? FRESH_MS;
    this.paths = storePaths(ensurePrivateDir(root));
    for (const path of Object.values(this.paths)) mkdirSync(path, { recursive: true, mode: 0o700 });
  }

  writer(): BlobWriter {
    this.#look();
    return new DirectoryWriter(this);
  }

  async putManifest(data: Buffer): Promise<string> {
    const found = await this.findManifest(data);
    if (found !== null) return found;
    const hash = digest('sha256', data, 'hex');
    const temporary = this.temporaryName();
    writeFileSync(temporary, data, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, join(this.paths.manifests, hash));
    return hash;
  }

  async findManifest(data: Buffer): Promise<string | null> {
    const hash = digest('sha256', data, 'hex');
    return this.touch(join(this.paths.manifests, hash)) ? hash : null;
  }

  async readManifest(hash: string): Promise<Buffer> {
    const data = await readFile(join(this.paths.manifests, hash)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (data === null) throw gone(`the manifest ${hash.slice(0, 12)}`);
    if (digest('sha256', data, 'hex') !== hash) throw damaged(`the manifest ${hash.slice(0, 12)}`);
    return data;
  }

  async *stream(blobs: Iterable<{ readonly hash: string; readonly size: number }>): AsyncGenerator<Buffer, void> {
    this.#look();
    const buffer = Buffer.allocUnsafe(CHUNK);
    let [file, offset, length] = ['', 0, 0];
    for (const { hash, size } of blobs) {
      const place = this.#place(hash);
      if (place.length !== size) throw damaged(`the blob ${hash.slice(0, 12)}`);
      // What lies side by side is read in one go.
      if (file !== place.file || offset + length !== place.offset) {
        if (length > 0) yield* this.#read({ file, offset, length }, buffer);
        [file, offset, length] = [place.file, place.offset, 0];
      }
      length += size;
      if (length < CHUNK) continue;
      yield* this.#read({ file, offset, length }, buffer);
      file = '';
      length = 0;
    }
    if (length > 0) yield* this.#read({ file, offset, length }, buffer);
  }

  collect(live: ReadonlySet<string>, grace: number): Promise<Collected> {
    return collectDirectory(this.paths, live, grace);
  }

  temporaryName(): string {
    return join(this.paths.temporary, randomBytes(12).toString('hex'));
  }

  blobFile(hash: string): string {
    return join(this.paths.blobs, hash);
  }

  /** The file that holds it; null when the store has it not. A blob that another process has just stored may be missed. */
  fileOf(hash: string): string | null {
    const key = Buffer.from(hash, 'hex');
    for (const [id, index] of this.#packs) {
      if (index.find(key) !== null) return join(this.paths.packs, `${id}.pack`);
    }
    return this.#blobs.has(hash) ? this.blobFile(hash) : null;
  }

  forgetPack(file: string): void {
    for (const id of this.#packs.keys()) if (file.endsWith(`${id}.pack`)) this.#packs.delete(id);
  }

  /** Makes a file young, unless it is; false when it is not there. */
  touch(file: string): boolean {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return false;
    const now = Date.now();
    if (now - stat.mtimeMs < this.#fresh) return true;
    try {
      utimesSync(file, now / 1_000, now / 1_000);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  async *#read(place: Place, buffer: Buffer): AsyncGenerator<Buffer, void> {
    const file = await open(place.file, 'r').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      this.forgetPack(place.file);
      throw new StyxError('transient', 'the store of files was tidied up meanwhile');
    });
    try {
      for (let at = 0; at < place.length; ) {
        const size = Math.min(buffer.length, place.length - at);
        const { bytesRead } = await file.read(buffer, 0, size, place.offset + at);
        if (bytesRead === 0) throw damaged(place.file);
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }

  #place(hash: string): Place {
    const key = Buffer.from(hash, 'hex');
    for (let attempt = 0; ; attempt++) {
      for (const [id, index] of this.#packs) {
        const found = index.find(key);
        if (found !== null) return { file: join(this.paths.packs, `${id}.pack`), ...found };
      }
      const file = this.blobFile(hash);
      const stat = statSync(file, { throwIfNoEntry: false });
      if (stat !== undefined) return { file, offset: 0, length: stat.size };
      if (attempt > 0) throw gone(`the blob ${hash.slice(0, 12)}`);
      this.#look();
    }
  }

  /** Takes in what others have stored, and what they have taken away. */
  #look(): void {
    this.#blobs = new Set(readdirSync(this.paths.blobs));
    const ids = readdirSync(this.paths.packs).flatMap((name) => (name.endsWith('.idx') ? [name.slice(0, -4)] : []));
    const there = new Set(ids);
    for (const id of this.#packs.keys()) if (!there.has(id)) this.#packs.delete(id);
    for (const id of ids) {
      if (this.#packs.has(id)) continue;
      try {
        this.#packs.set(id, PackIndex.load(join(this.paths.packs, `${id}.idx`)));
      } catch {
        // Collected meanwhile, or damaged: what was in it is stored again, or missed by name.
      }
    }
  }
}

class DirectoryWriter implements BlobWriter {
  readonly #store: DirectoryStore;
  readonly #pack: PackWriter;
  /** Containers that this writer has made young again. */
  readonly #touched = new Set<string>();

  constructor(store: DirectoryStore) {
    this.#store = store;
    this.#pack = new PackWriter(store.paths.packs, store.paths.temporary);
  }

  has(hash: string): boolean {
    if (this.#pack.has(hash)) return true;
    const file = this.#store.fileOf(hash);
    if (file === null) return false;
    if (this.#touched.has(file)) return true;
    if (!this.#store.touch(file)) {
      this.#store.forgetPack(file);
      return false;
    }
    this.#touched.add(file);
    return true;
  }

  async add(data: Uint8Array): Promise<string> {
    const hash = digest('sha256', data, 'hex');
    if (!this.has(hash)) this.#pack.add(data, hash);
    return hash;
  }

  async addFile(path: string): Promise<{ hash: string; size: number }> {
    const source = await open(path, 'r');
    const temporary = this.#store.temporaryName();
    let size = 0;
    const hasher = createHash('sha256');
    try {
      const target = await open(temporary, 'wx', 0o600);
      try {
        // One buffer is hashed and written while the other is filled.
        const buffers = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)] as const;
        const read = (turn: 0 | 1) => {
          const reading = source.read(buffers[turn], 0, CHUNK, size);
          // Looked at when its turn comes, which it may never do.
          reading.catch(() => {});
          return reading;
        };
        let writing: Promise<unknown> = Promise.resolve();
        let reading = read(0);
        for (let turn: 0 | 1 = 0; ; turn = turn === 0 ? 1 : 0) {
          const { bytesRead } = await reading;
          if (bytesRead === 0) break;
          const data = buffers[turn].subarray(0, bytesRead);
          await writing;
          writing = target.writev([data], size);
          size += bytesRead;
          reading = read(turn === 0 ? 1 : 0);
          hasher.update(data);
        }
        await writing;
      } finally {
        await target.close();
      }
      const hash = hasher.digest('hex');
      if (this.has(hash)) rmSync(temporary, { force: true });
      else renameSync(temporary, this.#store.blobFile(hash));
      return { hash, size };
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      await source.close();
    }
  }

  async finish(): Promise<void> {
    this.#pack.finish();
  }

  async abort(): Promise<void> {
    this.#pack.abort();
  }
}

function gone(what: string): StyxError {
  return new StyxError('not-found', `the store of files does not hold ${what}`, {
    hint: 'The worker must use the data directory (STYX_HOME) of the client. Submit the job again.',
  });
}

function damaged(what: string): StyxError {
  return new StyxError('invalid', `${what} in the store of files is damaged`, { hint: 'Submit the job again.' });
}
