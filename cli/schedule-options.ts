/** Options of schedules, of jobs and of clusters. */
import { type Command, Option } from 'commander';
import type { WrittenRules } from '../model/schedule-rules.ts';
import { collect } from './options.ts';

/** When: what any schedule has. */
export function timeOptions(command: Command): Command {
  return command
    .option('--cron <line>', 'when: five fields of cron, "30 9 * * MON-FRI"; may be repeated', collect)
    .option('--every <length>', 'when: 6h; 1d+9h is every day at nine in UTC; may be repeated', collect)
    .option('--calendar <fields>', 'when: "hour=9,17 day-of-week=MON-FRI"; may be repeated', collect)
    .option('--skip <fields>', 'not then: "day-of-month=25 month=DEC"; none takes all back; may be repeated', collect)
    .option('--timezone <zone>', 'of cron lines and calendars, such as Europe/Berlin; default UTC')
    .option('--jitter <length>', 'put each run off at random, by at most this')
    .option('--catch-up <length>', 'what was due while no server was there is made up for within this; default 10m')
    .option('--start-at <date>', 'not before: 2030-01-31, 2030-01-31T15:04; none takes it back')
    .option('--end-at <date>', 'not after; none takes it back');
}

export function overlapOption(command: Command, description: string): Command {
  return command.addOption(new Option('--overlap <policy>', description));
}

/** Those of `timeOptions` and `overlapOption` among the options of a command. */
export function writtenRules(options: WrittenRules): WrittenRules {
  const { cron, every, calendar, skip, timezone, jitter, overlap, catchUp, startAt, endAt } = options;
  const given = { cron, every, calendar, skip, timezone, jitter, overlap, catchUp, startAt, endAt };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
