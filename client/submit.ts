/** Starts the workflow of a submission, once, however often it is sent. */
import { randomUUID } from 'node:crypto';
import type { WorkflowStartOptions } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { StyxError } from '../model/errors.ts';
import { type JobLimits, requestIdProblem } from '../model/managed-job.ts';
import type { CommandOptions } from './clusters.ts';
import type { JobsContext } from './jobs.ts';
import type { Link } from './link.ts';
import { repeat } from './repeat.ts';

/** Of a queue that is told nothing else. */
export const LIMITS: JobLimits = { launching: 16, running: 2_000 };
/** ms of a silent node after which its machines are ended. */
export const FENCE_MS = 5 * 60_000;

/** @throws invalid for one that is given and cannot be one */
export function requestIdOf({ requestId = randomUUID() }: CommandOptions): string {
  const problem = requestIdProblem(requestId);
  if (problem !== null) throw new StyxError('invalid', `request id '${requestId}' ${problem}`);
  return requestId;
}

/** What jobs and pipelines are submitted with alike. */
export async function commonInput(
  { link, workspace, user, timing, installConda = false, limits = LIMITS, fenceAfter = FENCE_MS }: JobsContext,
  requestId: string,
) {
  const installation = await link.installation();
  const at = { submittedAt: Date.now(), timing };
  return {
    version: 1,
    workspace,
    requestId,
    installation,
    user,
    limits,
    fenceAfter,
    conda: installConda,
    ...at,
  } as const;
}

/** `start`: what a list shows before a worker has seen it. @throws transient */
export async function submit(
  link: Link,
  type: string,
  workflowId: string,
  input: unknown,
  start: Omit<WorkflowStartOptions, 'workflowId' | 'args'>,
  options: CommandOptions,
): Promise<void> {
  const send = async (deadline: number) => {
    try {
      await link.call(deadline, (workflow) =>
        workflow.start(type, { ...start, workflowId, args: [input], workflowIdReusePolicy: 'REJECT_DUPLICATE' }),
      );
    } catch (error) {
      // Sent before, and accepted.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  };
  await repeat(send, options);
}
