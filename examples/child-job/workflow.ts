/** A workflow that is not of Styx, with a managed job as its child. It imports nothing of Styx but types. */
import { executeChild, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { ManagedJobResult } from '../../client/index.ts';
import type { prepareJob } from './activities.ts';

const steps = proxyActivities<{ prepareJob: typeof prepareJob }>({ startToCloseTimeout: '1 minute' });

/** Answers when the job has ended and its machines are gone. When it is cancelled the job is, too. */
export async function nightly(command: string): Promise<ManagedJobResult> {
  const { runId } = workflowInfo();
  const { type, options } = await steps.prepareJob(command, runId);
  return await executeChild<() => Promise<ManagedJobResult>>(type, options as object as { args: [] });
}
