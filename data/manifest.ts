/**
 * What a snapshot holds, as one JSON text whose hash is the snapshot's name: the same tree gives the same text. Directories come
 * before what is in them, each once; a snapshot of one file has a single entry whose path is empty.
 */
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

export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(JSON.stringify(manifest));
}

/** @throws invalid for what is no manifest, or one whose tree would reach out of its root */
export function decodeManifest(data: Buffer): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(data.toString());
  } catch (error) {
    throw new StyxError('invalid', 'this is no manifest of a snapshot', { cause: error });
  }
  const { version, root, entries } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Manifest>;
  const isManifest =
    version === 1 && (root === 'directory' || root === 'file') && Array.isArray(entries) && entries.every(isEntry);
  if (!isManifest) throw new StyxError('invalid', 'this is no manifest of a snapshot');
  const manifest = { version, root, entries };
  checkTree(manifest);
  return manifest;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isEntry(entry: unknown): entry is ManifestEntry {
  if (!Array.isArray(entry) || typeof entry[1] !== 'string') return false;
  const [kind, , held, size, time, hash] = entry as readonly unknown[];
  if (kind === 'l') return typeof held === 'string' && held !== '' && !held.includes('\0');
  if (!isCount(held) || held > MODE_BITS) return false;
  if (kind === 'd') return true;
  return (
    kind === 'f' &&
    isCount(size) &&
    Number.isSafeInteger(time) &&
    typeof hash === 'string' &&
    /^[0-9a-f]{64}$/.test(hash)
  );
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
