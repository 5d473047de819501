/** How the sweeps of the server begin: once an hour, while a worker runs. */
import type { WorkflowClient } from '@temporalio/client';
import { CHILD_QUEUE } from '../model/queues.ts';
import { SWEEP_ID, SWEEP_WORKFLOW, type SweepInput } from '../model/sweep.ts';
import { NORMAL, type Timing } from '../model/timing.ts';
import { mustBeInstallation } from './namespace.ts';

export const SWEEP_EVERY_MS = 60 * 60_000;

/**
 * False when one began within the half hour before `now`. Of several workers the one that comes first starts it: they share its id.
 *
 * @throws refused when the server is another one than that of `installation`, on which everything would seem to be nobody's
 */
export async function startSweep(
  workflow: WorkflowClient,
  installation: string,
  now = Date.now(),
  timing: Timing = NORMAL,
): Promise<boolean> {
  await mustBeInstallation(workflow, installation);
  const last = await workflow
    .getHandle(SWEEP_ID)
    .describe()
    .catch((error: Error) => {
      if (error.name === 'WorkflowNotFoundError') return null;
      throw error;
    });
  if (last !== null && now - last.startTime.getTime() < SWEEP_EVERY_MS / 2) return false;
  const input: SweepInput = {
    version: 1,
    installation,
    looks: 2,
    fix: 'configured',
    max: null,
    only: null,
    timing,
  };
  await workflow.start(SWEEP_WORKFLOW, {
    workflowId: SWEEP_ID,
    taskQueue: CHILD_QUEUE,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: 'Look for what is nobody’s at the clouds',
  });
  return true;
}
