/** All that is in a directory and not left out by its ignore files, in an order that depends on the names alone. */
import { type Dirent, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as breath } from 'node:timers/promises';
import { StyxError } from '../model/errors.ts';
import { IgnoreRules } from './ignore.ts';
import { MAX_ENTRIES, nameProblemOf } from './manifest.ts';

export type Found =
  | { readonly kind: 'directory'; readonly path: string; readonly stat: Stats }
  | { readonly kind: 'file'; readonly path: string; readonly stat: Stats }
  | { readonly kind: 'link'; readonly path: string; readonly to: string };

export interface Walked {
  /** Directories before what is in them. `path` is relative, with slashes. */
  readonly found: readonly Found[];
  /** Sockets, pipes and devices. */
  readonly left: readonly string[];
}

/** Looks between two pauses, so that whatever else the process does goes on. */
const BREATH_EVERY = 2_000;

/** @throws invalid for what cannot be read, and for names that cannot travel */
export async function walkTree(root: string, signal?: AbortSignal): Promise<Walked> {
  const found: Found[] = [];
  const left: string[] = [];
  const waiting: { path: string; rules: IgnoreRules }[] = [{ path: '', rules: IgnoreRules.of(root) }];
  let looks = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path: parent } = next;
    const directory = parent === '' ? root : `${root}/${parent}`;
    const names = listed(directory, parent === '');
    if (names === null) continue;
    const rules =
      parent === ''
        ? next.rules
        : next.rules.inside(
            directory,
            parent,
            names.map(({ name }) => name),
          );
    const below: string[] = [];
    for (const entry of names) {
      const path = parent === '' ? entry.name : `${parent}/${entry.name}`;
      if (rules.ignores(path, entry.isDirectory())) continue;
      const problem = nameProblemOf(entry.name);
      if (problem !== null)
        throw new StyxError('invalid', `the name of ${JSON.stringify(join(root, path))} ${problem}`, { hint: HINT });
      const one = look(`${directory}/${entry.name}`, path);
      if (one === 'gone') continue;
      if (one === null) left.push(path);
      else {
        found.push(one);
        if (one.kind === 'directory') below.push(path);
      }
      if (found.length > MAX_ENTRIES)
        throw new StyxError('invalid', `${root} holds more than ${MAX_ENTRIES} files`, { hint: HINT });
      looks += 1;
      if (looks % BREATH_EVERY === 0) await breath();
      signal?.throwIfAborted();
    }
    for (const path of below.reverse()) waiting.push({ path, rules });
  }
  return { found, left };
}

const HINT = 'Rename it, or name it in a .styxignore file.';

/** Sorted; null when it was deleted meanwhile. */
function listed(directory: string, isRoot: boolean): Dirent[] | null {
  try {
    return readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (!isRoot && isGone(error)) return null;
    throw unreadable(directory, error);
  }
}

function look(full: string, path: string): Found | 'gone' | null {
  try {
    const stat = lstatSync(full);
    if (stat.isFile()) return { kind: 'file', path, stat };
    if (stat.isDirectory()) return { kind: 'directory', path, stat };
    if (stat.isSymbolicLink()) {
      const to = readlinkSync(full);
      if (to.includes('\ufffd'))
        throw new StyxError('invalid', `what the link ${full} points to is not UTF-8`, { hint: HINT });
      return { kind: 'link', path, to };
    }
    return null;
  } catch (error) {
    if (error instanceof StyxError) throw error;
    if (isGone(error)) return 'gone';
    throw unreadable(full, error);
  }
}

export function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

export function unreadable(path: string, error: unknown): StyxError {
  return new StyxError('invalid', `cannot read ${path}: ${(error as Error).message}`, {
    hint: 'Make it readable, or name it in a .styxignore file.',
    cause: error,
  });
}
