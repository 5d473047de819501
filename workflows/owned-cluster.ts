/** What workflows that own clusters do when a cluster itself says nothing. */
import type { GuestRef } from '../model/owned-cluster.ts';
import type { Timing } from '../model/timing.ts';
import { dutyStep, step } from './steps.ts';

/** How it stands, by its own word: to its owner, or to a guest. */
export async function lookAt(timing: Timing, workflowId: string, guest?: GuestRef) {
  const asking = step(timing, `look at ${workflowId}`);
  return await asking.lookAtCluster({ workflowId, ...(guest === undefined ? {} : { guest }) });
}

/** Ends the machines of a cluster whose workflow was ended from outside, and resolves when they are proved gone. */
export async function endMachinesOf(timing: Timing, workflowId: string, name: string): Promise<void> {
  const intents = await step(timing, `find the machines of ${name}`).intentsOf({ workflowId });
  if (intents === null) return;
  const { cluster, placements } = intents;
  const ending = dutyStep(timing, `terminate the machines of ${name}`, 'terminate');
  await Promise.all(
    placements.map((placement) => ending.terminateMachines({ cluster, placement, timing, until: 'gone' })),
  );
}
