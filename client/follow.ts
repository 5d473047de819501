/** Waits: a cluster's view is asked for again and again, often at first, then once a second. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandAnswer, Operation } from '../model/cluster.ts';
import type { ClusterView } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { isTerminalJob, type JobRow } from '../model/job.ts';

export interface FollowOptions {
  /** Called with every view read. */
  readonly onView?: (view: ClusterView) => void;
  /** Called while no answer comes: what is waited for. */
  readonly onWait?: (text: string) => void;
  /** Ends the wait, with its reason thrown; what was asked for goes on. */
  readonly signal?: AbortSignal;
}

export interface OperationEnd {
  /** `unknown`: it ended, but so long ago that its outcome is no longer kept. */
  readonly outcome: 'succeeded' | 'failed' | 'aborted' | 'unknown';
  readonly operation: Operation | null;
  /** The last view of the cluster that the operation belonged to. */
  readonly view: ClusterView;
}

/** Asks for the view within `budget` milliseconds. */
export type Look = (budget: number) => Promise<ClusterView>;

/** An answer that takes longer means that worker and server are away; the wait then ends as `transient`. */
const LOOK_MS = 120_000;
const FIRST_PAUSE_MS = 150;
const LONGEST_PAUSE_MS = 1_000;
const BACKOFF = 1.15;

/** Looks until `decide` answers something else than undefined. */
export async function lookUntil<T>(
  look: Look,
  decide: (view: ClusterView) => T | undefined,
  options: FollowOptions = {},
): Promise<T> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * BACKOFF, LONGEST_PAUSE_MS)) {
    options.signal?.throwIfAborted();
    const view = await look(LOOK_MS);
    options.onView?.(view);
    const decided = decide(view);
    if (decided !== undefined) return decided;
    await sleep(pause, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

export async function waitForOperation(
  look: Look,
  answer: Pick<CommandAnswer, 'operationId' | 'generation'>,
  options: FollowOptions = {},
): Promise<OperationEnd> {
  return await lookUntil(
    look,
    (view): OperationEnd | undefined => {
      if (answer.operationId === null) return { outcome: 'succeeded', operation: null, view };
      // Taken down and launched anew meanwhile: operation ids begin again.
      if (lifeIn(view.generation) !== lifeIn(answer.generation)) return { outcome: 'unknown', operation: null, view };
      const operation = view.operations.find(({ id }) => id === answer.operationId);
      if (operation !== undefined) {
        return operation.outcome === null ? undefined : { outcome: operation.outcome, operation, view };
      }
      if (view.operation?.id === answer.operationId) return undefined;
      if (view.waiting.some(({ opId }) => opId === answer.operationId)) return undefined;
      return { outcome: 'unknown', operation: null, view };
    },
    options,
  );
}

/** The part of a generation that names the cluster's life; the rest counts re-creations in it. */
function lifeIn(generation: string): string {
  return generation.slice(0, generation.lastIndexOf('-'));
}

export async function waitForJob(
  look: Look,
  name: string,
  jobId: number,
  options: FollowOptions & { generation?: string } = {},
): Promise<JobRow> {
  return await lookUntil(
    look,
    (view) => {
      const job = findJob(view, name, jobId, options.generation);
      return isTerminalJob(job.status) ? job : undefined;
    },
    options,
  );
}

/** @throws not-found */
export function findJob(view: ClusterView, name: string, jobId: number, generation?: string): JobRow {
  const job = view.jobs.find(({ id }) => id === jobId);
  if (generation !== undefined && lifeIn(view.generation) !== lifeIn(generation)) {
    throw new StyxError(
      'not-found',
      `Cluster '${name}' was taken down and launched anew; job ${jobId} went with the old one`,
    );
  }
  if (job === undefined) {
    const last = view.jobs.reduce((highest, { id }) => Math.max(highest, id), 0);
    const gone = jobId > 0 && jobId <= last ? ' any more: only the last finished jobs are kept' : '';
    throw new StyxError('not-found', `Cluster '${name}' does not know job ${jobId}${gone}`, {
      hint: `Run \`styx queue ${name}\` to see its jobs.`,
    });
  }
  return job;
}
