/** Real Temporal servers and real worker processes for tests, which may be killed at any moment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readJson } from '../../system/home.ts';
import { findTemporal } from '../../workers/temporal-binary.ts';
import { answers, freePort, serverArguments } from '../../workers/temporal-server.ts';
import { workerCommand } from '../../workers/worker-command.ts';

const UP_MS = 30_000;
const STOP_MS = 45_000;
const WORKER_MAIN = join(import.meta.dirname, '..', '..', 'workers', 'main.ts');

export interface TestServer {
  readonly address: string;
  readonly pid: number;
  /** Of its database and log. */
  readonly directory: string;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
  kill9(): Promise<void>;
  /** Starts it again on the same port, with what the database kept. */
  restart(): Promise<void>;
}

/** @param options.database 'file' (as users have it; survives kill9) or 'memory'. Default 'file'. */
export async function startTestServer(options: { database?: 'file' | 'memory' } = {}): Promise<TestServer> {
  const { path } = await findTemporal();
  const dir = testDir();
  let ports = { port: await freePort(), uiPort: await freePort() };
  let address = `127.0.0.1:${ports.port}`;
  const database = options.database === 'memory' ? null : join(dir, 'styx.db');
  const log = join(dir, 'log');
  const start = async () => {
    const child = spawnLogged([path, ...serverArguments(ports, database)], log, {});
    await until(() => answers(address, 1_000), child, log);
    return child;
  };
  // Whoever else looks for a free port may have taken one of these meanwhile.
  let child = await start().catch(async (error: Error) => {
    if (!error.message.includes('address already in use')) throw error;
    ports = { port: await freePort(), uiPort: await freePort() };
    address = `127.0.0.1:${ports.port}`;
    return await start();
  });
  return {
    address,
    directory: dir,
    get pid() {
      return child.pid as number;
    },
    async stop() {
      await end(child, 'SIGTERM');
      rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
    kill9: () => end(child, 'SIGKILL'),
    async restart() {
      await end(child, 'SIGKILL');
      child = await start();
    },
  };
}

export interface TestWorkerOptions {
  readonly address: string;
  /** Its STYX_HOME. */
  readonly home: string;
  readonly timing?: 'normal' | 'test';
  readonly env?: NodeJS.ProcessEnv;
  /** Module of the process; default `workers/main.ts`. */
  readonly main?: string;
  /** Default: worker.log below `home`. Appended to. */
  readonly log?: string;
}

export interface TestWorker {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Resolves when it polls; rejects with its log when it ends before. */
  waitReady(): Promise<void>;
  /** SIGTERM: returns when it has drained and ended. */
  stop(): Promise<void>;
  kill9(): Promise<void>;
  /** What it has logged so far. */
  log(): string;
}

/** The real worker process. Does not wait until it polls. */
export function startTestWorker(options: TestWorkerOptions): TestWorker {
  mkdirSync(options.home, { recursive: true, mode: 0o700 });
  const ready = join(mkdtempSync(join(options.home, 'w-')), 'ready');
  const log = options.log ?? join(options.home, 'worker.log');
  const command = workerCommand(options.main ?? WORKER_MAIN, '--ready-file', ready);
  const child = spawnLogged(command, log, {
    TEMPORAL_ADDRESS: options.address,
    TEMPORAL_TLS: 'false',
    STYX_HOME: options.home,
    STYX_TIMING: options.timing ?? 'test',
    ...options.env,
  });
  return {
    pid: child.pid as number,
    child,
    waitReady: () => until(async () => readJson(ready) !== undefined, child, log),
    stop: () => end(child, 'SIGTERM'),
    kill9: () => end(child, 'SIGKILL'),
    log: () => readFileSync(log, 'utf8'),
  };
}

/** A directory for one test; its path is short, since sockets are made below. */
export function testDir(): string {
  return mkdtempSync(join(tmpdir(), 'styx-'));
}

function spawnLogged(argv: string[], log: string, env: NodeJS.ProcessEnv): ChildProcess {
  const fd = openSync(log, 'a');
  const [command = '', ...rest] = dyingWithParent(argv);
  const child = spawn(command, rest, { stdio: ['ignore', fd, fd], env: { ...process.env, ...env } });
  closeSync(fd);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** A test run that is itself killed leaves no server behind, where util-linux can see to it. */
function dyingWithParent(argv: string[]): string[] {
  const setpriv = '/usr/bin/setpriv';
  return existsSync(setpriv) ? [setpriv, '--pdeathsig', 'KILL', ...argv] : argv;
}

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

async function until(condition: () => Promise<boolean>, child: ChildProcess, log: string): Promise<void> {
  for (const deadline = Date.now() + UP_MS; !(await condition()); await sleep(20)) {
    if (child.exitCode === null && child.signalCode === null && Date.now() < deadline) continue;
    throw new Error(`${child.spawnfile} is not up: ${readFileSync(log, 'utf8').slice(-2_000)}`);
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}
