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

/** Of 90 seconds it needs 60, and two changeovers 4: with nothing done, it has to have on-demand machines after 26, and not before. */
const RECOVERY = 'strategy: deadline, deadline: 90s, work: 60s, overhead: 2s';
const DUE_MS = 26_000;

function task(recovery: string, ...run: string[]): string {
  const script = run.map((line) => `  ${line}\n`).join('');
  return `resources:\n  use_spot: true\n  job_recovery: {${recovery}}\nrun: |\n${script}`;
}

const waitsFor = (path: string) => `while [ ! -e ${path} ]; do sleep 0.1; done`;

test('near its deadline one that has done nearly all stays on spot machines, and one that has done little moves to on-demand ones', async () => {
  const ledger = world.ledger('deadline');
  const go = `${ledger.path}.go`;
  const high = await story.submit(
    task(RECOVERY, 'echo 0.9 >> "$STYX_PROGRESS"', waitsFor(go), 'echo 1 >> "$STYX_PROGRESS"'),
  );
  const low = await story.submit(
    task(
      RECOVERY,
      `echo "$STYX_JOB_TRY" >> ${ledger.path}`,
      'if [ "$STYX_JOB_TRY" = 1 ]; then echo 1% >> "$STYX_PROGRESS"; sleep 300; fi',
    ),
  );
  const begun = await story.job(high, 'has said how far it is', ({ progress }) => progress === 0.9);
  await story.job(low, 'has said so too', ({ progress }) => progress === 0.01);
  const row = (await world.styx.jobs.list()).find(({ id }) => id === high);
  expect(row?.progress, 'as a list shows it, without a worker').toBe(0.9);
  await world.killWorker();
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
  await until('the same time has passed for the other', () => Date.now() > begun.submittedAt + DUE_MS + 3_000);
  expect(await story.jobs.view(high)).toMatchObject({ status: 'RUNNING', recoveries: 0, copy: { market: 'spot' } });
  writeFileSync(go, '');
  const stayed = await story.ends(high, 'SUCCEEDED');
  // Its last word came with its end.
  expect(stayed).toMatchObject({ recoveries: 0, progress: 1, past: [{ market: 'spot' }] });
  await story.nothingLeft();
});

test('one whose machines are taken goes on from what it said last: there is time to try spot machines again', async () => {
  // By its running time all would be lost, and only on-demand machines be in time.
  const id = await story.submit(
    task(
      `${RECOVERY}, checkpoint_every: never`,
      'if [ "$STYX_JOB_TRY" = 1 ]; then echo 80% >> "$STYX_PROGRESS"; sleep 300; fi',
      'sleep 2',
    ),
  );
  const { submittedAt } = await story.job(id, 'has said how far it is', ({ progress }) => progress === 0.8);
  await until('nothing done would be too little', () => Date.now() > submittedAt + DUE_MS + 2_000);
  await world.cloud.preempt(await story.machine(id));
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({ cause: 'machines', recoveries: 1, progress: 0.8 });
  expect(view.past.map(({ market }) => market)).toEqual(['spot', 'spot']);
  await story.nothingLeft();
});
