/** `styx schedule`: a cluster that comes up and goes at given times. */
import { lastChecks } from '../client/checks.ts';
import { onAllowedClouds, onEnabledClouds } from '../client/clouds.ts';
import type { ClusterScheduleView, SideView } from '../client/cluster-schedules.ts';
import { StyxError } from '../model/errors.ts';
import { SIDES, type Side } from '../model/office-hours.ts';
import { resourcesText } from '../model/resources-text.ts';
import { type ScheduleRules, scheduleRules, timesText, type WrittenRules } from '../model/schedule-rules.ts';
import { zoneAndUtc } from '../model/time-zone.ts';
import { styxHome } from '../system/home.ts';
import { confirm } from './confirm.ts';
import { isoTime } from './format.ts';
import type { CommonOptions, Context } from './run.ts';
import { formatTable, plain } from './table.ts';
import { readTask, type TaskOptions } from './task-input.ts';

interface HoursOptions extends CommonOptions {
  readonly up?: readonly string[];
  readonly down?: readonly string[];
  readonly timezone?: string;
  readonly yes?: boolean;
}

/**
 * A stop that an outage kept from coming is made up for within a day, since the machines cost until then; that it does not hit the next
 * day's cluster is seen to by the step itself.
 */
const DOWN_CATCH_UP = '24h';
const NEXT_SHOWN = 3;
/** Any other option is one of a task: machines without a job are asked for then. */
const OF_SCHEDULES = ['up', 'down', 'timezone', 'end', 'yes', 'output', 'config', 'debug'];

export async function createHours(
  context: Context,
  cluster: string,
  entrypoint: string[],
  options: HoursOptions & TaskOptions & { readonly end?: boolean },
): Promise<number> {
  if (options.up === undefined || options.down === undefined) {
    throw new StyxError('invalid', 'the hours of a cluster need --up and --down', {
      hint: `Such as --up "0 9 * * MON-FRI" --down "0 18 * * MON-FRI".`,
    });
  }
  const up = scheduleRules(written(options, 'up'));
  const down = scheduleRules({ ...written(options, 'down'), catchUp: DOWN_CATCH_UP });
  const isLaunch = entrypoint.length > 0 || Object.keys(options).some((name) => !OF_SCHEDULES.includes(name));
  const launch = isLaunch ? await launchOf(context, entrypoint, options) : null;
  const end = options.end === true ? 'down' : 'stop';
  await confirm(`Cluster '${cluster}': up ${timesText(up)}; ${end} ${timesText(down)}.`, options.yes);
  const { clusterSchedules } = await context.styx();
  await clusterSchedules.create(
    cluster,
    { up, down, end, launch },
    { onProgress: (text) => context.progress.update(text), onNote: (text) => context.progress.line(text) },
  );
  return await print(context, cluster, options);
}

export async function updateHours(context: Context, cluster: string, options: HoursOptions): Promise<number> {
  const { up, down, timezone } = options;
  if ([up, down, timezone].every((one) => one === undefined)) {
    throw new StyxError('invalid', 'nothing to change was given', { hint: 'Pass --up, --down or --timezone.' });
  }
  await confirm(`Changing the hours of cluster '${cluster}'.`, options.yes);
  const { clusterSchedules } = await context.styx();
  const change = (side: Side) => (before: ScheduleRules) => scheduleRules(written(options, side), before);
  await clusterSchedules.update(cluster, { up: change('up'), down: change('down') });
  return await print(context, cluster, options);
}

export async function listHours(context: Context, options: CommonOptions): Promise<number> {
  const { clusterSchedules } = await context.styx();
  const found = await clusterSchedules.list();
  context.progress.stop();
  if (options.output === 'json') out(JSON.stringify(found.map(viewJson), null, 2));
  else if (found.length === 0) out('No schedules of clusters.');
  else {
    const rows = found.map(({ cluster, up, down }) => [cluster, nextText(up, 1), nextText(down, 1), down?.does ?? '-']);
    out(formatTable(['CLUSTER', 'UP', 'DOWN', 'THEN'], rows));
  }
  return 0;
}

export async function showHours(context: Context, cluster: string, options: CommonOptions): Promise<number> {
  return await print(context, cluster, options);
}

export async function pauseHours(
  context: Context,
  cluster: string,
  paused: boolean,
  options: CommonOptions & { note?: string },
): Promise<number> {
  const { clusterSchedules } = await context.styx();
  await clusterSchedules.pause(cluster, paused, options.note);
  return await print(context, cluster, options);
}

export async function triggerHours(
  context: Context,
  cluster: string,
  side: string,
  options: CommonOptions,
): Promise<number> {
  const found = SIDES.find((one) => one === side);
  if (found === undefined) throw new StyxError('invalid', `${JSON.stringify(side)} must be up or down`);
  const { clusterSchedules } = await context.styx();
  const { outcome } = await clusterSchedules.trigger(cluster, found);
  context.progress.stop();
  if (options.output === 'json') out(JSON.stringify({ cluster, side: found, outcome }, null, 2));
  else
    out(outcome === 'started' ? `Begun; see \`styx status ${cluster}\`.` : 'It waits until the one before it is done.');
  return 0;
}

export async function deleteHours(
  context: Context,
  clusters: string[],
  options: CommonOptions & { yes?: boolean },
): Promise<number> {
  const { clusterSchedules } = await context.styx();
  for (const cluster of clusters) await clusterSchedules.view(cluster);
  await confirm(`Deleting the schedule of ${clusters.join(', ')}.`, options.yes);
  for (const cluster of clusters) await clusterSchedules.remove(cluster);
  context.progress.stop();
  if (options.output === 'json')
    out(
      JSON.stringify(
        clusters.map((cluster) => ({ cluster, deleted: true })),
        null,
        2,
      ),
    );
  else out(clusters.map((cluster) => `Schedule of ${cluster} deleted; the cluster stays as it is.`).join('\n'));
  return 0;
}

function written({ up, down, timezone }: HoursOptions, side: Side): WrittenRules {
  const cron = side === 'up' ? up : down;
  return { ...(cron === undefined ? {} : { cron }), ...(timezone === undefined ? {} : { timezone }) };
}

async function launchOf(context: Context, entrypoint: string[], options: TaskOptions) {
  const { config } = await context.config();
  const allowed = await onAllowedClouds(readTask(entrypoint, options), config.allowedClouds);
  const { task } = await onEnabledClouds(allowed, lastChecks(styxHome()));
  return { task, resourcesText: resourcesText(task), commandLine: 'styx schedule' };
}

function out(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function print(context: Context, cluster: string, options: CommonOptions): Promise<number> {
  const { clusterSchedules } = await context.styx();
  const view = await clusterSchedules.view(cluster);
  context.progress.stop();
  if (options.output === 'json') out(JSON.stringify(viewJson(view), null, 2));
  else out([`Cluster ${cluster}`, ...SIDES.map((side) => sideText(side, view[side]))].map(plain).join('\n'));
  return 0;
}

function nextText(side: SideView | null, shown = NEXT_SHOWN): string {
  if (side === null) return 'no schedule';
  const { state, next, rules } = side;
  if (state.paused) return `PAUSED${state.note === '' ? '' : `: ${state.note}`}`;
  return (
    next
      .slice(0, shown)
      .map((at) => zoneAndUtc(at, rules.zone))
      .join(', ') || 'never again'
  );
}

function sideText(side: Side, view: SideView | null): string {
  if (view === null) return `${side}: no schedule`;
  return `${side} (${view.does}): ${timesText(view.rules)}; next: ${nextText(view)}; ${view.counts.started} times so far`;
}

/** docs/cli.md describes this shape. */
function viewJson({ cluster, up, down }: ClusterScheduleView) {
  return { cluster, up: up && sideJson(up), down: down && sideJson(down) };
}

function sideJson({ does, user, rules, state, next, counts }: SideView) {
  const { crons, zone, catchUp } = rules;
  const { paused, note } = state;
  return {
    does,
    user,
    crons,
    zone,
    catchUp,
    paused,
    note,
    next: next.map((at) => isoTime(at)),
    started: counts.started,
  };
}
