/** Servers that know their users: `STYX_CODEC` says whether what is not sealed is accepted. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { connectConfig } from '../../workers/connection.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { startTestServer, startTestWorker, type TestServer, type TestWorker, testDir } from '../harness/temporal.ts';
import { Stranger } from './stranger.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const main = join(import.meta.dirname, '..', 'workers', 'fixtures', 'worker-main.ts');
const home = testDir();
let server: TestServer;
let stranger: Stranger;
let ours: Client;
let worker: TestWorker | undefined;

beforeAll(async () => {
  server = await startTestServer();
  stranger = await Stranger.at(server.address);
  ours = await sealedTemporalClient(home, { TEMPORAL_ADDRESS: server.address, TEMPORAL_TLS: 'false' });
});
afterAll(async () => {
  await worker?.kill9();
  await ours.connection.close();
  await stranger.close();
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

/** null: what the configuration says. */
async function serve(rule: string | null): Promise<void> {
  await worker?.kill9();
  worker = startTestWorker({ address: server.address, home, main, env: rule === null ? {} : { STYX_CODEC: rule } });
  await worker.waitReady();
}

const visit = { taskQueue: CLUSTER_QUEUE, args: ['Ada'] };

test('where it is optional a program without keys starts workflows and signals them, and we read what they answer', async () => {
  await serve('optional');
  const handle = await stranger.client.workflow.start('visit', { ...visit, workflowId: 'plain' });
  await handle.signal('finish');
  await expect(handle.result()).rejects.toThrow(/styx-sealed/);
  expect(await ours.workflow.getHandle('plain').result()).toBe('hello Ada hello Ada');
  expect(await ours.workflow.execute('greetOnce', { ...visit, workflowId: 'ours' })).toBe('hello Ada');
});

test('what began unsealed neither goes on nor ends where sealing is required, and goes on where it is optional again', async () => {
  await serve('optional');
  const handle = await stranger.client.workflow.start('visit', { ...visit, workflowId: 'before' });
  const seen = ours.workflow.getHandle('before');
  while ((await seen.query<number>('greetings').catch(() => 0)) < 1) await sleep(50);
  await serve('required');
  await handle.signal('finish');
  await sleep(3_000);
  expect((await seen.describe()).status.name).toBe('RUNNING');
  const fresh = await stranger.client.workflow.start('visit', { ...visit, workflowId: 'fresh' });
  expect(await stranger.ending('fresh')).toBe('FAILED');
  await expect(ours.workflow.getHandle(fresh.workflowId).result()).rejects.toThrow();
  await serve('optional');
  expect(await seen.result()).toBe('hello Ada hello Ada');
});

test('without a word of the environment the worker and commands do what the configuration says', async () => {
  writeFileSync(join(home, 'config.yaml'), 'codec: required\n');
  await serve(null);
  await stranger.client.workflow.start('visit', { ...visit, workflowId: 'configured' });
  expect(await stranger.ending('configured')).toBe('FAILED');
  rmSync(join(home, 'config.yaml'));
  const remote = { TEMPORAL_ADDRESS: server.address };
  expect((await connectConfig(home, remote)).codec).toBe('optional');
  expect((await connectConfig(home, remote, 'required')).codec).toBe('required');
  expect((await connectConfig(home, { ...remote, STYX_CODEC: 'optional' }, 'required')).codec).toBe('optional');
});

test('a rule that is none is refused by its name', async () => {
  const remote = { TEMPORAL_ADDRESS: server.address, STYX_CODEC: 'maybe' };
  await expect(connectConfig(home, remote)).rejects.toThrow("STYX_CODEC is 'maybe'");
});
