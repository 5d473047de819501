/**
 * More submissions at once than a workflow may have signals under way: the server fails the workflow task that answers all of them, again and
 * again, and nobody would ever be let in.
 */
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { QUEUE_SIGNALS, QUEUE_WORKFLOW, type QueueTold, type QueueView, queueId } from '../../model/job-queue.ts';
import { mapLimited } from '../../model/map-limited.ts';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { TEST, type Timing } from '../../model/timing.ts';
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

/** Answered or not, they wait for it: none of these jobs is there to be told, so that each is let in and taken out again. */
async function burst(workspace: string, timing: Timing): Promise<number[]> {
  await world.killWorker();
  const input: QueueInput = { version: 1, workspace, limits: { launching: 1, running: 1 }, timing };
  const workflowId = queueId(workspace);
  const queue = await client.workflow.start<(input: QueueInput) => Promise<void>>(QUEUE_WORKFLOW, {
    workflowId,
    taskQueue: CLUSTER_QUEUE,
    args: [input],
  });
  const told = (index: number, user = 'tester'): QueueTold => {
    return { id: `job-${index}`, number: null, priority: 0, phase: 'waiting', user, hourly: 0 };
  };
  const indexes = Array.from({ length: BURST }, (_, index) => index);
  const latest = client.workflow.getHandle(workflowId);
  await mapLimited(indexes, 32, async (index) => await latest.signal(QUEUE_SIGNALS.tell, told(index)));
  await latest.signal(QUEUE_SIGNALS.tell, told(BURST, 'last'));
  await world.startWorker();
  await until(
    'all were answered',
    async () => {
      const now = await latest.query<QueueView>('view').catch(() => null);
      return now?.users.includes('last') === true && now.waiting.length === 0 && now.live.length === 0;
    },
    150_000,
  );
  await latest.terminate('the test is over');
  await expect(queue.result()).rejects.toThrow();
  // The lists of the server follow in a moment.
  return await until('its runs are listed as closed', async () => {
    const lengths: number[] = [];
    for await (const { status, historyLength } of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
      if (status.name === 'RUNNING') return null;
      lengths.push(historyLength);
    }
    return lengths;
  });
}

test(`a queue takes in ${BURST} jobs that came while no worker was there`, { timeout: 180_000 }, async () => {
  expect(await burst(`burst-${Date.now()}`, { ...TEST, historyEvents: 50_000 })).not.toEqual([]);
});

test('a queue whose history is full hands what it has not taken in to its next run', { timeout: 180_000 }, async () => {
  const runs = await burst(`carried-${Date.now()}`, TEST);
  expect(runs.length).toBeGreaterThan(2);
  // The first has an event of each signal; each has at most what a portion or two of answers make.
  expect(Math.max(...runs)).toBeLessThan(BURST + 2_000);
});
