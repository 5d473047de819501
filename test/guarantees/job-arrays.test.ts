/** Arrays of managed jobs, and the limits of each user. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitReason } from '../../cli/jobs/queue.ts';
import { launchArray } from '../../client/job-arrays.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world, { limits: { launching: 16, running: 16, userRunning: 1 } });
});
afterAll(async () => {
  await story.close();
  await world.end();
});

test('each job of an array has its rank and number, runs once however often it is sent, and waits for its user to have room', async () => {
  const requestId = `array-${Date.now() % 1e8}`;
  const ledger = world.ledger(requestId);
  const yaml = `run: echo "$STYX_JOB_RANK $SKYPILOT_JOB_RANK $STYX_NUM_JOBS $SKYPILOT_NUM_JOBS" >> ${ledger.path}`;
  const ids = await launchArray(story.jobs, story.request(yaml), 3, { requestId });
  expect(await launchArray(story.jobs, story.request(yaml), 3, { requestId })).toEqual(ids);
  const queue = await until('two wait', async () => {
    // A busy worker may not answer in time.
    const view = await story.jobs.queue().catch(() => null);
    return view?.waiting.length === 2 ? view : null;
  });
  const last = queue.waiting.at(-1)?.[2] ?? '';
  const waiting = await story.jobs.summary(ids.find((id) => id.endsWith(last)) ?? '');
  if (waiting !== null) {
    expect(waitReason(waiting, queue)).toBe(
      'number 2 in the queue: 1 jobs of tester have machines, as many as may (jobs.max_running_per_user)',
    );
  }
  const views = [];
  for (const id of ids) views.push(await story.ends(id, 'SUCCEEDED'));
  expect(new Set(views.map(({ number }) => number)).size).toBe(3);
  expect(ledger.lines().toSorted()).toEqual(['0 0 3 3', '1 1 3 3', '2 2 3 3']);
  await expect(launchArray(story.jobs, story.request(yaml), 2, { requestId: 'x'.repeat(25) })).rejects.toThrow(/24/);
  await story.nothingLeft();
});
