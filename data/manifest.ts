/**
 * What a snapshot holds, as one JSON text whose hash is the snapshot's name: the same tree gives the same text. Directories come
 * before what is in them, each once; a snapshot of one file has a single entry whose path is empty.
 */
import { z } from 'zod';
import { StyxError } from '../model/errors.ts';

/** Permission bits; no set-user-id, set-group-id or sticky bit is carried to another machine. */
export const MODE_BITS = 0o777;
export const MAX_ENTRIES = 1_000_000;

/** [kind, path, …]: `d` mode; `f` mode, bytes, time of change in microseconds since the epoch, SHA-256; `l` what it points to. */
export type ManifestEntry =
  | readonly ['d', string, number]
  | readonly ['f', string, number, number, number, string]
  | readonly ['l', string, string];

export interface Manifest {
  readonly version: 1;
  readonly root: 'directory' | 'file';
  readonly entries: readonly ManifestEntry[];
}

const path = z.string();
const mode = z.int().min(0).max(MODE_BITS);
const manifestSchema: z.ZodType<Manifest> = z.object({
  version: z.literal(1),
  root: z.enum(['directory', 'file']),
  entries: z
    .array(
      z.union([
        z.tuple([z.literal('f'), path, mode, z.int().min(0), z.int(), z.string().regex(/^[0-9a-f]{64}$/)]),
        z.tuple([z.literal('d'), path, mode]),
        z.tuple([z.literal('l'), path, z.string().min(1)]),
      ]),
    )
    .max(MAX_ENTRIES),
});

export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(JSON.stringify(manifest));
}

/** @throws invalid for what is no manifest, or one whose tree would reach out of its root */
export function decodeManifest(data: Buffer): Manifest {
  let manifest: Manifest;
  try {
    manifest = manifestSchema.parse(JSON.parse(data.toString()));
  } catch (error) {
    throw new StyxError('invalid', 'this is no manifest of a snapshot', { cause: error });
  }
  checkTree(manifest);
  return manifest;
}

/** What a name in a tree may not be, for people; null when it is fine. */
export function nameProblemOf(name: string): string | null {
  if (name === '' || name === '.' || name === '..') return 'is no name of a file';
  if (name.includes('/') || name.includes('\0')) return 'holds a character that no name can hold';
  if (/[\n\r]/.test(name)) return 'holds a line break';
  if (name.includes('\ufffd') || !name.isWellFormed()) return 'is not UTF-8';
  return null;
}

function checkTree({ root, entries }: Manifest): void {
  const bad = (text: string): never => {
    throw new StyxError('invalid', `not a manifest of a snapshot: ${text}`);
  };
  if (root === 'file') {
    const [first] = entries;
    if (entries.length !== 1 || first?.[0] !== 'f' || first[1] !== '') bad('it must hold one file');
    return;
  }
  const directories = new Set(['']);
  const seen = new Set<string>();
  for (const [kind, at] of entries) {
    const slash = at.lastIndexOf('/');
    const parent = slash < 0 ? '' : at.slice(0, slash);
    const problem = nameProblemOf(at.slice(slash + 1));
    if (problem !== null) bad(`${JSON.stringify(at)} ${problem}`);
    // A link is never entered: what would lie behind it could be anywhere.
    if (!directories.has(parent)) bad(`${JSON.stringify(at)} does not lie in a directory of the snapshot`);
    if (seen.has(at)) bad(`${JSON.stringify(at)} is there twice`);
    seen.add(at);
    if (kind === 'd') directories.add(at);
  }
}
