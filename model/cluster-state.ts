/** A cluster's state: how it begins, how it is kept within its budget, and how it is shown. */
import { REMEMBERED_JOBS, REMEMBERED_OPERATIONS, REMEMBERED_REQUESTS, REMEMBERED_TRIES } from './budgets.ts';
import type { Claims } from './cloud-resource.ts';
import { type ClusterState, displayStatus } from './cluster.ts';
import { budgetNotice, budgetView } from './cluster-budget.ts';
import { warning } from './cluster-notices.ts';
import { standingPlacements } from './cluster-repair.ts';
import type { ClusterInput, ClusterMemo, ClusterView } from './commands.ts';
import { costAt, hourlyNow } from './cost.ts';
import { generationOf } from './identity.ts';
import { idleness } from './idle.ts';
import { isTerminalJob } from './job.ts';
import type { Placement } from './machines.ts';
import type { Timing } from './timing.ts';
import { autostopNotice, autostopProblem } from './unstoppable.ts';

export function newCluster(
  input: Pick<ClusterInput, 'workspace' | 'name' | 'owner'>,
  life: string,
  now: number,
): ClusterState {
  return {
    version: 1,
    workspace: input.workspace,
    name: input.name,
    user: '',
    life,
    n: 1,
    status: 'NEW',
    statusSince: now,
    statusReason: '',
    launchedAt: now,
    lastUse: '',
    spec: null,
    placement: null,
    nodes: [],
    intents: [],
    attempts: 0,
    operation: null,
    nextOperation: 1,
    waiting: [],
    operations: [],
    tries: [],
    duties: [],
    watch: null,
    watches: 0,
    jobs: [],
    nextJobId: 1,
    finishedJobs: 0,
    queuePolicy: 'backfill',
    autostop: null,
    autostopSetAt: now,
    upAt: now,
    sessions: 0,
    lastSessionEndedAt: 0,
    lastJobEndedAt: 0,
    lastSubmitAt: 0,
    lost: [],
    cost: { accrued: 0, since: null, hourly: 0 },
    requests: [],
    ...(input.owner?.held === true ? { held: true } : {}),
  };
}

/** What it is responsible for: the machines of the placements that stand, and of all whose end is not proved. */
export function claimsOf(state: Pick<ClusterState, 'life' | 'n' | 'placement' | 'added' | 'intents'>): Claims {
  const placements = [...standingPlacements(state), ...state.intents];
  return { generation: generation(state), placementKeys: [...new Set(placements.map(({ key }) => key))] };
}

export function generation(state: Pick<ClusterState, 'life' | 'n'>): string {
  return generationOf(state.life, state.n);
}

/** Forgets what the budgets say may be forgotten: the oldest finished jobs, operations, tries and answers. */
export function compact(state: ClusterState): ClusterState {
  const held = new Set(state.guests?.map(({ jobId }) => jobId) ?? []);
  const ended = state.jobs.filter((job) => isTerminalJob(job.status) && !held.has(job.id));
  const forget = new Set(
    ended
      .toSorted((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0) || a.id - b.id)
      .slice(0, Math.max(0, ended.length - REMEMBERED_JOBS))
      .map((job) => job.id),
  );
  return {
    ...state,
    jobs: forget.size === 0 ? state.jobs : state.jobs.filter((job) => !forget.has(job.id)),
    operations: state.operations.slice(-REMEMBERED_OPERATIONS),
    tries: state.tries.slice(-REMEMBERED_TRIES),
    requests: state.requests.slice(-REMEMBERED_REQUESTS),
  };
}

/** The cloud says that no node runs any more. */
export function allNodesGone(state: Pick<ClusterState, 'nodes' | 'lost'>): boolean {
  return state.nodes.every((node) => state.lost.some((one) => one.gone && one.rank === node.rank));
}

export function infraText(placement: Placement | null): string | null {
  return placement === null ? null : `${placement.cloud}/${placement.region}/${placement.zone}`;
}

/** What stands, else what was asked for: `2x(gpus=A100:8, cpus=96, mem=1360, p4d.24xlarge)`; memory in GiB, of each node. */
export function resourcesOf({ placement, spec }: Pick<ClusterState, 'placement' | 'spec'>): string {
  if (placement === null) return spec?.resourcesText ?? '-';
  const { accelerators, cpus, memory, instanceType, useSpot, numNodes } = placement;
  const gpus = accelerators === null ? [] : [`gpus=${accelerators.name}:${accelerators.count}`];
  const parts = [...gpus, `cpus=${cpus}`, `mem=${memory}`, instanceType, ...(useSpot ? ['[spot]'] : [])];
  return `${numNodes}x(${parts.join(', ')})`;
}

/** Since when the cluster is idle and when its autostop rule acts; nulls while it is not, or while an operation runs. */
export function clusterIdleness(
  state: ClusterState,
  timing: Timing,
  now: number,
): { idleSince: number | null; dueAt: number | null } {
  if (state.status !== 'UP' || state.operation !== null) return { idleSince: null, dueAt: null };
  const { idleSince, dueAt } = idleness({
    rule: state.autostop,
    liveJobs: state.jobs.filter((job) => !isTerminalJob(job.status)).length,
    sessions: state.sessions,
    lastJobEndedAt: state.lastJobEndedAt,
    lastSessionEndedAt: state.lastSessionEndedAt,
    ruleSetAt: state.autostopSetAt,
    upAt: state.upAt,
    lastSubmitAt: state.lastSubmitAt,
    now,
    idleMinute: timing.idleMinute,
  });
  return { idleSince, dueAt: autostopProblem(state, state.autostop) === null ? dueAt : null };
}

export function clusterView(
  state: ClusterState,
  context: { installation: string; timing: Timing; now: number; waits: Readonly<Record<string, string>> },
): ClusterView {
  return {
    workspace: state.workspace,
    name: state.name,
    user: state.user,
    generation: generation(state),
    status: displayStatus(state),
    entityStatus: state.status,
    statusSince: state.statusSince,
    statusReason: state.statusReason || budgetNotice(state) || warning(state) || autostopNotice(state),
    launchedAt: state.launchedAt,
    lastUse: state.lastUse,
    resources: resourcesOf(state),
    infra: infraText(state.placement ?? state.intents.at(-1) ?? null),
    placement: state.placement,
    nodes: state.nodes,
    ...(state.added === undefined || state.added.length === 0 ? {} : { added: state.added }),
    ...(state.ports === undefined || state.ports.length === 0 ? {} : { ports: state.ports }),
    intents: state.intents,
    operation: state.operation,
    operations: state.operation === null ? state.operations : [...state.operations, state.operation],
    waiting: state.waiting.map(({ opId, kind }) => ({ opId, kind })),
    tries: state.tries,
    jobs: state.jobs,
    queuePolicy: state.queuePolicy,
    waits: context.waits,
    autostop: state.autostop,
    autostopDueAt: clusterIdleness(state, context.timing, context.now).dueAt,
    sessions: state.sessions,
    lost: state.lost,
    ...(state.status !== 'STOPPED' || (state.running ?? []).length === 0 ? {} : { running: state.running }),
    ...(state.notices === undefined ? {} : { notices: state.notices }),
    costPerHour: hourlyNow(state.cost),
    costSoFar: costAt(state.cost, context.now),
    ...budgetView(state),
    ...(state.ray == null ? {} : { ray: state.ray }),
    installation: context.installation,
  };
}

/** Cut to fit its column and the memo's 2 kB. */
function clip(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars - 1)}…`;
}

/** Of the machine of rank 0; null while it is stopped: a public address is given to somebody else then. */
export function headAddress(status: ClusterMemo['status'], nodes: ClusterView['nodes']): string | null {
  return status === 'STOPPED' ? null : (nodes.find(({ rank }) => rank === 0)?.address ?? null);
}

export function clusterMemo(state: ClusterState, now: number): ClusterMemo {
  return {
    status: displayStatus(state),
    user: clip(state.user, 64),
    launchedAt: state.launchedAt,
    resources: clip(state.stood?.resources ?? resourcesOf(state), 120),
    infra: state.stood?.infra ?? infraText(state.placement ?? state.intents.at(-1) ?? null),
    numNodes: state.spec?.numNodes ?? 0,
    autostop: state.autostop,
    headIp: headAddress(displayStatus(state), state.nodes),
    lastUse: clip(state.lastUse, 200),
    jobs: { live: state.jobs.filter((job) => !isTerminalJob(job.status)).length, finished: state.finishedJobs },
    costPerHour: hourlyNow(state.cost),
    costSoFar: Math.round(costAt(state.cost, now) * 1e4) / 1e4,
    cost: state.cost,
    ...budgetView(state),
    statusReason: clip(state.statusReason || budgetNotice(state) || autostopNotice(state), 200),
    statusSince: state.statusSince,
  };
}
