/**
 * Where snapshots are kept: bytes under the name of their SHA-256, never changed. A directory now; a bucket can stand behind the
 * same interface. Whoever needs a blob again touches it, so that a collection, which spares what is young, cannot take it meanwhile.
 */

/** A file of this size or more goes to a store as a file of its own. */
export const LARGE_BYTES = 512 * 1024;

/** Takes the blobs of one snapshot. Nothing of it counts before `finish`. */
export interface BlobWriter {
  /** True when the store has it, which also makes it young again. */
  has(hash: string): boolean;
  /** Bytes that are in memory and may change afterwards; answers their hash. */
  add(data: Uint8Array): Promise<string>;
  /** A file of any size, read once; answers the hash and size of what was read. */
  addFile(path: string): Promise<{ hash: string; size: number }>;
  finish(): Promise<void>;
  /** Gives back what an unfinished writer holds. */
  abort(): Promise<void>;
}

export interface Store {
  writer(): BlobWriter;
  /** Keeps a manifest, whose blobs are all there, and answers its name. */
  putManifest(data: Buffer): Promise<string>;
  /** The name of a manifest that the store has, which also makes all that it names young again; else null. */
  findManifest(data: Buffer): Promise<string | null>;
  /** @throws not-found */
  readManifest(hash: string): Promise<Buffer>;
  /**
   * The bytes of these blobs one after the other, without anything between. A piece holds only until the next one is asked for, since a
   * new buffer for each would be a third of the work of sending them. @throws not-found, internal when one is damaged
   */
  stream(blobs: Iterable<{ readonly hash: string; readonly size: number }>): AsyncGenerator<Buffer, void>;
  /** Removes what is older than `grace` (ms) and not needed for any of these manifests. */
  collect(live: ReadonlySet<string>, grace: number): Promise<Collected>;
}

export interface Collected {
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
  /** What is left. */
  readonly bytesLeft: number;
}
