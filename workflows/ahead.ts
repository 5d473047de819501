/** Managed jobs ask for machines ahead since a build that workers of older ones may replay beside. */
import { patched } from '@temporalio/workflow';
import type { ClusterReport } from '../model/owned-cluster.ts';

/** Asked only where a cloud says that it takes a machine back: a workflow that hears of none goes on as it is. */
export function asksAhead({ interruption }: ClusterReport): boolean {
  return interruption !== undefined && patched('asks-ahead');
}
