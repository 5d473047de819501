/**
 * The root directory of an instance: what this machine has, and beside it what is the instance's own (`root.py`). Made and changed from
 * outside, since nobody inside of an unprivileged user namespace may mount.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { StyxError } from '../../model/errors.ts';
import type { ProcessRef } from '../../system/processes.ts';
import { PYTHON } from './python.ts';

const PROGRAM = join(import.meta.dirname, 'root.py');
const TIMEOUT_MS = 30_000;
/** Of root.py: it says why to people. */
const REFUSED = 3;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  /** The last line that it had to say. */
  readonly complaint: string;
}

function ask(id: string | null, ...args: readonly string[]): Promise<Ended> {
  const [program, ...options] = PYTHON;
  // Ended together with the instance.
  const marker = id === null ? {} : { STYX_HYPERVISOR: id };
  const env = { PATH: process.env.PATH, ...marker };
  return new Promise((resolve) => {
    const child = execFile(
      program,
      [...options, PROGRAM, ...args],
      { cwd: '/', env, timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: 1 << 24 },
      (error, stdout, stderr) => {
        const said = stderr.trim().split('\n').at(-1) || error?.message;
        resolve({ code: error === null ? 0 : child.exitCode, stdout, complaint: said ?? '' });
      },
    );
  });
}

/**
 * Gives a running instance its root, once however often it is asked.
 * @returns why it has none and has to do with this machine's; null when it has one
 * @throws Error when it had one before that cannot be made again: its disk would be missing
 */
export async function makeRoot(directory: string, id: string, init: ProcessRef): Promise<string | null> {
  const { code, complaint } = await ask(id, 'boot', directory, String(init.pid));
  if (code === 0) return null;
  if (existsSync(join(directory, 'places.json'))) throw new Error(`its root cannot be made: ${complaint}`);
  return complaint;
}

/** @throws invalid for a target that cannot be had, transient when it came to no end */
export async function openTargets(
  directory: string,
  id: string,
  init: ProcessRef,
  targets: readonly string[],
): Promise<Record<string, string>> {
  const { code, stdout, complaint } = await ask(id, 'open', directory, String(init.pid), ...targets);
  if (code === 0) return JSON.parse(stdout) as Record<string, string>;
  throw new StyxError(code === REFUSED ? 'invalid' : 'transient', complaint, { hint: 'Use a path under ~.' });
}

/** Tries it out in a namespace that ends with the try. `directory` is any that exists. */
export async function probeRoot(directory: string): Promise<true | string> {
  const { code, complaint } = await ask(null, 'probe', directory);
  return code === 0 || `this machine gives instances no root directory of their own (${complaint})`;
}
