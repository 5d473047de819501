/** Managed jobs on spot machines in a world that skips time. */
import { randomUUID } from 'node:crypto';
import type { RecoveryPolicy } from '../../model/job-recovery.ts';
import {
  copyCluster,
  MANAGED_JOB_WORKFLOW,
  type ManagedJobInput,
  type ManagedJobView,
  managedJobId,
} from '../../model/managed-job.ts';
import { commandTask } from '../../model/parse-task.ts';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { NORMAL, type Timing } from '../../model/timing.ts';
import type { SkippedWorld } from './skipped-world.ts';

const MINUTE = 60_000;
/** The safety looks of every ten minutes would be most of what is replayed here. */
export const SKIPPED_TIMING = { ...NORMAL, describeOpsEvery: 360 * MINUTE, historyEvents: 150 };

export interface SkippedJob {
  readonly id: string;
  /** What the names of its clusters begin with. */
  readonly job: string;
  readonly runId: string;
  /** ms of the server's time. */
  readonly submittedAt: number;
}

interface SubmitOptions {
  /** Is told what the names of its clusters begin with, before any is made. */
  readonly known?: (job: string, submittedAt: number) => void;
  readonly timing?: Timing;
}

export async function submitSkipped(
  world: SkippedWorld,
  recovery: RecoveryPolicy,
  { known = () => {}, timing = SKIPPED_TIMING }: SubmitOptions = {},
): Promise<SkippedJob> {
  const requestId = randomUUID();
  const id = managedJobId('default', requestId);
  const job = copyCluster(id, 0).replace(/-0$/, '');
  const task = commandTask('train');
  const submittedAt = await world.environment.currentTimeMs();
  known(job, submittedAt);
  const input: ManagedJobInput = {
    version: 1,
    workspace: 'default',
    requestId,
    installation: 'test',
    user: 'tester',
    task: { ...task, secrets: {}, resources: { ...task.resources, useSpot: true } },
    resourcesText: 'spot',
    recovery,
    limits: { launching: 16, running: 2_000 },
    fenceAfter: 5 * MINUTE,
    conda: false,
    submittedAt,
    timing,
  };
  const start = { workflowId: id, taskQueue: CLUSTER_QUEUE, args: [input] as [ManagedJobInput] };
  const { firstExecutionRunId: runId } = await world.client.start(MANAGED_JOB_WORKFLOW, start);
  return { id, job, runId, submittedAt };
}

/** Lets time pass until all have ended, `step` ms at a time and `steps` times at most. */
export async function endedSkipped(
  world: SkippedWorld,
  jobs: readonly SkippedJob[],
  step: number,
  steps: number,
): Promise<ManagedJobView[]> {
  const status = async ({ id }: SkippedJob) => (await world.client.getHandle(id).describe()).status.name;
  for (let left = steps; left > 0; left--) {
    if ((await Promise.all(jobs.map(status))).every((one) => one === 'COMPLETED')) break;
    await world.skip(step);
  }
  return await Promise.all(jobs.map(({ id }) => world.client.getHandle(id).query<ManagedJobView>('view')));
}

/** Events of each run of its workflow, from the first on. */
export async function eventsByRun(world: SkippedWorld, { id, runId: first }: SkippedJob): Promise<number[]> {
  const counts: number[] = [];
  for (let runId: string | undefined = first; runId !== undefined; ) {
    const history = await world.client.getHandle(id, runId).fetchHistory();
    const events: NonNullable<typeof history.events> = history.events ?? [];
    counts.push(events.length);
    runId = events.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? undefined;
  }
  return counts;
}
