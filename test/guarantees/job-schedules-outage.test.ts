/** What schedules owe to the time in which their server was down. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isManagedEnd } from '../../model/managed-job.ts';
import { scheduleRules } from '../../model/schedule-rules.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

const EVERY_MS = 5_000;
/** Longer than the least window of the server, which is ten seconds. */
const DOWN_MS = 18_000;
const LIVE = { paused: false, note: '', remaining: null };

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

/** ms, of the time that a job was due at, which stands in its id. */
function dueAt(id: string): number {
  return Date.parse(/\d{4}-\d\d-\d\dT[\d:]+Z$/.exec(id)?.[0] ?? '');
}

test('after an outage each time within the window has its one run, and those before it have none', {
  timeout: 300_000,
}, async () => {
  const suffix = `${process.pid}-${Date.now() % 1e6}`;
  const [all, some] = [`all-${suffix}`, `some-${suffix}`];
  const ledger = world.ledger('outage');
  const request = (name: string) => story.request(`run: echo ${name} >> ${ledger.path}`);
  const rules = { every: [`${EVERY_MS / 1_000}s`], overlap: 'allow-all' };
  await story.schedules.create(all, request(all), scheduleRules({ ...rules, catchUp: '1h' }), LIVE);
  await story.schedules.create(some, request(some), scheduleRules({ ...rules, catchUp: '10s' }), LIVE);
  await until('both run', async () => {
    const views = await Promise.all([all, some].map((name) => story.schedules.view(name)));
    return views.every(({ counts }) => counts.started > 0);
  });
  await world.stopServer();
  const downAt = Date.now();
  await until('the outage is over', async () => Date.now() - downAt > DOWN_MS, DOWN_MS * 2);
  await world.killServer();
  const upAt = Date.now();
  await until('both go on', async () => {
    const views = await Promise.all([all, some].map((name) => story.schedules.runs(name, 100)));
    return views.every((jobs) => jobs.some(({ id }) => dueAt(id) > upAt));
  });
  await Promise.all([all, some].map((name) => story.schedules.pause(name, true)));
  const missed = (await story.schedules.view(some)).counts.missed;
  const [ofAll = [], ofSome = []] = await until(
    'all ended',
    async () => {
      const lists = await Promise.all([all, some].map((name) => story.schedules.runs(name, 100)));
      return lists.flat().every(({ status, queue }) => isManagedEnd(status) && queue === 'ended') ? lists : null;
    },
    180_000,
  );
  const times = ofAll.map(({ id }) => dueAt(id)).toSorted((a, b) => a - b);
  const first = times[0] ?? 0;
  expect(times, 'no time is left out, and none is there twice').toEqual(
    times.map((_, index) => first + index * EVERY_MS),
  );
  expect(missed).toBeGreaterThan(0);
  const within = ofSome.map(({ id }) => dueAt(id)).filter((at) => at > downAt && at < upAt);
  expect(within.length, 'some of the time within ten seconds').toBeLessThan(DOWN_MS / EVERY_MS);
  for (const list of [ofAll, ofSome]) expect(list.map(({ status }) => status)).toEqual(list.map(() => 'SUCCEEDED'));
  expect(ledger.lines().length).toBe(ofAll.length + ofSome.length);
  await Promise.all([all, some].map((name) => story.schedules.remove(name)));
  await story.nothingLeft();
});
