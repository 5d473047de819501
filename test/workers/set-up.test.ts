import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../client/connect.ts';
import { SEARCH_ATTRIBUTES } from '../../model/search-attributes.ts';
import { environmentConfig } from '../../workers/connection.ts';
import { setUpNamespace } from '../../workers/set-up.ts';
import { startTestServer, startTestWorker, type TestServer, testDir } from '../harness/temporal.ts';

let server: TestServer;
let env: Record<string, string>;
beforeAll(async () => {
  server = await startTestServer({ database: 'memory' });
  env = { ...server.env, TEMPORAL_NAMESPACE: 'styx-set-up', TEMPORAL_CONFIG_FILE: '/nonexistent/temporal.toml' };
});
afterAll(() => server.stop());

async function described(): Promise<{ days: number; attributes: string[] }> {
  const config = await environmentConfig(env);
  const connection = await Connection.connect(config?.connectionOptions);
  try {
    const namespace = config?.namespace ?? '';
    const { config: settings } = await connection.workflowService.describeNamespace({ namespace });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const seconds = Number(settings?.workflowExecutionRetentionTtl?.seconds);
    return { days: seconds / 86_400, attributes: Object.keys(customAttributes ?? {}).toSorted() };
  } finally {
    await connection.close();
  }
}

test('a namespace is registered with its retention and all search attributes, also by two at once; again it changes the retention alone', async () => {
  const [first, second] = await Promise.all([
    setUpNamespace({ retentionDays: 30, env }),
    setUpNamespace({ retentionDays: 30, env }),
  ]);
  expect(second).toEqual(first);
  expect(await described()).toEqual({ days: 30, attributes: Object.keys(SEARCH_ATTRIBUTES).toSorted() });
  expect(await setUpNamespace({ retentionDays: 7, env })).toEqual({ ...first, retentionDays: 7 });
  expect(await described()).toEqual({ days: 7, attributes: Object.keys(SEARCH_ATTRIBUTES).toSorted() });
});

test('a set-up that finds no server named or none that answers says so', async () => {
  const none = { TEMPORAL_CONFIG_FILE: '/nonexistent/temporal.toml' };
  await expect(setUpNamespace({ retentionDays: 30, env: none })).rejects.toMatchObject({
    kind: 'invalid',
    hint: expect.stringContaining('TEMPORAL_ADDRESS'),
  });
  const nobody = { ...env, TEMPORAL_ADDRESS: '127.0.0.1:1' };
  await expect(setUpNamespace({ retentionDays: 30, env: nobody, budgetMs: 0 })).rejects.toMatchObject({
    kind: 'unreachable',
    message: expect.stringContaining('127.0.0.1:1'),
  });
});

test('with STYX_WORKERS=elsewhere a client starts nothing here; another word than here and elsewhere is refused', async () => {
  const home = testDir();
  const before = { ...process.env };
  Object.assign(process.env, env, { STYX_HOME: home, STYX_WORKERS: 'elsewhere' });
  try {
    const styx = await connect({ home });
    await styx.installation();
    await styx.close();
    expect(existsSync(join(home, 'server'))).toBe(false);
    process.env.STYX_WORKERS = 'elswhere';
    await expect(connect({ home })).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('elsewhere'),
    });
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
    rmSync(home, { recursive: true, force: true });
  }
});

test('a worker that does not poll yet is not said to, whatever an earlier one left', async () => {
  const home = testDir();
  const ready = join(home, 'ready');
  mkdirSync(home, { recursive: true });
  writeFileSync(ready, 'of an earlier one');
  // It waits for a server that is not there.
  const worker = startTestWorker({ address: '127.0.0.1:1', home, readyFile: ready });
  try {
    await expect.poll(() => existsSync(ready), { timeout: 30_000 }).toBe(false);
  } finally {
    await worker.kill9();
    rmSync(home, { recursive: true, force: true });
  }
});
