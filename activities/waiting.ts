/** Who waits for a step that is tried until it works hears why it does not. */
import { Context } from '@temporalio/activity';
import { type ProgressSignal, SIGNALS } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import type { ActivityContext } from './context.ts';
import type { PlacementInput } from './types.ts';

/** Tells the operation that a step belongs to what the cloud said, after the attempts 2, 4, 8, …: a wait of days costs a history little. */
export async function sayingWhy<T>(
  { client }: Pick<ActivityContext, 'client'>,
  { cluster, opId }: Pick<PlacementInput, 'cluster' | 'opId'>,
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const { attempt } = Context.current().info;
    if (opId !== undefined && error instanceof StyxError && attempt > 1 && Number.isInteger(Math.log2(attempt))) {
      const text = `${error.message}: tried until it works (attempt ${attempt})`;
      const told: ProgressSignal = { generation: cluster.generation, opId, text };
      // What failed is told by the step itself too; that nobody heard of it is no other failure.
      await client.workflow
        .getHandle(cluster.workflowId)
        .signal(SIGNALS.progress, told)
        .catch(() => undefined);
    }
    throw error;
  }
}
