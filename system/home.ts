/** Where Styx keeps its data, and how it writes there: a reader never sees half a file. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { StyxError } from '../model/errors.ts';

/** The data directory: STYX_HOME, else ~/.styx. Absolute; not made by this call. */
export function styxHome(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env.STYX_HOME || join(homedir(), '.styx'));
}

/** What can be fetched or built again: STYX_CACHE, else ~/.cache/styx. */
export function styxCache(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env.STYX_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'styx'));
}

/** Paths below a data directory. */
export function homePaths(home: string) {
  return {
    keys: join(home, 'keys'),
    server: join(home, 'server'),
    temporal: join(home, 'temporal'),
    database: join(home, 'temporal', 'styx.db'),
    store: join(home, 'store'),
    /** What is known of the files of directories that snapshots were taken of. */
    storeCache: join(home, 'store-cache'),
    /** What managed jobs wrote: a directory a job, in it one a copy. */
    jobLogs: join(home, 'job-logs'),
    /** Catalogues of the user's own, `<cloud>.csv`. */
    catalogs: join(home, 'catalogs'),
    /** Catalogues that `styx catalog update` fetched, `<cloud>.json`. */
    fetchedCatalogs: join(home, 'catalogs', 'fetched'),
  };
}

/** Of managed jobs; `configured`: `jobs.logs.directory`, from the data directory on. */
export function logsDirectory(home: string, configured: string | null): string {
  if (configured === null) return homePaths(home).jobLogs;
  return resolve(home, configured.startsWith('~/') ? join(homedir(), configured.slice(2)) : configured);
}

/**
 * Makes a directory that only its owner can enter, parents included, and closes one that others could.
 * @throws invalid when the path is taken by something else or cannot be written
 */
export function ensurePrivateDir(dir: string): string {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const { mode, uid } = statSync(dir);
    if ((mode & 0o077) !== 0 && uid === process.getuid?.()) chmodSync(dir, 0o700);
  } catch (error) {
    throw new StyxError('invalid', `cannot use ${dir} as a data directory: ${(error as Error).message}`, {
      hint: 'Set STYX_HOME to a directory that you can write.',
      cause: error,
    });
  }
  return dir;
}

/** Replaces the file in one step; mode 0600 unless told otherwise. */
export function writeAtomically(file: string, data: string | Uint8Array, mode = 0o600): void {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    writeFileSync(temporary, data, { mode });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** The parsed file, or undefined when it does not exist or is no JSON. */
export function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
