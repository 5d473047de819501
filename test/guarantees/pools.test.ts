/** Pools of workers: jobs share them, recover on another one when theirs is lost, and nothing is left when the pool is taken down. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PoolView } from '../../model/pool.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { sorted, until } from './story.ts';

let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world);
});
afterAll(async () => {
  await story.close();
  await world.end();
});

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
  await until('all four run at once', () => ledger.lines().length === 2 + 4);
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
  const name = unique('lost');
  const ledger = world.ledger(name);
  await story.apply(name, pool('workers: 2'));
  await story.pool(name, 'has two workers', ready(2));
  const id = await story.submitTo(
    name,
    `run: |\n  echo "$STYX_JOB_TRY $STYX_TASK_ID" >> ${ledger.path}\n  echo try $STYX_JOB_TRY\n  [ $STYX_JOB_TRY = 2 ] || sleep 300\n`,
  );
  await until('it runs', () => ledger.lines().length === 1);
  const { copy } = await story.is(id, 'RUNNING');
  const lost = copy?.cluster ?? '';
  await world.cloud.preempt(await machineOf(lost));
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({ recoveries: 1, cause: 'machines', errorRestarts: 0 });
  expect(ledger.lines()).toEqual([`1 ${view.taskId}`, `2 ${view.taskId}`]);
  expect(new Set(view.past.map(({ cluster }) => cluster)).size).toBe(2);
  const { workerViews } = await story.pool(name, 'has two workers again', ready(2));
  expect(workerViews.map(({ cluster }) => cluster)).not.toContain(lost);
  await story.poolGone(name);
  await story.nothingLeft();
});

test('a changed file replaces workers one at a time, and ends no job for it; a cancel ends one job and no worker', async () => {
  const name = unique('rolled');
  const ledger = world.ledger(name);
  await story.apply(name, pool('workers: 2'));
  const old = await story.pool(name, 'has two workers', ready(2));
  const wait = `echo $STYX_JOB_TRY >> ${ledger.path}; while [ ! -e ${ledger.path}.go ]; do sleep 0.1; done`;
  const [first, second] = await Promise.all([1, 2].map((n) => story.submitTo(name, `name: r${n}\nrun: ${wait}\n`)));
  await until('both run', () => ledger.lines().length === 2);
  await story.apply(name, pool('workers: 2', 'echo changed'));
  // Both have a job: one takes no more, and none goes.
  const draining = await story.pool(name, 'drains one', ({ workerViews }) => workerViews.some((one) => one.draining));
  expect(draining.workerViews.map(({ version, status }) => `${version} ${status}`)).toEqual(['1 READY', '1 READY']);
  await story.jobs.cancel(first ?? '');
  await story.ends(first ?? '', 'CANCELLED');
  expect((await story.jobs.view(second ?? '')).status).toBe('RUNNING');
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
  const name = unique('killed');
  const ledger = world.ledger(name);
  const scaling = 'min_workers: 0, max_workers: 2, upscale_delay_seconds: 0, downscale_delay_seconds: 3';
  await story.apply(name, pool(scaling));
  const run = `echo begin $STYX_JOB_TRY >> ${ledger.path}; sleep 1; echo end >> ${ledger.path}`;
  const ids = await Promise.all(
    [1, 2, 3].map((n) => story.submitTo(name, `name: k${n}\njob_demand: {cpus: 1}\nrun: ${run}\n`)),
  );
  await story.pool(name, 'makes a worker', ({ workerViews }) => workerViews.length > 0);
  await world.killWorker();
  await world.workerUpAgain();
  await until('one runs', () => ledger.lines().length > 0);
  await world.killServer();
  await world.killWorker();
  await world.workerUpAgain();
  for (const id of ids) expect(await story.ends(id, 'SUCCEEDED')).toMatchObject({ recoveries: 0 });
  expect(sorted(ledger.lines())).toEqual([...Array<string>(3).fill('begin 1'), ...Array<string>(3).fill('end')]);
  await story.pool(name, 'has no worker', ({ workerViews }) => workerViews.length === 0);
  expect(await world.machinesLeft()).toEqual([]);
  await story.poolGone(name);
});

test('a pool that is taken down cancels what runs and what waits there, and a job that fits no worker is told so', async () => {
  const name = unique('down');
  const ledger = world.ledger(name);
  await story.apply(name, pool('workers: 1'));
  const huge = await story.submitTo(name, 'resources: {cpus: 64+}\nrun: "true"\n');
  expect((await story.ends(huge, 'FAILED_PRECHECKS')).reason).toContain('cpus 64+');
  const whole = `job_demand: {cpus: 2}\nrun: echo runs >> ${ledger.path}; sleep 300\n`;
  const ids = [await story.submitTo(name, whole), await story.submitTo(name, whole)];
  await until('one runs', () => ledger.lines().length === 1);
  const { waitingJobs } = await story.pool(name, 'has one that waits', ({ waiting }) => waiting === 1);
  expect(waitingJobs).toHaveLength(1);
  await story.poolGone(name);
  for (const id of ids) await story.ends(id, 'CANCELLED');
  expect(ledger.lines()).toEqual(['runs']);
  await story.nothingLeft();
});
