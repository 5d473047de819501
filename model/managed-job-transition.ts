/**
 * The one function that changes a managed job: an event in, the next state and the things to do out. Pure. What is about another copy than
 * the present one changes nothing, and the next copy is made only when the last one is proved gone.
 */
import { assertNever, type Failure } from './errors.ts';
import { isTerminalJob } from './job.ts';
import type { NoticeReceiver } from './job-notices.ts';
import {
  type LossCause,
  marketRule,
  pauseAfter,
  rememberRegion,
  restartOnError,
  restartPause,
  SHORT_RUN_MS,
  VANISHED_IN_A_ROW,
} from './job-recovery.ts';
import { type Copy, failureText, isManagedEnd, type JobRules, type ManagedJobState } from './managed-job.ts';
import { cancel, pause, resume } from './managed-job-commands.ts';
import { JobDraft, type JobEffect } from './managed-job-draft.ts';
import {
  copyRuns,
  hearProgress,
  onProbeReport,
  probeFenced,
  probeLost,
  proceed,
  reconsider,
  spotFailed,
} from './managed-job-market.ts';
import { askAhead, endVainSpare, goes, isEnding, onSpareReport, spareFenced, spareLost } from './managed-job-spare.ts';
import { collect, conclude, endCluster, startCopy } from './managed-job-steps.ts';
import { type ClusterReport, newWarnings } from './owned-cluster.ts';
import { askPool, awaitsPool, hasLeft, isPooled, poolAway } from './pooled-job.ts';
import { goOn, replaceNodes, replacesAt, staysOnNodes } from './replaced-nodes.ts';

export type ManagedJobEvent =
  /** What a submission asks can never be carried out. */
  | { readonly type: 'refused'; readonly failure: Failure }
  /** The queue's word. */
  | { readonly type: 'queued'; readonly number: number; readonly admitted: boolean }
  | { readonly type: 'cancel' | 'pause' | 'resume'; readonly requestId: string; readonly user: string }
  /** ahead: machines may be asked for before those that the cloud takes back are gone; default false. */
  | { readonly type: 'report'; readonly report: ClusterReport; readonly ahead?: boolean }
  | { readonly type: 'verified'; readonly copy: number; readonly stands: boolean }
  | { readonly type: 'collected'; readonly copy: number; readonly problem: string | null }
  /** Its cluster's workflow closed without saying that its machines are gone. */
  | { readonly type: 'clusterLost'; readonly copy: number }
  | { readonly type: 'fenced'; readonly copy: number }
  /** Its pool's word: on which worker the next copy runs. */
  | { readonly type: 'placed'; readonly copy: number; readonly cluster: string }
  | { readonly type: 'poolAway' }
  /** Who wants to be told of its states. */
  | { readonly type: 'receivers'; readonly receivers: readonly NoticeReceiver[]; readonly problem: string | null }
  /** One of them was told, or could not be. */
  | { readonly type: 'noticed'; readonly seq: number; readonly key: string; readonly problem: string | null }
  /** A moment that `dueAt` named has come. */
  | { readonly type: 'due' };

export { newManagedJob } from './new-managed-job.ts';

/** Nothing is left to be done: it has its number, its machines are gone, and the queue knows. */
export function isManagedJobOver(state: ManagedJobState): boolean {
  const { copy, spare, market } = state;
  const ended = isManagedEnd(state.status) && copy === null && spare === null && market.probe === null;
  return ended && state.queue === 'ended' && state.number !== null;
}

export function applyManagedJob(
  state: ManagedJobState,
  event: ManagedJobEvent,
  rules: JobRules,
  now: number,
): { state: ManagedJobState; effects: JobEffect[] } {
  const draft = new JobDraft(state, rules, now);
  apply(draft, event);
  // A worker of a pool stays; what ran on it is over by its word.
  if (isPooled(draft) && draft.state.copy?.phase === 'ending' && hasLeft(draft)) gone(draft);
  reconsider(draft);
  endVainSpare(draft);
  return { state: draft.state, effects: draft.effects };
}

/** When `due` has to be applied; null: nothing waits for a time. */
export function dueAt(state: ManagedJobState, rules: JobRules): number | null {
  const { copy, nextAt, outcome } = state;
  if (copy === null) return outcome === null ? nextAt : null;
  if (copy.phase === 'cancelling') return copy.phaseSince + cancelPatience(rules);
  if (copy.phase === 'replacing') return replacesAt(copy, nextAt, rules.fenceAfter);
  if (copy.phase !== 'live') return null;
  const fenceAt = silenceEnds(copy, rules);
  const { askAt } = state.market;
  return fenceAt === null || askAt === null ? (fenceAt ?? askAt) : Math.min(fenceAt, askAt);
}

/** When a node was silent for too long. */
function silenceEnds({ report }: Copy, { fenceAfter }: JobRules): number | null {
  return report === null || report.silentSince === null ? null : report.silentSince + fenceAfter;
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
      return queued(draft, event);
    case 'cancel':
      return cancel(draft, event.requestId, event.user);
    case 'pause':
      return pause(draft, event.requestId, event.user);
    case 'resume':
      return resume(draft, event.requestId, event.user);
    case 'report':
      if (draft.state.market.probe?.number === event.report.copy) return onProbeReport(draft, event.report);
      if (draft.state.spare?.number === event.report.copy) return onSpareReport(draft, event.report);
      if (copy?.number === event.report.copy) onReport(draft, copy, event.report);
      if (event.ahead === true) askAhead(draft, event.report);
      return;
    case 'verified':
      if (copy?.number !== event.copy || copy.phase !== 'verifying') return;
      // It was cancelled or paused meanwhile.
      if (draft.state.outcome !== null || copy.why !== '') return collect(draft);
      return event.stands ? failed(draft, copy) : vanished(draft, copy);
    case 'collected':
      if (copy?.number !== event.copy || copy.phase !== 'collecting') return;
      draft.copy({ logs: event.problem === null ? 'kept' : 'lost' });
      if (event.problem !== null) draft.tell(`the logs of copy ${copy.number} could not be kept: ${event.problem}`);
      // One that was cancelled or paused meanwhile does not go on.
      return copy.replaces === true && draft.state.status === 'RECOVERING' ? goOn(draft) : endCluster(draft);
    case 'clusterLost':
      if (draft.state.market.probe?.number === event.copy) return probeLost(draft);
      if (draft.state.spare?.number === event.copy) return spareLost(draft);
      if (copy?.number !== event.copy || copy.phase === 'fencing') return;
      draft.tell(`the workflow of cluster ${copy.cluster} was ended from outside; its machines are ended`);
      if (draft.state.outcome === null && copy.why === '')
        lose(draft, 'ended', 'its cluster was ended from outside', false);
      draft.phase('fencing');
      return draft.effect({ type: 'fence', copy: copy.number, cluster: copy.cluster });
    case 'receivers':
      return draft.receivers(event.receivers, event.problem);
    case 'noticed':
      return draft.noticed(event.seq, event.key, event.problem);
    case 'fenced':
      if (draft.state.market.probe?.number === event.copy) return probeFenced(draft);
      if (draft.state.spare?.number === event.copy) return spareFenced(draft);
      if (copy?.number === event.copy && copy.phase === 'fencing') gone(draft);
      return;
    case 'placed':
      if (awaitsPool(draft) && event.copy === draft.state.copies + 1)
        return startCopy(draft, null, undefined, event.cluster);
      if (copy?.number !== event.copy) draft.effect({ type: 'leavePool', copy: event.copy, lost: false });
      return;
    case 'poolAway':
      return poolAway(draft);
    case 'due':
      return due(draft);
    default:
      assertNever(event);
  }
}

function queued(draft: JobDraft, { number, admitted }: Extract<ManagedJobEvent, { type: 'queued' }>): void {
  const { copy, outcome, paused, queue, number: known } = draft.state;
  if (known === null) draft.set({ number });
  if (admitted && paused !== null) draft.effect({ type: 'tellQueue', phase: 'parked' });
  if (copy !== null || outcome !== null) return;
  if (isPooled(draft)) {
    // One that was paused and resumed before it had its number has not asked yet.
    if (queue === 'waiting' || (known === null && awaitsPool(draft))) askPool(draft);
  } else if (admitted && queue === 'waiting') {
    draft.set({ queue: 'launching' });
    proceed(draft);
  }
}

function onReport(draft: JobDraft, before: Copy, report: ClusterReport): void {
  const place = report.place ?? before.report?.place ?? null;
  for (const text of newWarnings(before.report, report)) draft.tell(text);
  hearProgress(draft, before.report, report);
  draft.copy({ report: { ...report, place } });
  const taken = !isPooled(draft) || report.job !== null;
  if (!before.stood && taken && report.launch?.outcome === 'succeeded') {
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
  else if (copy.phase === 'replacing') replaceNodes(draft);
  else if (copy.phase === 'cancelling' && (report.job === null || isTerminalJob(report.job.status))) {
    // It was told to end because it moves or pauses, and was done before it heard.
    if (report.job?.status === 'SUCCEEDED') conclude(draft, 'SUCCEEDED', '');
    if (isManagedEnd(draft.state.status)) draft.set({ paused: null });
    collect(draft);
  }
  // Whatever it was that was waited for, it went with the machines.
  const now = draft.state.copy;
  if (now?.number === copy.number && now.phase === 'ending' && isPooled(draft) && hasLeft(draft))
    return endCluster(draft);
  if (now === null || now.number !== copy.number || report.status !== 'TERMINATED') return;
  if (report.operation !== null || now.phase === 'fencing') return;
  if (draft.state.outcome === null && now.why === '') lose(draft, 'machines', 'its machines are gone', false);
  gone(draft);
}

function live(draft: JobDraft, copy: Copy, report: ClusterReport): void {
  const { job, launch } = report;
  if (!copy.stood && launch !== null && launch.outcome !== 'succeeded') return launchEnded(draft, report);
  if (job === null) return;
  // One that was so short that its end came with the word of its start.
  const ran = job.status === 'SUCCEEDED' || job.status === 'FAILED';
  if (ran && copy.stood && draft.state.status !== 'RUNNING') {
    draft.status('RUNNING', '', job.startedAt ?? null);
    copyRuns(draft);
  }
  switch (job.status) {
    case 'INIT':
    case 'PENDING':
    case 'SETTING_UP':
      return;
    case 'RUNNING':
      if (draft.state.status === 'RUNNING') return;
      draft.status('RUNNING');
      return copyRuns(draft);
    case 'SUCCEEDED':
      if (draft.state.outcome === null) draft.set({ outputs: job.outputs ?? {} });
      conclude(draft, 'SUCCEEDED', '');
      return collect(draft);
    case 'FAILED':
    case 'FAILED_SETUP':
      if (goes(report)) return lostNodes(draft, report, report.reason || 'a node is gone');
      draft.phase('verifying');
      return draft.effect({ type: 'verify', copy: copy.number, cluster: copy.cluster });
    case 'CANCELLED':
      if (isEnding(report))
        return lose(draft, 'ended', job.reason ?? 'its cluster was ended by another command', false);
      conclude(draft, 'CANCELLED', 'cancelled on its cluster');
      return collect(draft);
    case 'FAILED_DRIVER':
      if (goes(report) || isEnding(report)) return lostNodes(draft, report, job.reason ?? 'its machines are gone');
      return lose(draft, 'process', job.reason ?? 'it vanished', true);
    default:
      assertNever(job.status);
  }
}

/** The cloud does not know all of its machines any more; its cluster has yet to hear of it. */
function vanished(draft: JobDraft, { report }: Copy): void {
  const stays = report !== null && staysOnNodes(draft, { ...report, gone: true });
  if (stays) draft.copy({ replaces: true });
  lose(draft, 'machines', 'its machines are gone', stays);
}

/** Where some are left it may go on with these. */
function lostNodes(draft: JobDraft, report: ClusterReport, why: string): void {
  if (staysOnNodes(draft, report)) draft.copy({ replaces: true });
  lose(draft, 'machines', why, true);
}

/** Its machines never stood. The cluster takes down by itself what it had begun. */
function launchEnded(draft: JobDraft, report: ClusterReport): void {
  const failure = report.launch?.failure ?? { kind: 'internal' as const, message: 'the launch failed' };
  const { everStood, copy } = draft.state;
  const onSpot = copy?.market === 'spot';
  const kind = report.launch?.outcome === 'aborted' ? 'aborted' : failure.kind;
  if (!everStood && (kind === 'invalid' || kind === 'auth')) conclude(draft, 'FAILED_PRECHECKS', failureText(failure));
  else if (!everStood && !onSpot && kind === 'capacity' && report.tried === 0) {
    conclude(draft, 'FAILED_NO_RESOURCE', failureText(failure));
  } else {
    const failedLaunches = draft.state.failedLaunches + 1;
    const limit = draft.rules.recovery.causes?.noCapacity;
    const pause = pauseAfter(failedLaunches, draft.rules.timing, limit?.backoff ?? undefined);
    // Its strategy says whether to wait for spot machines or to take others.
    if (onSpot) spotFailed(draft, pause);
    draft.set({ failedLaunches, nextAt: draft.now + (onSpot ? 0 : pause) });
    if (failedLaunches > (limit?.maxRestarts ?? Number.POSITIVE_INFINITY)) {
      const often = `no machines in ${failedLaunches} launches in a row: ${failure.message}`;
      conclude(draft, everStood ? 'FAILED' : 'FAILED_NO_RESOURCE', often);
      return endCluster(draft);
    }
    draft.status(draft.state.status, `no machines: ${failure.message}`);
    draft.tell(`copy ${copy?.number} found no place: ${failure.message}`);
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
  const preempted = cause === 'machines' || cause === 'unreachable';
  const left = preempted ? (copy.report?.place ?? lastPlace) : null;
  const { causes } = draft.rules.recovery;
  const preemptions = draft.state.preemptions + (preempted && copy.stood ? 1 : 0);
  const pause = restartPause(
    draft.rules.timing,
    preempted ? causes?.preemption : cause === 'error' ? causes?.error : undefined,
    inARow,
  );
  const spotGone = copy.market === 'spot' && (preempted || cause === 'ended');
  if (spotGone) spotFailed(draft, pause);
  draft.set({
    cause,
    preemptions,
    shortRuns: inARow,
    recoveries: draft.state.recoveries + (copy.stood ? 1 : 0),
    lostRegions: left === null ? lostRegions : rememberRegion(lostRegions, left),
    nextAt: draft.now + (spotGone ? 0 : pause),
  });
  if (preempted && preemptions > (causes?.preemption?.maxRestarts ?? Number.POSITIVE_INFINITY)) {
    conclude(draft, 'FAILED', `its machines were lost ${preemptions} times, the last time: ${why}`);
    return logs ? collect(draft) : endCluster(draft);
  }
  // One whose machines never stood is launched again, which is no recovery.
  draft.status(copy.stood ? 'RECOVERING' : draft.state.status, why);
  if (logs && copy.stood) collect(draft);
  else endCluster(draft);
}

/** The machines of the present copy are proved gone. */
function gone(draft: JobDraft): void {
  const { copy, outcome } = draft.state;
  if (copy === null) return;
  draft.past(copy);
  draft.set({ copy: null });
  draft.tell(isPooled(draft) ? `copy ${copy.number} is over` : `the machines of copy ${copy.number} are gone`);
  if (outcome !== null) {
    if (!isManagedEnd(draft.state.status)) draft.status(outcome.status, outcome.reason);
    return draft.queue('ended');
  }
  if (draft.state.paused !== null) {
    draft.set({ nextAt: null });
    return draft.queue('parked');
  }
  // A launch that found nothing holds no slot while it waits; one that may have to go elsewhere at any time keeps its own.
  if (!copy.stood) draft.queue(marketRule(draft.rules.recovery) === null ? 'parked' : 'running');
  due(draft);
}

function due(draft: JobDraft): void {
  const at = dueAt(draft.state, draft.rules);
  if (at === null || draft.now < at) return;
  const { copy, queue } = draft.state;
  if (copy === null) {
    draft.set({ nextAt: null });
    // It keeps its slot over a recovery; one that gave it back has to wait for another.
    if (isPooled(draft)) return askPool(draft);
    return queue === 'parked' ? draft.queue('waiting') : proceed(draft);
  }
  if (copy.phase === 'cancelling') return collect(draft);
  if (copy.phase === 'replacing') return replaceNodes(draft);
  const silent = silenceEnds(copy, draft.rules);
  if (silent === null || draft.now < silent) return;
  const minutes = Math.round(draft.rules.fenceAfter / 60_000);
  lose(draft, 'unreachable', `a node did not answer for ${minutes > 0 ? `${minutes} min` : 'too long'}`, false);
}
