/** The files of a job, put on all its nodes before anything of it runs. */
import { CancellationScope, condition } from '@temporalio/workflow';
import type { SyncTree } from '../activities/types.ts';
import type { RunJob } from '../model/job-messages.ts';
import { WORKDIR } from '../model/mount-target.ts';
import { failureOf } from './failures.ts';
import type { JobInput } from './job.ts';
import { early } from './job-phase.ts';
import type { JobEnd, JobProgress } from './job-progress.ts';
import { fileStep } from './steps.ts';

/** The working directory first: mounts may lie in it. */
export function treesOf({ task }: JobInput): SyncTree[] {
  const tree = (target: string, manifest: string | undefined) => (manifest === undefined ? [] : [{ target, manifest }]);
  return [
    ...tree(WORKDIR, task.workdir?.snapshot?.manifest),
    ...(task.fileMounts ?? []).flatMap(({ target, snapshot }) => tree(target, snapshot?.manifest)),
  ];
}

/** Null when they are in place, else how the job ends. */
export async function putFiles(
  input: JobInput,
  progress: JobProgress,
  run: RunJob,
  trees: readonly SyncTree[],
  deadline: number | null,
): Promise<JobEnd | null> {
  const { jobId, timing } = input;
  const scope = new CancellationScope();
  let end: JobEnd | 'done' | null = null;
  const putting = scope
    .run(() =>
      fileStep(timing, `put the files of job ${jobId} on ${run.nodes.length} nodes`).syncFiles({
        job: progress.job,
        trees,
        nodes: run.nodes,
        place: run.clusterInfo,
        timing,
      }),
    )
    .then(() => {
      end = 'done';
    })
    .catch((error: unknown) => {
      if (!progress.interrupted()) {
        end ??= {
          status: 'FAILED_DRIVER',
          reason: `its files could not be put in place: ${failureOf(error).message}`,
          exitCodes: null,
        };
      }
    });
  const settled = () => end !== null || progress.interrupted();
  if (deadline === null) await condition(settled);
  else await condition(settled, Math.max(1, deadline - Date.now()), { summary: 'max_duration' });
  if (end === 'done') return null;
  scope.cancel();
  void putting;
  if (end !== null) return end;
  if (progress.interrupted()) return await early(input, progress);
  const reason = `ran longer than its max_duration of ${input.task.maxDuration} s, while its files were put in place`;
  return { status: 'FAILED', reason, exitCodes: null };
}
