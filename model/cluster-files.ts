/** Which snapshots a cluster's workflow itself holds on to: those of jobs whose own workflows have not been started yet. */

import type { ClusterState } from './cluster.ts';
import type { QueuedEffect } from './cluster-effects.ts';
import { manifestsOf } from './task-files.ts';

export function manifestsHeld(state: Pick<ClusterState, 'waiting'>, effects: readonly QueuedEffect[]): string[] {
  const jobs = [
    ...state.waiting.flatMap((waiting) => (waiting.kind === 'launch' && waiting.job !== null ? [waiting.job] : [])),
    ...effects.flatMap((effect) => (effect.type === 'startJob' ? [effect.job] : [])),
  ];
  return [...new Set(jobs.flatMap(({ task }) => manifestsOf(task)))];
}
