/** Tells the jobs that a cluster of a pool has taken how they stand, each time that it changed. */
import type { ClusterState, Guest } from '../model/cluster.ts';
import { guestReport } from '../model/cluster-guests.ts';
import { type ClusterReport, type GuestRef, reportDigest } from '../model/owned-cluster.ts';
import { clusterReportSignal } from './messages.ts';
import { tell } from './parent.ts';

interface News {
  readonly guest: Guest;
  readonly report: ClusterReport;
  readonly digest: string;
}

export class GuestDesk {
  /** What each was told last. */
  private readonly told = new Map<string, string>();

  hasNews(state: ClusterState): boolean {
    return state.guests !== undefined && this.news(state).length > 0;
  }

  /** Answers those that are no more: whoever gave the job has closed. */
  async tellAll(state: ClusterState): Promise<GuestRef[]> {
    const closed: GuestRef[] = [];
    await Promise.all(
      this.news(state).map(async ({ guest, report, digest }) => {
        this.told.set(keyOf(guest), digest);
        if (!(await tell(guest.workflowId, clusterReportSignal, report))) closed.push(guest);
      }),
    );
    const here = new Set(state.guests?.map(keyOf));
    for (const key of this.told.keys()) if (!here.has(key)) this.told.delete(key);
    return closed;
  }

  private news(state: ClusterState): News[] {
    const found: News[] = [];
    for (const guest of state.guests ?? []) {
      const report = guestReport(state, guest, Date.now());
      if (report === null) continue;
      const digest = reportDigest(report);
      if (this.told.get(keyOf(guest)) !== digest) found.push({ guest, report, digest });
    }
    return found;
  }
}

function keyOf({ workflowId, copy }: GuestRef): string {
  return `${copy} ${workflowId}`;
}
