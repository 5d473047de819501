/** Does what a later launch or exec asks for fit into the cluster that stands, or is being made? */
import type { ClusterState } from './cluster.ts';
import type { Task } from './task.ts';

/** Will a launch given now make the cluster anew? */
export function endsFirst({
  status,
  operation,
  waiting,
}: Pick<ClusterState, 'status' | 'operation' | 'waiting'>): boolean {
  const down = waiting.some(({ kind }) => kind === 'down') || operation?.kind === 'down';
  return down || (status === 'TERMINATED' && operation === null);
}

/** What a launch given now will meet: behind a `down`, what the first launch there asks for. `spec` null: it makes its own. */
export function toComeFor(
  state: Pick<ClusterState, 'status' | 'operation' | 'waiting' | 'spec' | 'placement'>,
): Pick<ClusterState, 'spec' | 'placement'> {
  const { waiting } = state;
  if (!endsFirst(state)) return state;
  const down = waiting.findLastIndex(({ kind }) => kind === 'down');
  const first = waiting.slice(down + 1).find((one) => one.kind === 'launch');
  return { spec: first?.spec ?? null, placement: null };
}

function amountText(amount: { count: number; atLeast: boolean }): string {
  return `${amount.count}${amount.atLeast ? '+' : ''}`;
}

/** Null when it fits, else why not, for people. What the cluster was launched with and where it stands both count. */
export function misfit(state: Pick<ClusterState, 'spec' | 'placement'>, task: Task): string | null {
  const spec = state.spec;
  if (spec === null) return null;
  if (task.numNodes > spec.numNodes) return `it asks for ${task.numNodes} nodes, the cluster has ${spec.numNodes}`;
  const asked = task.resources;
  const stands = state.placement;
  const gpus = asked.accelerators;
  const has = stands?.accelerators ?? spec.resources.accelerators;
  if (gpus !== null && (has === null || has.name !== gpus.name || has.count < gpus.count)) {
    return `it asks for ${gpus.name}:${gpus.count}, the cluster's nodes have ${has === null ? 'no accelerators' : `${has.name}:${has.count}`}`;
  }
  const gpuDemand = task.demand.gpus;
  if (gpuDemand > (has?.count ?? 0)) {
    return `it demands ${gpuDemand} GPUs a node, the cluster's nodes have ${has?.count ?? 0}`;
  }
  if (stands === null) return null;
  for (const field of ['cloud', 'region', 'zone'] as const) {
    if (asked[field] !== null && asked[field] !== stands[field]) {
      return `it asks for ${field} ${asked[field]}, the cluster is in ${stands[field]}`;
    }
  }
  if (asked.instanceType !== null && asked.instanceType !== stands.instanceType) {
    return `it asks for ${asked.instanceType}, the cluster's nodes are ${stands.instanceType}`;
  }
  for (const field of ['cpus', 'memory'] as const) {
    const want = asked[field];
    if (want !== null && (want.atLeast ? stands[field] < want.count : stands[field] !== want.count)) {
      return `it asks for ${field} ${amountText(want)}, the cluster's nodes have ${stands[field]}`;
    }
  }
  if (task.demand.cpus > stands.cpus) {
    return `it demands ${task.demand.cpus} CPUs a node, the cluster's nodes have ${stands.cpus}`;
  }
  if (task.demand.memory > stands.memory) {
    return `it demands ${task.demand.memory} GiB a node, the cluster's nodes have ${stands.memory}`;
  }
  return null;
}
