/** Snapshots of a store as those who send them need them: by manifest and position in it. */
import { decodeManifest, type ManifestEntry } from './manifest.ts';
import type { Store } from './store.ts';

export class StoreSource {
  readonly #store: Store;
  readonly #entries = new Map<string, Promise<readonly ManifestEntry[]>>();

  constructor(store: Store) {
    this.#store = store;
  }

  manifest(hash: string): Promise<Buffer> {
    return this.#store.readManifest(hash);
  }

  /** The bytes of the files at these positions ([first, last] pairs), one after the other. @throws not-found */
  async *content(manifest: string, ranges: readonly (readonly [number, number])[]): AsyncGenerator<Buffer, void> {
    let entries = this.#entries.get(manifest);
    if (entries === undefined) {
      entries = this.manifest(manifest).then((data) => decodeManifest(data).entries);
      this.#entries.set(manifest, entries);
    }
    yield* this.#store.stream(blobsAt(await entries, ranges));
  }
}

function* blobsAt(
  entries: readonly ManifestEntry[],
  ranges: readonly (readonly [number, number])[],
): Generator<{ readonly hash: string; readonly size: number }> {
  for (const [first, last] of ranges) {
    for (let at = first; at <= last; at++) {
      const entry = entries[at];
      if (entry?.[0] !== 'f') throw new RangeError(`there is no file at ${at} of the manifest`);
      yield { hash: entry[5], size: entry[3] };
    }
  }
}
