/** Sweeps: what stands at the clouds and is nobody's. Each is a workflow; what it found is its result. */
import { randomUUID } from 'node:crypto';
import { CHILD_QUEUE } from '../model/queues.ts';
import { SWEEP_ID, SWEEP_WORKFLOW, type SweepInput, type SweepReport } from '../model/sweep.ts';
import type { Timing } from '../model/timing.ts';
import type { Link } from './link.ts';
import { repeat } from './repeat.ts';

export interface SweepOptions {
  /** Look twice and remove what nobody claimed in either look; false, which is the default: look once. */
  readonly fix?: boolean;
  /** Remove at most so many, or nothing. Default: 10, and at most half of what is seen. */
  readonly max?: number;
  /** Whose things; default: this installation's. Another one is what an earlier Temporal database made. */
  readonly installation?: string;
  /** Ids: nothing else is removed. */
  readonly only?: readonly string[];
}

/** A look takes seconds, a removal the time between two looks besides. */
const ONE_LOOK_MS = 10 * 60_000;

/** @throws transient when no worker carries it out in time; it goes on all the same */
export async function sweep(link: Link, timing: Timing, options: SweepOptions = {}): Promise<SweepReport> {
  const { fix = false, max = null, only = null } = options;
  const installation = options.installation ?? (await link.installation({ anew: true }));
  const input: SweepInput = { version: 1, installation, looks: fix ? 2 : 1, fix, max, only, timing };
  const workflowId = `${SWEEP_ID}/${randomUUID()}`;
  const begin = (deadline: number) =>
    link.call(deadline, (workflow) =>
      workflow.start(SWEEP_WORKFLOW, {
        workflowId,
        taskQueue: CHILD_QUEUE,
        args: [input],
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        staticSummary: fix ? 'Remove what is nobody’s' : 'Look for what is nobody’s',
      }),
    );
  await repeat(begin, { budget: 30_000 });
  const budget = fix ? timing.sweepConfirm + 2 * ONE_LOOK_MS : ONE_LOOK_MS;
  return await repeat(
    (deadline) => link.call(deadline, (workflow) => workflow.getHandle(workflowId).result() as Promise<SweepReport>),
    { budget },
  );
}
