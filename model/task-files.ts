/** Files that a task brings along: where they come from, the snapshot that was taken of them at submission, and where they go. */
import { isUrl, mountTarget, WORKDIR } from './mount-target.ts';
import { FieldError, shown } from './spec/field.ts';
import type { FileMount as WrittenMount } from './spec/storage.ts';
import type { Workdir } from './spec/task.ts';

/** A path of the machine of the user, relative to the current directory there, or a git repository. */
export type FileSource =
  | { readonly path: string }
  /** `ref`: a branch, tag or commit; null: what the repository's HEAD names. */
  | { readonly url: string; readonly ref: string | null };

/** Small, whatever it stands for: the list of files is in the store under `manifest`. */
export interface Snapshot {
  /** SHA-256 of the manifest, hexadecimal. */
  readonly manifest: string;
  readonly kind: 'directory' | 'file';
  readonly files: number;
  readonly bytes: number;
}

export interface TaskFiles {
  readonly source: FileSource;
  /** Null until the client has taken it; a task without one is not accepted. */
  readonly snapshot: Snapshot | null;
}

export interface FileMount extends TaskFiles {
  /** `~/…`, or absolute. */
  readonly target: string;
}

export const MAX_MOUNTS = 100;

function sourcePath(path: string): string {
  if (path === '') throw new FieldError('must name a directory or file');
  if (/[\n\r]/.test(path)) throw new FieldError(`must not hold line breaks, as ${shown(path)} does`);
  return path;
}

/** Where a workdir comes from. @throws FieldError */
export function workdirSource(written: Workdir): FileSource {
  if (written.kind === 'git')
    return { url: gitWord('url', written.url), ref: written.ref && gitWord('ref', written.ref) };
  const path = sourcePath(written.path);
  if (isUrl(path))
    throw new FieldError(`must be a directory here; a git repository is {url: ${path.slice(0, 60)}, ref: …}`);
  return { path };
}

/** What git could take for an option, or could not take at all, is refused. */
function gitWord(name: string, value: string): string {
  const word = sourcePath(value).trim();
  if (word === '' || word.startsWith('-')) throw new FieldError(`must not be ${shown(word)}`, [name]);
  return word;
}

/** Mounts of local files and directories, in the order of the file. @throws FieldError for those that cannot be carried out */
export function localMounts(written: Readonly<Record<string, WrittenMount>>): FileMount[] {
  const entries = Object.entries(written);
  if (entries.length > MAX_MOUNTS) throw new FieldError(`must hold at most ${MAX_MOUNTS} targets`);
  const mounts: FileMount[] = [];
  for (const [place, mount] of entries) {
    try {
      if (mount.kind === 'storage')
        throw new FieldError('storage objects are not supported yet by this version of Styx');
      if (mount.kind === 'uri') throw new FieldError('buckets and URLs are not supported yet by this version of Styx');
      const target = mountTarget(place);
      if (mounts.some((other) => other.target === target))
        throw new FieldError('names the same place as another target');
      mounts.push({ target, source: { path: sourcePath(mount.source) }, snapshot: null });
    } catch (error) {
      throw error instanceof FieldError ? new FieldError(error.message, [place]) : error;
    }
  }
  return mounts;
}

/** Why a task that was submitted cannot have its files; null when it can. */
export function filesProblem(task: {
  readonly workdir?: TaskFiles;
  readonly fileMounts?: readonly FileMount[];
}): string | null {
  const all = [
    ...(task.workdir === undefined ? [] : [{ target: WORKDIR, ...task.workdir }]),
    ...(task.fileMounts ?? []),
  ];
  for (const { target, snapshot } of all) {
    if (!/^[0-9a-f]{64}$/.test(snapshot?.manifest ?? '')) return `no snapshot was taken of what goes to ${target}`;
    try {
      if (mountTarget(target) !== target) return `${target} is no place on a node`;
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      return `${target} ${error.message}`;
    }
  }
  return null;
}

/** The snapshots that a task needs. */
export function manifestsOf(task: {
  readonly workdir?: TaskFiles;
  readonly fileMounts?: readonly FileMount[];
}): string[] {
  return [task.workdir, ...(task.fileMounts ?? [])].flatMap((files) => files?.snapshot?.manifest ?? []);
}
