/** A cancel at any state ends in CANCELLED, with nothing left. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world, { limits: { launching: 1, running: 1 } });
});
afterAll(async () => {
  await story.close();
  await world.end();
});

async function cancelled(id: string): Promise<void> {
  await story.jobs.cancel(id);
  const view = await story.ends(id, 'CANCELLED');
  expect(view.cancelledBy).toBe('tester');
  await story.nothingLeft();
}

test('while it waits for its turn: the one that has it goes on', async () => {
  const ledger = world.ledger('waits');
  const first = await story.submit(
    `run: while [ ! -e ${ledger.path}.go ]; do sleep 0.1; done; echo first >> ${ledger.path}`,
  );
  await story.is(first, 'RUNNING');
  const second = await story.submit(`run: echo second >> ${ledger.path}`);
  const waiting = await story.job(second, 'has a number', ({ number }) => number !== null);
  expect(waiting.status).toBe('PENDING');
  expect((await story.jobs.queue())?.waiting.map((row) => row[0])).toEqual([waiting.number]);
  await story.jobs.cancel(second);
  await story.ends(second, 'CANCELLED');
  world.ledger('waits.go');
  const { writeFileSync } = await import('node:fs');
  writeFileSync(`${ledger.path}.go`, '');
  await story.ends(first, 'SUCCEEDED');
  expect(ledger.lines()).toEqual(['first']);
  await story.nothingLeft();
});

test('while its machines are made', async () => {
  world.arm('createMachines.called');
  const id = await story.submit('run: sleep 300');
  expect(await world.hit('createMachines.called', 60_000)).toBe(true);
  await world.killAt('createMachines.called', 'worker');
  await cancelled(id);
});

test('while it is set up', async () => {
  const ledger = world.ledger('setup');
  const id = await story.submit(`setup: echo setup >> ${ledger.path}; sleep 300\nrun: echo never >> ${ledger.path}`);
  await until('setup runs', () => ledger.lines().length === 1);
  await cancelled(id);
  expect(ledger.lines()).toEqual(['setup']);
});

test('while it runs: it gets its SIGTERM, and its last words are kept', async () => {
  const ledger = world.ledger('run');
  const id = await story.submit(
    `run: |\n  trap 'echo bye | tee -a ${ledger.path}; exit 0' TERM\n  echo run >> ${ledger.path}\n  for i in $(seq 3000); do sleep 0.1; done\n`,
  );
  await until('it runs', () => ledger.lines().length === 1);
  await cancelled(id);
  expect(ledger.lines()).toEqual(['run', 'bye']);
  const parts: Buffer[] = [];
  for await (const { data } of world.styx.jobLogs(id, { follow: false })) parts.push(data);
  expect(Buffer.concat(parts).toString()).toBe('bye\n');
});

test('while it recovers', async () => {
  const ledger = world.ledger('recovers');
  const id = await story.submit(`run: echo $STYX_JOB_TRY >> ${ledger.path}; sleep 300`);
  await until('it runs', () => ledger.lines().length === 1);
  world.arm('terminateMachines.before');
  await world.cloud.preempt(await story.machine(id));
  expect(await world.hit('terminateMachines.before', 60_000)).toBe(true);
  await world.killAt('terminateMachines.before', 'worker');
  await cancelled(id);
  expect(ledger.lines()).toEqual(['1']);
});

test('while no cloud has room for it', async () => {
  world.limit(0);
  const id = await story.submit('run: "true"');
  await story.job(id, 'found no place', ({ failedLaunches }) => failedLaunches > 0);
  await cancelled(id);
  world.limit(1000);
});

test('when it has ended a cancel changes nothing and says so', async () => {
  const id = await story.submit('run: "true"');
  await story.ends(id, 'SUCCEEDED');
  expect(await story.jobs.cancel(id)).toEqual({ status: 'SUCCEEDED', note: 'It is SUCCEEDED already.' });
});
