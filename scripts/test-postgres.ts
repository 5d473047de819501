/**
 * npm run test:postgres: the guarantees and the crash matrix on the production topology (PostgreSQL, Temporal's own server and schema tool,
 * TLS between all, two workers), which is built first where it is not in the cache. Arguments are passed on to vitest.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildTemporal, productionPrograms } from '../test/harness/production-programs.ts';

const root = join(import.meta.dirname, '..');
const given = process.argv.slice(2);
const all = ['test/topology', 'test/deploy', 'test/crash', 'test/guarantees'];

await buildTemporal((message) => console.log(`test:postgres: ${message}`));
const programs = productionPrograms();
if (typeof programs === 'string') {
  console.error(`test:postgres: ${programs}`);
  process.exitCode = 1;
} else {
  console.log(`test:postgres: PostgreSQL in ${programs.postgres}, Temporal in ${programs.temporal}`);
  const vitest = join(root, 'node_modules', '.bin', 'vitest');
  const files = given.some((argument) => !argument.startsWith('-')) ? given : [...all, ...given];
  const env = { ...process.env, STYX_TEST_SERVER: 'postgres' };
  const { status } = spawnSync(vitest, ['run', ...files], { cwd: root, stdio: 'inherit', env });
  process.exitCode = status ?? 1;
}
