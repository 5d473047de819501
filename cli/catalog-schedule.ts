/** `styx catalog schedule`: updates of catalogues by themselves. */
import type { CatalogScheduleView, CatalogTimes } from '../client/catalog-schedule.ts';
import type { PricesUpdated } from '../model/catalog-update.ts';
import { formatDuration, parseDuration } from '../model/duration.ts';
import { StyxError } from '../model/errors.ts';
import { isoTime } from './format.ts';
import type { CommonOptions, Context } from './run.ts';
import { plain } from './table.ts';

export interface ScheduleOptions extends CommonOptions {
  readonly every?: string;
  readonly cron?: string;
  readonly off?: boolean;
}

export async function scheduleUpdates(
  clouds: readonly string[],
  options: ScheduleOptions,
  context: Context,
): Promise<number> {
  const times = timesOf(options);
  if (clouds.length > 0 && times === null) {
    throw new StyxError('invalid', 'clouds are named with --every or --cron alone', {
      hint: 'Such as `styx catalog schedule aws --every 24h`.',
    });
  }
  if (clouds.length > 0) {
    const { findPriceApi } = await import('../catalogs/update/sources.ts');
    for (const cloud of clouds) findPriceApi(cloud);
  }
  const { catalogSchedule } = await context.styx();
  let hadOne = true;
  if (times !== null) await catalogSchedule.set(times, [...new Set(clouds.map((cloud) => cloud.toLowerCase()))]);
  else if (options.off === true) hadOne = await catalogSchedule.off();
  const view = await catalogSchedule.view();
  context.progress.stop();
  const text = options.output === 'json' ? JSON.stringify(viewJson(view), null, 2) : viewText(view, hadOne);
  process.stdout.write(`${text}\n`);
  return 0;
}

/** null: none are given. @throws invalid */
function timesOf({ every, cron, off }: ScheduleOptions): CatalogTimes | null {
  if ([every, cron, off].filter((one) => one !== undefined).length > 1) {
    throw new StyxError('invalid', '--every, --cron and --off exclude each other');
  }
  if (cron !== undefined) return { cron };
  if (every === undefined) return null;
  const seconds = parseDuration(every);
  if (seconds !== null) return { every: seconds };
  throw new StyxError('invalid', `--every takes a length of time such as 24h or 30m, not ${JSON.stringify(every)}`);
}

function viewText(view: CatalogScheduleView | null, hadOne: boolean): string {
  if (view === null) {
    return hadOne
      ? 'Catalogues are not updated by themselves; `styx catalog schedule --every 24h` has it done.'
      : 'There was no schedule.';
  }
  const { times, next, last } = view;
  const when = 'cron' in times ? `at "${times.cron}" (UTC)` : `every ${formatDuration(times.every)}`;
  const lines = [`Catalogues are updated ${when}; next: ${next.map((time) => isoTime(time)).join(', ') || 'never'}.`];
  if (last !== null) {
    const outcome = last.clouds === null ? last.status.toLowerCase() : last.clouds.map(cloudText).join(', ');
    lines.push(`Last: ${isoTime(last.at)}: ${outcome}`);
  }
  return lines.map(plain).join('\n');
}

function cloudText({ cloud, outcome, problem }: PricesUpdated): string {
  return outcome === 'failed' ? `${cloud} failed (${problem?.message ?? ''})` : `${cloud} ${outcome}`;
}

/** docs/cli.md describes this shape. */
function viewJson(view: CatalogScheduleView | null) {
  if (view === null) return null;
  const { times, next, last } = view;
  return { times, next: next.map((time) => isoTime(time)), last: last && { ...last, at: isoTime(last.at) } };
}
