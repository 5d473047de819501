/** Where all tasks of a DAG should run, so that the whole costs least or ends first. */
import type { CatalogRow } from '../catalogs/catalog.ts';
import { type Dag, type DagTask, taskName, topologicalOrder } from './dag.ts';
import { type DataPlace, type EgressModel, LIST_PRICES, placeOfUri } from './egress.ts';
import { type Labelling, label } from './labelling.ts';
import { endsOf, makespanOf, type Schedule, schedule } from './makespan.ts';
import { rank } from './rank.ts';
import type { Ranked, Ranking, RankOptions } from './request.ts';

export interface OptimizeOptions extends Omit<RankOptions, 'hours'> {
  /** Default `cost`. */
  readonly objective?: 'cost' | 'time';
  /** Default: list prices. */
  readonly egress?: EgressModel;
  /** Steps of a search after which the best so far is the answer. Default 20,000. */
  readonly maxNodes?: number;
  /** What `rank` has said of each task with the same options; default: it is asked. */
  readonly rankings?: readonly Ranking[];
}

export interface TaskPlan {
  /** Index in the DAG. */
  readonly task: number;
  readonly name: string;
  readonly placement: Ranked;
  /** Seconds after the first task could start. */
  readonly start: number;
  readonly end: number;
}

/** Data that goes from one place to another. */
export interface Transfer {
  /** Index of the task that it is from; null: it was there before. */
  readonly from: number | null;
  readonly to: number;
  readonly gigabytes: number;
  /** US dollars. */
  readonly cost: number;
  readonly seconds: number;
}

export interface Plan {
  readonly kind: 'plan';
  readonly objective: 'cost' | 'time';
  /** In the order of the DAG's tasks. */
  readonly tasks: readonly TaskPlan[];
  /** Those that cost money or time. */
  readonly transfers: readonly Transfer[];
  /** US dollars of machines and transfers. */
  readonly cost: number;
  /** Until the last task has ended. */
  readonly seconds: number;
  /** Nothing is better than this, in the unit of the objective. */
  readonly bound: number;
  /** Is there certainly nothing better? With `time`, that is said of the time; of plans as fast a cheap one is taken, not surely the cheapest. */
  readonly proved: boolean;
}

/** Tasks that no offer fits. */
export interface NoPlan {
  readonly kind: 'no-plan';
  readonly tasks: readonly { readonly task: number; readonly name: string; readonly ranking: Ranking }[];
}

/** An offer of a task; what it costs and takes with the data that was there before. */
interface Candidate {
  readonly placement: Ranked;
  readonly cost: number;
  readonly seconds: number;
}

const HOUR = 3600;
const MAX_NODES = 20_000;
/** Of a time, within which another one counts as the same. */
const SAME_TIME = 1e-9;

/** @throws invalid when the tasks wait for each other, or an edge or a size is none */
export function optimize(dag: Dag, rows: readonly CatalogRow[], options: OptimizeOptions = {}): Plan | NoPlan {
  const order = topologicalOrder(dag);
  const { objective = 'cost', egress = LIST_PRICES, maxNodes = MAX_NODES, rankings: known, ...rankOptions } = options;
  const rankings = known ?? dag.tasks.map((task) => rank(task, rows, { ...rankOptions, hours: task.hours ?? 1 }));
  const missing = rankings.flatMap((ranking, task) =>
    ranking.placements.length === 0 ? [{ task, name: taskName(dag, task), ranking }] : [],
  );
  if (missing.length > 0) return { kind: 'no-plan', tasks: missing };
  const waiting = new Set(dag.edges.map(([, to]) => to));
  const first = new Set([...dag.tasks.keys()].filter((task) => !waiting.has(task)));
  const candidates = dag.tasks.map((task, index) =>
    candidatesOf(task, (rankings[index] as Ranking).placements, first.has(index), egress),
  );
  const problem = new Problem(dag, order, candidates, egress);
  const { chosen, bound, proved } = objective === 'cost' ? problem.cheapest(maxNodes) : problem.fastest(maxNodes);
  return { kind: 'plan', objective, ...problem.describe(chosen, first), bound, proved };
}

/** Of a list in order only the first alternative that anything fits, as SkyPilot does. */
function candidatesOf(
  { resources, inputs }: DagTask,
  placements: readonly Ranked[],
  isFirst: boolean,
  egress: EgressModel,
): Candidate[] {
  const preferred = placements[0]?.alternative;
  const from = isFirst && inputs !== null ? placeOfUri(inputs.uri) : null;
  return placements
    .filter(({ alternative }) => resources.order === 'any_of' || alternative === preferred)
    .map((placement) => {
      const gigabytes = inputs?.gigabytes ?? 0;
      return {
        placement,
        cost: placement.cost + (from === null ? 0 : egress.cost(from, placement, gigabytes)),
        seconds: placement.hours * HOUR + (from === null ? 0 : egress.seconds(from, placement, gigabytes)),
      };
    });
}

interface Choice {
  readonly chosen: readonly Candidate[];
  readonly bound: number;
  readonly proved: boolean;
}

class Problem {
  readonly #dag: Dag;
  readonly #order: readonly number[];
  readonly #candidates: readonly (readonly Candidate[])[];
  readonly #egress: EgressModel;
  /** Between two tasks once, whatever is written. */
  readonly #edges: readonly (readonly [from: number, to: number])[];

  constructor(dag: Dag, order: readonly number[], candidates: readonly (readonly Candidate[])[], egress: EgressModel) {
    this.#dag = dag;
    this.#order = order;
    this.#candidates = candidates;
    this.#egress = egress;
    this.#edges = [...new Map(dag.edges.map((edge) => [edge.join(), edge])).values()];
  }

  #gigabytes(from: number): number {
    return this.#dag.tasks[from]?.outputs?.gigabytes ?? 0;
  }

  cheapest(maxNodes: number): Choice {
    // Only the place matters to others, so that a dearer candidate in the same one is never better.
    const labels = this.#candidates.map((all) => bestOf(all, placeKey, (a, b) => a.cost - b.cost));
    const problem: Labelling = {
      unary: labels.map((all) => Float64Array.from(all, ({ cost }) => cost)),
      edges: this.#edges.map(([a, b]) => ({ a, b, costs: this.#matrix(labels, a, b, 'cost') })),
    };
    const found = label(problem, maxNodes);
    const chosen = labels.map((all, task) => all[found.labels[task] as number] as Candidate);
    return { chosen, bound: found.bound, proved: found.proved };
  }

  fastest(maxNodes: number): Choice {
    const byTime = (a: Candidate, b: Candidate) => a.seconds - b.seconds || a.cost - b.cost;
    const fast = this.#candidates.map((all) => bestOf(all, placeKey, byTime));
    const found = schedule(this.#schedule(fast), maxNodes);
    const start: Candidate[] = [];
    for (const [at, task] of this.#order.entries()) start[task] = fast[task]?.[found.labels[at] as number] as Candidate;
    return { chosen: this.#cheaper(start, found.makespan), bound: found.bound, proved: found.proved };
  }

  /** Task by task the cheapest candidate with which the whole takes no longer, until nothing gets cheaper. */
  #cheaper(start: readonly Candidate[], makespan: number): Candidate[] {
    const labels = this.#candidates.map((all) =>
      bestOf(
        all,
        (one) => `${placeKey(one)} ${one.seconds}`,
        (a, b) => a.cost - b.cost,
      ),
    );
    const schedules = this.#schedule(labels);
    const at = labels.map((all, task) => {
      const same = start[task] as Candidate;
      return all.findIndex((one) => placeKey(one) === placeKey(same) && one.seconds === same.seconds);
    });
    const latest = makespan * (1 + SAME_TIME);
    const ends = () =>
      makespanOf(
        schedules,
        this.#order.map((task) => at[task] as number),
      );
    for (let changed = true; changed; ) {
      changed = false;
      for (const [task, all] of labels.entries()) {
        const cost = (index: number) =>
          this.#around(task, all[index] as Candidate, (other) => labels[other]?.[at[other] as number] as Candidate);
        const now = at[task] as number;
        const cheaper = [...all.keys()]
          .map((index) => ({ index, cost: cost(index) }))
          .filter((one) => one.cost < cost(now) - SAME_TIME)
          .sort((a, b) => a.cost - b.cost);
        for (const { index } of cheaper) {
          at[task] = index;
          if (ends() <= latest) {
            changed = true;
            break;
          }
          at[task] = now;
        }
      }
    }
    return labels.map((all, task) => all[at[task] as number] as Candidate);
  }

  /** US dollars of a task's candidate and of the data that goes in and out of it. */
  #around(task: number, candidate: Candidate, of: (task: number) => Candidate): number {
    return this.#edges.reduce((sum, [from, to]) => {
      if (from !== task && to !== task) return sum;
      const [source, target] = from === task ? [candidate, of(to)] : [of(from), candidate];
      return sum + this.#egress.cost(source.placement, target.placement, this.#gigabytes(from));
    }, candidate.cost);
  }

  /** Tasks by their place in the order. */
  #schedule(labels: readonly (readonly Candidate[])[]): Schedule {
    const position = new Map(this.#order.map((task, at) => [task, at]));
    return {
      seconds: this.#order.map((task) => Float64Array.from(labels[task] as Candidate[], ({ seconds }) => seconds)),
      delays: this.#edges.map(([from, to]) => ({
        from: position.get(from) as number,
        to: position.get(to) as number,
        seconds: this.#matrix(labels, from, to, 'seconds'),
      })),
    };
  }

  #matrix(labels: readonly (readonly Candidate[])[], from: number, to: number, of: 'cost' | 'seconds'): Float64Array {
    const [sources, targets] = [labels[from] as Candidate[], labels[to] as Candidate[]];
    const gigabytes = this.#gigabytes(from);
    const costs = new Float64Array(sources.length * targets.length);
    if (gigabytes === 0) return costs;
    for (const [row, source] of sources.entries()) {
      for (const [column, target] of targets.entries()) {
        costs[row * targets.length + column] = this.#egress[of](source.placement, target.placement, gigabytes);
      }
    }
    return costs;
  }

  describe(chosen: readonly Candidate[], first: ReadonlySet<number>) {
    const place = (task: number): DataPlace => (chosen[task] as Candidate).placement;
    const moves = this.#edges.map(([from, to]) =>
      this.#transfer(from, to, place(from), place(to), this.#gigabytes(from)),
    );
    for (const to of first) {
      const inputs = this.#dag.tasks[to]?.inputs ?? null;
      const source = inputs === null ? null : placeOfUri(inputs.uri);
      if (inputs !== null && source !== null) moves.push(this.#transfer(null, to, source, place(to), inputs.gigabytes));
    }
    const plan = this.#schedule(chosen.map((one) => [one]));
    const ends = endsOf(
      plan,
      this.#order.map(() => 0),
    );
    const endOf = new Map(this.#order.map((task, at) => [task, ends[at] as number]));
    const tasks: TaskPlan[] = chosen.map(({ placement }, task) => {
      const end = endOf.get(task) as number;
      return { task, name: taskName(this.#dag, task), placement, start: end - placement.hours * HOUR, end };
    });
    const machines = chosen.reduce((sum, { placement }) => sum + placement.cost, 0);
    return {
      tasks,
      transfers: moves.filter(({ cost, seconds }) => cost > 0 || seconds > 0),
      cost: moves.reduce((sum, { cost }) => sum + cost, machines),
      seconds: Math.max(0, ...ends),
    };
  }

  #transfer(from: number | null, to: number, source: DataPlace, target: DataPlace, gigabytes: number): Transfer {
    const cost = this.#egress.cost(source, target, gigabytes);
    return { from, to, gigabytes, cost, seconds: this.#egress.seconds(source, target, gigabytes) };
  }
}

function placeKey({ placement: { cloud, region } }: Candidate): string {
  return `${cloud}/${region}`;
}

/** The best candidate of each key; of equals the first. */
function bestOf(
  all: readonly Candidate[],
  key: (one: Candidate) => string,
  compare: (a: Candidate, b: Candidate) => number,
): Candidate[] {
  const best = new Map<string, Candidate>();
  for (const one of all) {
    const known = best.get(key(one));
    if (known === undefined || compare(one, known) < 0) best.set(key(one), one);
  }
  return [...best.values()];
}
