/** What clusters have cost, from what lists hold of them: no worker is asked, and those that ended are there too. */
import type { WorkflowExecutionInfo } from '@temporalio/client';
import type { DisplayStatus } from '../model/cluster.ts';
import { SEARCH } from '../model/commands.ts';
import { costAt, upTimeAt } from '../model/cost.ts';
import { mapLimited } from '../model/map-limited.ts';
import type { Link } from './link.ts';
import { summaryOf } from './summary.ts';

/** One run of a cluster's workflow. */
type Run = Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'status' | 'closeTime' | 'memo'>;

export interface ClusterCost {
  readonly workspace: string;
  readonly name: string;
  readonly user: string;
  /** LOST: its workflow was ended from outside, and what its machines cost from then on is not known. */
  readonly status: DisplayStatus | 'LOST';
  /** Of the last launch, milliseconds since the epoch. */
  readonly launchedAt: number;
  /** Null while it is there. */
  readonly endedAt: number | null;
  /** Milliseconds that its machines were up; null: an older version did not count them. */
  readonly upMs: number | null;
  readonly resources: string;
  readonly infra: string | null;
  readonly numNodes: number;
  /** US dollars an hour of all its nodes while they are up. */
  readonly hourlyPrice: number;
  /** US dollars an hour now. */
  readonly costPerHour: number;
  /** US dollars. */
  readonly cost: number;
}

export interface Spent {
  readonly clusters: number;
  readonly cost: number;
  readonly costPerHour: number;
}

export interface CostReport {
  /** Those that are there first, then the newest launch. */
  readonly clusters: readonly ClusterCost[];
  readonly total: Spent;
  readonly users: Readonly<Record<string, Spent>>;
  readonly workspaces: Readonly<Record<string, Spent>>;
}

export interface CostOptions {
  /** How far back ended clusters are taken in; 0, which is the default: as long as the server keeps them. */
  readonly days?: number;
  /** Milliseconds since the epoch; a later one tells what will have been spent if nothing changes. Default: now. */
  readonly now?: number;
}

const DAY = 86_400_000;
/** As in a list of clusters: so many are asked for by themselves, of the others the index's word is taken. */
const FRESH_UP_TO = 100;
const CALLS_AT_ONCE = 8;
const ENDED = ['Completed', 'Failed', 'Canceled', 'Terminated', 'TimedOut'].map((name) => `'${name}'`).join(', ');

/**
 * Clusters that are there and those that ended. A name that was launched again while it was being taken down is one cluster.
 * @throws transient, unreachable
 */
export async function costReport(link: Link, options: CostOptions = {}): Promise<CostReport> {
  const { days = 0, now = Date.now() } = options;
  const since = days > 0 ? now - days * DAY : null;
  const infos = await clusterRuns(link, since);
  const found = await mapLimited(infos, CALLS_AT_ONCE, async (info, index) => {
    const fresh = index < FRESH_UP_TO && info.status.name === 'RUNNING' ? await described(link, info) : info;
    // A list may still show as running what has ended.
    const tooOld = since !== null && fresh.closeTime !== undefined && fresh.closeTime.getTime() < since;
    return tooOld ? null : costOf(fresh, now);
  });
  return reportOf(found.filter((one) => one !== null));
}

/** Ended runs whose cluster went on in another are left out: that one has their costs. */
async function clusterRuns(link: Link, endedSince: number | null): Promise<Run[]> {
  const ended = endedSince === null ? '' : ` AND CloseTime >= '${new Date(endedSince).toISOString()}'`;
  const states = ["ExecutionStatus = 'Running'", `(ExecutionStatus IN (${ENDED})${ended})`];
  const lists = await mapLimited(states, states.length, (state) =>
    link.read(async (workflow) => {
      const query = `${SEARCH.kind} = 'cluster' AND ${state}`;
      const infos: Run[] = [];
      for await (const info of workflow.list({ query, pageSize: 1_000 })) infos.push(info);
      return infos;
    }),
  );
  const byRun = new Map(lists.flat().map((info) => [info.runId, info]));
  return [...byRun.values()];
}

async function described(link: Link, { workflowId, runId }: Run): Promise<Run> {
  const describe = (run?: string) => link.read((workflow) => workflow.getHandle(workflowId, run).describe());
  const info = await describe(runId);
  return info.status.name === 'CONTINUED_AS_NEW' ? await describe() : info;
}

function costOf(info: Run, now: number): ClusterCost | null {
  const endedAt = info.closeTime?.getTime() ?? null;
  const until = endedAt ?? now;
  const summary = summaryOf(info, until);
  if (summary === null) return null;
  const { workspace, name, user, launchedAt, resources, infra, numNodes, cost, costSoFar } = summary;
  return {
    workspace,
    name,
    user,
    status: endedAt === null || summary.status === 'TERMINATED' ? summary.status : 'LOST',
    launchedAt,
    endedAt,
    upMs: cost === undefined ? null : upTimeAt(cost, until),
    resources,
    infra,
    numNodes,
    hourlyPrice: cost?.hourly ?? summary.costPerHour,
    costPerHour: endedAt === null ? summary.costPerHour : 0,
    cost: cost === undefined ? costSoFar : costAt(cost, until),
  };
}

function reportOf(found: readonly ClusterCost[]): CostReport {
  const clusters = found.toSorted(
    (a, b) => Number(a.endedAt !== null) - Number(b.endedAt !== null) || b.launchedAt - a.launchedAt,
  );
  return {
    clusters,
    total: spent(clusters),
    users: spentBy(clusters, ({ user }) => user),
    workspaces: spentBy(clusters, ({ workspace }) => workspace),
  };
}

function spentBy(clusters: readonly ClusterCost[], of: (one: ClusterCost) => string): Record<string, Spent> {
  const names = [...new Set(clusters.map(of))].toSorted();
  return Object.fromEntries(names.map((name) => [name, spent(clusters.filter((one) => of(one) === name))]));
}

function spent(clusters: readonly ClusterCost[]): Spent {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    clusters: clusters.length,
    cost: sum(clusters.map(({ cost }) => cost)),
    costPerHour: sum(clusters.map(({ costPerHour }) => costPerHour)),
  };
}
