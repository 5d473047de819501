/** Starts a sweep once an hour while a worker runs. The sweep is a workflow; here is only the clock. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowClient } from '@temporalio/client';
import { CHILD_QUEUE } from '../model/queues.ts';
import { SWEEP_ID, SWEEP_WORKFLOW, type SweepInput } from '../model/sweep.ts';
import { NORMAL, type Timing } from '../model/timing.ts';

const EVERY_MS = 60 * 60_000;

/** Until told to stop. Of several workers the one that comes first starts it: they share the workflow's id. */
export async function sweepEveryHour(
  workflow: WorkflowClient,
  installation: string,
  stop: AbortSignal,
  warn: (message: string) => void,
): Promise<void> {
  while (!stop.aborted) {
    await sleep(EVERY_MS, undefined, { signal: stop, ref: false }).catch(() => {});
    if (stop.aborted) return;
    try {
      await startSweep(workflow, installation);
    } catch (error) {
      warn(`a sweep could not be started: ${(error as Error).message}`);
    }
  }
}

/** False when one began within the half hour before `now`. */
export async function startSweep(
  workflow: WorkflowClient,
  installation: string,
  now = Date.now(),
  timing: Timing = NORMAL,
): Promise<boolean> {
  const last = await workflow
    .getHandle(SWEEP_ID)
    .describe()
    .catch((error: Error) => {
      if (error.name === 'WorkflowNotFoundError') return null;
      throw error;
    });
  if (last !== null && now - last.startTime.getTime() < EVERY_MS / 2) return false;
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
