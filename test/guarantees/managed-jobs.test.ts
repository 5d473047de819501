import { afterAll, beforeAll, expect, test } from 'vitest';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';

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

async function logsOf(id: string, follow = false): Promise<string> {
  const parts: Buffer[] = [];
  for await (const { data } of world.styx.jobLogs(id, { follow })) parts.push(data);
  return Buffer.concat(parts).toString();
}

test('a job runs once, in the environment of a managed job, its logs stay, and nothing else does', async () => {
  const ledger = world.ledger('one');
  const id = await story.submit(
    `name: one\nsetup: echo set up\nrun: |\n  echo "$STYX_JOB_TRY $SKYPILOT_MANAGED_JOB_ID $SKYPILOT_TASK_ID" >> ${ledger.path}\n  echo out\n`,
  );
  const view = await story.ends(id, 'SUCCEEDED');
  expect(ledger.lines()).toEqual([`1 ${view.number} ${view.taskId}`]);
  expect(view.taskId).toMatch(/^sky-managed-.*_one_\d+-0$/);
  expect(view).toMatchObject({ recoveries: 0, copies: 1, past: [{ logs: 'kept' }] });
  expect(await logsOf(id)).toBe('set up\nout\n');
  await story.nothingLeft();
});

test('the same submission sent twice is one job, and has one number', async () => {
  const ledger = world.ledger('twice');
  const yaml = `run: echo ran >> ${ledger.path}`;
  const [a, b] = await Promise.all([story.submit(yaml, 'twice-1'), story.submit(yaml, 'twice-1')]);
  expect(a).toBe(b);
  await story.ends(a, 'SUCCEEDED');
  expect(await story.submit(yaml, 'twice-1')).toBe(a);
  expect(ledger.lines()).toEqual(['ran']);
});

test('exit codes of run and of setup become FAILED and FAILED_SETUP, and are not tried again', async () => {
  const ledger = world.ledger('failed');
  const run = await story.submit(`run: echo run >> ${ledger.path}; exit 3`);
  const setup = await story.submit(`setup: echo setup >> ${ledger.path}; exit 4\nrun: echo never >> ${ledger.path}`);
  const failed = await story.ends(run, 'FAILED');
  expect(failed.reason).toBe('rank 0 exited with 3');
  const notSetUp = await story.ends(setup, 'FAILED_SETUP');
  expect(notSetUp.reason).toBe('rank 0 exited with 4');
  expect(ledger.lines().toSorted()).toEqual(['run', 'setup']);
  await story.nothingLeft();
});

test('max_restarts_on_errors and recover_on_exit_codes say what is tried again, with a new try number and the same task id', async () => {
  const ledger = world.ledger('again');
  const id = await story.submit(
    [
      'resources: {job_recovery: {max_restarts_on_errors: 1, recover_on_exit_codes: [33]}}',
      'run: |',
      `  echo "$STYX_JOB_TRY $SKYPILOT_TASK_ID" >> ${ledger.path}`,
      '  case $STYX_JOB_TRY in 1) exit 33;; 2) exit 5;; 3) exit 33;; *) exit 6;; esac',
    ].join('\n'),
  );
  const view = await story.ends(id, 'FAILED');
  expect(view).toMatchObject({ recoveries: 3, errorRestarts: 1, reason: 'rank 0 exited with 6' });
  expect(ledger.lines()).toEqual([1, 2, 3, 4].map((tried) => `${tried} ${view.taskId}`));
  await story.nothingLeft();
});

test('what can never be had ends as FAILED_NO_RESOURCE or FAILED_PRECHECKS, with the reason', async () => {
  const large = await story.submit('resources: {cpus: 4000+}\nrun: "true"');
  const view = await story.jobs.wait(large, { gone: true });
  expect(view.status).toMatch(/^FAILED_(NO_RESOURCE|PRECHECKS)$/);
  expect(view.reason).not.toBe('');
  await story.nothingLeft();
});

test('a job waits while the cloud has no room, holds no slot meanwhile, and runs when there is', async () => {
  const ledger = world.ledger('room');
  world.limit(0);
  const id = await story.submit(`run: echo ran >> ${ledger.path}`);
  const waiting = await story.job(id, 'was refused twice', ({ failedLaunches }) => failedLaunches >= 2);
  expect(waiting.status).toBe('STARTING');
  expect(waiting.recoveries).toBe(0);
  world.limit(1000);
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view.recoveries).toBe(0);
  expect(ledger.lines()).toEqual(['ran']);
  await story.nothingLeft();
});

test('clusters of jobs are not among those of people, unless asked for', async () => {
  const id = await story.submit('run: sleep 300');
  const { copy } = await story.is(id, 'RUNNING');
  expect(await story.clusters.list()).toEqual([]);
  const [cluster] = await story.clusters.list([], { managed: true });
  expect(cluster).toMatchObject({ name: copy?.cluster, owner: id });
  await story.jobs.cancel(id);
  await story.ends(id, 'CANCELLED');
  await story.nothingLeft();
});

test('tear-down begins with the exit of the last rank, and not at the next look', async () => {
  const id = await story.submit('run: date +%s%3N');
  const view = await story.ends(id, 'SUCCEEDED');
  const exited = Number((await logsOf(id)).trim());
  const { operations } = await story.look(view.past[0]?.cluster ?? '');
  const began = operations.find(({ kind }) => kind === 'down')?.since ?? 0;
  console.log(`from the exit to the beginning of its tear-down: ${began - exited} ms`);
  // A fraction of a second on an idle machine; the safety looks are minutes apart in normal use.
  expect(began - exited).toBeLessThan(5_000);
});
