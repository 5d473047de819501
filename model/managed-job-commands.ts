/** What people ask of a managed job: cancel, pause, resume. Each is carried out once, by its request id. */
import { isTerminalJob } from './job.ts';
import { isManagedEnd } from './managed-job.ts';
import type { JobDraft } from './managed-job-draft.ts';
import { endCluster, endGently } from './managed-job-steps.ts';
import { askPool, hasLeft, isPooled, stopAsking } from './pooled-job.ts';

const REMEMBERED_REQUESTS = 20;

/** False when it was asked before. */
function isNew(draft: JobDraft, requestId: string): boolean {
  const { requests } = draft.state;
  if (requests.includes(requestId)) return false;
  draft.set({ requests: [...requests, requestId].slice(-REMEMBERED_REQUESTS) });
  return true;
}

export function cancel(draft: JobDraft, requestId: string, user: string): void {
  const { status, copy } = draft.state;
  if (!isNew(draft, requestId) || isManagedEnd(status) || status === 'CANCELLING') return;
  draft.tell(`cancelled by ${user}`);
  draft.set({ cancelledBy: user, outcome: { status: 'CANCELLED', reason: '' }, nextAt: null, paused: null });
  if (copy === null) {
    draft.status('CANCELLED');
    if (isPooled(draft)) draft.effect({ type: 'leavePool', copy: draft.state.copies + 1, lost: false });
    return draft.queue('ended');
  }
  draft.status('CANCELLING');
  endCopy(draft, `cancelled by ${user}`);
}

/** Its copy gets its SIGTERM and goes, and then it holds no slot, or no worker of its pool. What has ended, or is about to, is left alone. */
export function pause(draft: JobDraft, requestId: string, user: string): void {
  const { outcome, paused, copy, pauses } = draft.state;
  if (!isNew(draft, requestId) || outcome !== null || paused !== null) return;
  const why = `paused by ${user}`;
  draft.tell(why);
  draft.set({ paused: user, nextAt: null, pauses: pauses + (copy?.stood === true ? 1 : 0) });
  draft.status('PENDING', why);
  if (copy !== null) return endCopy(draft, why);
  draft.queue('parked');
  if (isPooled(draft)) stopAsking(draft);
}

/** It waits for its turn again; while its last copy still goes it keeps the slot that it has. */
export function resume(draft: JobDraft, requestId: string, user: string): void {
  const { paused, copy, outcome } = draft.state;
  if (!isNew(draft, requestId) || paused === null || outcome !== null) return;
  draft.tell(`resumed by ${user}`);
  draft.set({ paused: null });
  draft.status('PENDING');
  if (copy !== null) return draft.set({ nextAt: draft.now });
  if (!isPooled(draft)) return draft.queue('waiting');
  // Else when it has its number.
  if (draft.state.number !== null) askPool(draft);
}

/** With its SIGTERM where its job runs; one that is over already goes on as it does. */
function endCopy(draft: JobDraft, why: string): void {
  const { copy } = draft.state;
  if (copy === null) return;
  draft.copy({ why: why.slice(0, 200) });
  if (copy.phase === 'replacing') return endCluster(draft);
  if (copy.phase !== 'live') return;
  // It was not lost, whatever the one before it was.
  draft.set({ cause: null });
  const job = copy.report?.job ?? null;
  const over = !copy.stood || job === null || isTerminalJob(job.status);
  endGently(draft, isPooled(draft) ? hasLeft(draft) : over);
}
