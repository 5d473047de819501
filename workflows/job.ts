/**
 * One task run on a cluster: waits for its place, has its files put there, runs setup on all its nodes, then ranks 0…n−1 at once, and reports how it ended.
 * Exits come as signals from the cluster's watch; a slow look at the nodes catches one that got lost.
 */
import { condition, patched, setHandler, workflowInfo } from '@temporalio/workflow';
import type { ClusterRef, JobRef } from '../activities/types.ts';
import { lifeOf, numberOnNodes } from '../model/identity.ts';
import type { JobStatus } from '../model/job.ts';
import type { JobSuccess, RunJob } from '../model/job-messages.ts';
import { readOutputs } from '../model/outputs.ts';
import type { Task } from '../model/task.ts';
import type { Timing } from '../model/timing.ts';
import { showDetails } from './details.ts';
import { endEarlierRuns } from './earlier-runs.ts';
import { GroupNames } from './group-hosts.ts';
import { putFiles, treesOf } from './job-files.ts';
import { early, runPhase } from './job-phase.ts';
import { type JobEnd, JobProgress, type Phase } from './job-progress.ts';
import {
  abandonJobSignal,
  cancelJobSignal,
  groupHostsSignal,
  interruptJobSignal,
  jobChangedSignal,
  rankEndedSignal,
  runJobSignal,
  secretsQuery,
  successQuery,
} from './messages.ts';
import { tell } from './parent.ts';

export interface JobInput {
  readonly version: 1;
  readonly cluster: ClusterRef;
  readonly jobId: number;
  readonly taskId: string;
  readonly user: string;
  readonly task: Task;
  readonly withSetup: boolean;
  /** Runs of the same work before it, by `numberOnNodes`, of which nothing may run any more when it begins. */
  readonly after?: readonly (number | string)[];
  /** Its place, when it has one from the start. */
  readonly run: RunJob | null;
  readonly timing: Timing;
}

export async function job(input: JobInput): Promise<void> {
  // Asked first of all: what an older build began keeps the key that it has on the nodes.
  const life = patched(OWN_KEY) ? lifeOf(workflowInfo().firstExecutionRunId) : undefined;
  const progress = new JobProgress(refOf(input, life), life);
  progress.run = input.run;
  setHandler(runJobSignal, (run) => {
    progress.run ??= run;
  });
  setHandler(cancelJobSignal, () => {
    progress.cancelled = true;
  });
  setHandler(abandonJobSignal, (end) => {
    progress.abandoned ??= end;
  });
  setHandler(interruptJobSignal, (notice) => {
    progress.notice ??= notice;
  });
  // Absent in what was started before there were secrets.
  setHandler(secretsQuery, () => input.task.secrets ?? {});
  setHandler(successQuery, () => successOf(input, progress));
  setHandler(rankEndedSignal, (ended) => progress.told(ended));
  setHandler(groupHostsSignal, (hosts) => progress.named(hosts));
  const end = await follow(input, progress);
  await report(input, progress, end.status, end.reason, end);
}

/** The key of a job covers the run of its workflow. */
const OWN_KEY = 'own-job-key';

function refOf({ cluster, jobId: number, taskId, user }: JobInput, life: string | undefined): JobRef {
  const owner = workflowInfo().workflowId;
  return { cluster, jobId: numberOnNodes(number, life), number, taskId, owner, user };
}

function showJob(input: JobInput, status: JobStatus, reason: string | null): void {
  const { task, jobId, cluster, user } = input;
  const next: Partial<Record<JobStatus, string>> = {
    PENDING: 'its turn in the queue of the cluster (`styx queue` says what it waits for)',
    SETTING_UP: task.run === null ? 'the end, when setup has ended on all nodes' : 'run, when all nodes are set up',
    RUNNING: 'the end, when all ranks have ended, or one with an error',
  };
  const until = task.maxDuration;
  showDetails(status, next[status] ?? null, [
    `Job ${jobId}${task.name === null ? '' : ` (${task.name})`} of ${cluster.name}, ${task.numNodes} nodes, by ${user}`,
    ...(reason === null ? [] : [reason]),
    ...(until === null ? [] : [`for at most ${until} s, from its place on`]),
  ]);
}

async function report(
  input: JobInput,
  { life }: JobProgress,
  status: JobStatus,
  reason: string | null,
  { exitCodes, outputs }: Pick<JobEnd, 'exitCodes' | 'outputs'> = { exitCodes: null },
): Promise<void> {
  showJob(input, status, reason);
  await tell(input.cluster.workflowId, jobChangedSignal, {
    generation: input.cluster.generation,
    jobId: input.jobId,
    status,
    reason,
    at: Date.now(),
    exitCodes,
    ...(outputs === undefined ? {} : { outputs }),
    ...(life === undefined ? {} : { life }),
  });
}

async function follow(input: JobInput, progress: JobProgress): Promise<JobEnd> {
  showJob(input, 'PENDING', null);
  await condition(() => progress.run !== null || progress.interrupted());
  const { run } = progress;
  if (run === null || progress.interrupted()) return early(input, progress);
  const names = await GroupNames.ask(input, progress, run);
  try {
    return await carryOut(input, progress, run, names);
  } finally {
    names?.end();
  }
}

async function carryOut(
  input: JobInput,
  progress: JobProgress,
  run: RunJob,
  names: GroupNames | null,
): Promise<JobEnd> {
  const deadline = input.task.maxDuration === null ? null : Date.now() + input.task.maxDuration * 1_000;
  const phases = phasesOf(input);
  const alone = await endEarlierRuns(input, progress, run, deadline);
  if (alone !== null) return alone;
  const trees = treesOf(input);
  if (trees.length > 0) {
    const reported = report(input, progress, 'SETTING_UP', null);
    const end = await putFiles(input, progress, run, trees, deadline);
    await reported;
    if (end !== null) return end;
  }
  for (const phase of phases) {
    if (phase === 'run' && names !== null) {
      const reported = report(input, progress, 'SETTING_UP', null);
      const end = await names.ready(deadline);
      await reported;
      if (end !== null) return end;
    }
    const reported = report(input, progress, phase === 'setup' ? 'SETTING_UP' : 'RUNNING', null);
    const end = await runPhase({ input, progress, run, phase, deadline });
    await reported;
    if (end !== null) return end;
  }
  return endedWell(progress, phases.at(-1) ?? 'run', run);
}

function phasesOf(input: JobInput): Phase[] {
  return [...(input.withSetup ? (['setup'] as const) : []), ...(input.task.run === null ? [] : (['run'] as const))];
}

/** When every rank of its last phase ended with 0. */
function endedWell(progress: JobProgress, last: Phase, run: RunJob): JobEnd {
  const exitCodes = progress.codes(last, run.nodes.length);
  if (progress.output === '') return { status: 'SUCCEEDED', reason: null, exitCodes };
  const { outputs, problem } = readOutputs(progress.output);
  if (problem !== null) return { status: 'FAILED', reason: problem, exitCodes };
  return { status: 'SUCCEEDED', reason: null, exitCodes, outputs };
}

/** For whoever finds its machines gone: that its workflow knows of its success, and has perhaps not told of it yet. */
function successOf(input: JobInput, progress: JobProgress): JobSuccess | null {
  const { run } = progress;
  const last = phasesOf(input).at(-1);
  if (run === null || last === undefined || progress.interrupted()) return null;
  const count = run.nodes.length;
  if (!progress.allEnded(last, count) || progress.failed(last, count) !== null) return null;
  const { status, exitCodes, outputs } = endedWell(progress, last, run);
  return status === 'SUCCEEDED' ? { exitCodes, ...(outputs === undefined ? {} : { outputs }) } : null;
}
