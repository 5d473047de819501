/** A cluster as lists show it: its workflow's memo, which is there without a worker. */
import type { WorkflowExecutionInfo } from '@temporalio/client';
import type { Try } from '../model/cluster.ts';
import { headAddress } from '../model/cluster-state.ts';
import { type ClusterMemo, type ClusterView, MEMO_KEY } from '../model/commands.ts';
import { costAt } from '../model/cost.ts';
import { foreignReason } from '../model/envelope.ts';
import { toStyxError } from './errors.ts';
import type { Link } from './link.ts';

export interface ClusterSummary extends ClusterMemo {
  readonly workspace: string;
  readonly name: string;
  /** What happens at the moment, for people; null when nothing does or it is not known. */
  readonly progress: string | null;
  /** Places that were tried and given up, the last of them; absent where that is not known. */
  readonly tries?: readonly Try[];
}

/** Of the workflow that runs now, by the server's own word and not by its index's; null: none does. @throws transient */
export async function summaryNow(link: Link, workflowId: string): Promise<ClusterSummary | null> {
  try {
    const info = await link.read((workflow) => workflow.getHandle(workflowId).describe());
    return info.status.name === 'RUNNING' ? summaryOf(info) : null;
  } catch (error) {
    const failure = toStyxError(error);
    if (failure.kind === 'not-found') return null;
    throw failure;
  }
}

/** Workspace and name of `cluster/<workspace>/<name>`; null for other ids. */
export function parseClusterId(workflowId: string): { workspace: string; name: string } | null {
  const [kind, workspace, name, ...rest] = workflowId.split('/');
  if (kind !== 'cluster' || !workspace || !name || rest.length > 0) return null;
  return { workspace, name };
}

/** Null when the workflow has no accepted command yet, or is not ours: such a one is no cluster. */
export function summaryOf(
  info: Pick<WorkflowExecutionInfo, 'workflowId' | 'memo'>,
  now = Date.now(),
): ClusterSummary | null {
  const id = parseClusterId(info.workflowId);
  const memo = info.memo?.[MEMO_KEY] as ClusterMemo | undefined;
  if (id === null || memo === undefined || memo === null || foreignReason(memo) !== null) return null;
  const costSoFar = memo.cost === undefined ? memo.costSoFar : costAt(memo.cost, now);
  return { ...memo, costSoFar, ...id, progress: null };
}

export function summaryOfView(view: ClusterView): ClusterSummary {
  const live = view.jobs.filter((job) => job.endedAt === null).length;
  return {
    workspace: view.workspace,
    name: view.name,
    status: view.status,
    user: view.user,
    launchedAt: view.launchedAt,
    resources: view.resources,
    infra: view.infra,
    numNodes: view.placement?.numNodes ?? view.nodes.length,
    autostop: view.autostop,
    headIp: headAddress(view.status, view.nodes),
    lastUse: view.lastUse,
    jobs: { live, finished: view.jobs.length - live },
    costPerHour: view.costPerHour,
    costSoFar: view.costSoFar,
    ...(view.budget === undefined ? {} : { budget: view.budget }),
    statusReason: view.statusReason,
    statusSince: view.statusSince,
    progress: view.operation?.progress ?? null,
    tries: view.tries,
  };
}
