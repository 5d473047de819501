/** A pipeline is paused and resumed: with it all of its tasks that have begun and not ended, and no other one begins meanwhile. */
import { forgetNodes } from './group-hosts.ts';
import { isManagedEnd } from './managed-job.ts';
import type { PipelineDraft } from './pipeline-draft.ts';

export function pausedBy(user: string): string {
  return `paused by ${user}`;
}

export function pause(draft: PipelineDraft, requestId: string, user: string): void {
  const { status, cancelledBy, paused } = draft.state;
  if (!draft.isNew(requestId) || isManagedEnd(status) || cancelledBy !== null || paused !== null) return;
  draft.tell(pausedBy(user));
  draft.set({ paused: user });
  for (const task of live(draft)) draft.effect({ type: 'pauseTask', task, requestId, user });
}

/** What ran goes on with new machines; of a group, when all have theirs. */
export function resume(draft: PipelineDraft, requestId: string, user: string): void {
  const { paused, group, tasks } = draft.state;
  if (!draft.isNew(requestId) || paused === null) return;
  draft.tell(`resumed by ${user}`);
  draft.set({ paused: null, ...(group === undefined ? {} : { group: forgetNodes(group, tasks) }) });
  for (const task of live(draft)) draft.effect({ type: 'resumeTask', task, requestId, user });
}

/** Tasks whose jobs have begun and neither ended nor been told to. */
function live({ state }: PipelineDraft): number[] {
  return [...state.tasks.entries()].flatMap(([index, { phase, status, cancelled }]) =>
    phase === 'started' && !isManagedEnd(status) && !cancelled ? [index] : [],
  );
}
