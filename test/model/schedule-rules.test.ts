/** Times of schedules as people write them. */
import * as fc from 'fast-check';
import { expect, it, test } from 'vitest';
import { rulesOf, specOf } from '../../client/schedule-spec.ts';
import { StyxError } from '../../model/errors.ts';
import { inRanges, parseCalendar, parseCron } from '../../model/schedule-fields.ts';
import { OVERLAPS, scheduleRules, timesText } from '../../model/schedule-rules.ts';
import { scheduledId, scheduledJobsId, sealedFor } from '../../model/scheduled.ts';
import { checkedZone, parseMoment, zoneTime } from '../../model/time-zone.ts';
import { holds } from './holds.ts';

/** A cron field, and which values are in it. */
function field(min: number, max: number) {
  const value = fc.integer({ min, max });
  const part = fc.oneof(
    fc.constant({ text: '*', has: () => true }),
    fc.integer({ min: 1, max: 70 }).map((step) => ({ text: `*/${step}`, has: (v: number) => (v - min) % step === 0 })),
    value.map((one) => ({ text: `${one}`, has: (v: number) => v === one })),
    fc.tuple(value, value, fc.integer({ min: 1, max: 9 })).map(([a, b, step]) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      return { text: `${from}-${to}/${step}`, has: (v: number) => v >= from && v <= to && (v - from) % step === 0 };
    }),
  );
  return fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => ({
    text: parts.map(({ text }) => text).join(','),
    has: (v: number) => parts.some(({ has }) => has(v)),
  }));
}

test('a cron line holds the moments that its fields say, days of the month and of the week as cron has it', () => {
  const line = fc.tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6));
  const moment = fc.tuple(
    fc.nat(59),
    fc.nat(23),
    fc.integer({ min: 1, max: 28 }),
    fc.integer({ min: 1, max: 12 }),
    fc.nat(6),
  );
  const law = fc.property(line, fc.array(moment, { minLength: 20, maxLength: 20 }), (fields, moments) => {
    const [minute, hour, day, month, weekday] = fields;
    const sets = parseCron(fields.map(({ text }) => text).join(' '));
    for (const [m, h, d, mo, w] of moments) {
      const found = sets.some(
        (set) =>
          inRanges(m, set.minute) &&
          inRanges(h, set.hour) &&
          inRanges(d, set.dayOfMonth) &&
          inRanges(mo, set.month) &&
          inRanges(w, set.dayOfWeek),
      );
      const either = !day.text.startsWith('*') && !weekday.text.startsWith('*');
      const days = either ? day.has(d) || weekday.has(w) : day.has(d) && weekday.has(w);
      expect(found).toBe(minute.has(m) && hour.has(h) && month.has(mo) && days);
    }
  });
  holds(law, 300);
});

it.each([
  ['0 9 * * 7', [0]],
  ['0 9 * * SUN', [0]],
  ['0 9 * * FRI-SUN', [0, 5, 6]],
  ['0 9 * * 5-7', [0, 5, 6]],
  ['0 9 * * monday-wednesday', [1, 2, 3]],
  ['@weekly', [0]],
])('the days of %j', (line, days) => {
  const [set] = parseCron(line);
  expect([0, 1, 2, 3, 4, 5, 6].filter((day) => inRanges(day, set?.dayOfWeek ?? []))).toEqual(days);
});

test('any text is a cron line, a calendar or a clear error', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[\d*/,\-A-Z ]{0,30}$/));
  const law = fc.property(text, (given) => {
    for (const parse of [parseCron, parseCalendar]) {
      try {
        parse(given);
      } catch (error) {
        expect(error).toBeInstanceOf(StyxError);
        expect((error as StyxError).kind).toBe('invalid');
      }
    }
  });
  holds(law, 500);
});

test('what the server is told of rules reads back as the same rules', () => {
  const rules = scheduleRules({
    cron: ['*/5 1-3 * JAN-MAR MON', '@monthly'],
    calendar: ['hour=9 year=2030-2032'],
    every: ['90m+10m'],
    skip: ['month=12'],
    timezone: 'america/new_york',
    overlap: 'allow_all',
    startAt: '2030-01-01',
  });
  const { skip = [], calendars = [], intervals = [], ...spec } = specOf(rules);
  const description = { ...spec, skip, calendars, intervals } as never;
  const policies = { overlap: 'ALLOW_ALL', catchupWindow: 600_000, pauseOnFailure: false } as const;
  expect(rulesOf({ spec: description, policies })).toEqual(rules);
  expect(timesText(rules)).toBe(
    '"*/5 1-3 * JAN-MAR MON", "@monthly", "hour=9 year=2030-2032", every 1h 30m after 10m America/New_York; not at "month=12"; from 2030-01-01 00:00:00 America/New_York (05:00:00 UTC)',
  );
});

test('what is changed is what is given: times take the place of all times, the rest stays', () => {
  const before = scheduleRules({ cron: ['0 9 * * *'], skip: ['month=1'], jitter: '5m', endAt: '2030-01-01' });
  expect(scheduleRules({ every: ['1h'], endAt: 'none', skip: ['none'] }, before)).toEqual({
    ...before,
    crons: [],
    intervals: [{ every: 3_600, offset: 0 }],
    skips: [],
    endAt: null,
  });
  expect(scheduleRules({}, before)).toEqual(before);
  expect(OVERLAPS).not.toContain('terminate');
  expect(() => scheduleRules({ overlap: 'TERMINATE_OTHER' }, before)).toThrow(/leaves its machines behind/);
});

test('a time of a zone is the moment at which its clocks show it', () => {
  const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe'].map(checkedZone);
  const minutes = fc.integer({ min: Date.UTC(2000, 0) / 60_000, max: Date.UTC(2037, 0) / 60_000 });
  const law = fc.property(fc.constantFrom(...zones), minutes, (zone, minute) => {
    const shown = zoneTime(minute * 60_000, zone);
    const back = parseMoment(shown, zone, 'x');
    // An hour that clocks show twice is one of both.
    expect(zoneTime(back, zone)).toBe(shown);
    expect(parseMoment(new Date(minute * 60_000).toISOString().replace('.000', ''), zone, 'x')).toBe(minute * 60_000);
  });
  holds(law, 300);
  expect(() => parseMoment('2030-02-30', 'UTC', '--to')).toThrow('--to "2030-02-30" is no date');
});

test('all runs of a schedule share a seal, and nothing else does', () => {
  const base = scheduledJobsId('default', 'made-1');
  const at = Date.UTC(2030, 0, 2, 3, 4, 5);
  expect(scheduledId(base, at)).toBe(`${base}-2030-01-02T03:04:05Z`);
  expect(sealedFor(scheduledId(base, at))).toBe(base);
  expect(scheduledJobsId('default', 'made-2')).not.toBe(base);
  for (const other of [
    'job/default/mine-2030-01-02T03:04:05Z',
    `${base}/x`,
    'cluster/default/c',
    `x${base}-2030-01-02T03:04:05Z`,
  ]) {
    expect(sealedFor(other)).toBe(other);
  }
  expect(sealedFor('catalog-update-2030-01-02T03:04:05Z')).toBe('catalog-update');
});
