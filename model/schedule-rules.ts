/** When a schedule is due, and what becomes of runs that meet or were missed. Pure. */
import { formatDuration, parseDuration } from './duration.ts';
import { StyxError } from './errors.ts';
import { parseCalendar, parseCron } from './schedule-fields.ts';
import { nearestWord } from './spelling.ts';
import { checkedZone, parseMoment, zoneAndUtc } from './time-zone.ts';

/**
 * What happens to a run that is due while another one goes on. skip: it is left out. buffer-one: it waits, and those after it are left out.
 * buffer-all: all wait. cancel: the other one is cancelled and its machines go, then it starts. allow-all: both run.
 */
export const OVERLAPS = ['skip', 'buffer-one', 'buffer-all', 'cancel', 'allow-all'] as const;
export type Overlap = (typeof OVERLAPS)[number];

export interface ScheduleRules {
  /** Lines of cron; see `parseCron`. */
  readonly crons: readonly string[];
  /** See `parseCalendar`. */
  readonly calendars: readonly string[];
  /** Seconds, counted from the beginning of 1970 and moved by `offset`. */
  readonly intervals: readonly { readonly every: number; readonly offset: number }[];
  /** Calendars whose moments are left out. */
  readonly skips: readonly string[];
  /** Of cron lines and calendars. */
  readonly zone: string;
  /** Seconds, at most, by which each run is put off at random. */
  readonly jitter: number;
  readonly overlap: Overlap;
  /** Seconds for which a run that was due while no server was there is made up for. */
  readonly catchUp: number;
  /** ms; null: from now on, for ever. */
  readonly startAt: number | null;
  readonly endAt: number | null;
}

/** As people write them; what is not given is as it was. Any of the times takes the place of all of them. */
export interface WrittenRules {
  readonly cron?: readonly string[];
  readonly calendar?: readonly string[];
  /** `6h`, `1d+9h`: every day, nine hours after its beginning in UTC. */
  readonly every?: readonly string[];
  readonly skip?: readonly string[];
  readonly timezone?: string;
  readonly jitter?: string;
  readonly overlap?: string;
  readonly catchUp?: string;
  readonly startAt?: string;
  readonly endAt?: string;
}

export const DEFAULT_RULES: ScheduleRules = {
  crons: [],
  calendars: [],
  intervals: [],
  skips: [],
  zone: 'UTC',
  jitter: 0,
  overlap: 'skip',
  catchUp: 600,
  startAt: null,
  endAt: null,
};

/** The server takes less for this. */
const LEAST_CATCH_UP = 10;

/** @throws invalid naming what cannot be understood */
export function scheduleRules(written: WrittenRules, before: ScheduleRules = DEFAULT_RULES): ScheduleRules {
  const zone = written.timezone === undefined ? before.zone : checkedZone(written.timezone);
  const { cron = [], calendar = [], every = [] } = written;
  const times = [...cron, ...calendar, ...every].length > 0;
  const rules: ScheduleRules = {
    crons: times ? cron.map(squeezed) : before.crons,
    calendars: times ? calendar.map(squeezed) : before.calendars,
    intervals: times ? every.map(intervalOf) : before.intervals,
    skips: written.skip === undefined ? before.skips : written.skip.map(squeezed).filter((one) => one !== 'none'),
    zone,
    jitter: written.jitter === undefined ? before.jitter : seconds(written.jitter, '--jitter', 0),
    overlap: written.overlap === undefined ? before.overlap : overlapOf(written.overlap),
    catchUp: written.catchUp === undefined ? before.catchUp : seconds(written.catchUp, '--catch-up', LEAST_CATCH_UP),
    startAt: momentOf(written.startAt, before.startAt, zone, '--start-at'),
    endAt: momentOf(written.endAt, before.endAt, zone, '--end-at'),
  };
  for (const line of rules.crons) parseCron(line);
  for (const one of [...rules.calendars, ...rules.skips]) parseCalendar(one);
  if ([...rules.crons, ...rules.calendars, ...rules.intervals].length === 0) {
    throw new StyxError('invalid', 'a schedule needs times', {
      hint: 'Pass --cron "0 9 * * MON-FRI", --every 6h or --calendar "hour=9 day-of-week=MON-FRI".',
    });
  }
  const { startAt, endAt } = rules;
  if (startAt !== null && endAt !== null && endAt <= startAt) {
    throw new StyxError('invalid', '--end-at is not after --start-at', { hint: 'Nothing would ever be due.' });
  }
  return rules;
}

/** @throws invalid */
export function overlapOf(text: string): Overlap {
  const word = text.toLowerCase().replaceAll('_', '-');
  const found = OVERLAPS.find((one) => one === word);
  if (found !== undefined) return found;
  if (/^terminate/.test(word)) {
    throw new StyxError('invalid', `--overlap ${text}: a job that is terminated leaves its machines behind`, {
      hint: 'Use cancel: the run ends with its machines before the next one begins.',
    });
  }
  const near = nearestWord(word, OVERLAPS);
  throw new StyxError('invalid', `--overlap ${text}: must be one of ${OVERLAPS.join(', ')}`, {
    ...(near === null ? {} : { hint: `Did you mean ${near}?` }),
  });
}

function squeezed(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ');
}

function seconds(text: string, option: string, least: number): number {
  const found = parseDuration(text);
  if (found !== null && found >= least) return Math.round(found);
  if (text.trim() === '0' && least === 0) return 0;
  const limit = least === 0 ? '' : `, ${least}s at least`;
  throw new StyxError('invalid', `${option} ${JSON.stringify(text)} is no length of time`, {
    hint: `Lengths are such as 30s, 10m and 1h 30m${limit}.`,
  });
}

function intervalOf(text: string): { every: number; offset: number } {
  const [length = '', offset, ...more] = text.split('+');
  const found = parseDuration(length);
  const moved = offset === undefined ? 0 : parseDuration(offset);
  if (found === null || moved === null || more.length > 0 || found < 1 || !Number.isInteger(found)) {
    throw new StyxError('invalid', `--every ${JSON.stringify(text)} is no interval`, {
      hint: 'Intervals are such as 30m, 6h and 1d+9h (every day, nine hours after midnight in UTC); a second is the least.',
    });
  }
  if (moved < found) return { every: found, offset: Math.round(moved) };
  throw new StyxError('invalid', `--every ${JSON.stringify(text)}: the part after + must be less than the interval`);
}

function momentOf(text: string | undefined, before: number | null, zone: string, option: string): number | null {
  if (text === undefined) return before;
  return text === 'none' ? null : parseMoment(text, zone, option);
}

/** For people: `"0 9 * * MON-FRI", every 6h; Europe/Berlin`. */
export function timesText({ crons, calendars, intervals, skips, zone, jitter, startAt, endAt }: ScheduleRules): string {
  const times = [
    ...[...crons, ...calendars].map((one) => `"${one}"`),
    ...intervals.map(({ every, offset }) => `every ${exact(every)}${offset === 0 ? '' : ` after ${exact(offset)}`}`),
  ];
  const zoned = crons.length + calendars.length + skips.length > 0;
  return [
    `${times.join(', ') || 'never'}${zoned ? ` ${zone}` : ''}`,
    ...(skips.length === 0 ? [] : [`not at ${skips.map((one) => `"${one}"`).join(', ')}`]),
    ...(jitter === 0 ? [] : [`up to ${exact(jitter)} later`]),
    ...(startAt === null ? [] : [`from ${zoneAndUtc(startAt, zone)}`]),
    ...(endAt === null ? [] : [`until ${zoneAndUtc(endAt, zone)}`]),
  ].join('; ');
}

function exact(length: number): string {
  const text = formatDuration(length);
  return parseDuration(text) === length ? text : `${length}s`;
}
