/** `styx jobs pool`: apply, status, down, logs. */
import { lastChecks } from '../../client/checks.ts';
import { onAllowedClouds, onEnabledClouds } from '../../client/clouds.ts';
import { isGlob, matchesGlob } from '../../client/names.ts';
import type { PoolRequest } from '../../client/pools.ts';
import { StyxError } from '../../model/errors.ts';
import { isManagedEnd } from '../../model/managed-job.ts';
import type { PoolView } from '../../model/pool.ts';
import { resourcesText } from '../../model/resources-text.ts';
import type { WrittenTask } from '../../model/task.ts';
import { styxHome } from '../../system/home.ts';
import { colourStatus } from '../colour.ts';
import { confirm } from '../confirm.ts';
import { formatAge, formatMoney, formatSpan, infraName, isoTime } from '../format.ts';
import { showPlan } from '../plan.ts';
import type { CommonOptions, Context } from '../run.ts';
import { formatTable, plain } from '../table.ts';
import { readPool, type TaskOptions } from '../task-input.ts';

export interface PoolApplyOptions extends CommonOptions, TaskOptions {
  readonly pool?: string;
  readonly workers?: number;
  readonly yes?: boolean;
}

export async function applyPool(context: Context, entrypoint: string[], options: PoolApplyOptions): Promise<number> {
  const { workers } = options;
  const file = entrypoint.length === 0 ? null : readPool(entrypoint, options);
  if (file === null && workers === undefined) {
    throw new StyxError('invalid', 'nothing to apply', {
      hint: 'Name a file with a `pool` section, or give --workers.',
    });
  }
  if (file !== null && workers !== undefined) {
    throw new StyxError('invalid', '--workers changes a pool that is there, and does not go together with a file');
  }
  const name = options.pool ?? file?.task.name ?? null;
  if (name === null) {
    throw new StyxError('invalid', 'the pool has no name', { hint: 'Give one by -p, or by `name:` of the file.' });
  }
  const request: PoolRequest = {
    name,
    ...(file === null
      ? { size: { ...NO_SCALING, minWorkers: workers ?? 0 } }
      : { size: file.pool, workers: await workersOf(context, file.task, options) }),
  };
  await confirm(`Applying pool '${name}'.`, options.yes);
  const styx = await context.styx();
  context.progress.update('applying the pool');
  const answer = await styx.pools.apply(request, {
    onProgress: (text) => context.progress.update(text),
    onNote: (text) => context.progress.line(text),
  });
  context.progress.stop();
  if (options.output === 'json') process.stdout.write(`${JSON.stringify({ name, ...answer }, null, 2)}\n`);
  else {
    process.stdout.write(`Pool ${name}: ${answer.note}\n`);
    context.progress.line(
      `See its workers:  styx jobs pool status ${name}\nSubmit a job:     styx jobs launch -p ${name} job.yaml`,
    );
  }
  return 0;
}

const NO_SCALING = {
  maxWorkers: null,
  queueLengthThreshold: null,
  upscaleDelaySeconds: null,
  downscaleDelaySeconds: null,
} as const;

async function workersOf(
  context: Context,
  written: WrittenTask,
  options: PoolApplyOptions,
): Promise<NonNullable<PoolRequest['workers']>> {
  const { config } = await context.config();
  const allowed = await onAllowedClouds(written, config.allowedClouds);
  const { task, leftOut } = await onEnabledClouds(allowed, lastChecks(styxHome()));
  if (options.yes !== true) await showPlan(task, process.stderr, { leftOut });
  return { task, resourcesText: resourcesText(task) };
}

export interface PoolStatusOptions extends CommonOptions {
  readonly verbose?: boolean;
}

export async function showPools(context: Context, names: string[], options: PoolStatusOptions): Promise<number> {
  const styx = await context.styx();
  const wanted = await poolNames(context, names, names.length === 0);
  const views: PoolView[] = [];
  for (const name of wanted) views.push(await styx.pools.view(name));
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(views.map(asJson), null, 2)}\n`);
  else if (views.length === 0) process.stdout.write('No pools.\n');
  else process.stdout.write(`${poolText(views, options)}\n`);
  return 0;
}

/** Globs stand for the pools that match them; a name that there is not is an error of the call that uses it. */
async function poolNames(context: Context, given: readonly string[], all: boolean): Promise<string[]> {
  if (!all && !given.some(isGlob)) return [...new Set(given)];
  const there = (await (await context.styx()).pools.list()).map(({ name }) => name);
  if (all) return there;
  return [...new Set(given.flatMap((one) => (isGlob(one) ? there.filter((name) => matchesGlob(one, name)) : [one])))];
}

/** SkyPilot's columns: the pools, then their workers. */
export function poolText(
  views: readonly PoolView[],
  options: Pick<PoolStatusOptions, 'verbose'>,
  now = Date.now(),
): string {
  const verbose = options.verbose === true;
  const more = verbose ? ['JOBS', 'WAITING', 'COST', 'DETAILS'] : [];
  const pools = views.map((view) => {
    const { min, max } = view;
    const row = [
      view.name,
      String(view.version),
      formatSpan(view.createdAt, null, now),
      view.status,
      `${view.ready}/${view.workers}${min === max ? '' : ` (min ${min}, max ${max})`}`,
    ];
    return verbose
      ? [...row, String(view.running), String(view.waiting), formatMoney(view.cost), view.reason || '-']
      : row;
  });
  const header = ['NAME', 'VERSION', 'UPTIME', 'STATUS', 'WORKERS', ...more];
  const workers = views.flatMap((view) =>
    view.workerViews.map((worker) => [
      view.name,
      String(worker.id),
      String(worker.version),
      formatAge(worker.launchedAt, now),
      infraName(worker.infra),
      worker.resources,
      worker.status,
      worker.usedBy.length === 0 ? '-' : worker.usedBy.map((number) => `job ${number}`).join(', '),
      ...(verbose ? [worker.cluster, worker.draining ? 'takes no more jobs' : worker.why || '-'] : []),
    ]),
  );
  const columns = ['POOL_NAME', 'ID', 'VERSION', 'LAUNCHED', 'INFRA', 'RESOURCES', 'STATUS', 'USED_BY'];
  if (verbose) columns.push('WORKER_CLUSTER', 'DETAILS');
  const reasons = verbose
    ? []
    : views.flatMap(({ name, reason }) => (reason === '' ? [] : [`${name}: ${plain(reason)}`]));
  return [
    'Pools',
    colourStatus(formatTable(header, pools)),
    ...reasons,
    ...(workers.length === 0 ? [] : ['', 'Pool Workers', colourStatus(formatTable(columns, workers))]),
  ].join('\n');
}

/** docs/cli.md describes this shape. */
function asJson(view: PoolView) {
  return {
    name: view.name,
    workflowId: view.id,
    workspace: view.workspace,
    user: view.user,
    version: view.version,
    status: view.status,
    reason: view.reason,
    createdAt: isoTime(view.createdAt),
    minWorkers: view.min,
    maxWorkers: view.max,
    resources: view.resources,
    cost: view.cost,
    costPerHour: view.costPerHour,
    waitingJobs: view.waitingJobs,
    workers: view.workerViews.map(({ launchedAt, ...worker }) => ({ ...worker, launchedAt: isoTime(launchedAt) })),
  };
}

export interface PoolDownOptions extends CommonOptions {
  readonly all?: boolean;
  readonly purge?: boolean;
  readonly yes?: boolean;
}

export async function downPools(context: Context, given: string[], options: PoolDownOptions): Promise<number> {
  const all = options.all === true;
  if (given.length > 0 === all) {
    throw new StyxError('invalid', all ? '--all does not go together with pools' : 'no pool given', {
      hint: 'Name pools, or pass --all.',
    });
  }
  const styx = await context.styx();
  const names = await poolNames(context, given, all);
  const jobs = (await styx.jobs.list({ skipFinished: true })).filter(
    ({ pool, status }) => pool !== undefined && names.includes(pool) && !isManagedEnd(status),
  );
  const cancelled = jobs.length === 0 ? '' : `, and cancelling ${jobs.length} jobs that have not ended`;
  if (names.length > 0) await confirm(`Taking down ${names.join(', ')}${cancelled}.`, options.yes);
  const results = [];
  for (const name of names) {
    const purge = options.purge === true;
    const answer = await styx.pools.down(name, { purge, onProgress: (text) => context.progress.update(text) });
    results.push({ name, ...answer });
  }
  // Those that the pool has not heard of, such as one that pauses between two tries.
  for (const { id } of jobs) await styx.jobs.cancel(id);
  context.progress.stop();
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else if (results.length === 0) process.stdout.write('No pools.\n');
  else for (const { name, note } of results) process.stdout.write(`Pool ${name}: ${note}\n`);
  return 0;
}

export interface PoolLogsOptions extends CommonOptions {
  readonly follow: boolean;
  readonly tail: number;
}

/** What happened to a pool; of one worker, what its setup wrote. */
export async function showPoolLogs(
  context: Context,
  name: string,
  worker: number | undefined,
  options: PoolLogsOptions,
): Promise<number> {
  const styx = await context.styx();
  const view = await styx.pools.view(name);
  if (worker === undefined) {
    const events = options.tail === 0 ? view.events : view.events.slice(-options.tail);
    for (const { at, text } of events) process.stdout.write(`${isoTime(at)}  ${plain(text)}\n`);
    return 0;
  }
  const found = view.workerViews.find(({ id }) => id === worker);
  if (found === undefined) {
    const there = view.workerViews.map(({ id }) => id).join(', ');
    throw new StyxError('not-found', `pool '${name}' has no worker ${worker}`, {
      hint: there === '' ? 'It has none at the moment.' : `It has ${there}.`,
    });
  }
  const { tail, follow } = options;
  for await (const { data } of styx.logs(found.cluster, { jobId: 1, tail, follow })) process.stdout.write(data);
  return 0;
}
