/** Waits for what becomes of a cluster's operations and jobs. */
import type { CommandAnswer, Operation } from '../model/cluster.ts';
import type { ClusterView } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { isTerminalJob, type JobRow } from '../model/job.ts';
import { type Followed, followUntil } from './followed.ts';

export type FollowedCluster = Followed<ClusterView>;

export interface FollowOptions {
  /** Called with every view read: one when something has changed. */
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

async function lookUntil<T>(
  cluster: FollowedCluster,
  decide: (view: ClusterView) => T | undefined,
  { onView, signal }: FollowOptions,
): Promise<T> {
  const told = (view: ClusterView) => {
    onView?.(view);
    return decide(view);
  };
  return await followUntil(cluster, told, { signal });
}

export async function waitForOperation(
  cluster: FollowedCluster,
  answer: Pick<CommandAnswer, 'operationId' | 'generation'>,
  options: FollowOptions = {},
): Promise<OperationEnd> {
  return await lookUntil(
    cluster,
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
  cluster: FollowedCluster,
  name: string,
  jobId: number,
  options: FollowOptions & { generation?: string } = {},
): Promise<JobRow> {
  return await lookUntil(
    cluster,
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
