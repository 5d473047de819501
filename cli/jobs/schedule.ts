/** `styx jobs schedule`: managed jobs at given times. */
import { lastChecks } from '../../client/checks.ts';
import { onAllowedClouds, onEnabledClouds } from '../../client/clouds.ts';
import type { JobSummary } from '../../client/job-lists.ts';
import type { JobScheduleView } from '../../client/job-schedules.ts';
import type { JobRequest } from '../../client/jobs.ts';
import { StyxError } from '../../model/errors.ts';
import { resourcesText } from '../../model/resources-text.ts';
import {
  overlapOf,
  type ScheduleRules,
  scheduleRules,
  timesText,
  type WrittenRules,
} from '../../model/schedule-rules.ts';
import { parseMoment, zoneAndUtc } from '../../model/time-zone.ts';
import { styxHome } from '../../system/home.ts';
import { colourStatus } from '../colour.ts';
import { confirm } from '../confirm.ts';
import { clip, formatAge, isoTime } from '../format.ts';
import type { CommonOptions, Context } from '../run.ts';
import { writtenRules } from '../schedule-options.ts';
import { formatTable, plain } from '../table.ts';
import { readJob, type TaskOptions } from '../task-input.ts';
import { withStrategy } from './launch-options.ts';

interface Written extends CommonOptions, TaskOptions, WrittenRules {
  readonly jobRecovery?: string;
  readonly note?: string;
  readonly yes?: boolean;
}

export interface CreateOptions extends Written {
  readonly maxRuns?: number;
  readonly paused?: boolean;
}

export interface UpdateOptions extends Written {
  /** False: without an end. */
  readonly maxRuns?: number | boolean;
}

export interface BackfillOptions extends CommonOptions {
  readonly from: string;
  readonly to: string;
  readonly overlap?: string;
  readonly yes?: boolean;
}

const NEXT_SHOWN = 3;

export async function createSchedule(
  context: Context,
  name: string,
  entrypoint: string[],
  options: CreateOptions,
): Promise<number> {
  const rules = scheduleRules(writtenRules(options));
  const request = await requestOf(context, name, entrypoint, options);
  await confirm(`Creating the schedule '${name}': ${timesText(rules)}.`, options.yes);
  const { jobSchedules } = await context.styx();
  const state = { paused: options.paused ?? false, note: options.note ?? '', remaining: options.maxRuns ?? null };
  await jobSchedules.create(name, request, rules, state, told(context));
  return await print(context, name, options);
}

export async function updateSchedule(
  context: Context,
  name: string,
  entrypoint: string[],
  options: UpdateOptions,
): Promise<number> {
  const written = writtenRules(options);
  const { maxRuns, note } = options;
  // A note alone is a change too; --no-max-runs makes commander's default `true`, which is none.
  const remaining = maxRuns === false ? null : typeof maxRuns === 'number' ? maxRuns : undefined;
  const state = { ...(remaining === undefined ? {} : { remaining }), ...(note === undefined ? {} : { note }) };
  const request = entrypoint.length === 0 ? null : await requestOf(context, name, entrypoint, options);
  if (request === null) refuseTaskOptions(options);
  if (request === null && Object.keys(written).length === 0 && Object.keys(state).length === 0) {
    throw new StyxError('invalid', 'nothing to change was given', {
      hint: 'Pass times (--cron, --every, --calendar), other options, or a task.',
    });
  }
  await confirm(`Changing the schedule '${name}'.`, options.yes);
  const { jobSchedules } = await context.styx();
  const rules = (before: ScheduleRules) => scheduleRules(written, before);
  await jobSchedules.update(name, { rules, state, ...(request === null ? {} : { request }) }, told(context));
  return await print(context, name, options);
}

export async function listSchedules(context: Context, options: CommonOptions): Promise<number> {
  const { jobSchedules } = await context.styx();
  const found = await jobSchedules.list();
  context.progress.stop();
  if (options.output === 'json') out(JSON.stringify(found.map(viewJson), null, 2));
  else if (found.length === 0) out('No schedules of jobs.');
  else out(tableText(found));
  return 0;
}

export async function showSchedule(
  context: Context,
  name: string,
  options: CommonOptions & { limit: number },
): Promise<number> {
  return await print(context, name, options, options.limit);
}

export async function pauseSchedule(
  context: Context,
  name: string,
  paused: boolean,
  options: CommonOptions & { note?: string },
): Promise<number> {
  const { jobSchedules } = await context.styx();
  await jobSchedules.pause(name, paused, options.note);
  return await print(context, name, options);
}

export async function triggerSchedule(
  context: Context,
  name: string,
  options: CommonOptions & { overlap?: string },
): Promise<number> {
  const overlap = options.overlap === undefined ? undefined : overlapOf(options.overlap);
  const styx = await context.styx();
  const triggered = await styx.jobSchedules.trigger(name, overlap);
  const workflowId = triggered.outcome === 'started' ? triggered.workflowId : null;
  const number = workflowId === null ? null : await styx.jobs.number(workflowId);
  context.progress.stop();
  if (options.output === 'json') out(JSON.stringify({ outcome: triggered.outcome, workflowId, number }, null, 2));
  else if (number !== null) out(`Managed job ${number} submitted. Follow it: styx jobs logs ${number}`);
  else if (triggered.outcome === 'skipped') out('Left out: another run goes on. --overlap allow-all runs both.');
  else out('It waits until the runs before it have ended.');
  return triggered.outcome === 'skipped' ? 3 : 0;
}

export async function backfillSchedule(context: Context, name: string, options: BackfillOptions): Promise<number> {
  const overlap = overlapOf(options.overlap ?? 'buffer-all');
  const { jobSchedules } = await context.styx();
  const { rules } = await jobSchedules.view(name);
  const from = parseMoment(options.from, rules.zone, '--from');
  const to = parseMoment(options.to, rules.zone, '--to');
  const span = `${zoneAndUtc(from, rules.zone)} to ${zoneAndUtc(to, rules.zone)}`;
  await confirm(`Submitting the jobs of '${name}' from ${span} that have not run.`, options.yes);
  const { started, had } = await jobSchedules.backfill(name, from, to, overlap);
  context.progress.stop();
  if (options.output === 'json') {
    out(JSON.stringify({ started: started.map((at) => isoTime(at)), had: had.map((at) => isoTime(at)) }, null, 2));
    return 0;
  }
  const times = [...started.map((at) => `  ${zoneAndUtc(at, rules.zone)}`)];
  const before = had.length === 0 ? '' : `; ${had.length} had run already`;
  out([`${started.length} ${started.length === 1 ? 'job' : 'jobs'} of that span begun${before}.`, ...times].join('\n'));
  return 0;
}

export async function deleteSchedules(
  context: Context,
  names: string[],
  options: CommonOptions & { yes?: boolean },
): Promise<number> {
  const { jobSchedules } = await context.styx();
  for (const name of names) await jobSchedules.view(name);
  await confirm(`Deleting the schedule${names.length === 1 ? '' : 's'} ${names.join(', ')}.`, options.yes);
  for (const name of names) await jobSchedules.remove(name);
  context.progress.stop();
  if (options.output === 'json')
    out(
      JSON.stringify(
        names.map((name) => ({ name, deleted: true })),
        null,
        2,
      ),
    );
  else out(names.map((name) => `Schedule ${name} deleted; its jobs go on.`).join('\n'));
  return 0;
}

async function requestOf(context: Context, name: string, entrypoint: string[], options: Written): Promise<JobRequest> {
  const { config } = await context.config();
  const written = readJob(entrypoint, options);
  const allowed = await onAllowedClouds(written.task, config.allowedClouds);
  const { task } = await onEnabledClouds(allowed, lastChecks(styxHome()));
  const named = { ...task, name: task.name ?? name };
  return {
    task: named,
    recovery: withStrategy(written.recovery, options.jobRecovery, task),
    resourcesText: resourcesText(task),
  };
}

const OF_SCHEDULES = [
  ...['cron', 'every', 'calendar', 'skip', 'timezone', 'jitter', 'overlap', 'catchUp', 'startAt', 'endAt'],
  ...['maxRuns', 'note', 'yes', 'output', 'config', 'debug'],
];

/** Options of a task would be of no effect without one. */
function refuseTaskOptions(options: UpdateOptions): void {
  const given = Object.entries(options).filter(([name, value]) => value !== undefined && !OF_SCHEDULES.includes(name));
  const [option] = given[0] ?? [];
  if (option === undefined) return;
  const flag = option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new StyxError('invalid', `--${flag} changes a task, and none was given`, {
    hint: 'Give the task file again: the schedule keeps what was made of it, and not the file.',
  });
}

function told(context: Context) {
  return {
    onProgress: (text: string) => context.progress.update(text),
    onNote: (text: string) => context.progress.line(text),
  };
}

function out(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function print(context: Context, name: string, options: CommonOptions, limit = 0): Promise<number> {
  const { jobSchedules } = await context.styx();
  const view = await jobSchedules.view(name);
  const runs = limit === 0 ? [] : await jobSchedules.runs(name, limit);
  context.progress.stop();
  if (options.output !== 'json') out(viewText(view, runs, limit > 0));
  else out(JSON.stringify({ ...viewJson(view), ...(limit === 0 ? {} : { runs: runs.map(runJson) }) }, null, 2));
  return 0;
}

function stateText({ state, next, rules }: JobScheduleView): string {
  if (state.paused) return `PAUSED${state.note === '' ? '' : `: ${state.note}`}`;
  const [first] = next;
  return first === undefined ? 'never due again' : zoneAndUtc(first, rules.zone);
}

function tableText(found: readonly JobScheduleView[]): string {
  const rows = found.map((view) => [
    view.name,
    clip(timesText(view.rules), 60),
    stateText(view),
    view.rules.overlap,
    String(view.counts.started),
    view.task.name ?? '-',
    view.user,
  ]);
  return formatTable(['NAME', 'WHEN', 'NEXT', 'OVERLAP', 'RUNS', 'JOB', 'USER'], rows);
}

function viewText(view: JobScheduleView, runs: readonly JobSummary[], withRuns: boolean): string {
  const { name, rules, state, next, counts } = view;
  const tail = [
    `${counts.started} started`,
    ...(counts.skipped === 0 ? [] : [`${counts.skipped} left out while another one went on`]),
    ...(counts.missed === 0 ? [] : [`${counts.missed} missed: too late to be made up for`]),
    ...(counts.waiting === 0 ? [] : [`${counts.waiting} waiting`]),
    ...(state.remaining === null ? [] : [`${state.remaining} to come`]),
  ];
  const lines = [
    `Schedule ${name}: ${timesText(rules)}`,
    `Job: ${view.task.name ?? '-'} (${view.resources})`,
    `Overlap: ${rules.overlap}; made up for within ${rules.catchUp} s`,
    state.paused
      ? stateText(view)
      : `Next: ${
          next
            .slice(0, NEXT_SHOWN)
            .map((at) => zoneAndUtc(at, rules.zone))
            .join(', ') || 'never'
        }`,
    ...(state.note === '' || state.paused ? [] : [`Note: ${state.note}`]),
    `Runs: ${tail.join(', ')}`,
  ].map(plain);
  if (!withRuns || runs.length === 0) return lines.join('\n');
  const rows = runs.map((job) => [
    String(job.number ?? '-'),
    zoneAndUtc(job.submittedAt, rules.zone),
    formatAge(job.submittedAt),
    job.status,
    clip(job.reason, 60) || '-',
  ]);
  const table = colourStatus(formatTable(['ID', 'SUBMITTED', 'AGE', 'STATUS', 'REASON'], rows));
  return [...lines, '', table].join('\n');
}

/** docs/cli.md describes this shape. */
function viewJson({ name, workspace, user, rules, state, next, createdAt, counts, task, resources }: JobScheduleView) {
  const { startAt, endAt, ...times } = rules;
  return {
    name,
    workspace,
    user,
    ...times,
    startAt: isoTime(startAt),
    endAt: isoTime(endAt),
    paused: state.paused,
    note: state.note,
    remaining: state.remaining,
    next: next.map((at) => isoTime(at)),
    createdAt: isoTime(createdAt),
    counts,
    job: task.name,
    resources,
  };
}

function runJson(job: JobSummary) {
  const { number, id, status, reason, submittedAt, endedAt } = job;
  return { id: number, workflowId: id, status, reason, submittedAt: isoTime(submittedAt), endedAt: isoTime(endedAt) };
}
