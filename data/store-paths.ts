/** The rooms of a store in a directory. */
import { join } from 'node:path';

export interface StorePaths {
  readonly root: string;
  readonly packs: string;
  readonly blobs: string;
  readonly manifests: string;
  readonly temporary: string;
}

export function storePaths(root: string): StorePaths {
  return {
    root,
    packs: join(root, 'packs'),
    blobs: join(root, 'blobs'),
    manifests: join(root, 'manifests'),
    temporary: join(root, 'tmp'),
  };
}

/** The store of one installation below the folder of all: what belongs to another Temporal namespace is not known here, and not touched. */
export function storeRoot(folder: string, installation: string): string {
  return join(folder, installation.replace(/[^A-Za-z0-9-]/g, '_'));
}
