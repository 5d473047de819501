/** Pipelines and jobs of pools are paused and resumed, whoever is killed meanwhile: each goes on from where it was, as itself. */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parseSubmission } from '../../model/parse-pipeline.ts';
import { TEST } from '../../model/timing.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { sorted, until } from './story.ts';

// Each goes through several launches, which take long on a machine that is busy.
vi.setConfig({ testTimeout: 400_000, hookTimeout: 200_000 });

const LONG = 150_000;
const BUDGET = { budget: 300_000 };
let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  // So few events that each workflow continues as new.
  story = await JobStory.on(world, { timing: { ...TEST, historyEvents: 40 }, fenceAfter: 120_000 });
});
afterAll(async () => {
  await story.close();
  await world.end();
});

async function submit(...documents: string[]): Promise<string> {
  const written = parseSubmission(documents.join('\n---\n'), { file: 'test.yaml' });
  if (written.kind !== 'pipeline') throw new Error('not a pipeline');
  return (await story.pipelines.launch(written, BUDGET)).id;
}

async function succeeds(id: string): Promise<void> {
  const view = await story.pipelines.wait(id, { gone: true });
  expect(`${view.status} ${view.reason}`, JSON.stringify(view.events)).toBe('SUCCEEDED ');
}

async function machinesAreGone(): Promise<void> {
  await until('no machine is left', async () => (await world.machinesLeft()).length === 0, LONG);
  await story.nothingLeft();
}

/** Says that it runs, and its try; the first one ends by its SIGTERM alone. */
function lasting(name: string, ledger: { readonly path: string }): string {
  return [
    `name: ${name}`,
    'depends_on: [first]',
    'run: |',
    `  trap 'echo "bye ${name}" >> ${ledger.path}; exit 1' TERM`,
    `  echo "${name} $STYX_JOB_TRY $STYX_OUTPUT_FIRST_K" >> ${ledger.path}`,
    '  [ $STYX_JOB_TRY = 2 ] && exit 0',
    '  for i in $(seq 6000); do sleep 0.1; done',
  ].join('\n');
}

test('all that runs of a pipeline gets its SIGTERM, nothing begins while it is paused, and resumed it goes on from where it was', async () => {
  const ledger = world.ledger(`graph-${randomUUID()}`);
  const id = await submit(
    'name: paused',
    `name: first\nrun: |\n  echo first >> ${ledger.path}\n  echo k=v >> $STYX_OUTPUT`,
    lasting('left', ledger),
    lasting('right', ledger),
    `name: last\ndepends_on: [left, right]\nrun: echo last $STYX_JOB_TRY >> ${ledger.path}`,
  );
  await until('both run', () => ledger.lines().length === 3, LONG);
  expect(await story.jobs.resume(id, BUDGET)).toMatchObject({ note: 'It is not paused.' });
  expect(await story.jobs.pause(id, BUDGET)).toEqual({ status: 'PENDING', note: null });
  await until('both hear of it', () => ledger.lines().length === 5);
  await world.killWorker();
  await world.startWorker();
  await machinesAreGone();
  expect((await story.jobs.pause(id, BUDGET)).note).toBe('It is paused already.');
  expect(sorted(ledger.lines())).toEqual(sorted(['first', 'left 1 v', 'right 1 v', 'bye left', 'bye right']));
  const paused = await story.pipelines.view(id, BUDGET);
  expect(paused).toMatchObject({ status: 'PENDING', reason: 'paused by tester', paused: 'tester' });
  const waits = { status: 'PENDING', reason: 'paused by tester', recoveries: 0 };
  expect(paused.tasks).toMatchObject([{ status: 'SUCCEEDED' }, waits, waits, { status: 'PENDING', id: null }]);
  expect(await story.jobs.summary(id)).toMatchObject({ status: 'PENDING', paused: true });
  expect(await story.jobs.resume(id, BUDGET)).toMatchObject({ note: null });
  await world.killWorker();
  await world.startWorker();
  await succeeds(id);
  expect(sorted(ledger.lines().slice(5))).toEqual(sorted(['left 2 v', 'right 2 v', 'last 1']));
  expect((await story.jobs.pause(id, BUDGET)).note).toBe('It is SUCCEEDED already.');
  await story.nothingLeft();
});

test('a pipeline that is paused before anything of it stands begins when it is resumed, and one that is cancelled ends', async () => {
  const ledger = world.ledger(`early-${randomUUID()}`);
  const documents = ['name: early', `run: echo one >> ${ledger.path}`, `run: echo two >> ${ledger.path}`];
  const ids = await Promise.all([submit(...documents), submit(...documents)]);
  for (const id of ids) await story.jobs.pause(id, BUDGET);
  await machinesAreGone();
  const [resumed = '', cancelled = ''] = ids;
  const before = ledger.lines();
  await story.jobs.cancel(cancelled, BUDGET);
  expect((await story.pipelines.wait(cancelled, { gone: true })).status).toBe('CANCELLED');
  expect(ledger.lines()).toEqual(before);
  await story.jobs.resume(resumed, BUDGET);
  await succeeds(resumed);
  expect(ledger.lines().at(-1)).toBe('two');
  await story.nothingLeft();
});

test('the tasks of a group that is resumed wait for each other, and find the new machines under the old names', async () => {
  const ledger = world.ledger(`group-${randomUUID()}`);
  const task = (own: string, other: string) =>
    [
      `name: ${own}`,
      'run: |',
      `  echo "$STYX_JOB_TRY ${own} sees $(getent hosts ${other}-0.net | cut -d' ' -f1)" >> ${ledger.path}`,
      `  until grep -q '^2 ${other}' ${ledger.path}; do sleep 0.1; done`,
    ].join('\n');
  const id = await submit('name: net\nexecution: parallel', task('a', 'b'), task('b', 'a'));
  const seen = (tried: number) => ledger.lines().filter((line) => line.startsWith(`${tried} `));
  await until('both run', () => seen(1).length === 2, LONG);
  await story.jobs.pause(id, BUDGET);
  await machinesAreGone();
  await story.jobs.resume(id, BUDGET);
  await succeeds(id);
  const addresses = (tried: number) => seen(tried).map((line) => line.split(' sees ')[1] ?? '');
  expect([...addresses(1), ...addresses(2)].every((address) => /^[\d.]+$/.test(address))).toBe(true);
  expect(new Set([...addresses(1), ...addresses(2)]).size, ledger.lines().join('\n')).toBe(4);
  await story.nothingLeft();
});

test('a job in a pool that is paused leaves its worker to the next one, and goes on there when it is resumed', async () => {
  const name = `p-${randomUUID().slice(0, 8)}`;
  const ledger = world.ledger(name);
  await story.apply(name, 'resources: {cpus: 2}\nsetup: "true"\npool: {workers: 1}\n');
  const { workerViews } = await story.pool(name, 'has a worker', (view) =>
    view.workerViews.every(({ status }) => status === 'READY'),
  );
  const id = await story.submitTo(
    name,
    [
      'name: paused',
      'job_demand: {cpus: 2}',
      'run: |',
      `  trap 'echo "bye $STYX_JOB_TRY" | tee -a ${ledger.path}; exit 1' TERM`,
      `  echo "run $STYX_JOB_TRY $STYX_TASK_ID" >> ${ledger.path}`,
      '  [ $STYX_JOB_TRY = 2 ] && exit 0',
      '  for i in $(seq 6000); do sleep 0.1; done',
    ].join('\n'),
  );
  await until('it runs', () => ledger.lines().length === 1, LONG);
  await story.is(id, 'RUNNING');
  const wait = (own: string) =>
    story.submitTo(
      name,
      `job_demand: {cpus: 2}\nrun: echo ${own} >> ${ledger.path}; while [ ! -e ${ledger.path}.${own} ]; do sleep 0.1; done`,
    );
  const second = await wait('second');
  await story.pool(name, 'has one that waits', ({ waiting }) => waiting === 1);
  const third = await wait('third');
  await story.pool(name, 'has two that wait', ({ waiting }) => waiting === 2);
  await story.jobs.pause(second, BUDGET);
  world.arm('collectLogs.before');
  expect(await story.jobs.pause(id, BUDGET)).toEqual({ status: 'PENDING', note: null });
  expect(await world.hit('collectLogs.before', 60_000)).toBe(true);
  await world.killAt('collectLogs.before', 'worker');
  const paused = await story.job(id, 'has left', ({ copy }) => copy === null);
  expect(paused).toMatchObject({ status: 'PENDING', reason: 'paused by tester', recoveries: 0, pauses: 1 });
  await until('the third has its place', () => ledger.lines().includes('third'), LONG);
  expect(await story.jobs.view(second, BUDGET)).toMatchObject({ status: 'PENDING', copy: null, paused: 'tester' });
  await story.jobs.resume(id, BUDGET);
  await story.pool(name, 'has one that waits again', ({ waiting }) => waiting === 1);
  writeFileSync(`${ledger.path}.third`, '');
  await story.ends(third, 'SUCCEEDED');
  const view = await story.ends(id, 'SUCCEEDED');
  const run = (tried: number) => `run ${tried} ${view.taskId}`;
  expect(ledger.lines()).toEqual([run(1), 'bye 1', 'third', run(2)]);
  const parts: string[] = [];
  for await (const { data } of world.styx.jobLogs(id, { follow: false })) parts.push(data.toString());
  expect(parts.join('')).toBe('bye 1\n');
  await story.jobs.cancel(second, BUDGET);
  await story.ends(second, 'CANCELLED');
  const after = await story.pool(name, 'is as before', ({ waiting, running }) => waiting === 0 && running === 0);
  expect(after.workerViews.map(({ cluster, status }) => [cluster, status])).toEqual(
    workerViews.map(({ cluster }) => [cluster, 'READY']),
  );
  await story.poolGone(name);
  await machinesAreGone();
});
