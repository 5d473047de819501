/** How a process of Styx talks to the host of the local cloud: one connection, one line of JSON, one line back. */
import { closeSync, existsSync, openSync, renameSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Failure, isErrorKind, StyxError } from '../../model/errors.ts';
import { styxCache } from '../../system/home.ts';
import { spawnLocked } from '../../system/lock.ts';
import type { CreateRequest, InstanceFilter } from '../cloud.ts';
import type { LocalPaths } from './paths.ts';
import { controlSocket } from './paths.ts';
import type { ContainmentMode } from './records.ts';

/** A host of another version is asked to leave; its instances go on under the next. */
export const HOST_VERSION = 4;

export interface HostInfo {
  readonly pid: number;
  readonly version: number;
  readonly mode: ContainmentMode;
  /** Bytes of resident memory. */
  readonly rss: number;
}

export type HostRequest =
  | { readonly op: 'info' }
  | { readonly op: 'exit' }
  | { readonly op: 'create'; readonly request: CreateRequest }
  | { readonly op: 'list'; readonly filter: InstanceFilter }
  | { readonly op: 'owned'; readonly installation: string }
  | { readonly op: 'stop'; readonly ids: readonly string[] }
  | { readonly op: 'start'; readonly ids: readonly string[] }
  | { readonly op: 'terminate'; readonly placementKey: string }
  | { readonly op: 'open'; readonly ids: readonly string[]; readonly targets: readonly string[] }
  | { readonly op: 'preempt'; readonly id: string; readonly noticeMs?: number };

export type HostAnswer = { readonly ok: unknown } | { readonly error: Failure };

/** How long a host may take to answer, a start of it included. */
const BUDGET_MS = 15_000;

/** A host that was started and still does not answer is looked after so often. */
const RESTART_MS = 500;

const LOG_BYTES = 1024 * 1024;

const HOST = join(import.meta.dirname, 'host.ts');

class NoHost extends Error {}

function ask(socketPath: string, request: HostRequest, timeout: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let text = '';
    const timer = setTimeout(() => socket.destroy(new NoHost('no answer in time')), timeout);
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`${JSON.stringify({ ...request, version: HOST_VERSION })}\n`));
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', (error) => reject(new NoHost(error.message)));
    socket.on('close', () => {
      clearTimeout(timer);
      if (!text.endsWith('\n')) {
        reject(new NoHost('the host ended before it answered'));
        return;
      }
      const answer = JSON.parse(text) as HostAnswer;
      if ('ok' in answer) {
        resolve(answer.ok);
        return;
      }
      const { kind, message, hint } = answer.error;
      reject(new StyxError(isErrorKind(kind) ? kind : 'internal', message, hint === undefined ? {} : { hint }));
    });
  });
}

/** Starts a host unless one holds the lock. @throws internal when it cannot be started */
async function startHost(paths: LocalPaths, environment: NodeJS.ProcessEnv): Promise<void> {
  if (existsSync(paths.log) && statSync(paths.log).size > LOG_BYTES) renameSync(paths.log, `${paths.log}.1`);
  const log = openSync(paths.log, 'a', 0o600);
  try {
    const argv = [process.execPath, '--disable-warning=ExperimentalWarning', HOST, paths.root];
    const started = await spawnLocked(paths.lock, argv, {
      cwd: '/',
      // With compiled code at hand a host is up in a third of the time and takes a third less memory.
      env: { NODE_COMPILE_CACHE: join(styxCache(), 'compile'), ...environment },
      detached: true,
      stdio: ['ignore', log, log],
    });
    started?.child.unref();
  } finally {
    closeSync(log);
  }
}

/**
 * Asks the host, starting one when none runs. Every request may be sent twice: an answer that got lost is asked for again.
 * @throws transient when no host answers in time; what the host says otherwise
 */
export async function askHost(
  paths: LocalPaths,
  request: HostRequest,
  environment: NodeJS.ProcessEnv,
): Promise<unknown> {
  const socketPath = controlSocket(paths.root);
  const end = Date.now() + BUDGET_MS;
  let startedAt = Number.NEGATIVE_INFINITY;
  let last = '';
  for (let wait = 5; Date.now() < end; wait = Math.min(wait * 1.5, 100)) {
    try {
      return await ask(socketPath, request, end - Date.now());
    } catch (error) {
      if (!(error instanceof NoHost)) throw error;
      last = error.message;
    }
    // Again after a while: whoever held the lock may have been killed meanwhile.
    if (Date.now() - startedAt > RESTART_MS) {
      startedAt = Date.now();
      await startHost(paths, environment);
    }
    await sleep(wait);
  }
  throw new StyxError('transient', `the host of the local cloud does not answer: ${last}`, {
    hint: `Look into ${paths.log}.`,
  });
}
