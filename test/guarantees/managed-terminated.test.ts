/** Somebody terminates the workflow of a managed job's cluster, in Temporal's Web UI for one: its machines end, and the job goes on. */
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clusterWorkflowId } from '../../model/identity.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

let world: World;
let story: JobStory;
let temporal: Client;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world);
  temporal = await sealedTemporalClient(world.home);
});
afterAll(async () => {
  await temporal.connection.close();
  await story.close();
  await world.end();
});

let worlds = 0;
const fresh = (name: string) => world.ledger(`${name}-${worlds++}`);

async function clusterOf(id: string): Promise<string> {
  return (await story.jobs.view(id)).copy?.cluster ?? '';
}

async function terminate(cluster: string): Promise<void> {
  await temporal.workflow.getHandle(clusterWorkflowId('default', cluster)).terminate('by hand');
}

/** Writes all the time, so that two copies at once would show. */
function beating(path: string): string {
  return `run: |\n  echo begin $STYX_JOB_TRY >> ${path}\n  while [ $STYX_JOB_TRY = 1 ]; do echo beat 1 >> ${path}; sleep 0.05; done\n`;
}

test('while it runs: the machines of the first copy are proved gone before the second one begins', async () => {
  const ledger = fresh('run');
  const id = await story.submit(beating(ledger.path));
  await until('it runs', () => ledger.lines().includes('beat 1'));
  await terminate(await clusterOf(id));
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({ recoveries: 1, copies: 2, cause: 'ended' });
  expect(view.events.map(({ text }) => text).join('\n')).toContain('was ended from outside; its machines are ended');
  const lines = ledger.lines();
  expect(lines.filter((line) => line.startsWith('begin'))).toEqual(['begin 1', 'begin 2']);
  expect(lines.at(-1), 'nothing of the first one came after the second had begun').toBe('begin 2');
  await story.nothingLeft();
});

test('a job that was cancelled ends in CANCELLED although its cluster is terminated before its script has ended', async () => {
  const ledger = fresh('cancelled');
  const id = await story.submit(
    `run: |\n  trap "" TERM\n  echo begin >> ${ledger.path}\n  while :; do sleep 0.1; done\n`,
  );
  await until('it runs', () => ledger.lines().includes('begin'));
  const cluster = await clusterOf(id);
  await story.jobs.cancel(id);
  await terminate(cluster);
  await story.ends(id, 'CANCELLED');
  expect(ledger.lines()).toEqual(['begin']);
  await story.nothingLeft();
});
