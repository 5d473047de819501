/** A bucket: objects by key, written whole. What it says is true at once: a read or a list after a write shows it. */

export interface StoredObject {
  readonly data: Buffer;
  /** Of this very content. */
  readonly version: string;
}

export interface ListedObject {
  readonly key: string;
  readonly size: number;
  /** ms since the epoch. */
  readonly changedAt: number;
}

/** Keys are below what it was opened for. All throw what the provider answers: `invalid` where there is no such bucket, `auth`, `transient`. */
export interface ObjectStore {
  /** From a byte on, of which there must be at least one. Null: there is no such object. */
  get(key: string, from?: number): Promise<StoredObject | null>;
  /**
   * Writes an object, and answers its version.
   *
   * @param before the version that it must have now; null: there must be none; absent: whatever there is
   * @returns null, and nothing was written, where `before` is not so. That may also be by this very call, whose answer got lost
   */
  put(key: string, data: Buffer, before?: string | null): Promise<string | null>;
  /** Those whose keys begin so, in the order of their bytes. */
  list(prefix: string): AsyncIterable<ListedObject>;
  /** What is not there is gone. */
  remove(key: string): Promise<void>;
}
