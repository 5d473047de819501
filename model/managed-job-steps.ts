/** Steps that a managed job takes with its present copy, whatever made it take them. */
import { nextPlaces } from './job-recovery.ts';
import { type Copy, copyCluster, type ManagedEnd } from './managed-job.ts';
import type { JobDraft } from './managed-job-draft.ts';
import { takeOver } from './managed-job-spare.ts';
import type { Market } from './market.ts';
import { advised, type PlaceOrder } from './place-order.ts';
import { isPooled, leaveWorker } from './pooled-job.ts';

/**
 * @param market the machines that it shall have; null: what the task asks for
 * @param worker of a pool, in place of a cluster of its own
 */
export function startCopy(draft: JobDraft, market: Market | null, order?: PlaceOrder, worker?: string): void {
  const { state, rules } = draft;
  if (worker === undefined && takeOver(draft)) return;
  const number = state.copies + 1;
  const cluster = worker ?? copyCluster(rules.workflowId, number);
  const byStrategy = order ?? nextPlaces(rules.recovery.strategy, state.lastPlace, state.lostRegions);
  const places = advised(byStrategy, rules.place);
  const copy: Copy = {
    number,
    cluster,
    market,
    try: state.recoveries + state.pauses + 1,
    phase: 'live',
    phaseSince: draft.now,
    startedAt: draft.now,
    stood: false,
    report: null,
    logs: null,
    why: '',
  };
  draft.set({ copies: number, copy, nextAt: null });
  if (!state.everStood || state.status === 'PENDING') draft.status('STARTING');
  if (worker !== undefined) {
    draft.tell(`submitting copy ${number} on cluster ${cluster}`);
    draft.status(draft.state.status);
    return draft.effect({ type: 'submitToWorker', copy: number, cluster, try: copy.try });
  }
  draft.tell(`launching copy ${number}${market === null ? '' : `, ${market}`} on cluster ${cluster}`);
  draft.effect({
    type: 'startCluster',
    copy: number,
    cluster,
    try: copy.try,
    ...(market === null ? {} : { market }),
    ...(places === undefined ? {} : { order: places }),
  });
}

/** Decides how the job ends. One that was cancelled is CANCELLED when its machines are gone; all others are what they are at once. */
export function conclude(draft: JobDraft, status: ManagedEnd, reason: string): void {
  if (draft.state.outcome !== null) return;
  draft.set({ outcome: { status, reason }, nextAt: null });
  draft.status(status, reason);
  if (draft.state.copy === null) draft.queue('ended');
}

export function collect(draft: JobDraft): void {
  const { copy } = draft.state;
  if (copy === null) return;
  draft.phase('collecting');
  draft.effect({ type: 'collect', copy: copy.number, cluster: copy.cluster });
}

export function endCluster(draft: JobDraft): void {
  const { copy } = draft.state;
  if (copy === null) return;
  draft.phase('ending');
  if (isPooled(draft)) return leaveWorker(draft);
  draft.effect({ type: 'endCluster', copy: copy.number, cluster: copy.cluster });
}

/** Its scripts are told to end, where there are any; then its machines go. */
export function endGently(draft: JobDraft, scriptsEnded: boolean): void {
  const { copy } = draft.state;
  if (copy === null) return;
  if (scriptsEnded) return endCluster(draft);
  draft.phase('cancelling');
  draft.effect({ type: 'cancelOnCluster', copy: copy.number, cluster: copy.cluster });
}
