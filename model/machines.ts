/** Machines as every part of Styx speaks of them: what is asked for, where it could stand, and what stands. Plain JSON. */

import type { MachineWants } from './machine-wants.ts';
import type { PlaceOrder } from './place-order.ts';

/** "At least n" or exactly n. */
export interface Amount {
  readonly count: number;
  readonly atLeast: boolean;
}

/** What a task asks of each node. */
export interface ResourceRequest {
  /** null: any. */
  readonly cloud: string | null;
  /** Only these come into question; absent: all. */
  readonly clouds?: readonly string[] | undefined;
  /** Of a plan: these are tried in this order, at most at these prices, and nothing else is; ≤ LAUNCH_OFFERS. Absent: all that fit. */
  readonly planned?: readonly InstanceTypeOffer[] | undefined;
  /** In which order they are tried, where cost alone does not decide. */
  readonly order?: PlaceOrder | undefined;
  readonly region: string | null;
  readonly zone: string | null;
  readonly instanceType: string | null;
  /** vCPUs. */
  readonly cpus: Amount | null;
  /** GiB. */
  readonly memory: Amount | null;
  readonly accelerators: { readonly name: string; readonly count: number } | null;
  readonly useSpot: boolean;
  /** Other machines that would do as well; absent: none. */
  readonly others?: readonly MachineChoice[] | undefined;
  /** Alternatives are tried one after the other, each in all its places. Absent: cost decides between them. */
  readonly inOrder?: boolean | undefined;
  readonly numNodes: number;
  /** Absent: nothing besides. */
  readonly wants?: MachineWants | undefined;
}

/** What alternatives of a request may differ in. */
export type MachineChoice = Pick<
  ResourceRequest,
  'cloud' | 'region' | 'zone' | 'instanceType' | 'cpus' | 'memory' | 'accelerators' | 'useSpot'
>;

/** Any one machine. */
export const ANY_MACHINE: ResourceRequest = {
  cloud: null,
  region: null,
  zone: null,
  instanceType: null,
  cpus: null,
  memory: null,
  accelerators: null,
  useSpot: false,
  numNodes: 1,
};

/** One thing that a cloud can give now. */
export interface InstanceTypeOffer {
  readonly cloud: string;
  readonly region: string;
  readonly zone: string;
  readonly instanceType: string;
  readonly cpus: number;
  /** GiB. */
  readonly memory: number;
  readonly accelerators: { readonly name: string; readonly count: number } | null;
  readonly useSpot: boolean;
  /** US dollars an hour for one node while it runs, without its disk. */
  readonly hourlyCost: number;
  /** Of one node, charged while it runs and while it is stopped; absent: it costs nothing, or an older version made the offer. */
  readonly disk?: Disk;
  /** Why its cloud can only end it, for people; absent: it can be stopped, or an older version made the offer. */
  readonly noStop?: string;
}

export interface Disk {
  /** GiB. */
  readonly size: number;
  /** US dollars an hour. */
  readonly hourlyCost: number;
}

/** US dollars an hour of a node that runs, with its disk. */
export function nodeHourly(offer: Pick<InstanceTypeOffer, 'hourlyCost' | 'disk'>): number {
  return offer.hourlyCost + (offer.disk?.hourlyCost ?? 0);
}

/** An offer that a launch has decided to try: recorded before anything is created (the intent). */
export interface Placement extends InstanceTypeOffer {
  /**
   * Identity of the create call, ≤ 64 ASCII characters: a hash of installation, workflow id, generation, `attempt` and zone.
   * A provider uses it as its idempotency token, and as tag or name.
   */
  readonly key: string;
  /** Counts the placements of one generation. */
  readonly attempt: number;
  readonly numNodes: number;
  /** Of a repair: the rank that each machine takes, in the order of their indexes; absent: its index. */
  readonly fills?: readonly number[];
  /** Of a repair: key of the placement in the same region whose network its machines share; absent: they are by themselves. */
  readonly joins?: string;
}

/** US dollars an hour of the disks of all nodes, whether they run or are stopped. */
export function disksHourly({ disk, numNodes }: Pick<Placement, 'disk' | 'numNodes'>): number {
  return (disk?.hourlyCost ?? 0) * numNodes;
}

export const INSTANCE_STATES = ['pending', 'running', 'stopping', 'stopped', 'shutting-down', 'terminated'] as const;
export type InstanceState = (typeof INSTANCE_STATES)[number];

/** Does the machine still cost money or hold data? */
export function instanceExists(state: InstanceState): boolean {
  return state !== 'terminated';
}

/** Is the machine on its way out, so that another placement may start? */
export function instanceEnding(state: InstanceState): boolean {
  return state === 'shutting-down' || state === 'terminated';
}

/** A machine as its cloud shows it. */
export interface Instance {
  readonly id: string;
  readonly placementKey: string;
  /** 0 … numNodes − 1 of its placement, fixed for the machine's life: node rank order; see `rankOf`. */
  readonly index: number;
  readonly state: InstanceState;
  readonly instanceType: string;
  /** Where SSH answers; null while there is no address. */
  readonly address: string | null;
  readonly sshPort: number;
  readonly user: string;
  /** Address that the nodes of one cluster know each other by. */
  readonly internalAddress: string | null;
  /** OpenSSH public key line of the host, where the cloud knows it ahead of contact. */
  readonly hostKey: string | null;
  readonly cpus: number;
  readonly memory: number;
  readonly accelerators: { readonly name: string; readonly count: number } | null;
  readonly createdAt: number;
  /** Why it ended or stopped, when the cloud says. */
  readonly stateReason: string | null;
}

/** How an agent ends its own machine. `identity` must match what the machine says of itself, or the agent refuses. */
export interface PowerOff {
  readonly action: 'stop' | 'terminate';
  /** Program with arguments, run as the login user. */
  readonly command: readonly string[];
  /** A file on the node and the text that it must contain: proof that this is the machine that was provisioned. */
  readonly identity: { readonly path: string; readonly text: string };
}

/** A node of a cluster that stands: what is needed to reach it and to place jobs on it. */
export interface NodeInfo {
  readonly instanceId: string;
  readonly rank: number;
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly internalAddress: string;
  /** `cloud/region` whose `ssh_proxy_command` leads there; absent: it is connected to. */
  readonly via?: string;
  /** Pinned at first contact when the cloud did not tell. */
  readonly hostKey: string;
  readonly cpus: number;
  readonly memory: number;
  readonly gpus: number;
  readonly gpuName: string | null;
}
