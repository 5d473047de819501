/** Servers and workers that are killed and come back, as every crash test uses them. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Client } from '@temporalio/client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { SEARCH_ATTRIBUTES } from '../../model/search-attributes.ts';
import { serverStatus, stopServer } from '../../workers/server.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { REPOSITORY } from '../harness/command-line.ts';
import { startTestServer, startTestWorker, type TestServer, type TestWorker, testDir } from '../harness/temporal.ts';
import { World } from '../harness/world.ts';

// Processes are started and ended over and over; on a busy machine each takes seconds.
vi.setConfig({ testTimeout: 120_000 });

const main = join(import.meta.dirname, 'fixtures', 'worker-main.ts');
let home: string;
let server: TestServer;
let client: Client;
let workers: TestWorker[];

beforeEach(async () => {
  home = testDir();
  workers = [];
  server = await startTestServer();
  client = await sealedTemporalClient(home, { TEMPORAL_ADDRESS: server.address, TEMPORAL_TLS: 'false' });
});

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.kill9()));
  await client.connection.close();
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

async function startWorker(): Promise<TestWorker> {
  const worker = startTestWorker({ address: server.address, home, main });
  workers.push(worker);
  await worker.waitReady();
  return worker;
}

test('a worker registers search attributes and keeps history for 30 days only where the server is ours', async () => {
  await startWorker();
  const { connection } = client;
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
  expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)));
  const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
  expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBeLessThan(30 * 24 * 3600);
});

test('a workflow goes on at once with a new worker after kill -9 of the old one', async () => {
  const first = await startWorker();
  const handle = await client.workflow.start('visit', { taskQueue: CLUSTER_QUEUE, workflowId: 'v', args: ['Ada'] });
  while ((await handle.query<number>('greetings')) < 1) await sleep(20);
  await first.kill9();
  await startWorker();
  const started = performance.now();
  await handle.signal('finish');
  expect(await handle.result()).toBe('hello Ada hello Ada');
  // What is queued for a dead worker alone waits for 10 s.
  expect(performance.now() - started).toBeLessThan(9_000);
});

test('a worker lives through kill -9 and restart of the server, and nothing is lost', async () => {
  const worker = await startWorker();
  const handle = await client.workflow.start('visit', { taskQueue: CLUSTER_QUEUE, workflowId: 'v', args: ['Ada'] });
  while ((await handle.query<number>('greetings')) < 1) await sleep(20);
  await server.restart();
  const started = performance.now();
  await handle.signal('finish');
  expect(await handle.result()).toBe('hello Ada hello Ada');
  expect(performance.now() - started).toBeLessThan(25_000);
  expect(worker.child.exitCode).toBeNull();
});

test('a worker that starts before its server waits for it', async () => {
  await server.kill9();
  const worker = startTestWorker({ address: server.address, home, main });
  workers.push(worker);
  await sleep(1_000);
  expect(worker.child.exitCode).toBeNull();
  await server.restart();
  await worker.waitReady();
});

test('a worker told to stop drains and ends with code 0', async () => {
  const worker = await startWorker();
  await worker.stop();
  expect(worker.child.exitCode).toBe(0);
});

test('workflow code that never pauses ends the worker, with the reason in its log, and no other workflow is lost', async () => {
  const worker = await startWorker();
  const ended = new Promise<number | null>((resolve) => worker.child.once('exit', resolve));
  const spinning = await client.workflow.start('spin', { taskQueue: CLUSTER_QUEUE, workflowId: 's' });
  const other = await client.workflow.start('greetOnce', { taskQueue: CLUSTER_QUEUE, workflowId: 'o', args: ['Ada'] });
  expect(await ended).toBe(1);
  expect(worker.log()).toContain('workflow code ran for');
  await spinning.terminate();
  await startWorker();
  expect(await other.result()).toBe('hello Ada');
});

test('a program that is run against a world starts no worker of its own, which would outlive it', async () => {
  const world = await World.start({ given: server });
  try {
    await promisify(execFile)(join(REPOSITORY, 'bin', 'styx'), ['status']);
    expect((await serverStatus()).pids).toEqual({ supervisor: null, temporal: null, worker: null });
  } finally {
    await stopServer();
    await world.end();
  }
});
