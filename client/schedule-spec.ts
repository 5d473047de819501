/** Rules of schedules as Temporal has them, and back. What people wrote stands in the comments of what was made of it. */
import {
  type CalendarSpec,
  type ScheduleDescription,
  ScheduleOverlapPolicy,
  type ScheduleSpec,
} from '@temporalio/client';
import { DAYS, MONTHS, type Moments, parseCalendar, parseCron, type Range } from '../model/schedule-fields.ts';
import type { Overlap, ScheduleRules } from '../model/schedule-rules.ts';

const POLICIES: Readonly<Record<Overlap, ScheduleOverlapPolicy>> = {
  skip: ScheduleOverlapPolicy.SKIP,
  'buffer-one': ScheduleOverlapPolicy.BUFFER_ONE,
  'buffer-all': ScheduleOverlapPolicy.BUFFER_ALL,
  cancel: ScheduleOverlapPolicy.CANCEL_OTHER,
  'allow-all': ScheduleOverlapPolicy.ALLOW_ALL,
};

/** In `temporal.api.enums.v1.ScheduleOverlapPolicy`. */
export const POLICY_NUMBERS: Readonly<Record<Overlap, number>> = {
  skip: 1,
  'buffer-one': 2,
  'buffer-all': 3,
  cancel: 4,
  'allow-all': 6,
};

const CRON = 'cron ';

export function specOf(rules: ScheduleRules): ScheduleSpec {
  const { crons, calendars, intervals, skips, zone, jitter, startAt, endAt } = rules;
  return {
    calendars: [
      ...crons.flatMap((line) => parseCron(line).map((moments) => calendarOf(moments, `${CRON}${line}`))),
      ...calendars.map((text) => calendarOf(parseCalendar(text), text)),
    ],
    intervals: intervals.map(({ every, offset }) => ({ every: every * 1_000, offset: offset * 1_000 })),
    skip: skips.map((text) => calendarOf(parseCalendar(text), text)),
    timezone: zone,
    jitter: jitter * 1_000,
    ...(startAt === null ? {} : { startAt: new Date(startAt) }),
    ...(endAt === null ? {} : { endAt: new Date(endAt) }),
  };
}

export function policiesOf({ overlap, catchUp }: ScheduleRules) {
  return { overlap: POLICIES[overlap], catchupWindow: catchUp * 1_000 };
}

function calendarOf(moments: Moments, comment: string): CalendarSpec {
  const { second, minute, hour, dayOfMonth, month, dayOfWeek, year } = moments;
  const named = <T extends string>(ranges: readonly Range[], names: readonly string[], first: number) =>
    ranges.map(({ start, end, step }) => ({ start: names[start - first] as T, end: names[end - first] as T, step }));
  return {
    second: [...second],
    minute: [...minute],
    hour: [...hour],
    dayOfMonth: [...dayOfMonth],
    month: named(month, MONTHS, 1),
    dayOfWeek: named(dayOfWeek, DAYS, 0),
    year: year === null ? '*' : [...year],
    comment,
  };
}

/** Of what somebody made by other means the times are told as far as they can be. */
export function rulesOf({ spec, policies }: Pick<ScheduleDescription, 'spec' | 'policies'>): ScheduleRules {
  const { calendars = [], intervals = [], skip = [], timezone, jitter = 0, startAt, endAt } = spec;
  const comments = [...new Set(calendars.map(({ comment }) => comment || 'a calendar made elsewhere'))];
  const overlap = (Object.keys(POLICIES) as Overlap[]).find((one) => POLICIES[one] === policies.overlap);
  return {
    crons: comments.filter((one) => one.startsWith(CRON)).map((one) => one.slice(CRON.length)),
    calendars: comments.filter((one) => !one.startsWith(CRON)),
    intervals: intervals.map(({ every, offset }) => ({ every: inSeconds(every), offset: inSeconds(offset ?? 0) })),
    skips: skip.map(({ comment }) => comment || 'a calendar made elsewhere'),
    zone: timezone || 'UTC',
    jitter: inSeconds(jitter),
    overlap: overlap ?? 'skip',
    catchUp: inSeconds(policies.catchupWindow),
    startAt: startAt?.getTime() ?? null,
    endAt: endAt?.getTime() ?? null,
  };
}

function inSeconds(duration: number | string): number {
  return Math.round(Number(duration) / 1_000);
}
