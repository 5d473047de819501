/**
 * The one function that changes a managed job: an event in, the next state and the things to do out. Pure. What is about another copy than
 * the present one changes nothing, and the next copy is made only when the last one is proved gone.
 */
import { assertNever, type Failure } from './errors.ts';
import { isTerminalJob } from './job.ts';
import {
  type LossCause,
  nextPlaces,
  pauseAfter,
  rememberRegion,
  restartOnError,
  SHORT_RUN_MS,
  VANISHED_IN_A_ROW,
} from './job-recovery.ts';
import {
  type Copy,
  copyCluster,
  failureText,
  isManagedEnd,
  type JobRules,
  type ManagedEnd,
  type ManagedJobInput,
  type ManagedJobState,
  type PastCopy,
} from './managed-job.ts';
import { JobDraft, type JobEffect } from './managed-job-draft.ts';
import type { ClusterReport } from './owned-cluster.ts';

export type ManagedJobEvent =
  /** What a submission asks can never be carried out. */
  | { readonly type: 'refused'; readonly failure: Failure }
  /** The queue's word. */
  | { readonly type: 'queued'; readonly number: number; readonly admitted: boolean }
  | { readonly type: 'cancel'; readonly requestId: string; readonly user: string }
  | { readonly type: 'report'; readonly report: ClusterReport }
  | { readonly type: 'verified'; readonly copy: number; readonly stands: boolean }
  | { readonly type: 'collected'; readonly copy: number; readonly problem: string | null }
  /** Its cluster's workflow closed without saying that its machines are gone. */
  | { readonly type: 'clusterLost'; readonly copy: number }
  | { readonly type: 'fenced'; readonly copy: number }
  /** A moment that `dueAt` named has come. */
  | { readonly type: 'due' };

const REMEMBERED_COPIES = 20;
const REMEMBERED_CANCELS = 20;

export function newManagedJob(
  submittedAt: number,
  { part, retryOf }: Pick<ManagedJobInput, 'part' | 'retryOf'> = {},
): ManagedJobState {
  return {
    version: 1,
    status: 'PENDING',
    statusSince: submittedAt,
    reason: '',
    cause: null,
    number: part?.number ?? null,
    submittedAt,
    startedAt: null,
    endedAt: null,
    ranMs: 0,
    runningSince: null,
    cancelledBy: null,
    outcome: null,
    copies: 0,
    copy: null,
    past: [],
    recoveries: 0,
    errorRestarts: 0,
    failedLaunches: 0,
    shortRuns: 0,
    everStood: false,
    lastPlace: null,
    lostRegions: [],
    queue: 'waiting',
    nextAt: null,
    spent: 0,
    outputs: {},
    events: [
      { at: submittedAt, text: retryOf === undefined ? 'PENDING' : `PENDING: retry of managed job ${retryOf.number}` },
    ],
    requests: [],
  };
}

/** Nothing is left to be done: it has its number, its machines are gone, and the queue knows. */
export function isManagedJobOver(state: ManagedJobState): boolean {
  return isManagedEnd(state.status) && state.copy === null && state.queue === 'ended' && state.number !== null;
}

export function applyManagedJob(
  state: ManagedJobState,
  event: ManagedJobEvent,
  rules: JobRules,
  now: number,
): { state: ManagedJobState; effects: JobEffect[] } {
  const draft = new JobDraft(state, rules, now);
  apply(draft, event);
  return { state: draft.state, effects: draft.effects };
}

/** When `due` has to be applied; null: nothing waits for a time. */
export function dueAt(state: ManagedJobState, rules: JobRules): number | null {
  const { copy, nextAt, outcome } = state;
  if (copy === null) return outcome === null ? nextAt : null;
  if (copy.phase === 'cancelling') return copy.phaseSince + cancelPatience(rules);
  const silentSince = copy.report?.silentSince ?? null;
  return copy.phase === 'live' && silentSince !== null ? silentSince + rules.fenceAfter : null;
}

/** How long a job's own end is waited for when it is cancelled; after that its machines go anyway. */
function cancelPatience({ timing }: JobRules): number {
  return timing.killGrace * 2 + timing.heartbeatTimeout * 3;
}

function apply(draft: JobDraft, event: ManagedJobEvent): void {
  const { copy } = draft.state;
  switch (event.type) {
    case 'refused':
      return conclude(draft, 'FAILED_PRECHECKS', failureText(event.failure));
    case 'queued':
      if (draft.state.number === null) draft.set({ number: event.number });
      if (event.admitted && copy === null && draft.state.outcome === null && draft.state.queue === 'waiting') {
        draft.set({ queue: 'launching' });
        startCopy(draft);
      }
      return;
    case 'cancel':
      return cancel(draft, event.requestId, event.user);
    case 'report':
      if (copy?.number === event.report.copy) onReport(draft, copy, event.report);
      return;
    case 'verified':
      if (copy?.number !== event.copy || copy.phase !== 'verifying') return;
      if (draft.state.outcome !== null) return collect(draft);
      return event.stands ? failed(draft, copy) : lose(draft, 'machines', 'its machines are gone', false);
    case 'collected':
      if (copy?.number !== event.copy || copy.phase !== 'collecting') return;
      draft.copy({ logs: event.problem === null ? 'kept' : 'lost' });
      if (event.problem !== null) draft.tell(`the logs of copy ${copy.number} could not be kept: ${event.problem}`);
      return endCluster(draft);
    case 'clusterLost':
      if (copy?.number !== event.copy || copy.phase === 'fencing') return;
      draft.tell(`the workflow of cluster ${copy.cluster} was ended from outside; its machines are ended`);
      if (draft.state.outcome === null && copy.why === '')
        lose(draft, 'ended', 'its cluster was ended from outside', false);
      draft.phase('fencing');
      return draft.effect({ type: 'fence', copy: copy.number, cluster: copy.cluster });
    case 'fenced':
      if (copy?.number === event.copy && copy.phase === 'fencing') gone(draft);
      return;
    case 'due':
      return due(draft);
    default:
      assertNever(event);
  }
}

function startCopy(draft: JobDraft): void {
  const { state, rules } = draft;
  const number = state.copies + 1;
  const cluster = copyCluster(rules.workflowId, number);
  const order = nextPlaces(rules.recovery.strategy, state.lastPlace, state.lostRegions);
  const copy: Copy = {
    number,
    cluster,
    try: state.recoveries + 1,
    phase: 'live',
    phaseSince: draft.now,
    startedAt: draft.now,
    stood: false,
    report: null,
    logs: null,
    why: '',
  };
  draft.set({ copies: number, copy, nextAt: null });
  if (!state.everStood) draft.status('STARTING');
  draft.tell(`launching copy ${number} on cluster ${cluster}`);
  draft.effect({
    type: 'startCluster',
    copy: number,
    cluster,
    try: copy.try,
    ...(order === undefined ? {} : { order }),
  });
}

function onReport(draft: JobDraft, before: Copy, report: ClusterReport): void {
  const place = report.place ?? before.report?.place ?? null;
  draft.copy({ report: { ...report, place } });
  if (!before.stood && report.launch?.outcome === 'succeeded') {
    draft.copy({ stood: true });
    draft.set({
      everStood: true,
      failedLaunches: 0,
      lastPlace: place === null ? null : { cloud: place.cloud, region: place.region },
    });
    draft.tell(
      `copy ${before.number} stands${place === null ? '' : ` in ${place.cloud}/${place.region}/${place.zone}`}`,
    );
    draft.queue('running');
  }
  const copy = draft.state.copy;
  if (copy === null) return;
  if (copy.phase === 'live') live(draft, copy, report);
  else if (copy.phase === 'cancelling' && (report.job === null || isTerminalJob(report.job.status))) collect(draft);
  // Whatever it was that was waited for, it went with the machines.
  const now = draft.state.copy;
  if (now === null || now.number !== copy.number || report.status !== 'TERMINATED') return;
  if (report.operation !== null || now.phase === 'fencing') return;
  if (draft.state.outcome === null && now.why === '') lose(draft, 'machines', 'its machines are gone', false);
  gone(draft);
}

function live(draft: JobDraft, copy: Copy, report: ClusterReport): void {
  const { job, launch } = report;
  if (!copy.stood && launch !== null && launch.outcome !== 'succeeded') return launchEnded(draft, report);
  if (job === null) return;
  switch (job.status) {
    case 'INIT':
    case 'PENDING':
    case 'SETTING_UP':
      return;
    case 'RUNNING':
      if (draft.state.status !== 'RUNNING') draft.status('RUNNING');
      return;
    case 'SUCCEEDED':
      if (draft.state.outcome === null) draft.set({ outputs: job.outputs ?? {} });
      conclude(draft, 'SUCCEEDED', '');
      return collect(draft);
    case 'FAILED':
    case 'FAILED_SETUP':
      if (report.gone) return lose(draft, 'machines', report.reason || 'a node is gone', true);
      draft.phase('verifying');
      return draft.effect({ type: 'verify', copy: copy.number, cluster: copy.cluster });
    case 'CANCELLED':
      if (isEnding(report))
        return lose(draft, 'ended', job.reason ?? 'its cluster was ended by another command', false);
      conclude(draft, 'CANCELLED', 'cancelled on its cluster');
      return collect(draft);
    case 'FAILED_DRIVER':
      if (report.gone || isEnding(report)) return lose(draft, 'machines', job.reason ?? 'its machines are gone', true);
      return lose(draft, 'process', job.reason ?? 'it vanished', true);
    default:
      assertNever(job.status);
  }
}

/** The machines go, or are gone, whoever said so. */
function isEnding({ operation, status }: ClusterReport): boolean {
  return operation === 'stop' || operation === 'down' || status === 'STOPPED' || status === 'TERMINATED';
}

/** Its machines never stood. The cluster takes down by itself what it had begun. */
function launchEnded(draft: JobDraft, report: ClusterReport): void {
  const failure = report.launch?.failure ?? { kind: 'internal' as const, message: 'the launch failed' };
  const { everStood } = draft.state;
  const kind = report.launch?.outcome === 'aborted' ? 'aborted' : failure.kind;
  if (!everStood && (kind === 'invalid' || kind === 'auth')) conclude(draft, 'FAILED_PRECHECKS', failureText(failure));
  else if (!everStood && kind === 'capacity' && report.tried === 0) {
    conclude(draft, 'FAILED_NO_RESOURCE', failureText(failure));
  } else {
    const failedLaunches = draft.state.failedLaunches + 1;
    const pause = pauseAfter(failedLaunches, draft.rules.timing);
    draft.set({ failedLaunches, nextAt: draft.now + pause });
    draft.status(draft.state.status, `no machines: ${failure.message}`);
    draft.tell(`copy ${draft.state.copy?.number} found no place: ${failure.message}`);
    draft.copy({ why: failure.message.slice(0, 200) });
  }
  endCluster(draft);
}

/** It failed by itself, on machines that stand. */
function failed(draft: JobDraft, copy: Copy): void {
  const job = copy.report?.job ?? null;
  const reason = job?.reason ?? 'it failed';
  const { errorRestarts } = draft.state;
  const again = restartOnError(draft.rules.recovery, job?.exitCodes ?? [], errorRestarts);
  if (again !== 'no') {
    if (again === 'counted') draft.set({ errorRestarts: errorRestarts + 1 });
    return lose(draft, 'error', reason, true);
  }
  conclude(draft, job?.status === 'FAILED_SETUP' ? 'FAILED_SETUP' : 'FAILED', reason);
  collect(draft);
}

/** This copy is over and another one follows. `logs`: some of its machines may still have them. */
function lose(draft: JobDraft, cause: LossCause, why: string, logs: boolean): void {
  const { copy, lastPlace, lostRegions, shortRuns } = draft.state;
  if (copy === null) return;
  draft.copy({ why: why.slice(0, 200) });
  const short = copy.stood && draft.now - copy.startedAt < SHORT_RUN_MS;
  const inARow = copy.stood ? (short ? shortRuns + 1 : 0) : shortRuns;
  if (cause === 'process' && inARow >= VANISHED_IN_A_ROW) {
    conclude(draft, 'FAILED', `${why}, ${inARow} times in a row`);
    return collect(draft);
  }
  const left = cause === 'machines' || cause === 'unreachable' ? (copy.report?.place ?? lastPlace) : null;
  draft.set({
    cause,
    shortRuns: inARow,
    recoveries: draft.state.recoveries + (copy.stood ? 1 : 0),
    lostRegions: left === null ? lostRegions : rememberRegion(lostRegions, left),
    nextAt: draft.now + pauseAfter(inARow - 1, draft.rules.timing),
  });
  // One whose machines never stood is launched again, which is no recovery.
  draft.status(copy.stood ? 'RECOVERING' : draft.state.status, why);
  if (logs && copy.stood) collect(draft);
  else endCluster(draft);
}

/** Decides how the job ends. One that was cancelled is CANCELLED when its machines are gone; all others are what they are at once. */
function conclude(draft: JobDraft, status: ManagedEnd, reason: string): void {
  if (draft.state.outcome !== null) return;
  draft.set({ outcome: { status, reason }, nextAt: null });
  draft.status(status, reason);
  if (draft.state.copy === null) draft.queue('ended');
}

function collect(draft: JobDraft): void {
  const { copy } = draft.state;
  if (copy === null) return;
  draft.phase('collecting');
  draft.effect({ type: 'collect', copy: copy.number, cluster: copy.cluster });
}

function endCluster(draft: JobDraft): void {
  const { copy } = draft.state;
  if (copy === null) return;
  draft.phase('ending');
  draft.effect({ type: 'endCluster', copy: copy.number, cluster: copy.cluster });
}

/** The machines of the present copy are proved gone. */
function gone(draft: JobDraft): void {
  const { copy, outcome, past, spent } = draft.state;
  if (copy === null) return;
  const { number, cluster, startedAt, logs, report } = copy;
  const place = report?.place ?? null;
  const ended: PastCopy = {
    number,
    cluster,
    try: copy.try,
    startedAt,
    endedAt: draft.now,
    infra: place === null ? null : `${place.cloud}/${place.region}/${place.zone}`,
    logs: copy.stood ? (logs ?? 'lost') : null,
    why: copy.why,
    cost: report?.cost ?? 0,
  };
  draft.set({ copy: null, past: [...past, ended].slice(-REMEMBERED_COPIES), spent: spent + ended.cost });
  draft.tell(`the machines of copy ${number} are gone`);
  if (outcome !== null) {
    if (!isManagedEnd(draft.state.status)) draft.status(outcome.status, outcome.reason);
    return draft.queue('ended');
  }
  // A launch that found nothing holds no slot while it waits.
  if (!copy.stood) draft.queue('parked');
  due(draft);
}

function cancel(draft: JobDraft, requestId: string, user: string): void {
  const { requests, status, copy } = draft.state;
  if (requests.includes(requestId)) return;
  draft.set({ requests: [...requests, requestId].slice(-REMEMBERED_CANCELS) });
  if (isManagedEnd(status) || status === 'CANCELLING') return;
  draft.tell(`cancelled by ${user}`);
  draft.set({ cancelledBy: user, outcome: { status: 'CANCELLED', reason: '' }, nextAt: null });
  if (copy === null) {
    draft.status('CANCELLED');
    return draft.queue('ended');
  }
  draft.status('CANCELLING');
  draft.copy({ why: `cancelled by ${user}`.slice(0, 200) });
  if (copy.phase !== 'live') return;
  const job = copy.report?.job ?? null;
  if (!copy.stood || job === null || isTerminalJob(job.status)) return endCluster(draft);
  draft.phase('cancelling');
  draft.effect({ type: 'cancelOnCluster', copy: copy.number, cluster: copy.cluster });
}

function due(draft: JobDraft): void {
  const at = dueAt(draft.state, draft.rules);
  if (at === null || draft.now < at) return;
  const { copy, queue } = draft.state;
  if (copy === null) {
    draft.set({ nextAt: null });
    // It keeps its slot over a recovery; one that gave it back has to wait for another.
    return queue === 'parked' ? draft.queue('waiting') : startCopy(draft);
  }
  if (copy.phase === 'cancelling') return collect(draft);
  const minutes = Math.round(draft.rules.fenceAfter / 60_000);
  lose(draft, 'unreachable', `a node did not answer for ${minutes > 0 ? `${minutes} min` : 'too long'}`, false);
}
