import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { TEST } from '../../model/timing.ts';
import { World } from '../harness/world.ts';
import { Story } from './story.ts';

let world: World;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
  // Makes the directory.
  await world.cloud.host();
});
afterEach(() => story.nothingLeft());
afterAll(() => world.end());

/** How many machines the cloud has for us. */
function room(instances: number): void {
  writeFileSync(join(world.home, 'local', 'limits.json'), JSON.stringify({ maxInstances: instances }));
}

const FOR_EVER = { retryUntilUp: true };

test('down ends a launch that retries for ever, also in the middle of its pause, and nothing of it is left', async () => {
  room(0);
  const ledger = world.ledger('ended');
  // Whoever waited for the end of the pause would wait longer than this test may take.
  const pausing = await Story.timed(world, { ...TEST, retryUntilUpFirst: 3_600_000, retryUntilUpMax: 3_600_000 });
  const launch = await pausing.launch('r1', `run: echo ran >> ${ledger.path}`, FOR_EVER);
  const retrying = await pausing.view('r1', 'pauses', (view) => view.operation?.progress.includes('next in') === true);
  expect(retrying.status).toBe('INIT');
  expect(retrying.operation?.retryUntilUp).toBe(true);
  for (const tried of retrying.tries) {
    expect(tried.cloud).toBe('local');
    expect(tried.failure.kind).toBe('capacity');
    expect(tried.failure.message).toContain('0 of at most 0 exist here');
  }
  expect(retrying.tries.length).toBeGreaterThan(0);
  await pausing.down('r1');
  await pausing.close();
  const view = await story.look('r1');
  expect(view.operations.find(({ id }) => id === launch.operationId)?.outcome).toBe('aborted');
  expect(view.tries.length, 'no further round was made').toBe(retrying.tries.length);
  expect(view.jobs.map(({ status }) => status)).toEqual(['CANCELLED']);
  expect(ledger.lines()).toEqual([]);
});

test('another launch comes up while one retries, and the first does as soon as there is room', async () => {
  room(0);
  const ledger = world.ledger('later');
  const waiting = await story.launch('r2', `num_nodes: 2\nrun: echo two >> ${ledger.path}`, FOR_EVER);
  await story.view('r2', 'was tried', (view) => view.tries.length >= 2);
  room(1);
  const small = await story.up('r3', `run: echo one >> ${ledger.path}`);
  await story.jobEnds('r3', small, 'SUCCEEDED');
  expect((await story.look('r2')).status).toBe('INIT');
  room(3);
  await story.succeeds('r2', waiting);
  await story.jobEnds('r2', waiting.jobId, 'SUCCEEDED');
  expect(ledger.lines().toSorted()).toEqual(['one', 'two', 'two']);
  await Promise.all([story.down('r2'), story.down('r3')]);
});

test('without retrying a launch fails with its kind and reason, its job is FAILED_DRIVER, and the cluster is gone', async () => {
  room(0);
  const launch = await story.launch('r4', 'run: echo never');
  const end = await story.clusters.waitOperation('r4', launch);
  expect(end.outcome).toBe('failed');
  expect(end.operation?.failure?.kind).toBe('capacity');
  expect(end.operation?.failure?.message).toContain('at most 0');
  const gone = await story.status('r4', 'TERMINATED');
  expect(gone.jobs.map(({ status }) => status)).toEqual(['FAILED_DRIVER']);
  expect(gone.jobs[0]?.reason).toContain('at most 0');
  expect(gone.tries.length).toBeGreaterThan(0);
  await expect(story.clusters.stop('r4')).rejects.toMatchObject({ kind: 'not-found' });
});

test('a request that can never be met fails even when it was to be retried for ever', async () => {
  room(10);
  const launch = await story.launch('r5', 'resources: {cpus: 100000}\nrun: echo never', FOR_EVER);
  const end = await story.clusters.waitOperation('r5', launch);
  expect(end.operation?.failure).toMatchObject({ kind: 'invalid', message: expect.stringContaining('100000 vCPUs') });
  await story.status('r5', 'TERMINATED');
  // Its workflow may still have to tell the job.
  expect((await story.clusters.list()).map(({ name }) => name)).not.toContain('r5');
});

test('stop ends a launch that retries, the cluster is STOPPED without machines, and start brings it up later', async () => {
  room(0);
  await story.launch('r6', 'num_nodes: 2\nrun: echo never', FOR_EVER);
  await story.view('r6', 'was tried', (view) => view.tries.length >= 2);
  await story.succeeds('r6', await story.clusters.stop('r6'));
  const stopped = await story.look('r6');
  expect(stopped.status).toBe('STOPPED');
  expect(stopped.jobs.map(({ status }) => status)).toEqual(['CANCELLED']);
  expect(stopped.intents).toEqual([]);
  expect(await world.machinesLeft()).toEqual([]);
  room(2);
  await story.succeeds('r6', await story.clusters.start('r6'));
  const ledger = world.ledger('r6');
  const { jobId } = await story.exec('r6', `num_nodes: 2\nrun: echo $STYX_NODE_RANK >> ${ledger.path}`);
  await story.jobEnds('r6', jobId, 'SUCCEEDED');
  expect(ledger.lines().toSorted()).toEqual(['0', '1']);
  await story.down('r6');
});
