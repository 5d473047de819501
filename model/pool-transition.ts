/**
 * The one function that changes a pool: an event in, the next state and the things to do out. Pure. It believes a job that asks for
 * another copy that the last one is over: no job asks before that is proved.
 */
import { assertNever } from './errors.ts';
import { pauseAfter } from './job-recovery.ts';
import type { ClusterReport } from './owned-cluster.ts';
import {
  type ApplyPoolCommand,
  type DownPoolCommand,
  hasSetupJob,
  type PoolAnswer,
  type PoolJob,
  type PoolRules,
  type PoolState,
  type PoolTold,
  type PoolWorker,
} from './pool.ts';
import { PoolDraft, type PoolEffect } from './pool-draft.ts';
import { nextScaling, place, scale } from './pool-scaling.ts';

export type PoolChange =
  | { readonly type: 'apply'; readonly command: ApplyPoolCommand }
  | { readonly type: 'down'; readonly command: DownPoolCommand }
  | { readonly type: 'told'; readonly told: PoolTold }
  | { readonly type: 'report'; readonly report: ClusterReport }
  /** Its cluster's workflow closed without saying that its machines are gone. */
  | { readonly type: 'workerLost'; readonly cluster: string }
  | { readonly type: 'fenced'; readonly cluster: string }
  /** Workflows of jobs that are no more. */
  | { readonly type: 'jobsGone'; readonly ids: readonly string[] }
  /** A moment that `poolDueAt` named has come. */
  | { readonly type: 'due' };

/** Rows of waiting jobs that are held; a job that finds no room asks again. */
export const HELD_JOBS = 1_000;
const REMEMBERED_REQUESTS = 50;
/** So many setups in a row that failed: the file is at fault. */
const FAILED_SETUPS = 3;

/** A pool that was never applied; `apply` is its first change. */
export function newPool(command: ApplyPoolCommand, now: number): PoolState | null {
  if (command.workers === null) return null;
  return {
    version: 1,
    createdAt: now,
    current: { ...command.workers, number: 0, digest: '', size: command.size },
    workers: [],
    made: 0,
    waiting: [],
    crowdedSince: null,
    failures: 0,
    nextLaunchAt: null,
    broken: null,
    ending: null,
    spent: 0,
    events: [],
    requests: [],
  };
}

/** Nothing is left to be done. */
export function isPoolOver({ ending, workers }: PoolState): boolean {
  return ending !== null && workers.length === 0;
}

export function applyPoolChange(
  state: PoolState,
  change: PoolChange,
  rules: PoolRules,
  now: number,
): { state: PoolState; effects: PoolEffect[] } {
  const draft = new PoolDraft(state, rules, now);
  apply(draft, change);
  endSilent(draft);
  if (draft.state.ending === null) {
    place(draft);
    scale(draft);
  } else endIdle(draft);
  return { state: draft.state, effects: draft.effects };
}

/** When `due` has to be applied; null: nothing waits for a time. `after`: the time of the last change, which saw to all that was due then. */
export function poolDueAt(state: PoolState, rules: PoolRules, after: number): number | null {
  const silent = state.workers.flatMap(({ phase, silentSince }) =>
    phase === 'ready' && silentSince !== null ? [silentSince + rules.fenceAfter] : [],
  );
  const times = [...silent, ...(state.ending === null ? nextScaling(state) : [])].filter((time) => time > after);
  return times.length === 0 ? null : Math.min(...times);
}

function apply(draft: PoolDraft, change: PoolChange): void {
  switch (change.type) {
    case 'apply':
      return applied(draft, change.command);
    case 'down':
      return down(draft, change.command);
    case 'told':
      return told(draft, change.told);
    case 'report':
      return reported(draft, change.report);
    case 'workerLost': {
      const worker = draft.find(change.cluster);
      if (worker === undefined || worker.phase === 'fencing') return;
      draft.tell(`worker ${worker.number}: its workflow was ended from outside; its machines are ended`);
      if (worker.phase === 'starting') launchFailed(draft, worker, 'its workflow was ended from outside', false);
      draft.worker(worker.cluster, { phase: 'fencing', phaseSince: draft.now, idleSince: null });
      return draft.effect({ type: 'fence', cluster: worker.cluster });
    }
    case 'fenced':
      if (draft.find(change.cluster)?.phase === 'fencing') gone(draft, change.cluster);
      return;
    case 'jobsGone':
      for (const id of change.ids) jobGone(draft, id);
      return;
    case 'due':
      return;
    default:
      assertNever(change);
  }
}

function answer(draft: PoolDraft, id: string, note: string): void {
  const given: PoolAnswer = { version: draft.state.current.number, note };
  draft.set({ requests: [...draft.state.requests, { id, answer: given }].slice(-REMEMBERED_REQUESTS) });
}

function applied(draft: PoolDraft, { requestId, user, workers, size }: ApplyPoolCommand): void {
  const { current, requests } = draft.state;
  if (requests.some(({ id }) => id === requestId)) return;
  const changed = workers !== null && workers.digest !== current.digest;
  const number = current.number + (changed ? 1 : 0);
  draft.set({
    current: { ...current, ...(changed ? workers : {}), number, size },
    failures: 0,
    nextLaunchAt: null,
    broken: null,
  });
  const count = size.min === size.max ? `${size.min}` : `${size.min} to ${size.max}`;
  draft.tell(`applied by ${user}: version ${number}, ${count} workers`);
  answer(draft, requestId, changed || current.number === 0 ? `version ${number}` : `version ${number}, workers stay`);
}

function down(draft: PoolDraft, { requestId, user, purge }: DownPoolCommand): void {
  const { ending, requests, waiting, workers } = draft.state;
  if (requests.some(({ id }) => id === requestId)) return;
  draft.set({ ending: { by: user, purge: purge || ending?.purge === true } });
  if (ending === null) draft.tell(`taken down by ${user}`);
  const jobs = [...waiting, ...workers.flatMap((worker) => worker.jobs)];
  if (ending === null) for (const { id } of jobs) draft.effect({ type: 'cancelJob', id, user });
  draft.set({ waiting: [] });
  answer(
    draft,
    requestId,
    jobs.length === 0 ? 'being taken down' : `being taken down; ${jobs.length} jobs are cancelled`,
  );
}

function endSilent(draft: PoolDraft): void {
  for (const worker of draft.state.workers) {
    const { silentSince } = worker;
    if (worker.phase !== 'ready' || silentSince === null) continue;
    if (draft.now >= silentSince + draft.rules.fenceAfter) draft.end(worker, 'a node did not answer for too long');
  }
}

/** Workers of a pool that is taken down go as soon as they have no jobs. */
function endIdle(draft: PoolDraft): void {
  for (const worker of draft.state.workers) {
    if (worker.jobs.length === 0 || draft.state.ending?.purge === true) draft.end(worker, 'the pool is taken down');
  }
}

function told(draft: PoolDraft, given: PoolTold): void {
  if (given.phase === 'ask') {
    const { phase: _phase, ...job } = given;
    return ask(draft, job);
  }
  const { id, copy, lost } = given;
  const worker = draft.state.workers.find(({ jobs }) => jobs.some((job) => job.id === id && job.copy === copy));
  const waits = draft.state.waiting.some((job) => job.id === id && job.copy === copy);
  if (worker === undefined && !waits) return;
  draft.release(id);
  if (worker !== undefined && lost) draft.end(worker, `job ${numberOf(worker, id)} was lost on it`);
}

function numberOf(worker: PoolWorker, id: string): string {
  return String(worker.jobs.find((job) => job.id === id)?.number ?? '-');
}

function ask(draft: PoolDraft, job: PoolJob): void {
  const { ending, workers, waiting } = draft.state;
  if (ending !== null) return draft.effect({ type: 'cancelJob', id: job.id, user: ending.by });
  const has = workers.find(({ jobs }) => jobs.some((one) => one.id === job.id && one.copy >= job.copy));
  // Asked again: the same answer.
  if (has !== undefined) return draft.effect({ type: 'place', id: job.id, copy: job.copy, cluster: has.cluster });
  if (waiting.some((one) => one.id === job.id && one.copy >= job.copy)) return;
  draft.release(job.id);
  const ordered = [...draft.state.waiting, job].toSorted((a, b) => b.priority - a.priority || a.number - b.number);
  draft.set({ waiting: ordered.slice(0, HELD_JOBS) });
}

/** What runs of it on a worker ends there; the worker's own queue sees to the room. */
function jobGone(draft: PoolDraft, id: string): void {
  for (const { cluster, jobs } of draft.state.workers) {
    for (const job of jobs) if (job.id === id) draft.effect({ type: 'evict', id, copy: job.copy, cluster });
  }
  draft.release(id);
}

function reported(draft: PoolDraft, report: ClusterReport): void {
  const cluster = report.cluster ?? '';
  const worker = draft.find(cluster);
  const over = report.status === 'TERMINATED' && report.operation === null;
  if (worker === undefined) {
    // Of an earlier pool of this name, whose workflow was ended from outside.
    if (!over && !cluster.startsWith(`pool-${draft.rules.life}-`)) draft.effect({ type: 'endWorker', cluster });
    return;
  }
  const { place: stands, size } = report;
  draft.worker(cluster, {
    status: report.status,
    silentSince: report.silentSince,
    cost: report.cost,
    hourly: report.hourly,
    costAt: report.at,
    ...(stands === null
      ? {}
      : { infra: `${stands.cloud}/${stands.region}/${stands.zone}`, instanceType: stands.instanceType }),
    ...(size === undefined ? {} : { size }),
  });
  if (worker.phase === 'starting') starting(draft, worker, report);
  else if (worker.phase === 'ready' && goes(report)) draft.end(worker, report.reason || 'its machines are gone');
  if (over && draft.find(cluster)?.phase !== 'fencing') gone(draft, cluster);
}

/** Its machines are gone or go, whoever said so. */
function goes({ gone: lost, status, operation }: ClusterReport): boolean {
  return lost || status === 'STOPPED' || status === 'TERMINATED' || operation === 'stop' || operation === 'down';
}

function starting(draft: PoolDraft, worker: PoolWorker, report: ClusterReport): void {
  const { launch, job } = report;
  if (launch !== null && launch.outcome !== 'succeeded') {
    const failure = launch.failure;
    const hopeless = failure?.kind === 'invalid' || failure?.kind === 'auth';
    return launchFailed(draft, worker, failure?.message ?? 'the launch was ended early', hopeless);
  }
  if (goes(report)) return launchFailed(draft, worker, report.reason || 'its machines are gone', false);
  if (launch === null) return;
  if (job !== null || hasSetupJob(draft.state.current.task)) {
    if (job === null || ['INIT', 'PENDING', 'SETTING_UP', 'RUNNING'].includes(job.status)) return;
    if (job.status !== 'SUCCEEDED') {
      const hopeless = job.status === 'FAILED_SETUP' && draft.state.failures + 1 >= FAILED_SETUPS;
      return launchFailed(draft, worker, `its setup ended ${job.status}: ${job.reason ?? ''}`, hopeless);
    }
  }
  draft.worker(worker.cluster, { phase: 'ready', phaseSince: draft.now, idleSince: draft.now });
  draft.tell(`worker ${worker.number}: ready`);
  // An older version that works says nothing of the new one.
  if (worker.digest === draft.state.current.digest) draft.set({ failures: 0, nextLaunchAt: null });
}

function launchFailed(draft: PoolDraft, worker: PoolWorker, why: string, hopeless: boolean): void {
  const { failures, current } = draft.state;
  if (worker.digest === current.digest) {
    draft.set({
      failures: failures + 1,
      nextLaunchAt: draft.now + pauseAfter(failures + 1, draft.rules.timing),
      ...(hopeless ? { broken: why.slice(0, 200) } : {}),
    });
  }
  draft.end(worker, why);
}

/** Its machines are proved gone. Jobs that were on it ask again by themselves. */
function gone(draft: PoolDraft, cluster: string): void {
  const worker = draft.find(cluster);
  if (worker === undefined) return;
  draft.tell(`worker ${worker.number}: its machines are gone`);
  draft.set({
    workers: draft.state.workers.filter((one) => one.cluster !== cluster),
    spent: draft.state.spent + worker.cost,
  });
}
