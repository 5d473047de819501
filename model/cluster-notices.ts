/** What follows for a cluster when its cloud says ahead that it takes machines back. */
import type { ClusterState } from './cluster.ts';
import type { Draft } from './cluster-draft.ts';
import { isTerminalJob } from './job.ts';
import { addNotices, firstInterruption, type MachineNotice, noticeText } from './machine-notices.ts';

/** Nodes that nothing is started on any more. */
export function interruptedRanks({ notices = [] }: Pick<ClusterState, 'notices'>): Set<number> {
  return new Set(notices.filter(({ kind }) => kind === 'interruption').map(({ rank }) => rank));
}

/** Jobs on a machine that goes are told to end, all ranks of each with the time that is left. */
export function heardNotices(draft: Draft, heard: readonly MachineNotice[]): void {
  const known = draft.state.notices ?? [];
  // A disk that was stopped and started remembers what came true before.
  const notices = addNotices(
    known,
    heard.filter(({ kind, at }) => kind === 'rebalance' || at >= draft.state.upAt),
  );
  if (notices === known) return;
  draft.set({ notices });
  for (const notice of notices.slice(known.length)) {
    if (notice.kind !== 'interruption') continue;
    for (const job of draft.state.jobs) {
      if (isTerminalJob(job.status) || job.allotment?.nodes.includes(notice.rank) !== true) continue;
      draft.effect({ type: 'interruptJob', jobId: job.id, notice });
    }
  }
}

/** Why the cluster is not well although all its nodes answer; null when it is. */
export function interruption({ notices }: Pick<ClusterState, 'notices'>): string | null {
  const first = firstInterruption(notices);
  return first === undefined ? null : noticeText(first);
}

/** For the line that says why a cluster is as it is, when there is nothing more to say. */
export function warning({ notices }: Pick<ClusterState, 'notices'>): string {
  const last = notices?.findLast(({ kind }) => kind === 'rebalance');
  return last === undefined ? '' : noticeText(last);
}

/** Other machines: what was said of the last ones is no more. */
export function forgetNotices(draft: Draft): void {
  if (draft.state.notices === undefined) return;
  const { notices: _notices, ...rest } = draft.state;
  draft.state = rest;
}
