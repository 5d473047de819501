/**
 * The one function that changes a pipeline: an event in, the next state and the things to do out. Pure. A task starts only when all that
 * it depends on has succeeded; what fails cancels exactly what depends on it.
 */
import { assertNever } from './errors.ts';
import { type GroupNodes, namesToTell, newGroupState, withNodes } from './group-hosts.ts';
import { isManagedEnd, type ManagedStatus } from './managed-job.ts';
import {
  ancestors,
  isFailure,
  lets,
  type PipelineEffect,
  type PipelineInput,
  type PipelineRules,
  type PipelineState,
  type TaskReport,
  type TaskState,
} from './pipeline.ts';
import { PipelineDraft, REASON_CHARS } from './pipeline-draft.ts';
import { pause, pausedBy, resume } from './pipeline-pause.ts';

export type PipelineEvent =
  /** The queue's word. */
  | { readonly type: 'numbered'; readonly number: number }
  | { readonly type: 'report'; readonly report: TaskReport }
  /** Where the machines of a task's copy are. */
  | { readonly type: 'nodes'; readonly nodes: GroupNodes }
  /** Its workflow closed without a word. */
  | { readonly type: 'taskLost'; readonly task: number }
  | { readonly type: 'cancel' | 'pause' | 'resume'; readonly requestId: string; readonly user: string }
  /** The moment that `pipelineDueAt` named has come. */
  | { readonly type: 'due' };

const NEW_TASK: TaskState = {
  status: 'PENDING',
  reason: '',
  phase: 'waiting',
  startedAt: null,
  endedAt: null,
  recoveries: 0,
  cost: 0,
  outputs: {},
  begun: false,
  cancelled: false,
  kept: false,
};

export function newPipeline({
  tasks,
  submittedAt,
  kept = [],
  retryOf,
  hosts = false,
}: Pick<PipelineInput, 'tasks' | 'submittedAt' | 'kept' | 'retryOf' | 'hosts'>): PipelineState {
  const known = new Map(kept.map(({ task, outputs }) => [task, outputs]));
  const from = retryOf === undefined ? '' : ` of managed job ${retryOf.number}`;
  return {
    version: 1,
    status: 'PENDING',
    statusSince: submittedAt,
    reason: '',
    number: null,
    startedAt: null,
    endedAt: null,
    cancelledBy: null,
    paused: null,
    tasks: tasks.map((_, index) => {
      const outputs = known.get(index);
      if (outputs === undefined) return NEW_TASK;
      return { ...NEW_TASK, status: 'SUCCEEDED', phase: 'over', reason: `as${from}`, outputs, kept: true };
    }),
    dueAt: tasks.map(() => null),
    ...(hosts ? { group: newGroupState(tasks.length) } : {}),
    events: [{ at: submittedAt, text: retryOf === undefined ? 'PENDING' : `PENDING: retry${from}` }],
    requests: [],
  };
}

/** Nothing is left to be done: it has its number, and nothing of its tasks is left. */
export function isPipelineOver(state: PipelineState): boolean {
  return isManagedEnd(state.status) && state.number !== null && state.tasks.every(({ phase }) => phase === 'over');
}

export function applyPipeline(
  state: PipelineState,
  event: PipelineEvent,
  rules: PipelineRules,
  now: number,
): { state: PipelineState; effects: PipelineEffect[] } {
  const draft = new PipelineDraft(state, rules, now);
  apply(draft, event);
  settle(draft);
  return { state: draft.state, effects: draft.effects };
}

/** When `due` has to be applied; null: nothing waits for a time. */
export function pipelineDueAt(state: PipelineState): number | null {
  const times = state.dueAt.filter((at, task) => at !== null && mayBeEnded(state.tasks[task]));
  return times.length === 0 ? null : Math.min(...(times as number[]));
}

function mayBeEnded(task: TaskState | undefined): boolean {
  return task !== undefined && !task.cancelled && !isManagedEnd(task.status);
}

function apply(draft: PipelineDraft, event: PipelineEvent): void {
  const { state } = draft;
  switch (event.type) {
    case 'numbered':
      if (state.number === null) draft.set({ number: event.number });
      return;
    case 'report':
      return onReport(draft, event.report);
    case 'nodes':
      if (state.group !== undefined) draft.set({ group: withNodes(state.group, event.nodes) });
      return;
    case 'taskLost': {
      const task = state.tasks[event.task];
      if (task?.phase !== 'started') return;
      if (isManagedEnd(task.status)) return draft.task(event.task, { phase: 'over' });
      const status = task.cancelled ? 'CANCELLED' : 'FAILED';
      return draft.never(event.task, status, 'its workflow was ended from outside');
    }
    case 'cancel':
      return cancel(draft, event.requestId, event.user);
    case 'pause':
      return pause(draft, event.requestId, event.user);
    case 'resume':
      return resume(draft, event.requestId, event.user);
    case 'due':
      for (const [index, at] of state.dueAt.entries()) {
        if (at !== null && draft.now >= at) endTask(draft, index, 'pipeline', 'all that the group waits for has ended');
      }
      return;
    default:
      assertNever(event);
  }
}

function onReport(draft: PipelineDraft, report: TaskReport): void {
  const task = draft.state.tasks[report.task];
  if (task?.phase !== 'started') return;
  const { status, startedAt, endedAt, recoveries, outputs, over, cost } = report;
  const reason = report.reason.slice(0, REASON_CHARS);
  draft.task(report.task, {
    status,
    // Why it was told to end is more than that it was.
    reason: reason === '' && task.cancelled ? task.reason : reason,
    startedAt,
    endedAt,
    recoveries,
    outputs,
    cost,
    phase: over ? 'over' : 'started',
  });
}

function cancel(draft: PipelineDraft, requestId: string, user: string): void {
  const { status, cancelledBy } = draft.state;
  if (!draft.isNew(requestId) || isManagedEnd(status) || cancelledBy !== null) return;
  draft.tell(`cancelled by ${user}`);
  draft.set({ cancelledBy: user, paused: null });
  for (const index of draft.state.tasks.keys()) endTask(draft, index, user, '');
}

/** One that has not ended. */
function endTask(draft: PipelineDraft, index: number, user: string, reason: string): void {
  const task = draft.state.tasks[index];
  if (task === undefined || !mayBeEnded(task)) return;
  if (task.phase === 'waiting') return draft.never(index, 'CANCELLED', reason);
  draft.task(index, { cancelled: true, reason: reason || task.reason });
  draft.effect({ type: 'cancelTask', task: index, user });
}

/** What follows, until nothing more does. */
function settle(draft: PipelineDraft): void {
  for (let before: readonly TaskState[] | null = null; before !== draft.state.tasks; ) {
    before = draft.state.tasks;
    for (const index of before.keys()) follow(draft, index);
  }
  endGroup(draft);
  tellNames(draft);
  whole(draft);
}

function tellNames(draft: PipelineDraft): void {
  const { group, tasks } = draft.state;
  const next = group === undefined ? null : namesToTell(group, tasks);
  if (next === null) return;
  draft.set({ group: next });
  if (next.version === 1) draft.tell('all machines of the group have their names');
  for (const [task, copy] of next.told.entries()) if (copy >= 0) draft.effect({ type: 'tellHosts', task });
}

/** A task that has no workflow yet: may it start, or can it never? */
function follow(draft: PipelineDraft, index: number): void {
  const { state, rules } = draft;
  const task = state.tasks[index];
  const rule = rules.tasks[index];
  if (task?.phase !== 'waiting' || rule === undefined) return;
  let ready = true;
  for (const one of rule.after) {
    const other = state.tasks[one];
    const otherRule = rules.tasks[one];
    if (other === undefined || otherRule === undefined || lets(otherRule, other)) continue;
    if (isManagedEnd(other.status)) {
      return draft.never(index, 'CANCELLED', `${draft.name(one)} ${other.status}`);
    }
    ready = false;
  }
  if (!ready || state.number === null || state.paused !== null) return;
  const missing = rule.needs.find(({ task: from, key }) => {
    const other = state.tasks[from];
    // What failed and may have failed left nothing.
    return other?.status === 'SUCCEEDED' && !Object.hasOwn(other.outputs, key);
  });
  if (missing !== undefined) {
    return draft.never(index, 'FAILED_PRECHECKS', `${draft.name(missing.task)} left no output '${missing.key}'`);
  }
  draft.task(index, { phase: 'started', begun: true });
  draft.tell(`starting ${draft.name(index)}`);
  draft.effect({ type: 'startTask', task: index });
}

/** When all that a group waits for has ended, the rest of it has some time; none when something failed. */
function endGroup(draft: PipelineDraft): void {
  const { tasks, dueAt, cancelledBy } = draft.state;
  const rules = draft.rules.tasks;
  if (cancelledBy !== null || rules.every(({ endsAfter }) => endsAfter === null)) return;
  const primary = tasks.filter((_, index) => rules[index]?.endsAfter === null);
  if (!primary.every(({ status }) => isManagedEnd(status)) || dueAt.some((at) => at !== null)) return;
  const failed = primary.some(({ status }) => status !== 'SUCCEEDED');
  draft.set({
    dueAt: rules.map(({ endsAfter }) => (endsAfter === null ? null : draft.now + (failed ? 0 : endsAfter))),
  });
  apply(draft, { type: 'due' });
}

/** How the whole stands. */
function whole(draft: PipelineDraft): void {
  const { state, rules, now } = draft;
  const { status, reason } = wholeStatus(state, rules);
  const begun = state.tasks.flatMap(({ startedAt }) => startedAt ?? []);
  if (state.startedAt === null && begun.length > 0) draft.set({ startedAt: Math.min(...begun) });
  if (status === state.status) {
    if (reason !== state.reason) draft.set({ reason });
    return;
  }
  // An end is the last word.
  if (isManagedEnd(state.status)) return;
  draft.set({ status, reason, statusSince: now });
  if (isManagedEnd(status)) draft.set({ endedAt: now, paused: null });
  draft.tell(reason === '' ? status : `${status}: ${reason}`);
}

/** Of live tasks the furthest says how the whole stands. */
const FURTHEST: readonly ManagedStatus[] = ['RUNNING', 'RECOVERING', 'STARTING'];

function wholeStatus(
  { tasks, cancelledBy, paused }: PipelineState,
  { tasks: rules }: PipelineRules,
): Pick<PipelineState, 'status' | 'reason'> {
  const live = tasks.filter(({ status }) => !isManagedEnd(status));
  const named = (index: number) => {
    const { status = 'PENDING', reason = '' } = tasks[index] ?? {};
    return `${rules[index]?.name} ${status}${reason === '' ? '' : `: ${reason}`}`.slice(0, REASON_CHARS);
  };
  const failures = [...tasks.keys()].filter((index) => isFailure(tasks[index]?.status ?? 'PENDING'));
  const counted = failures.filter((index) => !rules[index]?.continueOnFailure && rules[index]?.endsAfter === null);
  const [failed] = counted;
  if (live.length > 0) {
    const reason = failed === undefined ? '' : named(failed);
    if (cancelledBy !== null) return { status: 'CANCELLING', reason };
    if (paused !== null) return { status: 'PENDING', reason: pausedBy(paused) };
    const status = FURTHEST.find((one) => live.some((task) => task.status === one));
    // Between two tasks it goes on all the same.
    const between = tasks.some((task) => task.phase !== 'waiting' && !task.kept) ? 'STARTING' : 'PENDING';
    return { status: status ?? between, reason };
  }
  if (cancelledBy !== null) return { status: 'CANCELLED', reason: '' };
  if (failed !== undefined) return { status: tasks[failed]?.status ?? 'FAILED', reason: named(failed) };
  const cancelled = [...tasks.keys()].find(
    (index) => tasks[index]?.status === 'CANCELLED' && rules[index]?.endsAfter === null,
  );
  if (cancelled !== undefined) return { status: 'CANCELLED', reason: named(cancelled) };
  const [allowed] = failures;
  return { status: 'SUCCEEDED', reason: allowed === undefined ? '' : `${named(allowed)} (it may fail)` };
}

/** What a task finds of those before it, by name. */
export function outputsFor(
  state: PipelineState,
  { tasks: rules }: PipelineRules,
  index: number,
): { readonly name: string; readonly outputs: Readonly<Record<string, string>> }[] {
  const before = ancestors(rules, index);
  return rules.flatMap(({ name }, one) => {
    const outputs = state.tasks[one]?.outputs;
    return before.has(one) && outputs !== undefined ? [{ name, outputs }] : [];
  });
}
