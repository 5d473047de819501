/** The background unit as commands see it: started when absent, found when there. What is imported here is light. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StyxError } from '../model/errors.ts';
import { ensurePrivateDir, styxHome } from '../system/home.ts';
import { lockHolder, spawnLocked } from '../system/lock.ts';
import { checkLogLevel } from '../system/log-levels.ts';
import { endProcess, isRunning, type ProcessRef } from '../system/processes.ts';
import { resolveTarget } from './connection.ts';
import { follow, lastLines } from './logs.ts';
import { metricsAddress } from './metrics-setting.ts';
import { isUp, PARTS, type Part, readState, type ServerState, type Target, type UnitPaths, unitPaths } from './unit.ts';

export interface ServerOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** What is being waited for, for people; called when it changes. */
  readonly onProgress?: (message: string) => void;
  /** Module of the worker process, when it is not Styx' own. */
  readonly workerMain?: string;
}

export interface ServerStatus {
  readonly running: boolean;
  /** The worker polls: commands are carried out. */
  readonly ready: boolean;
  /** Is the Temporal server ours, or one that the environment names? */
  readonly embedded: boolean;
  readonly address: string | null;
  readonly namespace: string;
  readonly ui: string | null;
  /** Of the worker, for Prometheus; null when it has none. */
  readonly metrics: string | null;
  readonly home: string;
  /** Null for what does not run, and for a Temporal server that is not ours. */
  readonly pids: Readonly<Record<Part, number | null>>;
  readonly versions: {
    readonly styx: string;
    readonly temporal: string | null;
    readonly sdk: string;
    readonly node: string;
  };
  readonly problem: string | null;
}

/** Longer than the worker's and the server's own graces together. */
const STOP_MS = 30_000;
const START_MS = 180_000;
const POLL_MS = 10;

/**
 * Makes sure that server and worker run, and returns when commands will be carried out. Milliseconds when they do
 * already; about two seconds when not; several minutes when the Temporal server has to be built first.
 * @throws invalid for a setting of the environment that is none and when no Temporal server can be got, unreachable when it does not come up
 */
export async function ensureServer(options: ServerOptions = {}): Promise<ServerState> {
  const { home, paths, target } = await locate(options);
  const found = readState(paths);
  if (found !== null && isUp(found)) return found;
  // Those who are started have nobody to complain to.
  checkLogLevel(options.env ?? process.env);
  metricsAddress(options.env ?? process.env);
  const say = sayOnce(options.onProgress);
  ensurePrivateDir(home);
  ensurePrivateDir(paths.dir);
  await startSupervisor(home, paths, target, options, say);
  const deadline = Date.now() + START_MS;
  for (;;) {
    const state = readState(paths);
    if (state !== null && isUp(state)) return state;
    const current = state !== null && isRunning(state.supervisor) ? state : null;
    if (current?.problem != null) throw notUp(current.problem);
    if (Date.now() > deadline) throw notUp(`it is not ready after ${START_MS / 1000} s`);
    if (current === null && lockHolder(paths.lock('supervisor')) === null) {
      await startSupervisor(home, paths, target, options, say);
    }
    const waitsForServer = target.embedded && current?.temporal == null;
    say(waitsForServer ? 'starting the Temporal server' : 'starting the worker');
    await sleep(POLL_MS);
  }
}

/** Ends worker and server in order; at most about 25 s. False when nothing ran. */
export async function stopServer(options: ServerOptions = {}): Promise<boolean> {
  const { paths } = await locate(options);
  const say = sayOnce(options.onProgress);
  const holders = PARTS.map((part) => lockHolder(paths.lock(part)));
  if (holders.every((holder) => holder === null)) return false;
  say('stopping the worker and the server');
  const supervisor = lockHolder(paths.lock('supervisor'));
  if (supervisor !== null) await endProcess(supervisor, 'SIGTERM', STOP_MS);
  // What a killed supervisor left.
  const { endParts } = await import('./supervisor.ts');
  await endParts(paths);
  return true;
}

export async function serverStatus(options: ServerOptions = {}): Promise<ServerStatus> {
  const { home, paths, target } = await locate(options);
  const state = readState(paths);
  const refs = PARTS.map((part): [Part, ProcessRef | null] => [part, lockHolder(paths.lock(part))]);
  const pids = Object.fromEntries(refs.map(([part, ref]) => [part, ref?.pid ?? null])) as Record<Part, number | null>;
  const ready = state !== null && isUp(state);
  return {
    running: pids.supervisor !== null,
    ready,
    embedded: target.embedded,
    address: target.address ?? state?.address ?? null,
    namespace: target.namespace,
    ui: state?.ui ?? null,
    metrics: ready ? (state.metrics ?? null) : null,
    home,
    pids,
    versions: { ...versions(), temporal: pids.temporal === null ? null : await embeddedVersion(options.env) },
    problem: pids.supervisor === null ? null : (state?.problem ?? null),
  };
}

/** `host`: of the machines that a cloud has on this one; shared by all servers of a data directory. */
export const LOG_PARTS = [...PARTS, 'host'] as const;
export type LogPart = (typeof LOG_PARTS)[number];

export interface ServerLogsOptions extends ServerOptions {
  /** Default: all. */
  readonly parts?: readonly LogPart[];
  /** Last lines of each file to begin with; default 100. */
  readonly lines?: number;
  /** Go on with what is appended until this aborts. */
  readonly follow?: AbortSignal;
}

/** Pieces of the logs, whole lines at first, each with the part that wrote it. */
export async function* serverLogs(options: ServerLogsOptions = {}): AsyncGenerator<{ part: LogPart; text: string }> {
  const { home, paths } = await locate(options);
  const { hostLog } = await import('../clouds/registry.ts');
  const file = (part: LogPart) => (part === 'host' ? hostLog(home) : paths.log(part));
  const parts = options.parts ?? LOG_PARTS;
  const signal = options.follow;
  const followed = signal === undefined ? [] : parts.map((part) => ({ part, tail: follow(file(part), signal) }));
  const pending = new Map(followed.map((source) => [source, source.tail.next()]));
  for (const part of parts) yield { part, text: lastLines(file(part), options.lines ?? 100) };
  while (pending.size > 0) {
    const [source, result] = await Promise.race([...pending].map(async ([from, next]) => [from, await next] as const));
    if (result.done === true) pending.delete(source);
    else {
      pending.set(source, source.tail.next());
      yield { part: source.part, text: result.value };
    }
  }
}

async function locate(options: ServerOptions): Promise<{ home: string; paths: UnitPaths; target: Target }> {
  const home = styxHome(options.env);
  const target = await resolveTarget(options.env);
  return { home, paths: unitPaths(home, target), target };
}

async function startSupervisor(
  home: string,
  paths: UnitPaths,
  target: Target,
  options: ServerOptions,
  say: (message: string) => void,
): Promise<void> {
  if (lockHolder(paths.lock('supervisor')) !== null) return;
  const args: string[] = ['--worker-main', options.workerMain ?? join(import.meta.dirname, 'main.ts')];
  if (target.embedded) {
    const { findTemporal } = await import('./temporal-binary.ts');
    args.push('--temporal', (await findTemporal(say, options.env)).path);
  }
  if (options.workerMain === undefined) {
    const { workflowBundle } = await import('./bundle.ts');
    await workflowBundle(say);
  }
  const log = openSync(paths.log('supervisor'), 'a', 0o600);
  try {
    const main = join(import.meta.dirname, 'supervisor-main.ts');
    const supervisor = await spawnLocked(paths.lock('supervisor'), [process.execPath, main, ...args], {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: { ...(options.env ?? process.env), STYX_HOME: home },
    });
    supervisor?.child.unref();
  } finally {
    closeSync(log);
  }
}

function notUp(why: string): StyxError {
  return new StyxError('unreachable', `the Styx server did not start: ${why}`, { hint: 'See `styx server logs`.' });
}

function versions(): { styx: string; sdk: string; node: string } {
  const root = join(import.meta.dirname, '..');
  const versionIn = (file: string) =>
    (JSON.parse(readFileSync(join(root, file), 'utf8')) as { version: string }).version;
  return {
    styx: versionIn('package.json'),
    sdk: versionIn('node_modules/@temporalio/worker/package.json'),
    node: process.versions.node,
  };
}

async function embeddedVersion(env: NodeJS.ProcessEnv | undefined): Promise<string | null> {
  const { findTemporal } = await import('./temporal-binary.ts');
  return await findTemporal(undefined, env).then(
    ({ version }) => version,
    () => null,
  );
}

function sayOnce(report: ((message: string) => void) | undefined): (message: string) => void {
  let last = '';
  return (message) => {
    if (message !== last) report?.(message);
    last = message;
  };
}
