/**
 * Labels for tasks, such that the last one ends as early as can be. Exact: branch and bound, whose bound takes the ends of all ways into a
 * task as if each way could choose the labels on it for itself. Where no task has two successors (chains, trees towards one end) every
 * way does, so the bound is the answer and nothing is searched.
 */

export interface Delay {
  readonly from: number;
  readonly to: number;
  /** Seconds between the end of `from` and the start of `to`: `seconds[lf * (number of labels of to) + lt]`. */
  readonly seconds: Float64Array;
}

export interface Schedule {
  /** Seconds that each task takes with each of its labels, with what it waits for before it can start. */
  readonly seconds: readonly Float64Array[];
  /** Between tasks, always from a lower to a higher index. */
  readonly delays: readonly Delay[];
}

export interface Scheduled {
  readonly labels: number[];
  /** Seconds. */
  readonly makespan: number;
  /** Nothing ends before. */
  readonly bound: number;
  /** Is `makespan` the least, but for a relative error of 1e-9? */
  readonly proved: boolean;
}

const TOLERANCE = 1e-9;

/** When each task ends. */
export function endsOf({ seconds, delays }: Schedule, labels: readonly number[]): Float64Array {
  const starts = new Float64Array(seconds.length);
  const ends = new Float64Array(seconds.length);
  const into = Map.groupBy(delays, ({ to }) => to);
  for (let task = 0; task < seconds.length; task++) {
    const label = labels[task] as number;
    const own = seconds[task] as Float64Array;
    for (const delay of into.get(task) ?? []) {
      const wait = delay.seconds[(labels[delay.from] as number) * own.length + label] as number;
      starts[task] = Math.max(starts[task] as number, (ends[delay.from] as number) + wait);
    }
    ends[task] = (starts[task] as number) + (own[label] as number);
  }
  return ends;
}

export function makespanOf(problem: Schedule, labels: readonly number[]): number {
  return endsOf(problem, labels).reduce((last, end) => Math.max(last, end), 0);
}

/** `maxNodes`: steps of the search after which the best labels so far are given, with `proved: false`. */
export function schedule(problem: Schedule, maxNodes: number): Scheduled {
  return new MakespanSearch(problem).run(maxNodes);
}

interface Node {
  readonly alive: readonly Uint16Array[];
  readonly bound: number;
}

class MakespanSearch {
  readonly #problem: Schedule;
  readonly #into: Delay[][];
  readonly #outOf: Delay[][];
  #best: number[] = [];
  #makespan = Number.POSITIVE_INFINITY;

  constructor(problem: Schedule) {
    this.#problem = problem;
    this.#into = problem.seconds.map(() => []);
    this.#outOf = problem.seconds.map(() => []);
    for (const delay of problem.delays) {
      this.#into[delay.to]?.push(delay);
      this.#outOf[delay.from]?.push(delay);
    }
  }

  /** What is not below this is no better than the best known. */
  get #enough(): number {
    if (this.#makespan === Number.POSITIVE_INFINITY) return this.#makespan;
    return this.#makespan - TOLERANCE * Math.max(1, Math.abs(this.#makespan));
  }

  run(maxNodes: number): Scheduled {
    const alive = this.#problem.seconds.map((own) => Uint16Array.from(own.keys()));
    const stack: Node[] = [{ alive, bound: 0 }];
    for (let nodes = 0; ; nodes++) {
      const node = stack.pop();
      if (node === undefined) {
        return { labels: this.#best, makespan: this.#makespan, bound: this.#makespan, proved: true };
      }
      if (node.bound >= this.#enough) continue;
      if (nodes >= maxNodes) {
        const bound = [node, ...stack].reduce((least, one) => Math.min(least, one.bound), this.#makespan);
        return { labels: this.#best, makespan: this.#makespan, bound, proved: false };
      }
      stack.push(...this.#expand(node));
    }
  }

  #expand({ alive }: Node): Node[] {
    const ends = this.#earliest(alive);
    const after = this.#after(alive);
    const total = (task: number, label: number) => (ends[task]?.[label] as number) + (after[task]?.[label] as number);
    let bound = 0;
    for (const [task, labels] of alive.entries()) {
      let least = Number.POSITIVE_INFINITY;
      for (const label of labels) least = Math.min(least, total(task, label));
      bound = Math.max(bound, least);
    }
    if (bound >= this.#enough) return [];
    this.#offer(this.#decode(alive, ends, total));
    if (bound >= this.#enough) return [];
    const kept = alive.map((labels, task) => labels.filter((label) => total(task, label) < this.#enough));
    if (kept.some((labels) => labels.length === 0)) return [];
    // The bound errs only where a task has several successors, so these are settled first.
    let chosen = -1;
    for (const [task, labels] of kept.entries()) {
      if (labels.length < 2) continue;
      if (chosen < 0 || this.#successors(task) > this.#successors(chosen)) chosen = task;
    }
    if (chosen < 0) {
      this.#offer(kept.map((labels) => labels[0] as number));
      return [];
    }
    const labels = kept[chosen] as Uint16Array;
    return [...labels]
      .sort((a, b) => total(chosen, b) - total(chosen, a))
      .map((label) => ({ alive: kept.with(chosen, Uint16Array.of(label)), bound }));
  }

  #successors(task: number): number {
    return this.#outOf[task]?.length ?? 0;
  }

  /** When each task could end at the earliest with each label. */
  #earliest(alive: Node['alive']): Float64Array[] {
    const ends: Float64Array[] = [];
    for (const [task, own] of this.#problem.seconds.entries()) {
      const mine = Float64Array.from(own);
      for (const label of alive[task] as Uint16Array) {
        let start = 0;
        for (const { from, seconds } of this.#into[task] as Delay[]) {
          let least = Number.POSITIVE_INFINITY;
          for (const other of alive[from] as Uint16Array) {
            least = Math.min(least, (ends[from]?.[other] as number) + (seconds[other * own.length + label] as number));
          }
          start = Math.max(start, least);
        }
        mine[label] = start + (own[label] as number);
      }
      ends.push(mine);
    }
    return ends;
  }

  /** How long it takes at least from the end of each task with each label to the end of all that follows it. */
  #after(alive: Node['alive']): Float64Array[] {
    const after = this.#problem.seconds.map((own) => new Float64Array(own.length));
    for (let task = after.length - 1; task >= 0; task--) {
      const mine = after[task] as Float64Array;
      for (const { to, seconds } of this.#outOf[task] as Delay[]) {
        const theirs = this.#problem.seconds[to] as Float64Array;
        for (const label of alive[task] as Uint16Array) {
          let least = Number.POSITIVE_INFINITY;
          for (const other of alive[to] as Uint16Array) {
            const way = (seconds[label * theirs.length + other] as number) + (theirs[other] as number);
            least = Math.min(least, way + (after[to]?.[other] as number));
          }
          mine[label] = Math.max(mine[label] as number, least);
        }
      }
    }
    return after;
  }

  /** From the last task to the first: the label with which the task delays those after it least. */
  #decode(
    alive: Node['alive'],
    ends: readonly Float64Array[],
    total: (task: number, label: number) => number,
  ): number[] {
    const chosen: number[] = [];
    const tails: number[] = [];
    for (let task = alive.length - 1; task >= 0; task--) {
      const ways = this.#outOf[task] as Delay[];
      const tailOf = (label: number): number =>
        ways.reduce((longest, { to, seconds }) => {
          const own = this.#problem.seconds[to] as Float64Array;
          const next = chosen[to] as number;
          const way = (seconds[label * own.length + next] as number) + (own[next] as number) + (tails[to] as number);
          return Math.max(longest, way);
        }, 0);
      const cost = (label: number) =>
        ways.length === 0 ? total(task, label) : (ends[task]?.[label] as number) + tailOf(label);
      let best = (alive[task] as Uint16Array)[0] as number;
      for (const label of alive[task] as Uint16Array) if (cost(label) < cost(best)) best = label;
      chosen[task] = best;
      tails[task] = tailOf(best);
    }
    return chosen;
  }

  #offer(labels: readonly number[]): void {
    const makespan = makespanOf(this.#problem, labels);
    if (makespan >= this.#makespan) return;
    this.#makespan = makespan;
    this.#best = [...labels];
  }
}
