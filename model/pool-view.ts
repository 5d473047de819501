/** A pool as it is shown. */
import type {
  PoolInput,
  PoolMemo,
  PoolState,
  PoolStatus,
  PoolView,
  PoolWorker,
  WorkerStatus,
  WorkerView,
} from './pool.ts';
import { poolId } from './pool.ts';

function clip(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars - 1)}…`;
}

/** READY if any worker is, as SkyPilot has it. */
function statusOf({ ending, workers, broken, current }: PoolState): PoolStatus {
  if (ending !== null) return 'SHUTTING_DOWN';
  if (workers.some(({ phase }) => phase === 'ready')) return 'READY';
  if (broken !== null) return 'FAILED';
  return current.size.min === 0 && workers.length === 0 ? 'NO_REPLICA' : 'REPLICA_INIT';
}

function workerStatus({ phase, status, silentSince }: PoolWorker): WorkerStatus {
  if (phase === 'ending' || phase === 'fencing') return 'SHUTTING_DOWN';
  if (phase === 'ready') return silentSince === null ? 'READY' : 'NOT_READY';
  return status === 'UP' ? 'STARTING' : 'PROVISIONING';
}

function workerView(worker: PoolWorker): WorkerView {
  const { size } = worker;
  const gpus = size !== null && size.gpus > 0 ? `, gpus=${size.gpus}` : '';
  return {
    id: worker.number,
    cluster: worker.cluster,
    version: worker.version,
    status: workerStatus(worker),
    launchedAt: worker.launchedAt,
    infra: worker.infra,
    resources:
      size === null ? '-' : `${size.nodes}x(cpus=${size.cpus}, mem=${size.memory}${gpus}, ${worker.instanceType})`,
    draining: worker.draining,
    usedBy: worker.jobs.map(({ number }) => number),
    why: worker.why,
  };
}

/** Dollars of all workers until now. */
function costOf({ workers, spent }: PoolState, now: number): number {
  const present = workers.map(({ cost, hourly, costAt }) => cost + (hourly * Math.max(0, now - costAt)) / 3_600_000);
  return present.reduce((sum, one) => sum + one, spent);
}

export function poolMemo(input: PoolInput, state: PoolState, now: number): PoolMemo {
  const { current, workers, waiting, broken } = state;
  const last = workers.findLast(({ why }) => why !== '')?.why ?? '';
  return {
    name: input.name,
    user: clip(input.user, 64),
    version: current.number,
    status: statusOf(state),
    reason: clip(broken ?? (state.failures > 0 ? last : ''), 200),
    createdAt: state.createdAt,
    ready: workers.filter(({ phase }) => phase === 'ready').length,
    workers: workers.filter(({ phase }) => phase === 'ready' || phase === 'starting').length,
    min: current.size.min,
    max: current.size.max,
    waiting: waiting.length,
    running: workers.reduce((sum, { jobs }) => sum + jobs.length, 0),
    resources: clip(current.resourcesText, 120),
    cost: Math.round(costOf(state, now) * 1e4) / 1e4,
  };
}

export function poolView(input: PoolInput, state: PoolState, now: number): PoolView {
  return {
    ...poolMemo(input, state, now),
    id: poolId(input.workspace, input.name),
    workspace: input.workspace,
    workerViews: state.workers.map(workerView),
    waitingJobs: state.waiting.map(({ number }) => number),
    events: state.events,
    costPerHour: state.workers.reduce((sum, { hourly }) => sum + hourly, 0),
  };
}

/** Markdown for Temporal's Web UI. */
export function poolDetails(input: PoolInput, state: PoolState, now: number): string {
  const { status, ready, workers, waiting, running, version, reason } = poolMemo(input, state, now);
  const lines = [
    `**${status}**: ${ready} of ${workers} workers ready, version ${version}`,
    `${running} jobs have a worker, ${waiting} wait`,
    ...(reason === '' ? [] : [reason]),
    ...state.workers.map((one) => `- worker ${one.number} \`${one.cluster}\`: ${workerStatus(one)} ${one.why}`),
  ];
  return lines.join('\n\n').slice(0, 15_000);
}
