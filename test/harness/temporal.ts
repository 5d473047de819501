/** Real Temporal servers and real worker processes for tests, which may be killed at any moment. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readJson } from '../../system/home.ts';
import { findTemporal } from '../../workers/temporal-binary.ts';
import { answers, freePort, serverArguments } from '../../workers/temporal-server.ts';
import { workerCommand } from '../../workers/worker-command.ts';
import { end, spawnLogged, testDir, until } from './processes.ts';
import { startProduction } from './production.ts';

export { testDir } from './processes.ts';

const WORKER_MAIN = join(import.meta.dirname, '..', '..', 'workers', 'main.ts');

export interface TestServer {
  readonly address: string;
  /** What clients and workers need in their environment to find it. */
  readonly env: Readonly<Record<string, string>>;
  readonly pid: number;
  /** Of its database and log. */
  readonly directory: string;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
  kill9(): Promise<void>;
  /** Starts it again on the same port, with what the database kept. */
  restart(): Promise<void>;
}

/**
 * The embedded server, or with STYX_TEST_SERVER=postgres that of the production topology.
 * @param options.database of the embedded one: 'file' (as users have it; survives kill9) or 'memory'. Default 'file'.
 */
export async function startTestServer(options: { database?: 'file' | 'memory' } = {}): Promise<TestServer> {
  if (process.env.STYX_TEST_SERVER === 'postgres') return await startProduction();
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
    env: { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'default', TEMPORAL_TLS: 'false' },
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
  /** Default: one of its own. */
  readonly readyFile?: string;
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
  const ready = options.readyFile ?? join(mkdtempSync(join(options.home, 'w-')), 'ready');
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
