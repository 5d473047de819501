/**
 * The one function that changes a cluster's state: an event in, the next state and the things to do out. Pure; the workflow
 * supplies the clock. A message of another generation changes nothing.
 */
import { jsonBytes, LIVE_JOBS, STATE_REFUSE_BYTES } from './budgets.ts';
import type { ClusterState } from './cluster.ts';
import { budgetAct, budgetProblem, budgetToActOn, exceededBudget } from './cluster-budget.ts';
import { disposition, refusal } from './cluster-commands.ts';
import { Draft } from './cluster-draft.ts';
import type { QueuedEffect } from './cluster-effects.ts';
import { end, join } from './cluster-ending.ts';
import { dutyEnded, operationCrashed, operationEnded } from './cluster-endings.ts';
import { misfit, toComeFor } from './cluster-fit.ts';
import { endJob, jobChanged, jobsCrashed, numberJob, runQueue, submitJob, waitReasons } from './cluster-jobs.ts';
import { machinesMissing, observed } from './cluster-nodes.ts';
import { changeAutostop, enqueue, newOperationId, watchEnded } from './cluster-operations.ts';
import { endRay, rayChanged, rayCrashed, rayEndedWord, rayProblem, wantRay } from './cluster-ray.ts';
import { compact, generation, infraText } from './cluster-state.ts';
import type {
  CommandAnswer,
  CommandKind,
  CommandPayloads,
  JobChanged,
  LaunchCommand,
  MachinesMissing,
  Observed,
  OperationEnded,
  PlacementFailedSignal,
  PlacementGoneSignal,
  PlacingSignal,
  ProgressSignal,
  RayChanged,
  RayEnded,
  WatchEnded,
} from './commands.ts';
import { assertNever, type Failure } from './errors.ts';
import { isTerminalJob } from './job.ts';
import { wantedPorts } from './machine-wants.ts';
import type { RayRequest } from './ray.ts';
import type { AutostopRule } from './task.ts';
import { filesProblem } from './task-files.ts';
import { autostopProblem, stopProblem } from './unstoppable.ts';

export type Command = { [K in CommandKind]: { readonly kind: K; readonly payload: CommandPayloads[K] } }[CommandKind];

export type ClusterEvent =
  | ({ readonly type: 'operationEnded' } & OperationEnded)
  | ({ readonly type: 'placing' } & PlacingSignal)
  | ({ readonly type: 'progress' } & ProgressSignal)
  | ({ readonly type: 'placementFailed' } & PlacementFailedSignal)
  | ({ readonly type: 'placementGone' } & PlacementGoneSignal)
  | ({ readonly type: 'jobChanged' } & JobChanged)
  | ({ readonly type: 'watchEnded' } & WatchEnded)
  | ({ readonly type: 'observed' } & Observed)
  | ({ readonly type: 'machinesMissing' } & MachinesMissing)
  | ({ readonly type: 'rayChanged' } & RayChanged)
  | ({ readonly type: 'rayEnded' } & RayEnded)
  /** Children found closed without a word. */
  | {
      readonly type: 'crashed';
      readonly operation: boolean;
      readonly watch: boolean;
      readonly ray?: boolean;
      readonly jobs: readonly number[];
      readonly duties: readonly string[];
    }
  /** Of a cluster that is held: its job may start. */
  | { readonly type: 'released' }
  /** The autostop rule's time has come. */
  | { readonly type: 'autostopDue' }
  /** The budget's moment has come. */
  | { readonly type: 'budgetDue' };

/** Why a command cannot be taken at `now`; null when it can. A repeated request is always taken. */
export function commandProblem(state: ClusterState, command: Command, now: number): Failure | null {
  if (state.requests.some((request) => request.id === command.payload.requestId)) return null;
  if (disposition(state, command.kind) === 'refuse') return refusal(state, command.kind);
  const unstoppable = command.kind === 'stop' ? stopProblem(state) : autostopProblem(state, autostopOf(command));
  if (unstoppable !== null) return unstoppable;
  const asked = rayOf(command);
  const ray = rayProblem(state.ray, asked);
  if (ray !== null) {
    return {
      kind: 'refused',
      message: `Cluster '${state.name}' cannot give the Ray that was asked for: ${ray}.`,
      hint: `Ask for what is there, end it by \`styx ray down ${state.name}\`, or use another cluster.`,
    };
  }
  if (command.kind === 'launch' || command.kind === 'exec') {
    const { task } = command.payload;
    const missing = filesProblem(task);
    if (missing !== null) return { kind: 'invalid', message: `The task's files are not there: ${missing}.` };
    const planned = command.kind === 'launch' && command.payload.spec.resources.planned !== undefined;
    if (planned && toComeFor(state).spec !== null) {
      return {
        kind: 'refused',
        message: `Cluster '${state.name}' is there already, and a plan says where new machines are made.`,
        hint: `Launch without the plan to use the cluster, with it under another name, or run \`styx down ${state.name}\` first.`,
      };
    }
    const reason = misfit(toComeFor(state), task, command.kind === 'launch');
    if (reason !== null) {
      return {
        kind: 'invalid',
        message: `The task does not fit cluster '${state.name}': ${reason}.`,
        hint: 'Launch it on a cluster of its own, or change what it asks for.',
      };
    }
    const queued = state.waiting.filter((waiting) => waiting.kind === 'launch' && waiting.job !== null).length;
    const live = state.jobs.filter((job) => !isTerminalJob(job.status)).length + queued;
    if (live >= LIVE_JOBS || jsonBytes(state) + jsonBytes(command.payload) > STATE_REFUSE_BYTES) {
      return {
        kind: 'refused',
        message: `Cluster '${state.name}' holds as much work as it can (${live} jobs that have not ended).`,
        hint: 'Wait until some have ended, or use another cluster.',
      };
    }
  }
  if (command.kind === 'launch' || command.kind === 'start') {
    const asked = command.kind === 'launch' ? command.payload.task.budget : undefined;
    const problem = budgetProblem(state, asked, now);
    if (problem !== null) return problem;
  }
  if (command.kind === 'cancel' && command.payload.jobs !== null) {
    const unknown = command.payload.jobs.filter((id) => id < 1 || id >= state.nextJobId);
    if (unknown.length > 0) {
      return { kind: 'not-found', message: `Cluster '${state.name}' has no job ${unknown.join(', ')}.` };
    }
  }
  return null;
}

/** That a command gives the cluster; null: none. */
function autostopOf(command: Command): AutostopRule | null {
  if (command.kind === 'autostop') return command.payload.rule;
  if (command.kind === 'start') return command.payload.autostop ?? null;
  return command.kind === 'launch' ? (ruleOf(command.payload) ?? null) : null;
}

/** Of a launch; undefined: the cluster's stays as it is. */
function ruleOf({ autostop, task }: LaunchCommand): AutostopRule | null | undefined {
  return autostop === undefined ? (task.autostop ?? undefined) : autostop;
}

function retriesOf({ retryUntilUp, retryFor }: Pick<LaunchCommand, 'retryUntilUp' | 'retryFor'>, now: number) {
  return { retryUntilUp, ...(retryFor === undefined ? {} : { retryUntil: now + retryFor }) };
}

function rayOf(command: Command): RayRequest | undefined {
  if (command.kind === 'ray') return command.payload.ray ?? undefined;
  return command.kind === 'launch' || command.kind === 'exec' ? command.payload.task.ray : undefined;
}

/** Applies a command that `commandProblem` lets through, and remembers the answer under its request id. */
export function applyCommand(
  state: ClusterState,
  command: Command,
  now: number,
): { state: ClusterState; effects: QueuedEffect[]; answer: CommandAnswer } {
  const known = state.requests.find((request) => request.id === command.payload.requestId);
  if (known !== undefined) return { state, effects: [], answer: known.answer };
  const draft = new Draft(state, now);
  const partial = applyTo(draft, command);
  runQueue(draft);
  const answer: CommandAnswer = {
    operationId: null,
    jobId: null,
    jobIds: [],
    note: null,
    ...partial,
    generation: generation(draft.state),
  };
  draft.set({ requests: [...draft.state.requests, { id: command.payload.requestId, answer }] });
  return { state: compact(draft.state), effects: draft.effects, answer };
}

function applyTo(draft: Draft, command: Command): Partial<CommandAnswer> {
  const what = disposition(draft.state, command.kind);
  switch (command.kind) {
    case 'launch': {
      const { payload } = command;
      const opId = newOperationId(draft, 'launch');
      const job = numberJob(draft, payload.task, !payload.noSetup, payload.user);
      const autostop = ruleOf(payload);
      enqueue(draft, {
        kind: 'launch',
        opId,
        spec: payload.spec,
        ...retriesOf(payload, draft.now),
        job,
        user: payload.user,
        commandLine: payload.commandLine,
        ...(autostop === undefined ? {} : { autostop }),
        ...(payload.task.budget === undefined ? {} : { budget: payload.task.budget }),
        ...(payload.task.ray === undefined ? {} : { ray: payload.task.ray }),
      });
      return { operationId: opId, jobId: job?.id ?? null };
    }
    case 'exec': {
      const { fileMounts: _mounts, budget: _budget, ...task } = command.payload.task;
      const job = numberJob(draft, task, false, command.payload.user);
      if (task.ray !== undefined) wantRay(draft, task.ray);
      if (job !== null) submitJob(draft, job);
      draft.set({ lastUse: command.payload.commandLine });
      return { jobId: job?.id ?? null };
    }
    case 'cancel':
      return cancel(draft, command.payload.jobs);
    case 'start': {
      if (command.payload.autostop !== undefined) changeAutostop(draft, command.payload.autostop);
      if (what === 'noop') return { note: `Cluster '${draft.state.name}' is up already.` };
      if (what === 'join') return join(draft);
      const opId = newOperationId(draft, 'start');
      enqueue(draft, { kind: 'start', opId, ...retriesOf(command.payload, draft.now) });
      return { operationId: opId };
    }
    case 'stop':
    case 'down':
      return end(draft, command.kind, false);
    case 'autostop':
      changeAutostop(draft, command.payload.rule);
      return {};
    case 'ports': {
      const { open, close } = command.payload;
      const opId = newOperationId(draft, 'ports');
      enqueue(draft, { kind: 'ports', opId, open: wantedPorts(open), close: wantedPorts(close) });
      return { operationId: opId };
    }
    case 'ray': {
      const { ray } = command.payload;
      if (ray !== null) wantRay(draft, ray);
      else if (!endRay(draft)) return { note: `Cluster '${draft.state.name}' has no Ray.` };
      return {};
    }
    default:
      return assertNever(command);
  }
}

function cancel(draft: Draft, ids: readonly number[] | null): Partial<CommandAnswer> {
  const jobs = draft.state.jobs.filter((job) => !isTerminalJob(job.status) && (ids === null || ids.includes(job.id)));
  for (const job of jobs) {
    draft.effect({ type: 'cancelJob', jobId: job.id });
    if (job.allotment === null) endJob(draft, job, 'CANCELLED', null);
  }
  const queued = draft.state.waiting.flatMap((waiting) =>
    waiting.kind === 'launch' && waiting.job !== null && (ids === null || ids.includes(waiting.job.id))
      ? [waiting]
      : [],
  );
  draft.set({
    waiting: draft.state.waiting.map((waiting) =>
      waiting.kind === 'launch' && queued.includes(waiting) ? { ...waiting, job: null } : waiting,
    ),
  });
  const jobIds = [...jobs.map((job) => job.id), ...queued.flatMap((waiting) => waiting.job?.id ?? [])];
  return { jobIds, note: jobIds.length === 0 ? 'No job was running or waiting.' : null };
}

/** Applies what children and timers say. */
export function applyEvent(
  state: ClusterState,
  event: ClusterEvent,
  now: number,
): { state: ClusterState; effects: QueuedEffect[] } {
  const draft = new Draft(state, now);
  applyEventTo(draft, event);
  runQueue(draft);
  return { state: compact(draft.state), effects: draft.effects };
}

function applyEventTo(draft: Draft, event: ClusterEvent): void {
  if ('generation' in event && event.generation !== generation(draft.state)) return;
  switch (event.type) {
    case 'operationEnded':
      if (draft.state.duties.includes(event.opId)) return dutyEnded(draft, event.opId);
      return operationEnded(draft, event);
    case 'placing':
      return placing(draft, event);
    case 'progress': {
      const operation = draft.state.operation;
      if (operation === null || operation.id !== event.opId) return;
      return draft.set({ operation: { ...operation, progress: event.text, progressSince: draft.now } });
    }
    case 'placementFailed':
      return draft.set({ tries: [...draft.state.tries, event.tried] });
    case 'placementGone':
      return draft.set({ intents: draft.state.intents.filter((intent) => intent.key !== event.placementKey) });
    case 'jobChanged':
      return jobChanged(draft, event);
    case 'watchEnded':
      return watchEnded(draft, event.child);
    case 'released':
      return draft.set({ held: false });
    case 'observed':
      return observed(draft, event);
    case 'machinesMissing':
      return machinesMissing(draft, event);
    case 'rayChanged':
      return rayChanged(draft, event);
    case 'rayEnded':
      return rayEndedWord(draft, event);
    case 'crashed':
      if (event.operation) operationCrashed(draft);
      if (event.ray === true) rayCrashed(draft);
      if (event.watch && draft.state.watch !== null) watchEnded(draft, draft.state.watch.child);
      for (const duty of event.duties) dutyEnded(draft, duty);
      jobsCrashed(draft, event.jobs);
      return;
    case 'autostopDue': {
      const rule: AutostopRule | null = draft.state.autostop;
      if (rule === null || draft.state.operation !== null || draft.state.status !== 'UP') return;
      end(draft, rule.down ? 'down' : 'stop', true);
      return;
    }
    case 'budgetDue': {
      const due = budgetToActOn(draft.state, draft.now);
      if (due === null) return;
      const budget = exceededBudget(draft.state, due, draft.now);
      draft.set({ budget });
      const kind = budgetAct(draft.state, budget);
      if (kind !== 'notify') end(draft, kind, true, budget.exceeded.why);
      return;
    }
    default:
      assertNever(event);
  }
}

/** The intent: recorded before the machines are asked for. */
function placing(draft: Draft, { placement, opId }: PlacingSignal): void {
  if (draft.state.intents.some((intent) => intent.key === placement.key)) return;
  draft.set({
    intents: [...draft.state.intents, placement],
    attempts: Math.max(draft.state.attempts, placement.attempt),
  });
  const operation = draft.state.operation;
  if (operation === null || operation.id !== opId) return;
  const progress = `creating ${placement.numNodes}x ${placement.instanceType} in ${infraText(placement)}`;
  draft.set({ operation: { ...operation, progress, progressSince: draft.now } });
}

/** Why each waiting job waits, by job id. */
export function explainQueue(state: ClusterState, now: number): Record<string, string> {
  return waitReasons(new Draft(state, now));
}
