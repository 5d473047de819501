/** `styx jobs queue`: the jobs as lists know them, and who waits for whom. */
import type { JobSummary } from '../../client/job-lists.ts';
import { formatDuration } from '../../model/duration.ts';
import { assertNever, StyxError } from '../../model/errors.ts';
import { barrierFor, hourlyOf, type QueueView } from '../../model/job-queue.ts';
import { isManagedEnd, type ManagedStatus } from '../../model/managed-job.ts';
import { formatProgress } from '../../model/progress.ts';
import { nearestWord } from '../../model/spelling.ts';
import { colourStatus } from '../colour.ts';
import { clip, formatAge, formatMoney, infraName, isoTime } from '../format.ts';
import type { CommonOptions, Context } from '../run.ts';
import { formatTable } from '../table.ts';
import { type TaskRow, taskRows } from './task-rows.ts';

export interface JobQueueOptions extends CommonOptions {
  readonly verbose?: boolean;
  readonly skipFinished?: boolean;
  readonly status?: readonly string[];
  readonly allUsers?: boolean;
  readonly limit: number;
  readonly all?: boolean;
}

export async function showQueue(
  context: Context,
  options: JobQueueOptions,
  known: readonly ManagedStatus[],
): Promise<number> {
  const statuses = (options.status ?? []).map((text) => statusOf(text, known));
  const styx = await context.styx();
  const found = await styx.jobs.list({
    skipFinished: options.skipFinished ?? false,
    statuses,
    ...(options.allUsers === true ? {} : { user: styx.user }),
    ...(options.all === true ? {} : { limit: options.limit }),
  });
  const begun = await styx.pipelines.tasks(found.flatMap(({ id, tasks }) => (tasks === undefined ? [] : [id])));
  const tasks = new Map(found.map((job) => [job.id, taskRows(job, begun.get(job.id) ?? [])]));
  const all = [...found, ...[...tasks.values()].flat()];
  const waiting = all.some(({ status, queue }) => !isManagedEnd(status) && queue === 'waiting');
  const queue = waiting ? await styx.jobs.queue().catch(() => null) : null;
  const reasons = new Map(all.map((job) => [job.id, waitReason(job, queue)]));
  if (options.output === 'json') {
    const rows = found.map((job) => {
      const ofTasks = (tasks.get(job.id) ?? []).map((one) => ({
        task: one.task,
        ...asJson(one, queue, reasons.get(one.id) ?? null),
      }));
      return {
        ...asJson(job, queue, reasons.get(job.id) ?? null),
        ...(job.tasks === undefined ? {} : { tasks: ofTasks }),
      };
    });
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  } else if (found.length === 0) process.stdout.write('No managed jobs.\n');
  else process.stdout.write(`${queueText(found, tasks, reasons, options)}\n`);
  return 0;
}

/** @throws invalid */
function statusOf(text: string, known: readonly ManagedStatus[]): ManagedStatus {
  const status = known.find((one) => one === text);
  if (status !== undefined) return status;
  const near = nearestWord(text, known);
  throw new StyxError('invalid', `--status ${text}: must be one of ${known.join(', ')}`, {
    ...(near === null ? {} : { hint: `Did you mean ${near}?` }),
  });
}

/** Its place among those that wait, from 1; null: it does not wait, or so many are before it that the queue does not hold it. */
function positionOf(job: JobSummary, queue: QueueView | null): number | null {
  const requestId = job.id.split('/').slice(2).join('/');
  const index = queue?.waiting.findIndex((row) => row[2] === requestId) ?? -1;
  return index < 0 ? null : index + 1;
}

export function waitReason(job: JobSummary, queue: QueueView | null): string | null {
  if (isManagedEnd(job.status)) return null;
  if (job.paused) return 'paused: `styx jobs resume` queues it again';
  if (job.pool !== undefined && job.cluster === null) return `waits for a worker of pool ${job.pool}`;
  if (job.queue === 'parked') return 'waits before it looks for machines again';
  if (job.queue !== 'waiting' || queue === null) return null;
  const position = positionOf(job, queue);
  if (position === null && !queue.more) return 'was not heard by the queue yet';
  const why = barrierText(job, queue);
  return `${position === null ? `more than ${queue.waiting.length} before it` : `number ${position} in the queue`}: ${why}`;
}

/** Of one that is over: its machines cost until they are proved gone, whatever became of the job. */
function endingText({ status, cluster, pool }: JobSummary): string | null {
  if (!isManagedEnd(status) || cluster === null || pool !== undefined) return null;
  return `is over, and its machines are being taken away (cluster ${cluster})`;
}

function barrierText({ user }: JobSummary, queue: QueueView): string {
  const { live, limits, users } = queue;
  const place = users.indexOf(user);
  const own = live.filter((row) => row[3] === place);
  const launching = (rows: typeof live) => rows.filter(([, , phase]) => phase === 'launching').length;
  const barrier = barrierFor(queue, place);
  switch (barrier) {
    case 'running':
      return `${live.length} jobs have machines, as many as may (jobs.max_running)`;
    case 'launching':
      return `${launching(live)} jobs launch, as many as may at a time (jobs.max_launching)`;
    case 'hourlyCost':
      return `the machines of jobs cost ${formatMoney(hourlyOf(live))} an hour, and ${formatMoney(limits.hourlyCost ?? 0)} is the limit (jobs.max_hourly_cost)`;
    case 'userRunning':
      return `${own.length} jobs of ${user} have machines, as many as may (jobs.max_running_per_user)`;
    case 'userLaunching':
      return `${launching(own)} jobs of ${user} launch, as many as may at a time (jobs.max_launching_per_user)`;
    case null:
      return 'its turn comes now';
    default:
      return assertNever(barrier);
  }
}

export function queueText(
  jobs: readonly JobSummary[],
  tasks: ReadonlyMap<string, readonly TaskRow[]>,
  reasons: ReadonlyMap<string, string | null>,
  options: Pick<JobQueueOptions, 'verbose' | 'allUsers'>,
  now = Date.now(),
): string {
  const verbose = options.verbose === true;
  const header = ['ID', 'TASK', 'NAME', ...(options.allUsers === true ? ['USER'] : []), 'REQUESTED', 'SUBMITTED'];
  header.push('TOT. DURATION', 'JOB DURATION', '#RECOVERIES', 'STATUS', 'POOL');
  if (verbose) header.push('WORKER_CLUSTER', 'STARTED', 'INFRA', 'PRIORITY', 'SCHED. STATE', 'DETAILS');
  const rowOf = (job: JobSummary | TaskRow) => {
    const ofTask = 'task' in job;
    const name = `${job.name ?? '-'}${ofTask && job.isPrimary === true ? ' [P]' : ''}`;
    const row = [ofTask ? ' ↳' : String(job.number ?? '-'), ofTask ? String(job.task) : '-', name];
    row.push(...(options.allUsers === true ? [job.user] : []));
    row.push(
      job.resources,
      formatAge(job.submittedAt, now),
      formatDuration(((job.endedAt ?? now) - job.submittedAt) / 1_000),
      job.startedAt === null ? '-' : formatDuration(ranMs(job, now) / 1_000),
      String(job.recoveries),
      job.status,
      job.pool ?? '-',
    );
    if (verbose) {
      row.push(
        job.cluster ?? '-',
        formatAge(job.startedAt, now),
        infraName(job.infra),
        String(job.priority),
        job.queue.toUpperCase(),
        clip(reasons.get(job.id) ?? job.reason, 80) || (endingText(job) ?? progressText(job)) || '-',
      );
    }
    return row;
  };
  const rows = jobs.flatMap((job) => [job, ...(tasks.get(job.id) ?? [])].map(rowOf));
  const counts = Map.groupBy(
    jobs.filter(({ status }) => !isManagedEnd(status)),
    ({ status }) => status,
  );
  const live = [...counts].map(([status, some]) => `${some.length} ${status}`).join(', ');
  const waits = verbose
    ? []
    : jobs
        .flatMap((job) => [job, ...(tasks.get(job.id) ?? [])])
        .flatMap((job) => {
          const why = reasons.get(job.id) ?? endingText(job);
          const which = 'task' in job ? `${job.number ?? '-'}, task ${job.task}` : (job.number ?? '-');
          return why === null ? [] : [`Job ${which} ${why}.`];
        });
  const title = `Managed jobs${live === '' ? '' : `, in progress: ${live}`}`;
  return [title, colourStatus(formatTable(header, rows)), ...waits.slice(0, 3)].join('\n');
}

function progressText({ progress }: JobSummary): string {
  return progress === undefined ? '' : `${formatProgress(progress)} done, it says`;
}

/** Time RUNNING over all tries. */
function ranMs({ ranMs: ran, runningSince }: JobSummary, now: number): number {
  return ran + (runningSince === null ? 0 : now - runningSince);
}

/** docs/cli.md describes this shape. */
function asJson(job: JobSummary, queue: QueueView | null, waits: string | null, now = Date.now()) {
  return {
    id: job.number,
    workflowId: job.id,
    name: job.name,
    user: job.user,
    workspace: job.workspace,
    resources: job.resources,
    status: job.status,
    reason: job.reason,
    priority: job.priority,
    submittedAt: isoTime(job.submittedAt),
    startedAt: isoTime(job.startedAt),
    endedAt: isoTime(job.endedAt),
    jobSeconds: job.startedAt === null ? null : Math.round(ranMs(job, now) / 1_000),
    recoveries: job.recoveries,
    progress: job.progress ?? null,
    cluster: job.cluster,
    infra: job.infra,
    pool: job.pool ?? null,
    schedule: job.queue,
    scheduleName: job.schedule ?? null,
    paused: job.paused,
    position: positionOf(job, queue),
    waits,
    cost: job.cost,
    retryOf: job.retryOf ?? null,
  };
}
