/** A pipeline as it is shown. */
import { type ManagedJobMemo, type ManagedStatus, managedJobId, managedTaskId } from './managed-job.ts';
import { clip } from './managed-job-view.ts';
import { type PipelineInput, type PipelineState, type PipelineView, taskRequestId } from './pipeline.ts';
import { isPipelineOver } from './pipeline-transition.ts';

/** Of a task in its pipeline's memo: name (cut), status. */
export type TaskLine = readonly [name: string, status: ManagedStatus];

const NAME_CHARS = 16;

/** What a list shows of a pipeline without a worker; ≤ 4 kB. What is known of tasks that have begun is in their own memos. */
export interface PipelineMemo extends ManagedJobMemo {
  readonly tasks: readonly TaskLine[];
  /** Those that the group waits for; absent: no group, or all. */
  readonly primary?: readonly number[];
}

function costOf(state: PipelineState): number {
  return state.tasks.reduce((sum, { cost }) => sum + cost, 0);
}

export function pipelineView(input: PipelineInput, state: PipelineState): PipelineView {
  const { version: _version, requests: _requests, dueAt: _due, group: _group, tasks, ...shown } = state;
  const { workspace, requestId, user, name, execution, submittedAt } = input;
  return {
    ...shown,
    kind: 'pipeline',
    id: managedJobId(workspace, requestId),
    workspace,
    user,
    name,
    execution,
    submittedAt,
    retryOf: input.retryOf ?? null,
    tasks: tasks.map((task, index) => {
      const rules = input.tasks[index];
      const { cancelled: _cancelled, begun, ...known } = task;
      return {
        ...known,
        index,
        name: rules?.name ?? '',
        after: rules?.after ?? [],
        continueOnFailure: rules?.continueOnFailure ?? false,
        primary: rules?.endsAfter === null,
        resources: rules?.resourcesText ?? '',
        numNodes: rules?.task.numNodes ?? 1,
        id: begun ? managedJobId(workspace, taskRequestId(requestId, index)) : null,
      };
    }),
    costSoFar: costOf(state),
    over: isPipelineOver(state),
  };
}

export function pipelineMemo(input: PipelineInput, state: PipelineState): PipelineMemo {
  const { tasks, user, submittedAt, retryOf } = input;
  const primary = [...tasks.keys()].filter((index) => tasks[index]?.endsAfter === null);
  return {
    status: state.status,
    statusSince: state.statusSince,
    reason: clip(state.reason, 200),
    number: state.number,
    name: input.name,
    user: clip(user, 64),
    resources: clip([...new Set(tasks.map(({ resourcesText }) => resourcesText))].join(', '), 120),
    priority: Math.max(...tasks.map(({ task }) => task.priority)),
    submittedAt,
    startedAt: state.startedAt,
    endedAt: state.endedAt,
    ranMs: state.startedAt === null || state.endedAt === null ? 0 : state.endedAt - state.startedAt,
    runningSince: state.endedAt === null ? state.startedAt : null,
    recoveries: state.tasks.reduce((sum, { recoveries }) => sum + recoveries, 0),
    cluster: null,
    infra: null,
    queue: isPipelineOver(state) ? 'ended' : 'running',
    paused: state.paused !== null,
    cost: Math.round(costOf(state) * 1e4) / 1e4,
    tasks: tasks.map(({ name }, index): TaskLine => [clip(name, NAME_CHARS), state.tasks[index]?.status ?? 'PENDING']),
    ...(primary.length === tasks.length ? {} : { primary }),
    ...(retryOf === undefined ? {} : { retryOf: retryOf.number }),
  };
}

/** Of all tasks, in their order: what checkpoints are keyed by. */
export function pipelineTaskIds({ tasks, name, submittedAt }: PipelineInput, number: number): string[] {
  return tasks.map((task, index) => {
    const full = name === null || name === task.name ? task.name : `${name}_${task.name}`;
    return managedTaskId(full, number, submittedAt, index);
  });
}

/** Markdown for Temporal's Web UI. */
export function pipelineDetails(input: PipelineInput, state: PipelineState): string {
  const since = new Date(state.statusSince).toISOString().slice(0, 19).replace('T', ' ');
  const lines = [`**${state.status}** since ${since} UTC`];
  if (state.reason !== '') lines.push(state.reason);
  const rows = state.tasks.map(({ status, reason }, index) => {
    const after = (input.tasks[index]?.after ?? []).map((one) => input.tasks[one]?.name).join(', ');
    const waits = status === 'PENDING' && after !== '' ? `, after ${after}` : '';
    return `- ${input.tasks[index]?.name}: ${status}${reason === '' ? '' : ` (${reason})`}${waits}`;
  });
  return [...lines, rows.join('\n')].join('\n\n').slice(0, 15_000);
}
