/** Steps of managed jobs and of their queue: they look, and change nothing. */
import type { Client } from '@temporalio/client';
import { ranksOf, standingPlacements } from '../model/cluster-repair.ts';
import { type ClusterView, QUERIES, SEARCH } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { fairOrder, type WaitingRow } from '../model/job-queue.ts';
import { JOB_KIND } from '../model/managed-job.ts';
import type { ClusterReport } from '../model/owned-cluster.ts';
import { PIPELINE_KIND } from '../model/pipeline.ts';
import type { ActivityContext } from './context.ts';
import { statusOf } from './nodes.ts';
import type { ActActivities, JobRows, JobRowsInput, OwnedClusterInput } from './types.ts';

type JobSteps = Pick<ActActivities, 'lookAtCluster' | 'machinesStand' | 'intentsOf' | 'jobRows'>;

/** Rows are at most 60 bytes each, users as many as rows at worst, and an activity's answer is 64 kB. */
const ROWS = 600;

export function jobSteps(context: ActivityContext): JobSteps {
  const { client } = context;
  return {
    async lookAtCluster({ workflowId, guest }: OwnedClusterInput) {
      const state = await statusOf(context, workflowId);
      if (state === 'missing') return { state, report: null };
      const args = guest === undefined ? [] : [guest];
      return { state, report: await ask<ClusterReport | null>(client, workflowId, QUERIES.report, args) };
    },

    async machinesStand({ workflowId }: OwnedClusterInput): Promise<boolean> {
      const view = await clusterViewOf(client, workflowId);
      const placements = standingPlacements(view);
      if (placements.length === 0 || view.lost.some(({ gone }) => gone)) return false;
      const stand = placements.map(async (placement) => {
        const cloud = await context.cloud(placement.cloud);
        const seen = await cloud.list(placement, { placementKey: placement.key });
        return seen.filter(({ state }) => state === 'running').length === ranksOf(placements, placement).length;
      });
      return (await Promise.all(stand)).every(Boolean);
    },

    async intentsOf({ workflowId }: OwnedClusterInput) {
      if ((await statusOf(context, workflowId)) === 'missing') return null;
      const { workspace, name, generation, intents } = await clusterViewOf(client, workflowId);
      return { cluster: { workflowId, workspace, name, generation }, placements: [...intents] };
    },

    async jobRows(input: JobRowsInput): Promise<JobRows> {
      const all = `${SEARCH.kind} = '${JOB_KIND}' AND ${SEARCH.workspace} = '${input.workspace}'`;
      const numbered = `${SEARCH.kind} IN ('${JOB_KIND}', '${PIPELINE_KIND}') AND ${SEARCH.workspace} = '${input.workspace}'`;
      const wanted = input.what === 'waiting' ? `= 'PENDING'` : `!= 'PENDING'`;
      const query = `${all} AND ExecutionStatus = 'Running' AND ${SEARCH.status} ${wanted} AND ${SEARCH.number} > ${input.after}`;
      const rows: WaitingRow[] = [];
      const users = new Map<string, number>();
      for await (const { workflowId, searchAttributes } of client.workflow.list({ query, pageSize: 1_000 })) {
        const [number] = searchAttributes[SEARCH.number] ?? [];
        const [priority] = searchAttributes[SEARCH.priority] ?? [];
        if (typeof number !== 'number') continue;
        const [user = ''] = searchAttributes[SEARCH.user] ?? [];
        const place = users.get(String(user)) ?? users.size;
        users.set(String(user), place);
        const id = workflowId.split('/').slice(2).join('/');
        rows.push([number, typeof priority === 'number' ? priority : 0, id, place]);
      }
      const ordered = input.what === 'waiting' ? fairOrder(rows, []) : rows.toSorted((a, b) => a[0] - b[0]);
      return page(ordered, [...users.keys()], await lastNumber(client, numbered));
    },
  };
}

/** The first rows, with those users alone that these name. */
function page(ordered: readonly WaitingRow[], all: readonly string[], last: number): JobRows {
  const users: string[] = [];
  const rows = ordered.slice(0, ROWS).map(([number, priority, id, place]): WaitingRow => {
    const user = all[place] ?? '';
    if (!users.includes(user)) users.push(user);
    return [number, priority, id, users.indexOf(user)];
  });
  return { rows, users, more: ordered.length > ROWS, last };
}

/** The stores cannot sort: by doubling and halving. */
async function lastNumber({ workflow }: Client, all: string): Promise<number> {
  const beyond = async (number: number) => (await workflow.count(`${all} AND ${SEARCH.number} > ${number}`)).count > 0;
  let [low, high] = [0, 1];
  while (await beyond(high)) [low, high] = [high, high * 2];
  if (low === 0 && !(await beyond(0))) return 0;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await beyond(middle)) low = middle;
    else high = middle;
  }
  return high;
}

async function ask<T>(client: Client, workflowId: string, query: string, args: unknown[] = []): Promise<T> {
  try {
    return await client.workflow.getHandle(workflowId).query<T, unknown[]>(query, ...args);
  } catch (error) {
    throw new StyxError('transient', `${workflowId} does not answer: ${(error as Error).message}`, { cause: error });
  }
}

export async function clusterViewOf(client: Client, workflowId: string): Promise<ClusterView> {
  return await ask<ClusterView>(client, workflowId, QUERIES.view);
}
