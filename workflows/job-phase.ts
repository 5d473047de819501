/** One phase of a job on all its nodes: started as a gang, followed, ended early when one rank fails or somebody says so. */
import { CancellationScope, condition } from '@temporalio/workflow';
import type { Failure } from '../model/errors.ts';
import type { RunJob } from '../model/job-messages.ts';
import { graceUntil, interruptedReason, type MachineNotice } from '../model/machine-notices.ts';
import { failureOf } from './failures.ts';
import type { JobInput } from './job.ts';
import type { JobEnd, JobProgress, Phase, RankEnd } from './job-progress.ts';
import { step } from './steps.ts';

interface PhaseRun {
  readonly input: JobInput;
  readonly progress: JobProgress;
  readonly run: RunJob;
  readonly phase: Phase;
  /** Milliseconds since the epoch. */
  readonly deadline: number | null;
}

/** Null when every rank ended with 0, else how the job ends. */
export async function runPhase(it: PhaseRun): Promise<JobEnd | null> {
  const { progress, phase, deadline, input } = it;
  const count = it.run.nodes.length;
  const settled = () =>
    progress.interrupted() ||
    progress.notice !== null ||
    progress.allEnded(phase, count) ||
    progress.failed(phase, count) !== null;
  const late = () => deadline !== null && Date.now() >= deadline;
  // A start answers how each rank stands, whoever asks how often: the first time it starts, later it looks.
  while (!settled() && !late()) {
    const failure = await startOrLook(it);
    if (failure !== null) {
      await endEverywhere(it, { insist: false });
      return { status: 'FAILED_DRIVER', reason: failure.message, exitCodes: progress.codes(phase, count) };
    }
    const longest = input.timing.describeOpsEvery;
    const wait = deadline === null ? longest : Math.min(longest, Math.max(1, deadline - Date.now()));
    await condition(settled, wait, { summary: wait === longest ? 'look at the nodes again' : 'max_duration' });
  }
  if (progress.abandoned !== null) return early(input, progress);
  const failed = progress.failed(phase, count);
  if (failed === null && progress.allEnded(phase, count)) return null;
  const why = progress.cancelled ? 'cancelled' : (failed ?? 'late');
  await endEverywhere(it, { insist: true });
  if (progress.abandoned !== null) return early(input, progress);
  return verdict(it, why);
}

function verdict(it: PhaseRun, why: 'cancelled' | 'late' | RankEnd): JobEnd {
  const exitCodes = it.progress.codes(it.phase, it.run.nodes.length);
  if (why === 'cancelled') return { status: 'CANCELLED', reason: null, exitCodes };
  // Also of what failed, or took too long, because others had to end.
  const notice = it.progress.notice ?? (why === 'late' ? null : noticeOf(it, why));
  if (notice !== null) return { status: 'FAILED_DRIVER', reason: interruptedReason(notice), exitCodes };
  if (why === 'late') {
    return {
      status: 'FAILED',
      reason: `ran longer than its max_duration of ${it.input.task.maxDuration} s`,
      exitCodes,
    };
  }
  if (why.lost) {
    return { status: 'FAILED_DRIVER', reason: `rank ${why.rank} vanished without an exit code`, exitCodes };
  }
  const status = it.phase === 'setup' ? 'FAILED_SETUP' : 'FAILED';
  return { status, reason: `rank ${why.rank} exited with ${why.exitCode ?? 'no exit code'}`, exitCodes };
}

/** The node said so before its cluster did. */
function noticeOf(it: PhaseRun, { rank, interrupted }: RankEnd): MachineNotice | null {
  const node = it.run.nodes[rank];
  if (interrupted === null || node === undefined) return null;
  return { rank: node.rank, kind: 'interruption', at: interrupted };
}

/** Null when all ranks were started or are known; given up early when the job is interrupted. */
async function startOrLook(it: PhaseRun): Promise<Failure | null> {
  const { input, progress, run, phase } = it;
  const what = phase === 'setup' ? 'set up' : 'run';
  const scope = new CancellationScope();
  let done = false;
  let failure: Failure | null = null;
  const asking = scope
    .run(() =>
      step(input.timing, `${what} job ${input.jobId} on ${run.nodes.length} nodes`).startPhase({
        job: progress.job,
        phase,
        task: input.task,
        run,
      }),
    )
    .then((ranks) => {
      for (const rank of ranks) progress.record(phase, rank);
    })
    .catch((error: unknown) => {
      if (!progress.interrupted()) failure = failureOf(error);
    })
    .finally(() => {
      done = true;
    });
  await condition(() => done || progress.interrupted());
  if (!done) {
    scope.cancel();
    void asking;
  }
  return failure;
}

/** The end of a job that never ran, or whose machines go away. */
export async function early(input: JobInput, progress: JobProgress): Promise<JobEnd> {
  const { abandoned, run } = progress;
  if (abandoned === null) return { status: 'CANCELLED', reason: null, exitCodes: null };
  if (abandoned.killRest && run !== null) {
    await endEverywhere({ input, progress, run, phase: 'run', deadline: null }, { insist: false });
  }
  return { status: abandoned.status, reason: abandoned.reason, exitCodes: null };
}

/** Ends what runs of the job. With `insist` until every node has answered, unless the machines go away. */
async function endEverywhere(it: PhaseRun, options: { insist: boolean }): Promise<void> {
  const { input, progress, run, phase } = it;
  const { jobId, timing } = input;
  const count = run.nodes.length;
  const { notice, cancelled } = progress;
  const graceMs = notice === null || cancelled ? timing.killGrace : graceUntil(notice.at, Date.now());
  let answered = 0;
  const scope = new CancellationScope();
  const ending = scope.run(() =>
    Promise.all(
      run.nodes.map(async (node, rank) => {
        try {
          const found = await step(timing, `end job ${jobId} on node ${node.rank}`).cancelJob({
            job: progress.job,
            node,
            graceMs,
          });
          for (const process of found) progress.record(process.phase, process);
          if (!found.some((process) => process.phase === phase && process.rank === rank)) {
            progress.neverStarted(phase, rank);
          }
        } catch {
          // A node that cannot be reached: its machine ends, or its watch reports.
        }
        answered += 1;
      }),
    ),
  );
  const over = () => progress.abandoned !== null && options.insist;
  if (options.insist) await condition(() => answered === count || over());
  else await condition(() => answered === count, timing.stepTimeout, { summary: 'nodes that do not answer' });
  if (answered < count) scope.cancel();
  await ending.catch(() => undefined);
  if (options.insist) {
    const grace = graceMs + timing.heartbeatTimeout * 3;
    await condition(() => progress.allEnded(phase, count) || over(), grace, { summary: 'last exits' });
  }
}
