/** Fields of cron lines and of calendars, as ranges of whole numbers. Pure. */
import { StyxError } from './errors.ts';
import { nearestWord } from './spelling.ts';

/** `start` to `end`, both in it, every `step`. */
export interface Range {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** One set of moments: all fields hold at once. */
export interface Moments {
  readonly second: readonly Range[];
  readonly minute: readonly Range[];
  readonly hour: readonly Range[];
  readonly dayOfMonth: readonly Range[];
  /** 1 is January. */
  readonly month: readonly Range[];
  /** 0 is Sunday. */
  readonly dayOfWeek: readonly Range[];
  /** Null: each. */
  readonly year: readonly Range[] | null;
}

export const MONTHS = 'JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER'.split(
  ' ',
);
export const DAYS = 'SUNDAY MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY'.split(' ');

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** For `names[i]` stands `min + i`; the first three letters do. */
  readonly names?: readonly string[];
}

const SECOND: Field = { name: 'second', min: 0, max: 59 };
const MINUTE: Field = { name: 'minute', min: 0, max: 59 };
const HOUR: Field = { name: 'hour', min: 0, max: 23 };
const DAY: Field = { name: 'day of the month', min: 1, max: 31 };
const MONTH: Field = { name: 'month', min: 1, max: 12, names: MONTHS };
/** Sunday is 0 and 7. */
const WEEKDAY: Field = { name: 'day of the week', min: 0, max: 7, names: DAYS };
const YEAR: Field = { name: 'year', min: 2000, max: 2100 };

const CALENDAR_FIELDS: ReadonlyMap<string, Field> = new Map(
  Object.entries({
    second: SECOND,
    minute: MINUTE,
    hour: HOUR,
    'day-of-month': DAY,
    month: MONTH,
    'day-of-week': WEEKDAY,
    year: YEAR,
  }),
);

const SHORTHANDS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    '@hourly': '0 * * * *',
    '@daily': '0 0 * * *',
    '@midnight': '0 0 * * *',
    '@weekly': '0 0 * * 0',
    '@monthly': '0 0 1 * *',
    '@yearly': '0 0 1 1 *',
    '@annually': '0 0 1 1 *',
  }),
);

const CRON_HINT =
  'Five fields are: minute, hour, day of the month, month, day of the week; such as "30 9 * * MON-FRI".';
const ALL_DAYS: readonly Range[] = [{ start: 1, end: 31, step: 1 }];
const ALL_WEEKDAYS: readonly Range[] = [{ start: 0, end: 6, step: 1 }];
const MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * The moments of a line of cron. Where both a day of the month and of the week are given either is enough, as cron has it: these are two sets.
 * @throws invalid
 */
export function parseCron(text: string): Moments[] {
  const what = `the cron line ${quoted(text)}`;
  const line = text.trim();
  if (line.startsWith('@') && !SHORTHANDS.has(line)) {
    const near = nearestWord(line, [...SHORTHANDS.keys()]);
    throw invalid(`${what} is none: ${line} is not known`, near === null ? CRON_HINT : `Did you mean ${near}?`);
  }
  const fields = (SHORTHANDS.get(line) ?? line).split(/\s+/);
  const [minute = '', hour = '', day = '', month = '', weekday = '', ...more] = fields;
  if (weekday === '' || more.length > 0) {
    throw invalid(`${what} has ${line === '' ? 0 : fields.length} fields`, CRON_HINT);
  }
  const at = {
    second: [{ start: 0, end: 0, step: 1 }],
    minute: parseField(minute, MINUTE, what),
    hour: parseField(hour, HOUR, what),
    month: parseField(month, MONTH, what),
    year: null,
  };
  const days = parseField(day, DAY, what);
  const weekdays = parseField(weekday, WEEKDAY, what);
  const either = !day.startsWith('*') && !weekday.startsWith('*');
  const sets: Moments[] = either
    ? [
        { ...at, dayOfMonth: days, dayOfWeek: ALL_WEEKDAYS },
        { ...at, dayOfMonth: ALL_DAYS, dayOfWeek: weekdays },
      ]
    : [{ ...at, dayOfMonth: days, dayOfWeek: weekdays }];
  return sets.map((set) => possible(set, what));
}

/**
 * `hour=9,17 minute=30 day-of-week=MON-FRI`. Minute, hour and second are 0 where they are not given; days, months and years are all.
 * @throws invalid
 */
export function parseCalendar(text: string): Moments {
  const what = `the calendar ${quoted(text)}`;
  const known = [...CALENDAR_FIELDS.keys()];
  const given = new Map<string, Range[]>();
  for (const part of text.trim().split(/\s+/).filter(Boolean)) {
    const [name = '', value, ...more] = part.split('=');
    const field = CALENDAR_FIELDS.get(name.toLowerCase());
    if (field === undefined) {
      const near = nearestWord(name, known);
      const hint = near === null ? `Its fields are ${known.join(', ')}.` : `Did you mean ${near}?`;
      throw invalid(`${what} has no field ${quoted(name)}`, hint);
    }
    if (value === undefined || value === '' || more.length > 0) {
      throw invalid(`${what}: ${quoted(part)} is not of the form field=value`, 'Such as "hour=9 day-of-week=MON-FRI".');
    }
    if (given.has(name.toLowerCase())) throw invalid(`${what} has the field ${name} twice`, 'Write 9,17 for several.');
    given.set(name.toLowerCase(), parseField(value, field, what));
  }
  if (given.size === 0) throw invalid(`${what} is empty`, 'Such as "hour=9 day-of-week=MON-FRI".');
  const zero = [{ start: 0, end: 0, step: 1 }];
  const moments: Moments = {
    second: given.get('second') ?? zero,
    minute: given.get('minute') ?? zero,
    hour: given.get('hour') ?? zero,
    dayOfMonth: given.get('day-of-month') ?? ALL_DAYS,
    month: given.get('month') ?? [{ start: 1, end: 12, step: 1 }],
    dayOfWeek: given.get('day-of-week') ?? ALL_WEEKDAYS,
    year: given.get('year') ?? null,
  };
  return possible(moments, what);
}

/** Is a number in one of the ranges? */
export function inRanges(value: number, ranges: readonly Range[]): boolean {
  return ranges.some(({ start, end, step }) => value >= start && value <= end && (value - start) % step === 0);
}

function possible(moments: Moments, what: string): Moments {
  const some = MONTH_DAYS.some(
    (days, index) =>
      inRanges(index + 1, moments.month) &&
      Array.from({ length: days }, (_, day) => day + 1).some((day) => inRanges(day, moments.dayOfMonth)),
  );
  if (some) return moments;
  throw invalid(`${what} never comes: no such month has that day`, 'See the day of the month and the month.');
}

function parseField(text: string, field: Field, what: string): Range[] {
  return text.split(',').flatMap((part) => parsePart(part, field, what));
}

function parsePart(part: string, field: Field, what: string): Range[] {
  const match = /^(\*|[A-Za-z\d]+)(?:-([A-Za-z\d]+))?(?:\/(\d+))?$/.exec(part);
  if (match === null || (match[1] === '*' && match[2] !== undefined)) {
    throw invalid(
      `${what}: ${quoted(part)} is no ${field.name}`,
      'Fields are such as *, 5, 1-5, 1,3,5, */15 and 10-40/10.',
    );
  }
  const [, from = '', to, by] = match;
  const step = by === undefined ? 1 : Number(by);
  if (step < 1) throw invalid(`${what}: the step of ${quoted(part)} must be 1 or more`, CRON_HINT);
  const last = field === WEEKDAY ? 6 : field.max;
  if (from === '*') return [{ start: field.min, end: last, step }];
  const start = numberOf(from, field, what);
  const end = to === undefined ? (by === undefined ? start : Math.max(start, last)) : numberOf(to, field, what);
  // Of a week that ends with its Sunday.
  const upTo = field === WEEKDAY && end === 0 && start > 0 && to !== undefined ? 7 : end;
  if (upTo < start) {
    throw invalid(
      `${what}: ${quoted(part)} ends before it begins`,
      `Write two, such as ${from}-${last},${field.min}-${to}.`,
    );
  }
  if (field !== WEEKDAY || upTo < 7) return [{ start, end: upTo, step }];
  const days = Array.from({ length: Math.floor((upTo - start) / step) + 1 }, (_, index) => start + index * step);
  return [...new Set(days.map((day) => day % 7))]
    .toSorted((a, b) => a - b)
    .map((day) => ({ start: day, end: day, step: 1 }));
}

function numberOf(text: string, field: Field, what: string): number {
  const { name, min, max, names = [] } = field;
  const value = /^\d+$/.test(text) ? Number(text) : min + named(text, names);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const near = /^\d+$/.test(text) ? null : nearestWord(text, [...names, ...names.map((one) => one.slice(0, 3))]);
  throw invalid(
    `${what}: ${quoted(text)} is no ${name}`,
    near === null ? `It can be ${min} to ${max}${names.length === 0 ? '' : ', or a name'}.` : `Did you mean ${near}?`,
  );
}

function named(text: string, names: readonly string[]): number {
  const upper = text.toUpperCase();
  const index = upper.length < 3 ? -1 : names.findIndex((name) => name === upper || name.slice(0, 3) === upper);
  return index < 0 ? Number.NaN : index;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

function invalid(message: string, hint: string): StyxError {
  return new StyxError('invalid', message, { hint });
}
