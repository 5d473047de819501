/** A child's words to its cluster: signals to the entity's id without a run id, so that they survive its continue-as-new. */
import { getExternalWorkflowHandle, type SignalDefinition } from '@temporalio/workflow';

/**
 * Delivers a signal; when the target has closed nobody needs it any more.
 * A delivered signal is in the target's history before this returns.
 */
export async function tell<Args extends unknown[]>(
  workflowId: string,
  signal: SignalDefinition<Args>,
  ...args: Args
): Promise<boolean> {
  try {
    await getExternalWorkflowHandle(workflowId).signal(signal, ...args);
    return true;
  } catch {
    return false;
  }
}
