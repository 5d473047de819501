/** Does what a later launch or exec asks for fit into the cluster that stands, or is being made? */
import { alternativesOf } from './alternatives.ts';
import type { ClusterState } from './cluster.ts';
import { closedPorts, DEFAULT_DISK_GIB, imageFor, type MachineWants } from './machine-wants.ts';
import type { ResourceRequest } from './machines.ts';
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

type Cards = ResourceRequest['accelerators'];

function cardsMisfit(has: Cards, asked: Cards, demand: number): string | null {
  if (asked !== null && (has === null || has.name !== asked.name || has.count < asked.count)) {
    return `it asks for ${asked.name}:${asked.count}, the cluster's nodes have ${has === null ? 'no accelerators' : `${has.name}:${has.count}`}`;
  }
  if (demand <= (has?.count ?? 0)) return null;
  return `it demands ${demand} GPUs a node, the cluster's nodes have ${has?.count ?? 0}`;
}

const TIERS = ['low', 'medium', 'high', 'ultra', 'best'] as const;

/** What machines were made with, and cannot be given later. */
function wantsMisfit(has: MachineWants, asked: MachineWants, region: string | null): string | null {
  const image = region === null ? null : imageFor(asked, region);
  const own = region === null ? null : imageFor(has, region);
  if (image !== null && image !== own)
    return `it asks for the image ${image ?? 'of another region'}, the cluster has ${own ?? 'none of its own'}`;
  if (asked.container !== undefined && asked.container.image !== has.container?.image) {
    return `it asks for the container ${asked.container.image}, the cluster's is ${has.container?.image ?? 'none'}`;
  }
  const { diskSize, diskTier, networkTier, labels = {} } = asked;
  if (diskSize !== undefined && diskSize > (has.diskSize ?? DEFAULT_DISK_GIB)) {
    return `it asks for disks of ${diskSize} GiB, the cluster's have ${has.diskSize ?? DEFAULT_DISK_GIB}`;
  }
  if (diskTier !== undefined && TIERS.indexOf(diskTier) > TIERS.indexOf(has.diskTier ?? 'medium')) {
    return `it asks for disks of tier ${diskTier}, the cluster's have ${has.diskTier ?? 'none'}`;
  }
  if (networkTier === 'best' && has.networkTier !== 'best') {
    return 'it asks for the best network tier, the cluster was launched without it';
  }
  const other = Object.keys(labels).find((name) => has.labels?.[name] !== labels[name]);
  return other === undefined ? null : `it asks for the label ${other}, and labels are given when a cluster is made`;
}

/**
 * Null when it fits, else why not, for people. What the cluster was launched with and where it stands both count. `opens`: ports that
 * are closed are opened first.
 */
export function misfit(state: Pick<ClusterState, 'spec' | 'placement'>, task: Task, opens: boolean): string | null {
  const problems = alternativesOf(task.resources).map((asked) => misfitOf(state, task, asked, opens));
  return problems.includes(null) ? null : (problems[0] ?? null);
}

/** As by one of the task's alternatives. */
function misfitOf(
  state: Pick<ClusterState, 'spec' | 'placement'>,
  task: Task,
  asked: ResourceRequest,
  opens: boolean,
): string | null {
  const spec = state.spec;
  if (spec === null) return null;
  if (task.numNodes > spec.numNodes) return `it asks for ${task.numNodes} nodes, the cluster has ${spec.numNodes}`;
  const stands = state.placement;
  // Until it stands, all that it may come to be.
  const cards = stands === null ? alternativesOf(spec.resources).map((one) => one.accelerators) : [stands.accelerators];
  const unfit = cards.map((has) => cardsMisfit(has, asked.accelerators, task.demand.gpus));
  if (!unfit.includes(null)) return unfit[0] ?? null;
  const has = spec.resources.wants ?? {};
  const closed = opens ? [] : closedPorts(has.ports ?? [], asked.wants?.ports ?? []);
  if (closed.length > 0) return `it asks for the ports ${closed.join(', ')}, which a launch opens and an exec does not`;
  const other = wantsMisfit(has, asked.wants ?? {}, stands?.region ?? null);
  if (other !== null) return other;
  if (stands === null) return null;
  const { maxHourlyCost } = asked.wants ?? {};
  if (maxHourlyCost !== undefined && stands.hourlyCost > maxHourlyCost) {
    return `it asks for nodes of at most $${maxHourlyCost} an hour, the cluster's cost $${stands.hourlyCost}`;
  }
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
