/** What still runs of a job's work from before it, on nodes that outlived a loss: ended before anything of it begins. */
import { CancellationScope, condition, sleep } from '@temporalio/workflow';
import type { RunJob } from '../model/job-messages.ts';
import type { NodeInfo } from '../model/machines.ts';
import { failureOf } from './failures.ts';
import type { JobInput } from './job.ts';
import { early } from './job-phase.ts';
import type { JobEnd, JobProgress } from './job-progress.ts';
import { step } from './steps.ts';

/** Null when every node of the job says that nothing of them runs or can be started any more, else how the job ends. */
export async function endEarlierRuns(
  input: JobInput,
  progress: JobProgress,
  run: RunJob,
  deadline: number | null,
): Promise<JobEnd | null> {
  const { after = [], task } = input;
  if (after.length === 0) return null;
  const scope = new CancellationScope();
  let end: JobEnd | 'done' | null = null;
  void scope
    .run(() => Promise.all(run.nodes.flatMap((node) => after.map((jobId) => endRun(input, jobId, node)))))
    .then(() => {
      end = 'done';
    })
    .catch((error: unknown) => {
      const reason = `what ran before it could not be ended: ${failureOf(error).message}`;
      end ??= { status: 'FAILED_DRIVER', reason, exitCodes: null };
    });
  const settled = () => end !== null || progress.interrupted();
  if (deadline === null) await condition(settled);
  else await condition(settled, Math.max(1, deadline - Date.now()), { summary: 'max_duration' });
  if (progress.interrupted()) {
    scope.cancel();
    return await early(input, progress);
  }
  if (end === 'done') return null;
  scope.cancel();
  const reason = `ran longer than its max_duration of ${task.maxDuration} s, while what ran before it was ended`;
  return end ?? { status: 'FAILED', reason, exitCodes: null };
}

async function endRun({ cluster, timing }: JobInput, jobId: number | string, node: NodeInfo): Promise<void> {
  for (;;) {
    const ending = step(timing, `end what runs of job ${jobId} on node ${node.rank}`);
    const found = await ending.cancelJob({ job: { cluster, jobId }, node, graceMs: timing.killGrace });
    if (found.every(({ exitCode }) => exitCode !== null)) return;
    await sleep(timing.killGrace, { summary: 'their time to end' });
  }
}
