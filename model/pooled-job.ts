/**
 * What is different about a managed job that runs in a pool: the pool says on which worker each copy runs, and that worker is not the job's
 * to end. A copy is over when nothing of it runs there any more, or the worker's machines are gone.
 */
import type { JobDraft } from './managed-job-draft.ts';

export function isPooled({ rules }: JobDraft): boolean {
  return rules.pool !== undefined;
}

/** Asks the pool for a worker for the next copy. The queue gave the number; a slot of it is not needed. */
export function askPool(draft: JobDraft): void {
  draft.queue('parked');
  draft.status(draft.state.status, `waits for a worker of pool ${draft.rules.pool}`);
  draft.effect({ type: 'askPool', copy: draft.state.copies + 1 });
}

/** Does it wait for the pool's word? */
export function awaitsPool({ state, rules }: Pick<JobDraft, 'state' | 'rules'>): boolean {
  const { copy, outcome, paused, nextAt, number } = state;
  const next = copy === null && outcome === null && paused === null && nextAt === null;
  return rules.pool !== undefined && next && number !== null;
}

/** It is paused while it has no worker. What the pool may have said meanwhile was about a copy that never comes. */
export function stopAsking(draft: JobDraft): void {
  const copy = draft.state.copies + 1;
  draft.set({ copies: copy });
  draft.effect({ type: 'leavePool', copy, lost: false });
}

/** The pool is not there: it may be applied again. */
export function poolAway(draft: JobDraft): void {
  if (!awaitsPool(draft)) return;
  draft.set({ nextAt: draft.now + draft.rules.timing.retryUntilUpMax });
  draft.status(draft.state.status, `pool ${draft.rules.pool} is not there`);
}

/** Nothing of the present copy runs, by its worker's word. */
export function hasLeft({ state }: JobDraft): boolean {
  return state.copy?.report?.ended === true;
}

/** The present copy is over. While it may still run on its worker, that one is ended, and the copy waits for its end. */
export function leaveWorker(draft: JobDraft): void {
  const { copy, cause } = draft.state;
  if (copy === null) return;
  const { number, cluster } = copy;
  const machines = copy.why !== '' && (cause === 'machines' || cause === 'unreachable') && draft.state.outcome === null;
  if (hasLeft(draft)) draft.effect({ type: 'leaveWorker', copy: number, cluster });
  draft.effect({ type: 'leavePool', copy: number, lost: !hasLeft(draft) || (copy.stood && machines) });
}
