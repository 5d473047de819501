/**
 * A managed job that goes on where it is (`replace_nodes`): when its cluster has lost some of its nodes, what it wrote is kept, and its next
 * copy is the same cluster with others in their place. That the cluster cannot have them is like a launch that failed: all of it goes elsewhere.
 */
import type { Copy } from './managed-job.ts';
import type { JobDraft } from './managed-job-draft.ts';
import { endCluster } from './managed-job-steps.ts';
import type { ClusterReport } from './owned-cluster.ts';

/** Were some of its nodes lost, or are they about to be, and shall the others stay? */
export function staysOnNodes(
  { rules, state }: JobDraft,
  { gone, interruption, operation, status }: ClusterReport,
): boolean {
  if (rules.recovery.replaceNodes !== true || rules.pool !== undefined || state.copy?.stood !== true) return false;
  if (status !== 'UP' && status !== 'UNHEALTHY') return false;
  return operation !== 'stop' && operation !== 'down' && (gone || interruption !== undefined);
}

/** What it wrote is kept: it goes on, when its pause is over and its cloud has said that the node is gone. */
export function goOn(draft: JobDraft): void {
  draft.phase('replacing');
  replaceNodes(draft);
}

/** When it is to be looked at again; a node of which nobody says that it is gone is not waited for for ever. */
export function replacesAt({ report, phaseSince }: Copy, nextAt: number | null, fenceAfter: number): number {
  return report?.gone === true ? (nextAt ?? phaseSince) : phaseSince + fenceAfter;
}

/** Makes the next copy if its time has come. */
export function replaceNodes(draft: JobDraft): void {
  const { state, rules, now } = draft;
  const { copy, nextAt } = state;
  if (copy?.phase !== 'replacing') return;
  const report = copy.report;
  if (report === null || now < replacesAt(copy, nextAt, rules.fenceAfter)) return;
  if (!report.gone || !staysOnNodes(draft, report)) return endCluster(draft);
  const number = state.copies + 1;
  const next: Copy = {
    number,
    cluster: copy.cluster,
    market: copy.market,
    try: state.recoveries + state.pauses + 1,
    phase: 'live',
    phaseSince: now,
    startedAt: now,
    stood: false,
    report: null,
    logs: null,
    why: '',
    costBefore: report.cost,
  };
  draft.past(copy);
  draft.set({ copies: number, copy: next, nextAt: null });
  draft.tell(
    `copy ${number} takes the place of copy ${copy.number} on cluster ${copy.cluster}, with its lost nodes made anew`,
  );
  draft.effect({ type: 'relaunch', copy: number, cluster: copy.cluster, try: next.try });
}
