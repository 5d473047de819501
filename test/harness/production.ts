/**
 * The production topology without containers: PostgreSQL, the schema job, Temporal's own server and the set-up job, with the very files of
 * `deploy/` and mutual TLS between all. Each has an address of 127.0.0.0/8 for itself, where it has the ports of production.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setUpNamespace } from '../../workers/set-up.ts';
import { Postgres } from './postgres.ts';
import { end, spawnLogged, testDir, until } from './processes.ts';
import { productionPrograms } from './production-programs.ts';
import type { TestServer } from './temporal.ts';

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy');
const run = promisify(execFile);
export const NAMESPACE = 'styx';
export const RETENTION_DAYS = 30;
const FRONTEND_PORT = 7233;

export interface Production extends TestServer {
  readonly postgres: Postgres;
  /** By role; another one is made by `certify`. */
  readonly certificates: string;
  certify(...names: string[]): Promise<void>;
}

/** Whole tests of it have no chance where this is a text. */
export const missing = (): string | null => {
  const found = productionPrograms();
  return typeof found === 'string' ? found : null;
};

/** Of this process and this world alone; another one of the machine is tried when somebody has it. */
let count = 0;
function ownAddress(): string {
  count += 1;
  return `127.${64 + (count % 64)}.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`;
}

export function clientEnvironment(address: string, certificates: string, role: string): Record<string, string> {
  return {
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: NAMESPACE,
    TEMPORAL_TLS: 'true',
    TEMPORAL_TLS_SERVER_NAME: 'temporal',
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: join(certificates, role, 'ca.crt'),
    TEMPORAL_TLS_CLIENT_CERT_PATH: join(certificates, role, 'tls.crt'),
    TEMPORAL_TLS_CLIENT_KEY_PATH: join(certificates, role, 'tls.key'),
  };
}

export async function startProduction(): Promise<Production> {
  const programs = productionPrograms();
  if (typeof programs === 'string') throw new Error(`no production topology: ${programs}`);
  const directory = testDir();
  const certificates = join(directory, 'certificates');
  const certify = async (...names: string[]) => {
    await run('sh', [join(DEPLOY, 'certificates.sh'), certificates, ...names]);
  };
  await certify();
  const postgres = await Postgres.start(programs.postgres, certificates);
  const role = join(certificates, 'temporal');
  await run('sh', [join(DEPLOY, 'temporal', 'schema.sh')], {
    env: {
      PATH: `${programs.temporal}:${process.env.PATH}`,
      SQL_HOST: '127.0.0.1',
      SQL_PORT: String(postgres.port),
      STYX_CERTIFICATES: role,
    },
    maxBuffer: 64 * 1024 * 1024,
  });
  const host = ownAddress();
  const address = `${host}:${FRONTEND_PORT}`;
  const log = join(directory, 'log');
  const command = [
    join(programs.temporal, 'temporal-server'),
    ...['--root', join(DEPLOY, 'temporal'), '--config', '.', '--env', 'styx', 'start'],
  ];
  const settings = {
    STYX_POSTGRES: `127.0.0.1:${postgres.port}`,
    STYX_CERTIFICATES: role,
    STYX_DYNAMIC_CONFIG: join(DEPLOY, 'temporal', 'dynamic.yaml'),
    STYX_BIND: host,
    STYX_BROADCAST: host,
    // As many as two cores are worth.
    STYX_HISTORY_SHARDS: '4',
  };
  const env = clientEnvironment(address, certificates, 'worker');
  const start = async () => {
    const child = spawnLogged(command, log, settings);
    const answers = () =>
      setUpNamespace({ retentionDays: RETENTION_DAYS, env, budgetMs: 0 }).then(
        () => true,
        () => false,
      );
    await until(answers, child, log);
    return child;
  };
  let child: ChildProcess = await start();
  return {
    address,
    env,
    directory,
    postgres,
    certificates,
    certify,
    get pid() {
      return child.pid as number;
    },
    async stop() {
      await end(child, 'SIGKILL');
      await postgres.stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
    kill9: () => end(child, 'SIGKILL'),
    async restart() {
      await end(child, 'SIGKILL');
      child = await start();
    },
  };
}
