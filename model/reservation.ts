/** What the first waiting job is promised, so that those which pass it never make it start later. */
import type { Need, NodeRoom } from './node-room.ts';

/** A job's share of one node, and when it ends at the latest: ms, or Infinity when it does not say. */
interface Holding {
  readonly need: Need;
  readonly gpus: readonly number[];
  readonly endsBy: number;
}

/** A node with its size, what is free on it now and who holds the rest. */
export interface NodeState {
  readonly size: NodeRoom;
  readonly room: NodeRoom;
  readonly held: Holding[];
}

/**
 * The head's start is bracketed: `earliest` if all that declare no end ended now, `latest` if they never did, the others at
 * their declared ends both times. Three kinds of passing change neither:
 *
 * 1. a job that ends before `earliest`;
 * 2. on a node that the head can never use, or where enough for the head is free besides, in each resource that is taken;
 * 3. when both bounds are the same time, on nodes outside the set that serves the head then, and on the set what it leaves.
 *
 * So if declared ends are kept, the head starts no later than it would without any passing, whenever undeclared ones end. A
 * job that ends before its declared time may free a node that a passing job of the first or third kind holds; then the head
 * still starts when declared ends said it would.
 */
export class Reservation {
  readonly #need: Need;
  readonly #earliest: number;
  /** Room at the promised start, of the nodes reserved for it; null when that time is not known. */
  readonly #promised: ReadonlyMap<number, NodeRoom> | null;

  /** The head takes `need` on each of `numNodes` nodes and does not fit now. */
  constructor(nodes: readonly NodeState[], need: Need, numNodes: number, now: number) {
    this.#need = need;
    const capable = nodes.filter((node) => node.size.has(need));
    const latest = capable
      .map((node) => ({ node, at: timeOfFit(node, need, now, Number.POSITIVE_INFINITY) }))
      .sort((a, b) => compare(a.at, b.at) || a.node.size.rank - b.node.size.rank)
      .slice(0, numNodes);
    const earliest = capable.map((node) => timeOfFit(node, need, now, now)).sort(compare);
    this.#earliest = earliest[numNodes - 1] ?? Number.POSITIVE_INFINITY;
    const latestStart = latest.at(-1)?.at ?? Number.POSITIVE_INFINITY;
    this.#promised =
      this.#earliest === latestStart && Number.isFinite(latestStart)
        ? new Map(latest.map(({ node }) => [node.size.rank, roomAt(node, latestStart, now)]))
        : null;
  }

  /** Ranks kept for the head; null when it is not known where it will start. */
  get nodes(): readonly number[] | null {
    return this.#promised === null ? null : [...this.#promised.keys()].sort(compare);
  }

  /** May a job, which fits, take `need` with these GPUs on the node until `endsBy`? */
  allows(node: NodeState, need: Need, gpus: readonly number[], endsBy: number): boolean {
    if (endsBy <= this.#earliest || !node.size.has(this.#need)) return true;
    if (this.#leavesRoom(node.room, need, gpus)) return true;
    if (this.#promised === null) return false;
    const promised = this.#promised.get(node.size.rank);
    return promised === undefined || this.#leavesRoom(promised, need, gpus);
  }

  /** A job has passed. */
  passed(rank: number, need: Need, gpus: readonly number[], endsBy: number): void {
    if (endsBy > this.#earliest) this.#promised?.get(rank)?.take(need, gpus);
  }

  #leavesRoom(room: NodeRoom, need: Need, gpus: readonly number[]): boolean {
    room.take(need, gpus);
    const leaves = room.hasWhere(this.#need, need);
    room.giveBack(need, gpus);
    return leaves;
  }
}

/** Infinity must not be subtracted from itself. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** A declared end that has passed says nothing any more. */
function endOf(holding: Holding, now: number, undeclared: number): number {
  return holding.endsBy > now && Number.isFinite(holding.endsBy) ? holding.endsBy : undeclared;
}

function timeOfFit(node: NodeState, need: Need, now: number, undeclared: number): number {
  if (node.room.has(need)) return now;
  const room = node.room.copy();
  const ends = node.held
    .map((holding) => ({ holding, at: endOf(holding, now, undeclared) }))
    .sort((a, b) => compare(a.at, b.at));
  for (const { holding, at } of ends) {
    if (at === Number.POSITIVE_INFINITY) break;
    room.giveBack(holding.need, holding.gpus);
    if (room.has(need)) return at;
  }
  return Number.POSITIVE_INFINITY;
}

function roomAt(node: NodeState, time: number, now: number): NodeRoom {
  const room = node.room.copy();
  for (const holding of node.held) {
    if (endOf(holding, now, Number.POSITIVE_INFINITY) <= time) room.giveBack(holding.need, holding.gpus);
  }
  return room;
}
