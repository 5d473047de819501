/** Pools of workers: jobs share them, recover on another one when theirs is lost, and nothing is left when the pool is taken down. */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { PoolView } from '../../model/pool.ts';
import { NORMAL, TEST } from '../../model/timing.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { sorted, until } from './story.ts';

// Each goes through several launches, which take long on a machine that is busy.
vi.setConfig({ testTimeout: 400_000, hookTimeout: 200_000 });

/** A node that a busy machine keeps from answering for a moment gets jobs like any other, and keeps those it has. */
const CALM = { timing: { ...TEST, unreachableAfter: NORMAL.unreachableAfter }, fenceAfter: 60_000 };

let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world, CALM);
});
afterAll(async () => {
  await story.close();
  await world.end();
});

// What a test that failed left is not the next one's.
afterEach(async () => {
  for (const { name } of await story.pools.list()) {
    // Lists may be a moment behind.
    await story.pools.down(name, { purge: true, budget: 100_000 }).catch(() => undefined);
    await until(`pool ${name} is gone`, async () => !(await story.pools.list()).some((one) => one.name === name), LONG);
  }
});

/** ms. */
const LONG = 150_000;

let names = 0;
/** Of one try of one test. */
function unique(name: string): string {
  names += 1;
  return `${name}${names}`;
}

const ready = (count: number) => (view: PoolView) =>
  view.workerViews.filter(({ status, draining }) => status === 'READY' && !draining).length === count;

function pool(size: string, setup = 'true'): string {
  return `resources: {cpus: 2}\nsetup: |\n  ${setup}\npool: {${size}}\n`;
}

async function machineOf(cluster: string): Promise<string> {
  return (await story.look(cluster)).nodes[0]?.instanceId ?? '';
}

test('two workers, set up once each, are shared by four jobs; their output is kept, and down leaves nothing', async () => {
  const name = unique('shared');
  const ledger = world.ledger(name);
  await story.apply(name, pool('workers: 2', `echo setup >> ${ledger.path}`));
  const { workerViews } = await story.pool(name, 'has two workers', ready(2));
  const run = `echo "$STYX_TASK_ID" >> ${ledger.path}; echo out $SKYPILOT_MANAGED_JOB_ID; while [ ! -e ${ledger.path}.go ]; do sleep 0.1; done`;
  const ids = await Promise.all([1, 2, 3, 4].map((n) => story.submitTo(name, `name: j${n}\nrun: ${run}\n`)));
  await until('all four run at once', () => ledger.lines().length === 2 + 4, LONG);
  const busy = await story.pool(name, 'is in use', ({ running }) => running === 4);
  expect(busy.workerViews.map(({ usedBy }) => usedBy.length)).toEqual([2, 2]);
  writeFileSync(`${ledger.path}.go`, '');
  const views = await Promise.all(ids.map((id) => story.ends(id, 'SUCCEEDED')));
  expect(sorted(ledger.lines())).toEqual(sorted(['setup', 'setup', ...views.map(({ taskId }) => taskId ?? '')]));
  for (const [index, id] of ids.entries()) {
    const pieces: string[] = [];
    for await (const { data } of world.styx.jobLogs(id)) pieces.push(data.toString());
    expect(pieces.join('')).toBe(`out ${views[index]?.number}\n`);
  }
  expect(await world.machinesLeft()).toHaveLength(2);
  expect(sorted(views.flatMap(({ past }) => past.map(({ cluster }) => cluster)))).toEqual(
    sorted([...workerViews, ...workerViews].map(({ cluster }) => cluster)),
  );
  await story.poolGone(name);
  await story.nothingLeft();
});

test('a machine that is taken away: its job goes on on another worker, and the worker is replaced', async () => {
  const quick = await JobStory.on(world, { fenceAfter: CALM.fenceAfter });
  const name = unique('lost');
  const ledger = world.ledger(name);
  await quick.apply(name, pool('workers: 2'));
  await quick.pool(name, 'has two workers', ready(2));
  const id = await quick.submitTo(
    name,
    `run: |\n  echo "$STYX_JOB_TRY $STYX_TASK_ID" >> ${ledger.path}\n  echo try $STYX_JOB_TRY\n  [ $STYX_JOB_TRY = 2 ] || sleep 300\n`,
  );
  await until('it runs', () => ledger.lines().length === 1, LONG);
  const { copy } = await quick.is(id, 'RUNNING');
  const lost = copy?.cluster ?? '';
  await world.cloud.preempt(await machineOf(lost));
  const view = await quick.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({ recoveries: 1, cause: 'machines', errorRestarts: 0 });
  expect(ledger.lines()).toEqual([`1 ${view.taskId}`, `2 ${view.taskId}`]);
  expect(new Set(view.past.map(({ cluster }) => cluster)).size).toBe(2);
  const { workerViews } = await quick.pool(name, 'has two workers again', ready(2));
  expect(workerViews.map(({ cluster }) => cluster)).not.toContain(lost);
  await quick.poolGone(name);
  await quick.nothingLeft();
  await quick.close();
});

test('a changed file replaces workers one at a time, and ends no job for it; a cancel ends one job and no worker', async () => {
  const name = unique('rolled');
  const ledger = world.ledger(name);
  await story.apply(name, pool('workers: 2'));
  const old = await story.pool(name, 'has two workers', ready(2));
  const wait = `echo $STYX_JOB_TRY >> ${ledger.path}; while [ ! -e ${ledger.path}.go ]; do sleep 0.1; done`;
  const [first, second] = await Promise.all([1, 2].map((n) => story.submitTo(name, `name: r${n}\nrun: ${wait}\n`)));
  await until('both run', () => ledger.lines().length === 2, LONG);
  await story.apply(name, pool('workers: 2', 'echo changed'));
  // Both have a job: one takes no more, and none goes.
  const draining = await story.pool(name, 'drains one', ({ workerViews }) => workerViews.some((one) => one.draining));
  expect(draining.workerViews.map(({ version, status }) => `${version} ${status}`)).toEqual(['1 READY', '1 READY']);
  await story.jobs.cancel(first ?? '');
  await story.ends(first ?? '', 'CANCELLED');
  await story.is(second ?? '', 'RUNNING');
  writeFileSync(`${ledger.path}.go`, '');
  expect(await story.ends(second ?? '', 'SUCCEEDED')).toMatchObject({ recoveries: 0 });
  const rolled = await story.pool(name, 'is of the new version', (view) => {
    return ready(2)(view) && view.workerViews.every(({ version }) => version === 2);
  });
  const before = old.workerViews.map(({ cluster }) => cluster);
  expect(rolled.workerViews.filter(({ cluster }) => before.includes(cluster))).toEqual([]);
  expect(ledger.lines()).toEqual(['1', '1']);
  await story.poolGone(name);
  await story.nothingLeft();
});

test('worker and server are killed while a pool grows from nothing: each job runs once, and it shrinks again', async () => {
  // All of them go on in new runs of their workflows meanwhile.
  const busy = await JobStory.on(world, { ...CALM, timing: { ...CALM.timing, historyEvents: 40 } });
  const name = unique('killed');
  const ledger = world.ledger(name);
  const scaling = 'min_workers: 0, max_workers: 2, upscale_delay_seconds: 0, downscale_delay_seconds: 3';
  await busy.apply(name, pool(scaling));
  const run = `echo begin $STYX_JOB_TRY >> ${ledger.path}; sleep 1; echo end >> ${ledger.path}`;
  const ids = await Promise.all(
    [1, 2, 3].map((n) => busy.submitTo(name, `name: k${n}\njob_demand: {cpus: 1}\nrun: ${run}\n`)),
  );
  await busy.pool(name, 'makes a worker', ({ workerViews }) => workerViews.length > 0);
  await world.killWorker();
  await world.workerUpAgain();
  await until('one runs', () => ledger.lines().length > 0, LONG);
  await world.killServer();
  await world.killWorker();
  await world.workerUpAgain();
  for (const id of ids) expect(await busy.ends(id, 'SUCCEEDED')).toMatchObject({ recoveries: 0 });
  expect(sorted(ledger.lines())).toEqual([...Array<string>(3).fill('begin 1'), ...Array<string>(3).fill('end')]);
  await busy.pool(name, 'has no worker', ({ workerViews }) => workerViews.length === 0);
  expect(await world.machinesLeft()).toEqual([]);
  await busy.poolGone(name);
  await busy.close();
});

test('a pool that is taken down cancels what runs and what waits there, and a job that fits no worker is told so', async () => {
  const name = unique('down');
  const ledger = world.ledger(name);
  await story.apply(name, pool('workers: 1'));
  const huge = await story.submitTo(name, 'resources: {cpus: 64+}\nrun: "true"\n');
  expect((await story.ends(huge, 'FAILED_PRECHECKS')).reason).toContain('cpus 64+');
  const whole = `job_demand: {cpus: 2}\nrun: echo runs >> ${ledger.path}; sleep 300\n`;
  const ids = [await story.submitTo(name, whole), await story.submitTo(name, whole)];
  await until('one runs', () => ledger.lines().length === 1, LONG);
  const { waitingJobs } = await story.pool(name, 'has one that waits', ({ waiting }) => waiting === 1);
  expect(waitingJobs).toHaveLength(1);
  await story.poolGone(name);
  for (const id of ids) await story.ends(id, 'CANCELLED');
  expect(ledger.lines()).toEqual(['runs']);
  await story.nothingLeft();
});
