/** A managed job as it is shown. */
import { formatDuration } from './duration.ts';
import { StyxError } from './errors.ts';
import {
  type Copy,
  isManagedEnd,
  type ManagedJobInput,
  type ManagedJobMemo,
  type ManagedJobResult,
  type ManagedJobState,
  type ManagedJobView,
  managedJobId,
  managedTaskId,
} from './managed-job.ts';
import type { TaskReport } from './pipeline.ts';
import { formatProgress } from './progress.ts';

export function infraOf(copy: Copy | null): string | null {
  const place = copy?.report?.place ?? null;
  return place === null ? null : `${place.cloud}/${place.region}/${place.zone}`;
}

/** Dollars of the present copy, by the word of its cluster. */
export function costOfCopy({ report, costBefore = 0 }: Copy): number {
  return report === null ? 0 : report.cost - costBefore;
}

/** Dollars of all copies until now. */
export function costOf({ copy, spare, spent }: Pick<ManagedJobState, 'copy' | 'spare' | 'spent'>, now: number): number {
  return [copy, spare].reduce((sum, one) => {
    const report = one?.report ?? null;
    if (one === null || report === null) return sum;
    return sum + costOfCopy(one) + (report.hourly * Math.max(0, now - report.at)) / 3_600_000;
  }, spent);
}

export function managedJobView(input: ManagedJobInput, state: ManagedJobState, now: number): ManagedJobView {
  const { version: _version, requests: _requests, lostRegions: _lost, notices: _notices, ...shown } = state;
  const { task } = input;
  return {
    ...shown,
    id: managedJobId(input.workspace, input.requestId),
    workspace: input.workspace,
    user: input.user,
    name: task.name,
    resources: input.resourcesText,
    pool: input.pool ?? null,
    priority: task.priority,
    recovery: input.recovery,
    taskId: state.number === null ? null : taskIdOf(input, state),
    numNodes: task.numNodes,
    retryOf: input.retryOf ?? null,
    costSoFar: costOf(state, now),
    ...scheduleOf(input),
  };
}

/** What its pipeline is told. */
export function taskReport(state: ManagedJobState, task: number, over: boolean, now: number): TaskReport {
  const report = state.copy?.report ?? null;
  return {
    task,
    status: state.status,
    reason: state.reason,
    startedAt: state.startedAt,
    endedAt: state.endedAt,
    recoveries: state.recoveries,
    outputs: state.outputs,
    over,
    cost: costOf(state, report?.at ?? now),
  };
}

/** What of it makes it worth telling: money that passes is not. */
export function taskReportDigest({ cost: _cost, ...rest }: TaskReport): string {
  return JSON.stringify(rest);
}

/** The same over all recoveries: what checkpoints are keyed by. */
export function taskIdOf({ task: { name }, part }: ManagedJobInput, { number, submittedAt }: ManagedJobState): string {
  return part?.taskIds[part.index] ?? managedTaskId(name, number ?? 0, submittedAt);
}

/** Of a job that is over. */
export function managedJobResult(input: ManagedJobInput, state: ManagedJobState, now: number): ManagedJobResult {
  const { status, number, reason } = state;
  if (!isManagedEnd(status)) throw new StyxError('internal', `a job that is ${status} has no result`);
  return { id: managedJobId(input.workspace, input.requestId), number, status, reason, cost: costOf(state, now) };
}

function scheduleOf({ schedule }: ManagedJobInput): { schedule?: string } {
  return schedule === undefined ? {} : { schedule: schedule.name };
}

/** Cut to fit its column and the memo's 2 kB. */
export function clip(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars - 1)}…`;
}

export function managedJobMemo(input: ManagedJobInput, state: ManagedJobState, now: number): ManagedJobMemo {
  const last = state.past.at(-1);
  return {
    status: state.status,
    statusSince: state.statusSince,
    reason: clip(state.reason, 200),
    number: state.number,
    name: input.task.name,
    user: clip(input.user, 64),
    resources: clip(input.resourcesText, 120),
    priority: input.task.priority,
    submittedAt: state.submittedAt,
    startedAt: state.startedAt,
    endedAt: state.endedAt,
    ranMs: state.ranMs,
    runningSince: state.runningSince,
    recoveries: state.recoveries,
    ...(state.progress === null ? {} : { progress: state.progress }),
    cluster: state.copy?.cluster ?? null,
    infra: infraOf(state.copy) ?? last?.infra ?? null,
    ...(input.pool === undefined ? {} : { pool: input.pool }),
    queue: state.queue,
    paused: state.paused !== null,
    cost: Math.round(costOf(state, now) * 1e4) / 1e4,
    ...(input.retryOf === undefined ? {} : { retryOf: input.retryOf.number }),
    ...scheduleOf(input),
  };
}

function at(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replace('T', ' ');
}

/** Markdown for Temporal's Web UI: what is happening, since when, what next. */
export function managedJobDetails(input: ManagedJobInput, state: ManagedJobState): string {
  const lines = [`**${state.status}** since ${at(state.statusSince)} UTC`];
  if (state.reason !== '') lines.push(state.reason);
  const { copy } = state;
  if (copy !== null) lines.push(`try ${copy.try} on cluster \`${copy.cluster}\`: ${copy.phase}`);
  else if (state.nextAt !== null) lines.push(`launched again at ${at(state.nextAt)} UTC`);
  if (state.recoveries > 0) lines.push(`${state.recoveries} recoveries`);
  if (state.progress !== null) lines.push(`${formatProgress(state.progress)} of its work done, as it says`);
  if (state.ranMs > 0) lines.push(`ran for ${formatDuration(state.ranMs / 1_000)} before that`);
  const { strategy, maxRestartsOnErrors } = input.recovery;
  lines.push(`${strategy}; ${state.errorRestarts} of ${maxRestartsOnErrors} restarts on errors taken`);
  return lines.join('\n\n').slice(0, 15_000);
}
