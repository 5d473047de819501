/** A paused job has no machines and no slot; resumed, it goes on as the same job. Its history tells all of it, without a worker. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world, { limits: { launching: 1, running: 1 } });
  world.price(36);
});
afterAll(async () => {
  await story.close();
  await world.end();
});

test('a running job gets its SIGTERM, gives its slot to the next one, and goes on with its task id when it is resumed', async () => {
  const ledger = world.ledger('paused');
  const id = await story.submit(
    [
      'name: paused',
      'run: |',
      `  trap 'echo "bye $STYX_JOB_TRY" | tee -a ${ledger.path}; exit 1' TERM`,
      `  echo "run $STYX_JOB_TRY $STYX_TASK_ID" >> ${ledger.path}`,
      '  [ $STYX_JOB_TRY = 2 ] && exit 0',
      '  for i in $(seq 3000); do sleep 0.1; done',
    ].join('\n'),
  );
  await until('it runs', () => ledger.lines().length === 1);
  await story.is(id, 'RUNNING');
  expect(await story.jobs.resume(id)).toEqual({ status: 'RUNNING', note: 'It is not paused.' });
  world.arm('collectLogs.before');
  expect(await story.jobs.pause(id)).toEqual({ status: 'PENDING', note: null });
  expect(await world.hit('collectLogs.before', 60_000)).toBe(true);
  await world.killAt('collectLogs.before', 'worker');
  const paused = await story.job(id, 'has no machines', ({ copy }) => copy === null);
  expect(paused).toMatchObject({ status: 'PENDING', reason: 'paused by tester', queue: 'parked', recoveries: 0 });
  expect(paused.past).toMatchObject([{ logs: 'kept', why: 'paused by tester' }]);
  expect((await story.jobs.pause(id)).note).toBe('It is paused already.');
  await story.nothingLeft();
  const other = await story.submit('run: "true"');
  await story.ends(other, 'SUCCEEDED');
  expect((await story.jobs.view(id)).status).toBe('PENDING');
  await story.jobs.resume(id);
  const view = await story.ends(id, 'SUCCEEDED');
  expect(ledger.lines()).toEqual([`run 1 ${view.taskId}`, 'bye 1', `run 2 ${view.taskId}`]);
  const parts: string[] = [];
  for await (const { data } of world.styx.jobLogs(id, { follow: false })) parts.push(data.toString());
  expect(parts.join('')).toBe('bye 1\n');
  await story.nothingLeft();
});

test('a job that waits is passed over while it is paused; a cancel of a paused job ends it', async () => {
  const ledger = world.ledger('waits');
  const first = await story.submit(`run: while [ ! -e ${ledger.path}.go ]; do sleep 0.1; done`);
  await story.is(first, 'RUNNING');
  const second = await story.submit(`run: echo second >> ${ledger.path}`);
  await story.job(second, 'has a number', ({ number }) => number !== null);
  await story.jobs.pause(second);
  world.ledger('waits.go');
  await story.ends(first, 'SUCCEEDED');
  expect(await story.jobs.view(second)).toMatchObject({ status: 'PENDING', copies: 0, paused: 'tester' });
  expect(ledger.lines()).toEqual([]);
  await story.jobs.cancel(second);
  await story.ends(second, 'CANCELLED');
});

test('a job whose end comes with the word of its start has a start and a duration', async () => {
  for (const [run, status] of [
    ['"true"', 'SUCCEEDED'],
    ['exit 3', 'FAILED'],
  ] as const) {
    const view = await story.ends(await story.submit(`run: ${run}`), status);
    expect(view.startedAt).toBeGreaterThan(view.submittedAt);
    expect(view.ranMs).toBeGreaterThanOrEqual(0);
    expect(view.endedAt).toBeGreaterThanOrEqual(view.startedAt ?? Number.POSITIVE_INFINITY);
  }
});

test('the history of a job tells its tries, places, prices, what was lost and what each cost, without a worker', async () => {
  const ledger = world.ledger('told');
  const id = await story.submit(
    `name: told\nrun: echo $STYX_JOB_TRY >> ${ledger.path}; [ $STYX_JOB_TRY = 2 ] || sleep 300\n`,
  );
  await until('it runs', () => ledger.lines().length === 1);
  await story.is(id, 'RUNNING');
  await world.cloud.preempt(await story.machine(id));
  const { number, past } = await story.ends(id, 'SUCCEEDED');
  await world.killWorker();
  const { entries, copies, summary, taskId } = await story.jobs.history(await story.jobs.find(number ?? 0));
  expect(summary).toMatchObject({ status: 'SUCCEEDED', recoveries: 1, number });
  expect(taskId).toContain('_told_');
  expect(entries.map(({ at }) => at)).toEqual(entries.map(({ at }) => at).toSorted((a, b) => a - b));
  const said = entries.map(({ text }) => text);
  const order = [
    /^tester submits told: /,
    /^has the number \d+/,
    /^STARTING$/,
    /^try 1: tries .*local\/local\/local-a/,
    /^try 1: up after .* an hour/,
    /^RUNNING/,
    /^RECOVERING, recovery 1: .*; cost so far \$/,
    /^try 2: looks for machines, on cluster job-/,
    /^try 2: up after /,
    /^SUCCEEDED; cost so far \$/,
  ];
  let from = 0;
  for (const line of order) {
    const at = said.findIndex((text, index) => index >= from && line.test(text));
    expect(at, `${line} after ${from} in\n${said.join('\n')}`).toBeGreaterThanOrEqual(0);
    from = at;
  }
  expect(copies).toMatchObject([
    { number: 1, try: 1, infra: 'local/local/local-a', logs: 'lost' },
    { number: 2, try: 2, infra: 'local/local/local-a', logs: 'kept', why: 'SUCCEEDED' },
  ]);
  expect(copies[0]?.why).not.toBeNull();
  for (const [index, { cost, costPerHour, endedAt }] of copies.entries()) {
    expect(cost).toBeCloseTo(past[index]?.cost ?? -1, 1);
    expect(costPerHour).toBeGreaterThan(0);
    expect(endedAt).not.toBeNull();
  }
  await world.startWorker();
});
