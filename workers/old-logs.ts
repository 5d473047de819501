/** Removes output of managed jobs that nobody is meant to read any more. */
import type { WorkflowClient } from '@temporalio/client';
import { openLogStore } from '../clouds/log-store.ts';
import type { LogStore } from '../data/log-store.ts';
import { jobLogsOf, MANAGED_JOB_WORKFLOW, REMEMBERED_COPIES } from '../model/managed-job.ts';
import { loadConfig } from '../system/config.ts';

const DAY_MS = 24 * 60 * 60_000;

/** As the configuration of the data directory says. @throws what the server answers: then nothing is removed */
export async function removeOldLogs(workflow: WorkflowClient, home: string, now = Date.now()): Promise<number> {
  const { config } = await loadConfig({ home, project: null });
  const { jobLogsKeep } = config;
  const store = await openLogStore(home, config);
  // First who runs: one that ends meanwhile keeps its output until the next time.
  const running = new Set<string>();
  const query = `WorkflowType = '${MANAGED_JOB_WORKFLOW}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of workflow.list({ query, pageSize: 1_000 })) running.add(jobLogsOf(workflowId));
  return await tidy(store, running, jobLogsKeep === 0 ? null : now - jobLogsKeep * DAY_MS);
}

/**
 * Of a job that runs only copies that it does not speak of any more; of one that ended, all that nothing was added to since `before`.
 * Answers how many jobs lost something.
 */
async function tidy(store: LogStore, running: ReadonlySet<string>, before: number | null): Promise<number> {
  let touched = 0;
  for await (const { job, copies, changedAt } of store.jobs()) {
    if (before !== null && changedAt < before && !running.has(job)) {
      await store.remove(job);
      touched += 1;
      continue;
    }
    const forgotten = copies.slice(0, -REMEMBERED_COPIES);
    for (const copy of forgotten) await store.remove(job, copy);
    if (forgotten.length > 0) touched += 1;
  }
  return touched;
}
