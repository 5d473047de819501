/** Which worker of a pool has room for which job. Pure. The worker's own queue decides in the end; this keeps it from having to wait. */
import { NodeRoom, needOf } from './node-room.ts';
import type { WorkerSize } from './owned-cluster.ts';
import type { PoolJob } from './pool.ts';

type Asked = Pick<PoolJob, 'numNodes' | 'demand'>;

/** What is free on a worker, beside what its jobs take. */
export class WorkerRoom {
  readonly #nodes: NodeRoom[];

  constructor(size: WorkerSize, jobs: readonly Asked[]) {
    this.#nodes = Array.from({ length: size.nodes }, (_, rank) => new NodeRoom({ rank, ...size }));
    for (const job of jobs) this.take(job);
  }

  has(job: Asked): boolean {
    const need = needOf(job.demand);
    return this.#nodes.filter((node) => node.has(need)).length >= job.numNodes;
  }

  /** On the emptiest nodes, as far as there are any. */
  take({ numNodes, demand }: Asked): void {
    const need = needOf(demand);
    const open = this.#nodes
      .filter((node) => node.has(need))
      .toSorted((a, b) => b.freeGpus - a.freeGpus || b.freeCpus - a.freeCpus || a.rank - b.rank);
    for (const node of open.slice(0, numNodes)) node.take(need, node.pickGpus(need));
  }
}

/** How many empty workers of this size the jobs would fill, at most `most`. Of a size that is not known yet, one shows it. */
export function workersFor(jobs: readonly Asked[], size: WorkerSize | null, most: number): number {
  if (jobs.length === 0 || most <= 0) return 0;
  if (size === null) return 1;
  const rooms: WorkerRoom[] = [];
  for (const job of jobs) {
    const open = rooms.find((room) => room.has(job));
    if (open !== undefined) open.take(job);
    else if (rooms.length === most) break;
    else {
      const room = new WorkerRoom(size, []);
      // Too large for any: a worker will say so.
      if (room.has(job)) room.take(job);
      rooms.push(room);
    }
  }
  return rooms.length;
}
