/** Jobs report their progress since a build that workers of older ones may replay beside: what those did not hear is not heard again. */
import { patched } from '@temporalio/workflow';
import type { ClusterReport } from '../model/owned-cluster.ts';

/** Asked only where some progress is told: a workflow that hears of none goes on as it is. */
export function knowsProgress(): boolean {
  return patched('reported-progress');
}

export function reportHeard(report: ClusterReport): ClusterReport {
  if (report.job?.progress === undefined || knowsProgress()) return report;
  const { progress: _progress, ...job } = report.job;
  return { ...report, job };
}
