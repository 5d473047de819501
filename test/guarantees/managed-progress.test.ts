/** A job with a deadline that says how much of its work is done has the machines that follow from that, whoever is killed. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

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

/**
 * Of an hour and 50 seconds it needs an hour, and two changeovers 4 s: with nothing done, it has to have on-demand machines after 46 s, and
 * not before. So long its start may take; with most of it done there is time for as long as any test takes.
 */
const RECOVERY = 'strategy: deadline, deadline: 3650s, work: 1h, overhead: 2s, checkpoint_every: never';
const DUE_MS = 46_000;

function task(...run: string[]): string {
  const script = run.map((line) => `  ${line}\n`).join('');
  return `resources:\n  use_spot: true\n  job_recovery: {${RECOVERY}}\nrun: |\n${script}`;
}

test('near its deadline one that has done little moves to on-demand machines, and one that has done nearly all stays on spot machines, and goes on from what it said last when they are taken', {
  timeout: 400_000,
}, async () => {
  const [ledger, other] = [world.ledger('little'), world.ledger('most')];
  const high = await story.submit(
    task(
      `echo "$STYX_JOB_TRY" >> ${other.path}`,
      'if [ "$STYX_JOB_TRY" = 1 ]; then echo 90% >> "$STYX_PROGRESS"; sleep 1000; fi',
      `while [ ! -e ${other.path}.go ]; do sleep 0.1; done`,
      'echo 1 >> "$STYX_PROGRESS"',
    ),
  );
  const low = await story.submit(
    task(
      `echo "$STYX_JOB_TRY" >> ${ledger.path}`,
      'if [ "$STYX_JOB_TRY" = 1 ]; then echo 0.001 >> "$STYX_PROGRESS"; sleep 1000; fi',
    ),
  );
  await story.job(high, 'has said how far it is', ({ progress }) => progress === 0.9);
  await story.job(low, 'has said so too', ({ progress }) => progress === 0.001);
  await world.killWorker();
  await until('a list shows it, without a worker', async () =>
    (await world.styx.jobs.list()).some(({ id, progress }) => id === high && progress === 0.9),
  );
  await world.startWorker();
  const moved = await story.ends(low, 'SUCCEEDED');
  expect(moved).toMatchObject({
    cause: 'moved',
    recoveries: 1,
    preemptions: 0,
    past: [{ market: 'spot' }, { market: 'on-demand' }],
  });
  expect(moved.endedAt).toBeGreaterThan(moved.submittedAt + DUE_MS);
  expect(ledger.lines()).toEqual(['1', '2']);
  // More time has passed for the other.
  expect(await story.jobs.view(high)).toMatchObject({ status: 'RUNNING', recoveries: 0, copy: { market: 'spot' } });
  // By its running time all would be lost, and only on-demand machines be in time.
  await world.cloud.preempt(await story.machine(high));
  await until('it goes on', () => other.lines().length === 2, 150_000);
  expect(await story.jobs.view(high), 'it has said nothing since').toMatchObject({ progress: 0.9 });
  writeFileSync(`${other.path}.go`, '');
  const stayed = await story.ends(high, 'SUCCEEDED');
  // Its last word came with its end.
  expect(stayed).toMatchObject({ cause: 'machines', recoveries: 1, preemptions: 1, progress: 1 });
  expect(stayed.past.map(({ market }) => market)).toEqual(['spot', 'spot']);
  expect(other.lines()).toEqual(['1', '2']);
  await story.nothingLeft();
});
