/**
 * How an instance's processes are held together, so that its end is the end of all of them, detached ones too.
 * `namespace`: a PID and mount namespace; killing its first process kills all at once. `marker`: every process carries
 * STYX_INSTANCE in its environment and is looked for until none is left; a process that cleans its environment escapes.
 */
import { execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, type ProcessRef } from '../../system/processes.ts';
import { readText } from './paths.ts';
import { findMarked, killHard } from './processes.ts';
import type { ContainmentMode } from './records.ts';

const NAMESPACE_FLAGS = ['--pid', '--mount', '--propagation', 'slave', '--fork', '--mount-proc'];

/** Why an instance has no root directory of its own. */
export const NO_NAMESPACE = 'instances have no mount namespaces of their own here';

/** How long a start that was claimed may take to show its first process. */
const INIT_WAIT_MS = 10_000;

/** A program of the PATH by its full name; undefined when absent. */
export function findProgram(name: string): string | undefined {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  return undefined;
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Tries a namespace out: it changes nothing and leaves nothing. */
export function probeContainment(environment: NodeJS.ProcessEnv): ContainmentMode {
  const wanted = environment.STYX_LOCAL_CONTAINMENT;
  if (wanted === 'marker' || wanted === 'namespace') return wanted;
  if (process.platform !== 'linux') return 'marker';
  try {
    if (findProgram('nsenter') === undefined || findProgram('setsid') === undefined) return 'marker';
    const user = isRoot() ? [] : ['--user', '--map-current-user'];
    execFileSync('unshare', [...user, ...NAMESPACE_FLAGS, '/bin/sh', '-c', 'test $$ = 1'], {
      stdio: 'ignore',
      timeout: 5000,
    });
    return 'namespace';
  } catch {
    return 'marker';
  }
}

/** Starts what stands around the instance; the caller finds its first process with `awaitInit`. */
export function spawnHypervisor(directory: string, run: string, mode: ContainmentMode, id: string): void {
  const child = spawn('/bin/sh', [join(directory, 'hypervisor'), directory, run, mode, id], {
    cwd: '/',
    env: { PATH: process.env.PATH, STYX_HYPERVISOR: id },
    detached: true,
    stdio: 'ignore',
  });
  child.on('error', () => {});
  child.unref();
}

/** The first process, once it wrote down its number outside and its start time. */
export function readInit(run: string): ProcessRef | undefined {
  const [pid, startTime] = (readText(join(run, 'init')) ?? '').split(/\s/);
  return startTime === undefined || startTime === '' ? undefined : { pid: Number(pid), startTime };
}

/** @returns undefined when the start died before it had a first process */
export async function awaitInit(run: string): Promise<ProcessRef | undefined> {
  const end = Date.now() + INIT_WAIT_MS;
  for (let wait = 2; Date.now() < end; wait = Math.min(wait * 2, 50)) {
    const init = readInit(run);
    if (init !== undefined) return init;
    if (readText(join(run, 'ended')) !== undefined) return undefined;
    await sleep(wait);
  }
  return undefined;
}

/** Empty looks in a row that prove an end. One is no proof of processes that fork all the time; a namespace ends as a whole. */
const EMPTY_LOOKS: Readonly<Record<ContainmentMode, number>> = { namespace: 1, marker: 8 };

/** Ends every process of the instance, and makes sure that a start that is on its way does not come. */
export async function endInstance(run: string, id: string, mode: ContainmentMode): Promise<void> {
  try {
    mkdirSync(join(run, 'claim'));
  } catch {}
  const init = readInit(run);
  if (isRunning(init)) killHard(init.pid);
  // In a namespace this finds what is only entering it, and a start between its claim and its first process.
  let empty = 0;
  for (let wait = 1; ; wait = Math.min(wait * 2, 20)) {
    const marked = await findMarked();
    const found = [`STYX_INSTANCE=${id}`, `STYX_HYPERVISOR=${id}`].flatMap((marker) => marked.get(marker) ?? []);
    empty = found.length === 0 ? empty + 1 : 0;
    if (empty >= EMPTY_LOOKS[mode]) return;
    for (const pid of found) killHard(pid);
    await sleep(found.length === 0 ? 1 : wait);
  }
}

/** Program and arguments that run `argv` inside, in its home and a session of its own. */
export function enterCommand(mode: ContainmentMode, init: ProcessRef, argv: readonly string[]): string[] {
  const inHome = ['/bin/sh', '-c', 'umask 022; cd "$HOME" 2>/dev/null || cd /; exec "$@"', 'sh', ...argv];
  if (mode === 'marker') return inHome;
  const user = isRoot() ? [] : ['--user', '--preserve-credentials'];
  return ['nsenter', '--target', String(init.pid), ...user, '--pid', '--mount', '--', 'setsid', ...inHome];
}
