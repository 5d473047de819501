/** A task's files as they are at its submission, kept in the installation's store below this data directory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { StyxError } from '../model/errors.ts';
import { isAbsoluteTarget } from '../model/mount-target.ts';
import type { WrittenTask } from '../model/task.ts';
import type { FileMount, FileSource, Snapshot } from '../model/task-files.ts';
import { homePaths } from '../system/home.ts';
import { absoluteTargetsProblem } from './clouds.ts';

export interface SnapshotOptions {
  /** What is being read, for people. */
  readonly onProgress?: (text: string) => void;
  /** What was left out, for people. */
  readonly onNote?: (text: string) => void;
}

const NOTED = 3;

/**
 * The task with snapshots in place of what has none yet; of a job that is not launched but queued, the workdir only, since nothing else
 * of it is put on the nodes. Relative paths are below the current directory.
 * @throws invalid for what is missing, cannot be read or cannot travel
 */
export async function withSnapshots(
  home: string,
  installation: () => Promise<string>,
  task: WrittenTask,
  kind: 'launch' | 'exec',
  options: SnapshotOptions = {},
): Promise<WrittenTask> {
  const { fileMounts, ...rest } = task;
  if (kind === 'launch') await checkTargets(task);
  if (task.workdir === undefined && (fileMounts === undefined || kind === 'exec')) return rest;
  const taker = await Taker.open(home, await installation(), options);
  const workdir = task.workdir && {
    ...task.workdir,
    snapshot: task.workdir.snapshot ?? (await taker.take(task.workdir.source, 'workdir')),
  };
  if (workdir?.snapshot.kind === 'file') {
    throw new StyxError('invalid', `workdir: ${sourceText(workdir.source)} is a file, and must be a directory`);
  }
  const mounts: FileMount[] = [];
  for (const mount of kind === 'exec' ? [] : (fileMounts ?? [])) {
    const field = `file_mounts.${mount.target}`;
    mounts.push({ ...mount, snapshot: mount.snapshot ?? (await taker.take(mount.source, field)) });
  }
  return {
    ...rest,
    ...(workdir === undefined ? {} : { workdir }),
    ...(mounts.length === 0 ? {} : { fileMounts: mounts }),
  };
}

/** What can be known here is refused before anything is read or made; a machine may still refuse a place that it has. */
async function checkTargets({ fileMounts = [], resources }: WrittenTask): Promise<void> {
  const target = fileMounts.map((mount) => mount.target).find(isAbsoluteTarget);
  if (target === undefined) return;
  const problem = await absoluteTargetsProblem(resources);
  if (problem === null) return;
  const message = `file_mounts.${target}: a place outside of the home directory cannot be filled: ${problem}`;
  throw new StyxError('invalid', message, { hint: `Use ~/${target.slice(1)}.` });
}

export function sourceText(source: FileSource): string {
  return 'path' in source ? source.path : `${source.url}${source.ref === null ? '' : `@${source.ref}`}`;
}

type DataRoom = typeof import('../data/index.ts');

class Taker {
  readonly #data: DataRoom;
  readonly #store: InstanceType<DataRoom['DirectoryStore']>;
  readonly #home: string;
  readonly #options: SnapshotOptions;

  private constructor(data: DataRoom, home: string, installation: string, options: SnapshotOptions) {
    this.#data = data;
    this.#store = new data.DirectoryStore(data.storeRoot(homePaths(home).store, installation));
    this.#home = home;
    this.#options = options;
  }

  static async open(home: string, installation: string, options: SnapshotOptions): Promise<Taker> {
    return new Taker(await import('../data/index.ts'), home, installation, options);
  }

  async take(source: FileSource, field: string): Promise<Snapshot> {
    try {
      const cache = homePaths(this.#home).storeCache;
      if ('path' in source) return await this.#takePath(expanded(source.path), sourceText(source), cache);
      const folder = mkdtempSync(resolve(this.#store.paths.temporary, 'clone-'));
      try {
        this.#options.onProgress?.(`cloning ${source.url}`);
        const tree = resolve(folder, 'tree');
        await this.#data.cloneAt(source.url, source.ref, tree);
        return await this.#takePath(tree, sourceText(source), resolve(folder, 'cache'));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    } catch (error) {
      if (!(error instanceof StyxError)) throw error;
      throw new StyxError(error.kind, `${field}: ${error.message}`, {
        cause: error,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      });
    }
  }

  async #takePath(path: string, shown: string, cache: string): Promise<Snapshot> {
    const { onProgress, onNote } = this.#options;
    onProgress?.(`reading ${shown}`);
    const { snapshot, left } = await this.#data.takeSnapshot(this.#store, path, {
      cache,
      ...(onProgress === undefined ? {} : { onProgress: (text) => onProgress(`reading ${shown}: ${text}`) }),
    });
    if (left.length > 0) {
      const named = left.slice(0, NOTED).join(', ');
      const more = left.length > NOTED ? ` and ${left.length - NOTED} more` : '';
      onNote?.(`Note: sockets, pipes and devices are left out of ${shown}: ${named}${more}.`);
    }
    return snapshot;
  }
}

function expanded(path: string): string {
  return resolve(path.replace(/^~(?=$|\/)/, homedir()));
}
