import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CommandLine } from '../harness/command-line.ts';

/** Schedules of managed jobs as a user meets them. */
const line = new CommandLine();
const { styx, ok, json } = line;
const schedule = (...args: string[]) => styx('jobs', 'schedule', ...args);

beforeAll(() => line.begin(), 120_000);
afterAll(async () => {
  await styx('jobs', 'cancel', '-a', '-y');
  await line.end();
}, 120_000);

test('what cannot be understood is refused with what would do, before anything is made', {
  timeout: 240_000,
}, async () => {
  const refused: readonly (readonly [string[], string, string])[] = [
    [['--cron', '0 9 * *'], 'has 4 fields', 'minute, hour, day of the month'],
    [['--cron', '61 9 * * *'], '"61" is no minute', '0 to 59'],
    [['--cron', '0 9 * * MONN'], '"MONN" is no day of the week', 'Did you mean MON?'],
    [['--cron', '0 0 31 2 *'], 'never comes', ''],
    [['--every', 'often'], '--every "often" is no interval', '30m'],
    [['--every', '1h+2h'], 'must be less than the interval', ''],
    [['--calendar', 'hours=9'], 'no field "hours"', 'Did you mean hour?'],
    [['--every', '1h', '--timezone', 'Europe/Berln'], 'no time zone', 'Europe/Berlin'],
    [['--every', '1h', '--overlap', 'terminate-other'], 'leaves its machines behind', 'Use cancel'],
    [['--every', '1h', '--overlap', 'skp'], 'must be one of', 'Did you mean skip?'],
    [['--every', '1h', '--jitter', 'some'], '--jitter "some"', '30s'],
    [['--every', '1h', '--catch-up', '1s'], '--catch-up "1s"', '10s at least'],
    [['--every', '1h', '--end-at', '2030-02-30'], '--end-at "2030-02-30" is no date', '2030-01-31'],
    [[], 'needs times', '--cron'],
  ];
  for (const [args, words, hint] of refused) {
    const { code, out, err } = await schedule('create', 'nightly', ...args, '-y', 'true');
    expect([code, out], args.join(' ')).toEqual([2, '']);
    expect(err).toContain(words);
    expect(err).toContain(hint);
  }
  expect((await schedule('create', 'nightly', '--every', '1h', 'true')).err).toContain('Pass -y');
  expect((await schedule('create', '9to5', '--every', '1h', '-y', 'true')).err).toContain(
    "name '9to5' must begin with a letter",
  );
  expect(await schedule('list')).toMatchObject({ code: 0, out: 'No schedules of jobs.\n' });
});

test('a schedule from its creation to its end', { timeout: 240_000 }, async () => {
  const file = join(line.home, 'task.yaml');
  writeFileSync(file, 'run: echo "hello from $STYX_MANAGED_JOB_ID"\n');
  const create = ['--cron', '30 9 * * MON-FRI', '--timezone', 'Asia/Tokyo', '--max-runs', '5', '--note', 'a test'];
  const created = await ok('jobs', 'schedule', 'create', 'morning', ...create, '-y', file);
  expect(created.out).toMatch(
    /^Schedule morning: "30 9 \* \* MON-FRI" Asia\/Tokyo\nJob: morning \(.*\nOverlap: skip; made up for within 600 s\nNext: \d{4}-\d\d-\d\d 09:30:00 Asia\/Tokyo \(00:30:00 UTC\), /,
  );
  const taken = await schedule('create', 'morning', '--every', '1h', '-y', 'true');
  expect([taken.code, taken.out]).toEqual([3, '']);
  expect(taken.err).toContain("There is a schedule 'morning' already");

  const triggered = await ok('jobs', 'schedule', 'trigger', 'morning');
  const number = Number(/Managed job (\d+) submitted/.exec(triggered.out)?.[1]);
  expect(await styx('jobs', 'logs', String(number))).toMatchObject({ code: 0, out: `hello from ${number}\n` });
  const [row] = await json('jobs', 'queue');
  expect(row).toMatchObject({ id: number, name: 'morning', scheduleName: 'morning', status: 'SUCCEEDED' });
  expect(await json('jobs', 'schedule', 'show', 'morning')).toMatchObject({
    name: 'morning',
    zone: 'Asia/Tokyo',
    crons: ['30 9 * * MON-FRI'],
    remaining: 5,
    counts: { started: 1, skipped: 0, missed: 0 },
    runs: [{ id: number, status: 'SUCCEEDED' }],
  });
  expect((await ok('jobs', 'schedule', 'show', 'morning')).out).toMatch(
    new RegExp(`\\nID +SUBMITTED +AGE +STATUS +REASON\\n${number} +.* Asia/Tokyo \\(.* UTC\\) +.* +SUCCEEDED`),
  );
  await expect
    .poll(async () => (await ok('jobs', 'schedule', 'list')).out, { timeout: 60_000 })
    .toMatch(/^NAME +WHEN +NEXT[\s\S]*\nmorning /);

  expect((await ok('jobs', 'schedule', 'pause', 'morning', '--note', 'on holiday')).out).toContain(
    'PAUSED: on holiday',
  );
  expect((await ok('jobs', 'schedule', 'resume', 'morning')).out).toContain('\nNext: ');
  const useless = await schedule('update', 'morning', '--gpus', 'A100', '-y');
  expect([useless.code, useless.err]).toEqual([
    2,
    expect.stringContaining('--gpus changes a task, and none was given'),
  ]);
  expect((await schedule('update', 'morning', '-y')).err).toContain('to change was given');
  const changed = await json('jobs', 'schedule', 'update', 'morning', '--every', '6h', '--overlap', 'cancel', '-y');
  expect(changed).toMatchObject({
    crons: [],
    intervals: [{ every: 21_600, offset: 0 }],
    overlap: 'cancel',
    remaining: 5,
  });
  expect(await json('jobs', 'schedule', 'update', 'morning', '--no-max-runs', '-y')).toMatchObject({ remaining: null });

  const future = await schedule('backfill', 'morning', '--from', '2030-01-01', '--to', '2099-01-01', '-y');
  expect([future.code, future.err]).toEqual([2, expect.stringContaining('is still to come')]);
  const filled = await json(
    'jobs',
    'schedule',
    'backfill',
    'morning',
    '--from',
    '2026-01-01T00:00Z',
    '--to',
    '2026-01-01T05:00Z',
    '-y',
  );
  expect(filled).toEqual({ started: ['2026-01-01T00:00:00.000Z'], had: [] });
  await expect
    .poll(async () => ((await json('jobs', 'queue')) as { status: string }[]).map(({ status }) => status), {
      timeout: 60_000,
    })
    .toEqual(['SUCCEEDED', 'SUCCEEDED']);

  const typo = await schedule('delete', 'mornin', '-y');
  expect([typo.code, typo.err]).toEqual([4, expect.stringContaining("Did you mean 'morning'?")]);
  expect((await ok('jobs', 'schedule', 'delete', 'morning', '-y')).out).toBe(
    'Schedule morning deleted; its jobs go on.\n',
  );
  expect((await schedule('show', 'morning')).code).toBe(4);
  expect((await ok('doctor')).out).toContain('Nothing is wrong');
});
