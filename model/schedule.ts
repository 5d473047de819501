/** A cluster's job queue: which waiting jobs start now, and where. Pure and deterministic. */
import type { Allotment } from './job.ts';
import { type Need, NodeRoom, needOf, type QueueNode } from './node-room.ts';
import { type NodeState, Reservation } from './reservation.ts';
import type { JobDemand } from './task.ts';

export interface RunningJob {
  readonly id: number;
  readonly allotment: Allotment;
  readonly demand: JobDemand;
  /** ms. */
  readonly startedAt: number;
  /** Seconds; null: may run for ever. */
  readonly maxDuration: number | null;
}

export interface WaitingJob {
  readonly id: number;
  readonly numNodes: number;
  /** Of each node. */
  readonly demand: JobDemand;
  readonly priority: number;
  readonly maxDuration: number | null;
}

export interface QueueState {
  readonly nodes: readonly QueueNode[];
  readonly running: readonly RunningJob[];
  readonly waiting: readonly WaitingJob[];
  /** ms. */
  readonly now: number;
  /** `backfill` lets later jobs pass a waiting one where that does not delay it. */
  readonly policy: 'fifo' | 'backfill';
}

export interface Schedule {
  /** In the order in which they were chosen. */
  readonly starts: readonly { readonly id: number; readonly allotment: Allotment }[];
  /** Every other job that can ever start, in the queue's order. */
  readonly waits: readonly { readonly id: number; readonly reason: string }[];
  /** Jobs that these nodes could not run if they were empty. They hold up nobody. */
  readonly impossible: readonly { readonly id: number; readonly reason: string }[];
}

/** Higher priority first, then by id. The first that does not fit is the head, the only one with a reservation. */
export function schedule(queue: QueueState): Schedule {
  const nodes = nodeStates(queue);
  const starts: { id: number; allotment: Allotment }[] = [];
  const waits: { id: number; reason: string }[] = [];
  const impossible: { id: number; reason: string }[] = [];
  let head: { id: number; reservation: Reservation | null } | null = null;
  const inOrder = [...queue.waiting].sort((a, b) => b.priority - a.priority || a.id - b.id);
  for (const job of inOrder) {
    const need = needOf(job.demand);
    const never = whyNever(job, need, nodes);
    if (never !== null) {
      impossible.push({ id: job.id, reason: never });
      continue;
    }
    if (head !== null && head.reservation === null) {
      waits.push({ id: job.id, reason: `waits behind job ${head.id}` });
      continue;
    }
    const reservation: Reservation | null = head?.reservation ?? null;
    const endsBy = endOf(queue.now, job.maxDuration);
    const fitting = nodes.filter((node) => node.room.has(need));
    const open = reservation === null ? fitting : fitting.filter((node) => mayPass(node, need, endsBy, reservation));
    if (open.length >= job.numNodes) {
      starts.push({ id: job.id, allotment: place(pick(open, need, job.numNodes), need, endsBy, reservation) });
    } else if (head === null) {
      const made = queue.policy === 'backfill' ? new Reservation(nodes, need, job.numNodes, queue.now) : null;
      head = { id: job.id, reservation: made };
      waits.push({ id: job.id, reason: whyNow(job, need, nodes, made?.nodes ?? null) });
    } else {
      const delays = fitting.length >= job.numNodes;
      waits.push({ id: job.id, reason: delays ? `would delay job ${head.id}` : whyNow(job, need, nodes, null) });
    }
  }
  return { starts, waits, impossible };
}

function endOf(start: number, maxDuration: number | null): number {
  return maxDuration === null ? Number.POSITIVE_INFINITY : start + maxDuration * 1000;
}

function nodeStates(queue: QueueState): NodeState[] {
  const nodes = [...queue.nodes]
    .sort((a, b) => a.rank - b.rank)
    .map((node): NodeState => ({ size: new NodeRoom(node), room: new NodeRoom(node), held: [] }));
  const byRank = new Map(nodes.map((node) => [node.size.rank, node]));
  for (const job of queue.running) {
    const need = needOf(job.demand);
    const endsBy = endOf(job.startedAt, job.maxDuration);
    job.allotment.nodes.forEach((rank, index) => {
      const node = byRank.get(rank);
      const gpus = job.allotment.gpus[index] ?? [];
      node?.room.take(need, gpus);
      node?.held.push({ need, gpus, endsBy });
    });
  }
  return nodes;
}

function mayPass(node: NodeState, need: Need, endsBy: number, reservation: Reservation): boolean {
  return reservation.allows(node, need, node.room.pickGpus(need), endsBy);
}

/** Nodes for a gang: those with the fewest free GPUs, to keep the others whole; then the most free CPUs; then by rank. */
function pick(open: readonly NodeState[], need: Need, count: number): NodeState[] {
  const keyed = open.map((node) => ({ node, gpus: node.room.freeGpus, cpus: node.room.freeCpus, parts: 0 }));
  if (need.gpuPart > 0) {
    for (const entry of keyed) entry.parts = splitsGpu(entry.node, need) ? 1 : 0;
  }
  keyed.sort((a, b) => a.parts - b.parts || a.gpus - b.gpus || b.cpus - a.cpus || a.node.size.rank - b.node.size.rank);
  return keyed
    .slice(0, count)
    .map(({ node }) => node)
    .sort((a, b) => a.size.rank - b.size.rank);
}

/** Would a part of a GPU break up one that is free as a whole? */
function splitsGpu(node: NodeState, need: Need): boolean {
  const before = node.room.freeGpus;
  const gpus = node.room.pickGpus(need);
  node.room.take(need, gpus);
  const after = node.room.freeGpus;
  node.room.giveBack(need, gpus);
  return after < before;
}

function place(nodes: readonly NodeState[], need: Need, endsBy: number, passing: Reservation | null): Allotment {
  const gpus = nodes.map((node) => {
    const picked = node.room.pickGpus(need);
    node.room.take(need, picked);
    node.held.push({ need, gpus: picked, endsBy });
    passing?.passed(node.size.rank, need, picked, endsBy);
    return picked;
  });
  return { nodes: nodes.map((node) => node.size.rank), gpus };
}

function whyNever(job: WaitingJob, need: Need, nodes: readonly NodeState[]): string | null {
  if (job.numNodes > nodes.length) return `needs ${count(job.numNodes, 'node')}, the cluster has ${nodes.length}`;
  const capable = nodes.filter((node) => node.size.has(need)).length;
  if (capable >= job.numNodes) return null;
  const asked = lacking(job, need, nodes.find((node) => !node.size.has(need))?.size);
  const where = job.numNodes === 1 ? 'a node' : `each of ${job.numNodes} nodes`;
  return `needs ${asked} on ${where}; ${capable === 0 ? 'no node has' : `only ${count(capable, 'node')} can give`} that much`;
}

function whyNow(job: WaitingJob, need: Need, nodes: readonly NodeState[], reserved: readonly number[] | null): string {
  const capable = nodes.filter((node) => node.size.has(need));
  const full = capable.filter((node) => !node.room.has(need));
  const missing = reserved === null ? [] : full.filter((node) => reserved.includes(node.size.rank));
  const asked = lacking(job, need, (missing[0] ?? full[0])?.room);
  if (nodes.length === 1) return `waits for ${asked}`;
  if (missing.length > 0 && missing.length <= 4) {
    return `waits for ${asked} on ${missing.length === 1 ? 'node' : 'nodes'} ${missing.map((node) => node.size.rank).join(', ')}`;
  }
  const more = job.numNodes - (capable.length - full.length);
  return `waits for ${asked} on ${more < job.numNodes ? `${more} more ${more === 1 ? 'node' : 'nodes'}` : count(more, 'node')}`;
}

/** What the room cannot give of the job's demand. */
function lacking(job: WaitingJob, need: Need, room: NodeRoom | undefined): string {
  const { cpus, gpus, memory } = job.demand;
  const parts: string[] = [];
  if (room?.hasGpus(need) === false) parts.push(gpus < 1 ? `${gpus} GPU` : count(gpus, 'GPU'));
  if (room?.hasCpus(need) === false) parts.push(cpus < 1 ? `${cpus} CPU` : count(cpus, 'CPU'));
  if (room?.hasMemory(need) === false) parts.push(`${memory} GiB`);
  return parts.join(' and ') || 'room';
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`;
}
