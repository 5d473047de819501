/**
 * Many small blobs in one file: `<id>.pack` holds their bytes one after the other, `<id>.idx` where each is, sorted by hash. The index
 * appears last, so that a pack is there with it or not at all.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const MAGIC = Buffer.from('STYXPK01');
/** Hash, offset (6 bytes), length (4 bytes). */
const RECORD = 42;
const BUFFER_BYTES = 4 * 1024 * 1024;

export interface PackedBlob {
  readonly offset: number;
  readonly length: number;
}

export class PackIndex {
  readonly #data: Buffer;
  readonly count: number;

  private constructor(data: Buffer) {
    this.#data = data;
    this.count = (data.length - MAGIC.length) / RECORD;
  }

  /** @throws when the file is missing or no index */
  static load(file: string): PackIndex {
    const data = readFileSync(file);
    const isIndex = data.subarray(0, MAGIC.length).equals(MAGIC) && (data.length - MAGIC.length) % RECORD === 0;
    if (!isIndex) throw new Error(`${file} is damaged`);
    return new PackIndex(data);
  }

  find(hash: Buffer): PackedBlob | null {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = MAGIC.length + middle * RECORD;
      const order = this.#data.compare(hash, 0, 32, at, at + 32);
      if (order === 0) return this.#placeAt(at);
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return null;
  }

  *[Symbol.iterator](): Generator<readonly [string, PackedBlob]> {
    for (let i = 0; i < this.count; i++) {
      const at = MAGIC.length + i * RECORD;
      yield [this.#data.toString('hex', at, at + 32), this.#placeAt(at)];
    }
  }

  #placeAt(at: number): PackedBlob {
    return { offset: this.#data.readUIntBE(at + 32, 6), length: this.#data.readUInt32BE(at + 38) };
  }
}

export class PackWriter {
  readonly #folder: string;
  readonly #temporary: string;
  readonly #id = randomBytes(16).toString('hex');
  readonly #added = new Map<string, PackedBlob>();
  #fd: number | null = null;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #buffered = 0;
  #length = 0;

  /** `temporary` is a directory of the same file system. */
  constructor(folder: string, temporary: string) {
    this.#folder = folder;
    this.#temporary = temporary;
  }

  has(hash: string): boolean {
    return this.#added.has(hash);
  }

  /** Bytes of a small file under their hash. */
  add(data: Uint8Array, hash: string): void {
    if (this.#added.has(hash)) return;
    if (this.#buffered + data.length > BUFFER_BYTES) this.#flush();
    if (data.length > BUFFER_BYTES) throw new RangeError('a blob of this size does not go into a pack');
    this.#buffer.set(data, this.#buffered);
    this.#buffered += data.length;
    this.#added.set(hash, { offset: this.#length, length: data.length });
    this.#length += data.length;
  }

  finish(): void {
    if (this.#added.size === 0) return;
    this.#flush();
    closeSync(this.#open());
    this.#fd = null;
    const sorted = [...this.#added].sort(([a], [b]) => (a < b ? -1 : 1));
    const index = Buffer.allocUnsafe(MAGIC.length + sorted.length * RECORD);
    MAGIC.copy(index);
    for (const [i, [hash, { offset, length }]] of sorted.entries()) {
      const at = MAGIC.length + i * RECORD;
      index.write(hash, at, 'hex');
      index.writeUIntBE(offset, at + 32, 6);
      index.writeUInt32BE(length, at + 38);
    }
    const temporary = join(this.#temporary, `${this.#id}.idx`);
    const fd = openSync(temporary, 'wx', 0o600);
    writeSync(fd, index);
    closeSync(fd);
    renameSync(join(this.#temporary, `${this.#id}.pack`), join(this.#folder, `${this.#id}.pack`));
    renameSync(temporary, join(this.#folder, `${this.#id}.idx`));
  }

  abort(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
    for (const ending of ['pack', 'idx']) rmSync(join(this.#temporary, `${this.#id}.${ending}`), { force: true });
  }

  #open(): number {
    this.#fd ??= openSync(join(this.#temporary, `${this.#id}.pack`), 'wx', 0o600);
    return this.#fd;
  }

  #flush(): void {
    const fd = this.#open();
    for (let at = 0; at < this.#buffered; ) at += writeSync(fd, this.#buffer, at, this.#buffered - at);
    this.#buffered = 0;
  }
}
