/** What is known of jobs whose machines are gone. */
import { log } from '@temporalio/activity';
import { type ClusterView, type JobChanged, QUERIES } from '../model/commands.ts';
import { childWorkflowId } from '../model/identity.ts';
import { isTerminalJob } from '../model/job.ts';
import { JOB_QUERIES, type JobSuccess } from '../model/job-messages.ts';
import type { ActivityContext } from './context.ts';
import { delay } from './delay.ts';
import type { WatchInput } from './types.ts';

/** A query waits for a workflow task that died with its worker, which is given out again after 10 s. */
const ASK_MS = 20_000;
const TRIES = 3;

/**
 * The jobs on nodes of these ranks that had ended well, as far as their workflows were told. A workflow that was told has perhaps not told
 * the cluster, when its worker died at that moment: the word of the loss would come first, and the work would be done again.
 */
export async function endedWell(
  context: ActivityContext,
  { cluster, owned, timing }: WatchInput,
  ranks: ReadonlySet<number>,
  over: AbortSignal,
): Promise<JobChanged[]> {
  const { workflowId, generation } = cluster;
  const ask = async <T>(id: string, query: string): Promise<T | null> => {
    for (let tried = 1; tried <= TRIES && !over.aborted; tried++) {
      try {
        const handle = context.client.workflow.getHandle(id);
        return await context.client.withDeadline(Date.now() + ASK_MS, () => handle.query<T, []>(query));
      } catch (error) {
        if (error instanceof Error && error.name === 'WorkflowNotFoundError') return null;
        if (tried < TRIES) await delay(timing.retryFirst, over);
        else log.warn(`${id} does not say what it knows: ${(error as Error).message}`);
      }
    }
    return null;
  };
  const view = await ask<ClusterView>(workflowId, QUERIES.view);
  const jobs = (view?.generation === generation ? view.jobs : []).filter(
    ({ status, allotment }) => !isTerminalJob(status) && allotment?.nodes.some((rank) => ranks.has(rank)) === true,
  );
  const answers = jobs.map(async ({ id: jobId }): Promise<JobChanged[]> => {
    const success = await ask<JobSuccess>(childWorkflowId(workflowId, generation, `job-${jobId}`), JOB_QUERIES.success);
    if (success === null) return [];
    const { exitCodes, outputs } = success;
    const kept = outputs === undefined || owned !== true ? {} : { outputs };
    return [{ generation, jobId, status: 'SUCCEEDED', reason: null, at: Date.now(), exitCodes, ...kept }];
  });
  return (await Promise.all(answers)).flat();
}
