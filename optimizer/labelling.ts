/**
 * Labels for variables, at the least sum of what each label costs and of what each pair of labels costs along the edges. Exact.
 *
 * 1. Variables with at most two neighbours are eliminated one after the other (Bertelè and Brioschi, "Nonserial Dynamic Programming",
 *    1972): their best answer to each pair of labels becomes an edge between the two. That solves chains, trees and series-parallel
 *    graphs without a search.
 * 2. The rest is searched by branch and bound (`labelling-search.ts`).
 */
import { type Core, search } from './labelling-search.ts';

export interface Edge {
  readonly a: number;
  readonly b: number;
  /** Cost of (label of a, label of b): `costs[la * (number of labels of b) + lb]`. */
  readonly costs: Float64Array;
}

export interface Labelling {
  /** Cost of each label of each variable; every variable has at least one. All costs are finite. */
  readonly unary: readonly Float64Array[];
  /** Between different variables; there may be several between two. */
  readonly edges: readonly Edge[];
}

export interface Labelled {
  /** Index of the label of each variable. */
  readonly labels: number[];
  readonly cost: number;
  /** No labelling costs less than this. */
  readonly bound: number;
  /** Is `cost` the least, but for a relative error of 1e-9? */
  readonly proved: boolean;
}

/** Kept once, with rows for the labels of the lower variable. */
interface Matrix {
  readonly columns: number;
  readonly costs: Float64Array;
}

interface Eliminated {
  readonly variable: number;
  readonly unary: Float64Array;
  readonly ways: readonly { readonly to: number; readonly matrix: Matrix }[];
}

/** `maxNodes`: steps of the search after which the best labelling so far is given, with `proved: false`. */
export function label(problem: Labelling, maxNodes: number): Labelled {
  const unary = problem.unary.map((costs) => Float64Array.from(costs));
  const graph = graphOf(problem);
  const eliminated = eliminate(unary, graph);
  const core = coreOf(unary, graph);
  const { labels: inner, bound, proved } = search(core, maxNodes);
  const labels = problem.unary.map(() => 0);
  for (const [at, variable] of core.variables.entries()) labels[variable] = inner[at] as number;
  for (const { variable, unary: own, ways } of eliminated.reverse()) {
    labels[variable] = leastIndex(own, (la) =>
      ways.reduce((sum, { to, matrix }) => sum + entry(matrix, variable, to, la, labels[to] as number), 0),
    );
  }
  const cost = costOf(problem, labels);
  const settled = eliminated.reduce((sum, { ways, unary: own }) => sum + (ways.length === 0 ? least(own) : 0), 0);
  return { labels, cost, bound: proved ? cost : Math.min(cost, bound + settled), proved };
}

export function costOf({ unary, edges }: Labelling, labels: readonly number[]): number {
  let cost = 0;
  for (const [variable, costs] of unary.entries()) cost += costs[labels[variable] as number] as number;
  for (const { a, b, costs } of edges) {
    cost += costs[(labels[a] as number) * (unary[b] as Float64Array).length + (labels[b] as number)] as number;
  }
  return cost;
}

type Graph = Map<number, Matrix>[];

function entry({ columns, costs }: Matrix, from: number, to: number, lf: number, lt: number): number {
  return costs[from < to ? lf * columns + lt : lt * columns + lf] as number;
}

function graphOf({ unary, edges }: Labelling): Graph {
  const graph: Graph = unary.map(() => new Map());
  for (const { a, b, costs } of edges) {
    if (costs.every((cost) => cost === 0)) continue;
    const columns = (unary[b] as Float64Array).length;
    addEdge(graph, unary, a, b, (la, lb) => costs[la * columns + lb] as number);
  }
  return graph;
}

function addEdge(
  graph: Graph,
  unary: readonly Float64Array[],
  a: number,
  b: number,
  cost: (la: number, lb: number) => number,
): void {
  const [low, high] = a < b ? [a, b] : [b, a];
  const columns = (unary[high] as Float64Array).length;
  const rows = (unary[low] as Float64Array).length;
  const costs = graph[low]?.get(high)?.costs ?? new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      costs[at] = (costs[at] as number) + (low === a ? cost(row, column) : cost(column, row));
    }
  }
  const matrix = { columns, costs };
  graph[low]?.set(high, matrix);
  graph[high]?.set(low, matrix);
}

/** Takes variables out of the graph, those with the fewest neighbours first. */
function eliminate(unary: Float64Array[], graph: Graph): Eliminated[] {
  const done: Eliminated[] = [];
  const left = new Set(graph.keys());
  for (;;) {
    let variable = -1;
    for (const at of left) {
      const degree = graph[at]?.size ?? 0;
      if (degree <= 2 && (variable < 0 || degree < (graph[variable]?.size ?? 0))) variable = at;
    }
    if (variable < 0) return done;
    left.delete(variable);
    const own = unary[variable] as Float64Array;
    const ways = [...(graph[variable] as Map<number, Matrix>)].map(([to, matrix]) => ({ to, matrix }));
    done.push({ variable, unary: own, ways });
    graph[variable]?.clear();
    for (const { to } of ways) graph[to]?.delete(variable);
    const [first, second] = ways;
    if (first !== undefined && second === undefined) {
      const costs = unary[first.to] as Float64Array;
      for (const lt of costs.keys()) {
        costs[lt] = (costs[lt] as number) + leastOf(own, (la) => entry(first.matrix, variable, first.to, la, lt));
      }
    }
    if (first !== undefined && second !== undefined) {
      const [p, q] = [byLabel(first, variable, own), byLabel(second, variable, own)];
      addEdge(graph, unary, first.to, second.to, (lp, lq) =>
        leastSum(own, p[lp] as Float64Array, q[lq] as Float64Array),
      );
    }
  }
}

/** For each label of the neighbour, the costs of the variable's own labels. */
function byLabel({ to, matrix }: Eliminated['ways'][number], variable: number, own: Float64Array): Float64Array[] {
  const labels = variable < to ? matrix.columns : matrix.costs.length / matrix.columns;
  return Array.from({ length: labels }, (_, lt) => own.map((_cost, la) => entry(matrix, variable, to, la, lt)));
}

function leastSum(a: Float64Array, b: Float64Array, c: Float64Array): number {
  let best = Number.POSITIVE_INFINITY;
  for (let at = 0; at < a.length; at++) {
    const sum = (a[at] as number) + (b[at] as number) + (c[at] as number);
    if (sum < best) best = sum;
  }
  return best;
}

function leastIndex(own: Float64Array, more: (at: number) => number): number {
  let best = 0;
  let cost = Number.POSITIVE_INFINITY;
  for (let at = 0; at < own.length; at++) {
    const sum = (own[at] as number) + more(at);
    if (sum < cost) {
      cost = sum;
      best = at;
    }
  }
  return best;
}

function leastOf(own: Float64Array, more: (at: number) => number): number {
  const at = leastIndex(own, more);
  return (own[at] as number) + more(at);
}

function least(own: Float64Array): number {
  return leastOf(own, () => 0);
}

function coreOf(unary: readonly Float64Array[], graph: Graph): Core {
  const variables = [...graph.keys()].filter((at) => (graph[at]?.size ?? 0) > 0);
  const index = new Map(variables.map((variable, at) => [variable, at]));
  const edges = variables.flatMap((low) =>
    [...(graph[low] as Map<number, Matrix>)]
      .filter(([high]) => low < high)
      .map(([high, { costs }]) => ({ a: index.get(low) as number, b: index.get(high) as number, costs })),
  );
  return { variables, unary: variables.map((variable) => unary[variable] as Float64Array), edges };
}
