/** The programs of the production topology: PostgreSQL of the system, and Temporal's own server and schema tool, built by Go. */
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { styxCache } from '../../system/home.ts';

/** Of `deploy/`; test/deploy holds the two together. */
export const TEMPORAL_VERSION = '1.29.1';
const BUILD_MS = 45 * 60_000;

export interface ProductionPrograms {
  /** Directory of initdb, postgres, pg_dump and the like. */
  readonly postgres: string;
  /** Directory of `temporal-server` and `temporal-sql-tool`. */
  readonly temporal: string;
}

const TEMPORAL_PROGRAMS = { server: 'temporal-server', sql: 'temporal-sql-tool' } as const;

function temporalDirectory(): string {
  return join(styxCache(), `temporal-server-${TEMPORAL_VERSION}`);
}

/** The newest PostgreSQL that Debian has put here. */
function postgresDirectory(): string | undefined {
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return undefined;
  const versions = readdirSync(root).toSorted((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const isBuilt = () => Object.values(TEMPORAL_PROGRAMS).every((name) => isExecutable(join(temporalDirectory(), name)));

/** The programs, or what is missing, in words for whoever reads that a test was skipped. */
export function productionPrograms(): ProductionPrograms | string {
  if (process.platform !== 'linux') return 'it needs Linux: every address of 127.0.0.0/8, and setpriv';
  const postgres = postgresDirectory();
  if (postgres === undefined) return 'PostgreSQL is not installed (Debian: apt-get install postgresql)';
  if (!isBuilt()) return `Temporal ${TEMPORAL_VERSION} is not built yet (npm run test:postgres builds it, with Go)`;
  return { postgres, temporal: temporalDirectory() };
}

/** Builds Temporal's server and schema tool (2 to 10 minutes, once). @throws when Go is missing or fails */
export async function buildTemporal(say: (message: string) => void): Promise<void> {
  if (isBuilt()) return;
  const target = temporalDirectory();
  mkdirSync(target, { recursive: true });
  const scratch = mkdtempSync(join(target, '.build-'));
  const go = ['/usr/local/go/bin/go', '/usr/bin/go'].find(isExecutable) ?? 'go';
  say(`building Temporal ${TEMPORAL_VERSION} with Go, some minutes, once`);
  try {
    const packages = ['cmd/server', 'cmd/tools/sql'].map(
      (name) => `go.temporal.io/server/${name}@v${TEMPORAL_VERSION}`,
    );
    const options = { env: { ...process.env, GOBIN: scratch }, timeout: BUILD_MS, maxBuffer: 64 * 1024 * 1024 };
    await promisify(execFile)(go, ['install', ...packages], options);
    for (const [built, name] of Object.entries(TEMPORAL_PROGRAMS)) renameSync(join(scratch, built), join(target, name));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
