/**
 * More submissions at once than a workflow may have signals under way: the server fails the workflow task that answers all of them, again and
 * again, and nobody would ever be let in.
 */
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { QUEUE_SIGNALS, QUEUE_WORKFLOW, type QueueTold, type QueueView, queueId } from '../../model/job-queue.ts';
import { mapLimited } from '../../model/map-limited.ts';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { TEST } from '../../model/timing.ts';
import type { QueueInput } from '../../workflows/queue.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { World } from '../harness/world.ts';
import { until } from './story.ts';

/** The server's limit is 2,000. */
const BURST = 2_100;

let world: World;
let client: Client;
beforeAll(async () => {
  world = await World.start();
  client = await sealedTemporalClient(world.home);
});
afterAll(async () => {
  await client.connection.close();
  await world.end();
});

test(`a queue takes in ${BURST} jobs that came while no worker was there`, { timeout: 180_000 }, async () => {
  await world.killWorker();
  const workspace = 'burst';
  const input: QueueInput = { version: 1, workspace, limits: { launching: 1, running: 1 }, timing: TEST };
  const queue = await client.workflow.start<(input: QueueInput) => Promise<void>>(QUEUE_WORKFLOW, {
    workflowId: queueId(workspace),
    taskQueue: CLUSTER_QUEUE,
    args: [input],
  });
  const told = (index: number): QueueTold => {
    return { id: `job-${index}`, number: null, priority: 0, phase: 'waiting', user: 'tester', hourly: 0 };
  };
  await mapLimited(
    Array.from({ length: BURST }, (_, index) => index),
    32,
    async (index) => await queue.signal(QUEUE_SIGNALS.tell, told(index)),
  );
  await world.startWorker();
  // None of these jobs is there to be told, so that each is let in and taken out again.
  const view = await until(
    'all were answered',
    async () => {
      const now = await queue.query<QueueView>('view').catch(() => null);
      return now !== null && now.users.length > 0 && now.waiting.length === 0 && now.live.length === 0 ? now : null;
    },
    150_000,
  );
  expect(view.users).toEqual(['tester']);
  await queue.terminate('the test is over');
});
