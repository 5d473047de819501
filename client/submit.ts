/** Starts the workflow of a submission, once, however often it is sent. */
import { randomUUID } from 'node:crypto';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { FILES_MEMO, MEMO_KEY, SEARCH } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { type JobLimits, requestIdProblem } from '../model/managed-job.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import type { CommandOptions } from './clusters.ts';
import type { JobsContext } from './jobs.ts';
import type { Link } from './link.ts';
import { repeat } from './repeat.ts';

export interface Submission {
  /** Type of its workflow. */
  readonly type: string;
  readonly id: string;
  readonly input: unknown;
  /** What a list shows before a worker has seen it. */
  readonly memo: unknown;
  readonly kind: string;
  readonly workspace: string;
  readonly user: string;
  readonly name: string | null;
  /** The snapshots that it needs. */
  readonly manifests: readonly string[];
  readonly summary: string;
}

const LIMITS: JobLimits = { launching: 16, running: 2_000 };
const FENCE_MS = 5 * 60_000;

/** What jobs and pipelines are submitted with alike. @throws invalid for a request id that cannot be one */
export async function commonInput(
  { link, workspace, user, timing, installConda = false, limits = LIMITS, fenceAfter = FENCE_MS }: JobsContext,
  options: CommandOptions,
) {
  const requestId = options.requestId ?? randomUUID();
  const problem = requestIdProblem(requestId);
  if (problem !== null) throw new StyxError('invalid', `request id '${requestId}' ${problem}`);
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

/** @throws transient */
export async function submit(link: Link, it: Submission, options: CommandOptions): Promise<void> {
  const send = async (deadline: number) => {
    try {
      await link.call(deadline, (workflow) =>
        workflow.start(it.type, {
          workflowId: it.id,
          taskQueue: CLUSTER_QUEUE,
          args: [it.input],
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          memo: { [MEMO_KEY]: it.memo, ...(it.manifests.length === 0 ? {} : { [FILES_MEMO]: it.manifests }) },
          searchAttributes: {
            [SEARCH.kind]: [it.kind],
            [SEARCH.workspace]: [it.workspace],
            [SEARCH.user]: [it.user],
            [SEARCH.status]: ['PENDING'],
            ...(it.name === null ? {} : { [SEARCH.name]: [it.name] }),
          },
          staticSummary: it.summary,
        }),
      );
    } catch (error) {
      // Sent before, and accepted.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  };
  await repeat(send, options);
}
