/** Managed jobs at given times, by schedules of the real server. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobSummary } from '../../client/job-lists.ts';
import { isManagedEnd } from '../../model/managed-job.ts';
import { scheduleRules } from '../../model/schedule-rules.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

const ANY = { paused: false, note: '', remaining: null };
const PAUSED = { ...ANY, paused: true };
const HOUR_MS = 3_600_000;

let world: World;
let story: JobStory;
let names = 0;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world);
});
afterAll(async () => {
  await story.close();
  await world.end();
});

function fresh(what: string): string {
  names += 1;
  return `${what}-${process.pid}-${names}-${Date.now() % 1e6}`;
}

/** Waits for jobs of a schedule, oldest first. */
async function runs(name: string, what: string, fits: (jobs: JobSummary[]) => boolean): Promise<JobSummary[]> {
  return await until(`${name} ${what}`, async () => {
    const found = (await story.schedules.runs(name, 100)).toReversed();
    return fits(found) ? found : null;
  });
}

const allEnded = (jobs: JobSummary[]) => jobs.every(({ status, queue }) => isManagedEnd(status) && queue === 'ended');

test('a run is a job of its own with the files and secrets of its schedule, which keeps them out of the collection of files', async () => {
  const ledger = world.ledger('run');
  const name = fresh('run');
  const workdir = join(world.home, name);
  mkdirSync(workdir);
  writeFileSync(join(workdir, 'word'), 'as it was');
  const yaml = `name: ${name}\nworkdir: ${workdir}\nsecrets: {TOKEN: hush}\nrun: echo "$(cat word) $TOKEN $STYX_MANAGED_JOB_ID" >> ${ledger.path}`;
  await story.schedules.create(name, story.request(yaml), scheduleRules({ cron: ['0 4 * * *'] }), PAUSED);
  writeFileSync(join(workdir, 'word'), 'changed');
  await world.styx.collectFiles({ graceMs: 0 });
  const ids = [];
  for (let i = 0; i < 2; i++) {
    // The workflow of one that has ended may have a last word to say.
    const triggered = await story.schedules.trigger(name, 'buffer-one');
    expect(triggered.outcome).toBe('started');
    if (triggered.outcome !== 'started') return;
    const view = await story.ends(triggered.workflowId, 'SUCCEEDED');
    expect(view).toMatchObject({ schedule: name, name });
    expect(Date.now() - view.submittedAt).toBeLessThan(HOUR_MS);
    ids.push(view.number);
  }
  expect(new Set(ids).size, 'each has a number of its own').toBe(2);
  expect(ledger.lines()).toEqual(ids.map((id) => `as it was hush ${id}`));
  const listed = await runs(name, 'ran twice', (jobs) => jobs.length === 2 && allEnded(jobs));
  expect(listed.map(({ number, schedule }) => [number, schedule])).toEqual(ids.map((id) => [id, name]));
  expect((await story.schedules.view(name)).counts).toMatchObject({ started: 2, skipped: 0, missed: 0 });
  await story.nothingLeft();
  expect(await story.schedules.remove(name)).toBe(true);
  expect(await story.schedules.remove(name)).toBe(false);
  await until('its files are nobody’s', async () => (await world.styx.collectFiles({ graceMs: 0 })).manifests > 0);
});

test('a run that is due while another one goes on is left out, waits, or takes its place, as the schedule says', async () => {
  const ledger = world.ledger('overlap');
  const name = fresh('overlap');
  const yaml = `name: ${name}\nrun: echo "$STYX_MANAGED_JOB_ID" >> ${ledger.path}; sleep 300`;
  await story.schedules.create(name, story.request(yaml), scheduleRules({ cron: ['@yearly'] }), ANY);
  const first = await story.schedules.trigger(name);
  if (first.outcome !== 'started') throw new Error(first.outcome);
  await story.is(first.workflowId, 'RUNNING');
  expect(await story.schedules.trigger(name)).toEqual({ outcome: 'skipped' });
  await story.schedules.update(name, { rules: (before) => scheduleRules({ overlap: 'cancel' }, before) });
  const second = await story.schedules.trigger(name);
  await story.ends(first.workflowId, 'CANCELLED');
  const [, next] = await runs(name, 'was replaced', (jobs) => jobs[1]?.status === 'RUNNING');
  if (second.outcome === 'started') expect(next?.id).toBe(second.workflowId);
  expect(await world.machinesLeft(), 'the machines of the first are gone').toHaveLength(1);
  // A buffered one starts when the other has ended.
  const waits = story.schedules.trigger(name, 'buffer-all');
  await until('one waits', async () => (await story.schedules.view(name)).counts.waiting === 1);
  await story.jobs.cancel(next?.id ?? '');
  const [, , third] = await runs(name, 'went on', (jobs) => jobs[2]?.status === 'RUNNING');
  await waits;
  await story.schedules.remove(name);
  expect((await story.jobs.view(third?.id ?? '')).status, 'it goes on without its schedule').toBe('RUNNING');
  await story.jobs.cancel(third?.id ?? '');
  await story.ends(third?.id ?? '', 'CANCELLED');
  expect(ledger.lines()).toHaveLength(3);
  await story.nothingLeft();
});

test('runs come by themselves until the schedule is paused, and go on when it is resumed, until none remain', async () => {
  const ledger = world.ledger('due');
  const name = fresh('due');
  const request = story.request(`run: echo ran >> ${ledger.path}`);
  const rules = scheduleRules({ every: ['1s'], overlap: 'skip' });
  await story.schedules.create(name, request, rules, { paused: false, note: '', remaining: 2 });
  await runs(name, 'came to its end', (jobs) => jobs.length === 2 && allEnded(jobs));
  const done = await story.schedules.view(name);
  expect([done.state.remaining, done.next]).toEqual([0, []]);
  await story.schedules.update(name, {
    request: story.request(`run: echo changed >> ${ledger.path}`),
    state: { remaining: 1, paused: true },
  });
  await story.schedules.pause(name, true, 'not now');
  expect((await story.schedules.view(name)).state).toMatchObject({ paused: true, note: 'not now' });
  expect(ledger.lines()).toEqual(['ran', 'ran']);
  await story.schedules.pause(name, false);
  await runs(name, 'went on', (jobs) => jobs.length === 3 && allEnded(jobs));
  expect(ledger.lines()).toEqual(['ran', 'ran', 'changed']);
  await story.schedules.remove(name);
  await story.nothingLeft();
});

test('a span of the past is filled in once: what ran already does not run again', async () => {
  const ledger = world.ledger('backfill');
  const name = fresh('backfill');
  const yaml = `run: echo "$STYX_MANAGED_JOB_ID" >> ${ledger.path}`;
  await story.schedules.create(name, story.request(yaml), scheduleRules({ every: ['1h'] }), PAUSED);
  const noon = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS;
  const one = await story.schedules.backfill(name, noon, noon, 'buffer-all');
  expect(one).toEqual({ started: [noon], had: [] });
  await runs(name, 'ran once', (jobs) => jobs.length === 1 && allEnded(jobs));
  const more = await story.schedules.backfill(name, noon, noon + 2 * HOUR_MS, 'allow-all');
  expect(more).toEqual({ started: [noon + HOUR_MS, noon + 2 * HOUR_MS], had: [noon] });
  await runs(name, 'was filled in', (jobs) => jobs.length === 3 && allEnded(jobs));
  const again = await story.schedules.backfill(name, noon, noon + 2 * HOUR_MS, 'allow-all');
  expect(again.started).toEqual([]);
  expect(ledger.lines()).toHaveLength(3);
  await expect(story.schedules.backfill(name, noon, Date.now() + HOUR_MS, 'skip')).rejects.toThrow(/still to come/);
  await story.schedules.update(name, { rules: (before) => scheduleRules({ jitter: '1m' }, before) });
  await expect(story.schedules.backfill(name, noon, noon, 'skip')).rejects.toThrow(/put off at random/);
  await story.schedules.remove(name);
  await story.nothingLeft();
});

test('a name that is taken, and one that there is not, are told by name; what a schedule says is read back as it was written', async () => {
  const name = fresh('told');
  const request = story.request('run: "true"');
  const rules = scheduleRules({
    cron: ['0 9 * * MON-FRI', '0 12 1 * SAT'],
    calendar: ['hour=8-18/2 month=JAN,JUL year=2040'],
    every: ['1d+9h'],
    skip: ['day-of-month=25 month=DEC'],
    timezone: 'Europe/Berlin',
    jitter: '90s',
    overlap: 'buffer-one',
    catchUp: '2h',
    startAt: '2040-01-01',
    endAt: '2041-01-01T12:00',
  });
  await story.schedules.create(name, request, rules, { ...PAUSED, note: 'for the tests' });
  const view = await story.schedules.view(name);
  expect(view.rules).toEqual(rules);
  expect(view.state).toEqual({ paused: true, note: 'for the tests', remaining: null });
  await expect(story.schedules.create(name, request, rules, ANY)).rejects.toMatchObject({ kind: 'refused' });
  await until('it is listed', async () => (await story.schedules.list()).some((one) => one.name === name));
  await expect(story.schedules.view(`${name}x`)).rejects.toMatchObject({
    kind: 'not-found',
    hint: expect.stringContaining(name),
  });
  await expect(story.schedules.pause('nobody', true)).rejects.toMatchObject({ kind: 'not-found' });
  await story.schedules.remove(name);
});
