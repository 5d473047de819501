import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { QueueNode } from '../../model/node-room.ts';
import { type RunningJob, type Schedule, schedule, type WaitingJob } from '../../model/schedule.ts';
import type { JobDemand } from '../../model/task.ts';
import { holds } from './holds.ts';

function nodes(...gpus: number[]): QueueNode[] {
  return gpus.map((count, rank) => ({ rank, cpus: 8, gpus: count, memory: 32 }));
}

function job(id: number, gpus: number, more: Partial<WaitingJob> = {}): WaitingJob {
  return { id, numNodes: 1, demand: { cpus: 0.5, gpus, memory: 0 }, priority: 0, maxDuration: null, ...more };
}

function runs(id: number, node: number, gpus: number[], maxDuration: number | null = null): RunningJob {
  const demand: JobDemand = { cpus: 0.5, gpus: gpus.length, memory: 0 };
  return { id, allotment: { nodes: [node], gpus: [gpus] }, demand, startedAt: 0, maxDuration };
}

function decide(
  on: QueueNode[],
  running: RunningJob[],
  waiting: WaitingJob[],
  policy: 'fifo' | 'backfill' = 'backfill',
): Schedule {
  return schedule({ nodes: on, running, waiting, now: 0, policy });
}

const started = (decided: Schedule) => decided.starts.map(({ id }) => id);

describe('the queue', () => {
  test('starts jobs by priority and then by id, whatever order they come in', () => {
    const waiting = [job(3, 2), job(1, 2), job(2, 2, { priority: 5 })];
    expect(started(decide(nodes(4), [], waiting))).toEqual([2, 1]);
  });

  test('puts two jobs of half a CPU on a machine with one', () => {
    const one = [{ rank: 0, cpus: 1, gpus: 0, memory: 1 }];
    const decided = decide(one, [], [job(1, 0), job(2, 0), job(3, 0)]);
    expect(started(decided)).toEqual([1, 2]);
    expect(decided.waits).toEqual([{ id: 3, reason: 'waits for 0.5 CPU' }]);
  });

  test('starts a gang on distinct nodes or not at all, ranks in order', () => {
    const gang = job(1, 2, { numNodes: 2 });
    expect(decide(nodes(4, 0, 2), [], [gang]).starts).toEqual([
      {
        id: 1,
        allotment: {
          nodes: [0, 2],
          gpus: [
            [0, 1],
            [0, 1],
          ],
        },
      },
    ]);
    const decided = decide(nodes(4, 2), [runs(9, 1, [0])], [gang]);
    expect(decided.starts).toEqual([]);
    expect(decided.waits).toEqual([{ id: 1, reason: 'waits for 2 GPUs on 1 more node' }]);
  });

  test('lets fractions share a GPU up to the whole of it', () => {
    const decided = decide(nodes(2), [], [job(1, 0.5), job(2, 0.6), job(3, 0.5), job(4, 0.4), job(5, 0.1)]);
    expect(decided.starts.map(({ allotment }) => allotment.gpus)).toEqual([[[0]], [[1]], [[0]], [[1]]]);
    expect(started(decide(nodes(1), [], [job(1, 1 / 3), job(2, 1 / 3), job(3, 1 / 3), job(4, 0.01)]))).toEqual([
      1, 2, 3,
    ]);
  });

  test('keeps whole GPUs and GPU nodes free for those that need them', () => {
    const decided = decide(nodes(4, 1, 0), [], [job(1, 1), job(2, 0), job(3, 4)]);
    expect(decided.starts.map(({ allotment }) => allotment.nodes)).toEqual([[1], [2], [0]]);
  });

  test('says what can never start, and lets it hold up nobody', () => {
    const decided = decide(nodes(4, 4), [], [job(1, 8), job(2, 4, { numNodes: 3 }), job(3, 1)]);
    expect(decided.impossible).toEqual([
      { id: 1, reason: 'needs 8 GPUs on a node; no node has that much' },
      { id: 2, reason: 'needs 3 nodes, the cluster has 2' },
    ]);
    expect(started(decided)).toEqual([3]);
    const cpus = job(4, 0, { demand: { cpus: 9, gpus: 0, memory: 64 } });
    expect(decide(nodes(4), [], [cpus]).impossible).toEqual([
      { id: 4, reason: 'needs 9 CPUs and 64 GiB on a node; no node has that much' },
    ]);
  });

  test('counts memory only for jobs that say what they need', () => {
    const big = (id: number, memory: number) => job(id, 0, { demand: { cpus: 0.5, gpus: 0, memory } });
    expect(started(decide(nodes(0), [], [big(1, 30), big(2, 0), big(3, 3)]))).toEqual([1, 2]);
  });

  test('leaves alone a running job on a node that it is not told of', () => {
    expect(started(decide(nodes(1), [runs(9, 7, [0])], [job(1, 1)]))).toEqual([1]);
  });
});

describe('passing a job that waits', () => {
  const waits = (decided: Schedule) => Object.fromEntries(decided.waits.map(({ id, reason }) => [id, reason]));

  test('is off under fifo', () => {
    const decided = decide(nodes(4), [runs(9, 0, [0, 1])], [job(1, 4), job(2, 0)], 'fifo');
    expect(started(decided)).toEqual([]);
    expect(waits(decided)).toEqual({ 1: 'waits for 4 GPUs', 2: 'waits behind job 1' });
  });

  test('happens with resources of which the head finds enough anyway', () => {
    const decided = decide(nodes(4), [runs(9, 0, [0, 1])], [job(1, 4), job(2, 0), job(3, 1)]);
    expect(started(decided)).toEqual([2]);
    expect(waits(decided)).toEqual({ 1: 'waits for 4 GPUs', 3: 'would delay job 1' });
  });

  test('happens on nodes that the head can never use', () => {
    expect(started(decide(nodes(4, 1), [runs(9, 0, [0])], [job(1, 4), job(2, 1)]))).toEqual([2]);
  });

  test('happens on reserved nodes for a job that ends before the head could start', () => {
    const decided = decide(
      nodes(4),
      [runs(9, 0, [0, 1], 100)],
      [job(1, 4), job(2, 1, { maxDuration: 101 }), job(3, 1, { maxDuration: 100 }), job(4, 1)],
    );
    expect(started(decided)).toEqual([3]);
    expect(waits(decided)[1]).toBe('waits for 4 GPUs');
  });

  test('happens outside the reserved nodes for any job when all ends are declared', () => {
    const running = [runs(8, 0, [0, 1], 100), runs(9, 1, [0, 1], 200)];
    const decided = decide(nodes(4, 4), running, [job(1, 4), job(2, 2), job(3, 2)]);
    expect(decided.starts).toEqual([{ id: 2, allotment: { nodes: [1], gpus: [[2, 3]] } }]);
    expect(waits(decided)).toEqual({ 1: 'waits for 4 GPUs on node 0', 3: 'would delay job 1' });
  });

  test('does not happen on any node that the head may get, when an end is not declared', () => {
    const running = [runs(8, 0, [0, 1], 100), runs(9, 1, [0, 1])];
    const decided = decide(nodes(4, 4), running, [job(1, 4), job(2, 2), job(3, 2, { maxDuration: 50 })]);
    expect(started(decided)).toEqual([]);
    expect(waits(decided)[1]).toBe('waits for 4 GPUs on 1 node');
  });

  test('by a short job uses up nothing of what the head’s start leaves to a long one', () => {
    const decided = decide(nodes(4), [runs(9, 0, [0, 1], 100)], [job(1, 3), job(2, 1, { maxDuration: 50 }), job(3, 1)]);
    expect(started(decided)).toEqual([2, 3]);
  });

  test('does not build on a declared end that has passed', () => {
    const overdue = { ...runs(8, 0, [0, 1], 10), startedAt: -60_000 };
    const decided = decide(nodes(4, 4), [overdue, runs(9, 1, [0, 1], 200)], [job(1, 4), job(2, 2)]);
    expect(started(decided)).toEqual([]);
  });

  test('does not take a free node that a gang waits for', () => {
    const decided = decide(nodes(4, 4), [runs(9, 0, [0])], [job(1, 4, { numNodes: 2 }), job(2, 1)]);
    expect(started(decided)).toEqual([]);
  });
});

/** Jobs by id: seconds after its start at which each really ends. */
type Ends = (id: number) => number;

interface Cluster {
  readonly nodes: QueueNode[];
  readonly waiting: WaitingJob[];
}

function mustFit(on: readonly QueueNode[], running: readonly RunningJob[]): void {
  for (const node of on) {
    const here = running.flatMap((held) => {
      const at = held.allotment.nodes.indexOf(node.rank);
      return at < 0 ? [] : [{ demand: held.demand, gpus: held.allotment.gpus[at] ?? [] }];
    });
    const sum = (amount: (demand: JobDemand) => number) =>
      here.reduce((total, { demand }) => total + amount(demand), 0);
    expect(sum((demand) => demand.cpus)).toBeLessThanOrEqual(node.cpus + 1e-3);
    if (here.some(({ demand }) => demand.memory > 0)) {
      expect(sum((demand) => demand.memory)).toBeLessThanOrEqual(node.memory + 1e-3);
    }
    const use = new Map<number, number>();
    for (const { demand, gpus } of here) {
      expect(gpus.length).toBe(demand.gpus < 1 ? Math.ceil(demand.gpus) : demand.gpus);
      for (const index of gpus) {
        expect(index).toBeGreaterThanOrEqual(0);
        expect(index).toBeLessThan(node.gpus);
        use.set(index, (use.get(index) ?? 0) + Math.min(1, demand.gpus));
      }
    }
    for (const total of use.values()) expect(total).toBeLessThanOrEqual(1 + 1e-3);
  }
}

/** Runs a cluster until `until` has started, or nothing is left; gives each job's start in ms. */
function simulate(
  cluster: Cluster,
  initial: readonly RunningJob[],
  policy: 'fifo' | 'backfill',
  ends: Ends,
  until: number | null,
): Map<number, number> {
  const starts = new Map<number, number>();
  let running = [...initial];
  let waiting = [...cluster.waiting];
  let now = 0;
  while (true) {
    const decided = schedule({ nodes: cluster.nodes, running, waiting, now, policy });
    for (const { id, allotment } of decided.starts) {
      const found = waiting.find((candidate) => candidate.id === id);
      if (found === undefined) throw new Error(`started job ${id}, which does not wait`);
      expect(new Set(allotment.nodes).size).toBe(found.numNodes);
      expect(allotment.gpus.length).toBe(found.numNodes);
      running.push({ id, allotment, demand: found.demand, startedAt: now, maxDuration: found.maxDuration });
      starts.set(id, now);
    }
    mustFit(cluster.nodes, running);
    waiting = waiting.filter(({ id }) => !starts.has(id));
    expect(decided.waits.length + decided.impossible.length).toBe(waiting.length);
    if ((until !== null && starts.has(until)) || running.length === 0) return starts;
    const endOf = (held: RunningJob) => held.startedAt + ends(held.id) * 1000;
    const next = Math.min(...running.map(endOf));
    expect(next).toBeGreaterThan(now);
    now = next;
    running = running.filter((held) => endOf(held) > now);
  }
}

const gpuDemand = fc.oneof(fc.constantFrom(0, 0, 1, 1, 2, 3, 4), fc.constantFrom(0.25, 0.3, 0.5, 0.7));
const cpuDemand = fc.constantFrom(0.5, 0.5, 0.5, 1, 2, 4);
const memoryDemand = fc.constantFrom(0, 0, 0, 4, 16);
const anyNode = fc.record({
  cpus: fc.constantFrom(1, 2, 4, 8),
  gpus: fc.constantFrom(0, 1, 2, 4),
  memory: fc.constantFrom(8, 32),
});
const anyJob = fc.record({
  numNodes: fc.constantFrom(1, 1, 1, 2, 2, 3),
  demand: fc.record({ cpus: cpuDemand, gpus: gpuDemand, memory: memoryDemand }),
  priority: fc.constantFrom(0, 0, 0, 1),
  maxDuration: fc.option(fc.integer({ min: 1, max: 40 }), { freq: 2 }),
  /** Ends after this share of its declared time; an undeclared one after 1 … 40 s. */
  share: fc.constantFrom(0.05, 0.3, 0.7, 1, 1),
});
const anyCluster = fc.record({
  nodes: fc.array(anyNode, { minLength: 1, maxLength: 5 }).map((made) => made.map((node, rank) => ({ rank, ...node }))),
  before: fc.array(anyJob, { maxLength: 8 }),
  after: fc.array(anyJob, { minLength: 1, maxLength: 10 }),
});
type AnyJob = typeof anyJob extends fc.Arbitrary<infer T> ? T : never;

/** What `before` puts on the cluster, with what of `after` starts at once, and a queue of the rest. */
function scene(on: QueueNode[], before: readonly AnyJob[], after: readonly AnyJob[]) {
  const all = [...before, ...after].map((made, index): WaitingJob & { share: number } => ({ ...made, id: index + 1 }));
  const first = all.slice(0, before.length);
  const allotments = new Map(
    schedule({ nodes: on, running: [], waiting: first, now: 0, policy: 'backfill' }).starts.map((s) => [
      s.id,
      s.allotment,
    ]),
  );
  const running = first.flatMap((made): RunningJob[] => {
    const allotment = allotments.get(made.id);
    return allotment === undefined ? [] : [{ ...made, allotment, startedAt: 0 }];
  });
  const queued = all.slice(before.length);
  const decided = schedule({ nodes: on, running, waiting: queued, now: 0, policy: 'fifo' });
  for (const { id, allotment } of decided.starts) {
    const made = queued.find((candidate) => candidate.id === id);
    if (made !== undefined) running.push({ ...made, allotment, startedAt: 0 });
  }
  const placed = new Set(running.map(({ id }) => id));
  const waiting = queued.filter(({ id }) => !placed.has(id));
  const byId = new Map(all.map((made) => [made.id, made]));
  const actual: Ends = (id) => Math.max(0.5, (byId.get(id)?.maxDuration ?? 40) * (byId.get(id)?.share ?? 1));
  const declared: Ends = (id) => byId.get(id)?.maxDuration ?? actual(id);
  return { cluster: { nodes: on, waiting }, running, head: decided.waits[0]?.id ?? null, actual, declared };
}

describe('whatever the cluster, the jobs and their ends', () => {
  test('the head never starts later than declared ends let it without passing, however early jobs end', () => {
    let heads = 0;
    let passed = 0;
    const law = fc.property(anyCluster, ({ nodes: on, before, after }) => {
      const { cluster, running, head, actual, declared } = scene(on, before, after);
      if (head === null) return;
      heads++;
      const promised = simulate(cluster, running, 'fifo', declared, head).get(head);
      const starts = simulate(cluster, running, 'backfill', actual, head);
      if ([...starts].some(([id, at]) => id !== head && at < (starts.get(head) ?? 0))) passed++;
      expect(promised).toBeDefined();
      expect(starts.get(head)).toBeLessThanOrEqual(promised ?? -1);
    });
    holds(law, 4000);
    expect(heads).toBeGreaterThan(1000);
    expect(passed).toBeGreaterThan(100);
  });

  test('the head starts as if nobody passed when what runs declares no ends, or keeps to them', () => {
    const law = fc.property(anyCluster, fc.boolean(), ({ nodes: on, before, after }, undeclared) => {
      const jobs = undeclared ? before.map((made) => ({ ...made, maxDuration: null })) : before;
      const { cluster, running, head, actual, declared } = scene(on, jobs, after);
      if (head === null) return;
      const ids = new Set(running.map(({ id }) => id));
      const ends: Ends = (id) => (ids.has(id) ? declared(id) : actual(id));
      const fifo = simulate(cluster, running, 'fifo', ends, head).get(head);
      expect(simulate(cluster, running, 'backfill', ends, head).get(head)).toBeLessThanOrEqual(fifo ?? -1);
    });
    holds(law, 3000);
  });

  it.each(['fifo', 'backfill'] as const)(
    'under %s every job that can run runs, once, and nothing is given twice',
    (policy) => {
      const law = fc.property(anyCluster, ({ nodes: on, before, after }) => {
        const { cluster, running, actual } = scene(on, before, after);
        const starts = simulate(cluster, running, policy, actual, null);
        const empty = schedule({ nodes: on, running: [], waiting: cluster.waiting, now: 0, policy });
        const never = new Set(empty.impossible.map(({ id }) => id));
        for (const { id } of cluster.waiting) expect(starts.has(id)).toBe(!never.has(id));
      });
      holds(law, 1000);
    },
  );

  test('the same question has the same answer, in whatever order it is put', () => {
    const law = fc.property(anyCluster, ({ nodes: on, before, after }) => {
      const { cluster, running } = scene(on, before, after);
      const ask = { now: 0, policy: 'backfill' as const };
      const answer = schedule({ ...ask, nodes: on, running, waiting: cluster.waiting });
      const turned = {
        nodes: [...on].reverse(),
        running: [...running].reverse(),
        waiting: [...cluster.waiting].reverse(),
      };
      expect(schedule({ ...ask, ...turned })).toEqual(answer);
    });
    holds(law, 300);
  });
});

test('1,000 waiting jobs on 100 nodes are decided in a fraction of a workflow task', () => {
  const on = nodes(...Array.from({ length: 100 }, () => 8));
  const running = on.flatMap((node) =>
    [0, 2, 4].map((gpu) => runs(10_000 + node.rank * 10 + gpu, node.rank, [gpu, gpu + 1], gpu * 60 + 1)),
  );
  const waiting = Array.from({ length: 1000 }, (_, index) =>
    job(index, [8, 1, 0.5, 4, 0][index % 5] ?? 0, { numNodes: 1 + (index % 7), maxDuration: index % 3 ? null : 60 }),
  );
  const times = Array.from({ length: 7 }, () => {
    const before = performance.now();
    expect(schedule({ nodes: on, running, waiting, now: 0, policy: 'backfill' }).waits.length).toBeGreaterThan(500);
    return performance.now() - before;
  });
  expect(Math.min(...times)).toBeLessThan(500);
});
