/**
 * Branch and bound for what elimination leaves of a labelling. Bounds are those of the dual: costs are moved between labels and edges
 * by sequential tree-reweighted message passing (Kolmogorov, "Convergent Tree-Reweighted Message Passing for Energy Minimization", IEEE
 * TPAMI 28(10), 2006), which leaves the cost of every labelling as it is. Of what a variable costs then, a share goes to each edge to an
 * earlier one, as the last pass has it; no labelling costs less than the sum of the least cost of every variable and of every edge. That
 * holds whatever messages and shares are, so rounding them and stopping early cannot make it wrong.
 */

export interface Core {
  /** Names of the variables, for the caller. */
  readonly variables: readonly number[];
  readonly unary: readonly Float64Array[];
  /** At most one between two variables, with a < b; `costs` as in `Edge`. */
  readonly edges: readonly { readonly a: number; readonly b: number; readonly costs: Float64Array }[];
}

interface Found {
  readonly labels: number[];
  readonly bound: number;
  readonly proved: boolean;
}

/** One end of an edge, seen from a variable. */
interface End {
  readonly other: number;
  /** `costs[own * labels of the other + other's]`. */
  readonly costs: Float64Array;
  /** Index of the message that comes in here, and of the one that goes out. */
  readonly incoming: number;
  readonly outgoing: number;
}

/** An open part of the search: which labels are left, and the messages to go on from. */
interface Node {
  readonly alive: readonly Uint16Array[];
  readonly messages: readonly Float64Array[];
  readonly bound: number;
}

/** Costs of labels after the messages: what stays with each variable, and what it gives to each edge to an earlier one. */
interface Moved {
  readonly own: readonly Float64Array[];
  readonly given: readonly Float64Array[];
}

const ROOT_ROUNDS = 150;
const ROUNDS = 12;
const PRUNE_EVERY = 3;
/** Of a bound, from one round to the next; less is not worth another. */
const WORTHWHILE = 1e-6;
const TOLERANCE = 1e-9;

export function search(core: Core, maxNodes: number): Found {
  if (core.variables.length === 0) return { labels: [], bound: 0, proved: true };
  return new Search(core).run(maxNodes);
}

class Search {
  readonly #unary: readonly Float64Array[];
  readonly #ends: End[][];
  readonly #edges: Core['edges'];
  /** Of a variable, for each of its edges to later ones in a pass forward, to earlier ones in a pass backward. */
  readonly #shares: readonly number[];
  #best: number[];
  #cost = Number.POSITIVE_INFINITY;

  constructor({ unary, edges }: Core) {
    this.#unary = unary;
    this.#edges = edges;
    this.#ends = unary.map(() => []);
    this.#best = unary.map(() => 0);
    for (const [at, { a, b, costs }] of edges.entries()) {
      const [rows, columns] = [this.#labels(a), this.#labels(b)];
      const turned = Float64Array.from(
        costs,
        (_, to) => costs[(to % rows) * columns + Math.floor(to / rows)] as number,
      );
      // Message 2n goes from b to a, 2n + 1 from a to b.
      this.#ends[a]?.push({ other: b, costs, incoming: 2 * at, outgoing: 2 * at + 1 });
      this.#ends[b]?.push({ other: a, costs: turned, incoming: 2 * at + 1, outgoing: 2 * at });
    }
    this.#shares = this.#ends.map((ends, variable) => {
      const later = ends.filter(({ other }) => other > variable).length;
      return 1 / Math.max(1, later, ends.length - later);
    });
  }

  #labels(variable: number): number {
    return (this.#unary[variable] as Float64Array).length;
  }

  /** What is not below this is no better than the best known. */
  get #enough(): number {
    if (this.#cost === Number.POSITIVE_INFINITY) return this.#cost;
    return this.#cost - TOLERANCE * Math.max(1, Math.abs(this.#cost));
  }

  run(maxNodes: number): Found {
    const stack: Node[] = [
      {
        alive: this.#unary.map((costs) => Uint16Array.from(costs.keys())),
        messages: this.#edges.flatMap(({ a, b }) => [
          new Float64Array(this.#labels(a)),
          new Float64Array(this.#labels(b)),
        ]),
        bound: Number.NEGATIVE_INFINITY,
      },
    ];
    for (let nodes = 0; ; nodes++) {
      const node = stack.pop();
      if (node === undefined) return { labels: this.#best, bound: this.#cost, proved: true };
      if (node.bound >= this.#enough) continue;
      if (nodes >= maxNodes) {
        const bound = [node, ...stack].reduce((least, one) => Math.min(least, one.bound), this.#cost);
        return { labels: this.#best, bound, proved: false };
      }
      stack.push(...this.#expand(node, nodes === 0 ? ROOT_ROUNDS : ROUNDS));
    }
  }

  /** What is left to search below a node, the more promising part last. */
  #expand(node: Node, rounds: number): Node[] {
    const messages = node.messages.map((message) => message.slice());
    let { alive } = node;
    let bound = node.bound;
    let moved: Moved = { own: [], given: [] };
    for (let round = 0; round < rounds; round++) {
      this.#pass(alive, messages, false);
      this.#pass(alive, messages, true);
      if (round % 3 === 0 || round === rounds - 1) this.#decode(alive, messages);
      moved = this.#share(alive, messages);
      const now = this.#bound(alive, messages, moved);
      const gain = now - bound;
      bound = Math.max(bound, now);
      if (bound >= this.#enough) return [];
      // Labels that cannot be are best left out soon: a pass takes time with the square of their number.
      if (round % PRUNE_EVERY === PRUNE_EVERY - 1) {
        alive = this.#prune(alive, messages, moved);
        if (alive.some((labels) => labels.length === 0)) return [];
      }
      if (round > 0 && gain <= WORTHWHILE * Math.max(1, Math.abs(bound))) break;
    }
    const kept = this.#prune(alive, messages, moved);
    if (kept.some((labels) => labels.length === 0)) return [];
    if (kept.every((labels) => labels.length === 1)) {
      this.#offer(kept.map((labels) => labels[0] as number));
      return [];
    }
    return this.#branch(kept, messages, moved, bound);
  }

  /** Costs of the labels of a variable, with all that came in. */
  #sums(variable: number, alive: Node['alive'], messages: readonly Float64Array[]): Float64Array {
    const sums = Float64Array.from(this.#unary[variable] as Float64Array);
    for (const { incoming } of this.#ends[variable] as End[]) {
      const message = messages[incoming] as Float64Array;
      for (const label of alive[variable] as Uint16Array) {
        sums[label] = (sums[label] as number) + (message[label] as number);
      }
    }
    return sums;
  }

  #pass(alive: Node['alive'], messages: readonly Float64Array[], backward: boolean): void {
    const count = this.#unary.length;
    for (let step = 0; step < count; step++) {
      const variable = backward ? count - 1 - step : step;
      const ends = this.#ends[variable] as End[];
      const share = this.#shares[variable] as number;
      const sums = this.#sums(variable, alive, messages);
      for (const end of ends) {
        if (end.other > variable !== backward) this.#send(variable, end, sums, share, alive, messages);
      }
    }
  }

  #send(
    variable: number,
    { other, costs, incoming, outgoing }: End,
    sums: Float64Array,
    share: number,
    alive: Node['alive'],
    messages: readonly Float64Array[],
  ): void {
    const back = messages[incoming] as Float64Array;
    const out = messages[outgoing] as Float64Array;
    const width = this.#labels(other);
    const targets = alive[other] as Uint16Array;
    for (const target of targets) out[target] = Number.POSITIVE_INFINITY;
    for (const label of alive[variable] as Uint16Array) {
      const kept = share * (sums[label] as number) - (back[label] as number);
      const row = label * width;
      for (let at = 0; at < targets.length; at++) {
        const target = targets[at] as number;
        const cost = kept + (costs[row + target] as number);
        if (cost < (out[target] as number)) out[target] = cost;
      }
    }
    let least = Number.POSITIVE_INFINITY;
    for (const target of targets) least = Math.min(least, out[target] as number);
    for (const target of targets) out[target] = (out[target] as number) - least;
  }

  #share(alive: Node['alive'], messages: readonly Float64Array[]): Moved {
    const sums = alive.map((_, variable) => this.#sums(variable, alive, messages));
    const earlier = this.#ends.map((ends, variable) => ends.filter(({ other }) => other < variable).length);
    return {
      own: sums.map((costs, variable) => {
        const left = 1 - (earlier[variable] as number) * (this.#shares[variable] as number);
        return costs.map((cost) => left * cost);
      }),
      given: sums.map((costs, variable) => costs.map((cost) => (this.#shares[variable] as number) * cost)),
    };
  }

  /** Of an edge after the messages: for each label of the variable, the least over those of the other. */
  #edgeLeast(
    variable: number,
    { other, costs, incoming, outgoing }: End,
    alive: Node['alive'],
    messages: readonly Float64Array[],
    { given }: Moved,
  ): Float64Array {
    const [toOwn, toOther] = [messages[incoming] as Float64Array, messages[outgoing] as Float64Array];
    const width = this.#labels(other);
    const others = alive[other] as Uint16Array;
    const isLater = variable > other;
    const theirs = Float64Array.from(
      toOther,
      (cost, label) => (isLater ? 0 : (given[other]?.[label] as number)) - cost,
    );
    const found = new Float64Array(this.#labels(variable)).fill(Number.POSITIVE_INFINITY);
    for (const label of alive[variable] as Uint16Array) {
      const row = label * width;
      let least = Number.POSITIVE_INFINITY;
      for (let at = 0; at < others.length; at++) {
        const target = others[at] as number;
        const cost = (costs[row + target] as number) + (theirs[target] as number);
        if (cost < least) least = cost;
      }
      found[label] = least - (toOwn[label] as number) + (isLater ? (given[variable]?.[label] as number) : 0);
    }
    return found;
  }

  #bound(alive: Node['alive'], messages: readonly Float64Array[], moved: Moved): number {
    let bound = 0;
    for (const [variable, labels] of alive.entries()) {
      bound += leastAmong(moved.own[variable] as Float64Array, labels);
      for (const end of this.#ends[variable] as End[]) {
        if (end.other < variable) continue;
        bound += leastAmong(this.#edgeLeast(variable, end, alive, messages, moved), labels);
      }
    }
    return bound;
  }

  /** Without the labels with which the bound alone is as much as the best labelling known. */
  #prune(alive: Node['alive'], messages: readonly Float64Array[], moved: Moved): Uint16Array[] {
    const bound = this.#bound(alive, messages, moved);
    return alive.map((labels, variable) => {
      const own = moved.own[variable] as Float64Array;
      const more = Float64Array.from(own);
      for (const end of this.#ends[variable] as End[]) {
        const edge = this.#edgeLeast(variable, end, alive, messages, moved);
        const least = leastAmong(edge, labels);
        for (const label of labels) more[label] = (more[label] as number) + (edge[label] as number) - least;
      }
      const rest = bound - leastAmong(own, labels);
      return labels.filter((label) => rest + (more[label] as number) < this.#enough);
    });
  }

  /** Labels one after the other, each the best for those before it, then the best for each alone until nothing changes. */
  #decode(alive: Node['alive'], messages: readonly Float64Array[]): void {
    const labels: number[] = [];
    const choose = (variable: number, before: boolean): number => {
      const own = Float64Array.from(this.#unary[variable] as Float64Array);
      for (const { other, costs, incoming } of this.#ends[variable] as End[]) {
        const message = messages[incoming] as Float64Array;
        const width = this.#labels(other);
        const known = before && other > variable ? null : (labels[other] as number);
        for (const label of alive[variable] as Uint16Array) {
          const cost = known === null ? message[label] : costs[label * width + known];
          own[label] = (own[label] as number) + (cost as number);
        }
      }
      return bestAmong(own, alive[variable] as Uint16Array);
    };
    for (let variable = 0; variable < this.#unary.length; variable++) labels[variable] = choose(variable, true);
    this.#offer(labels);
    for (let round = 0; round < 10; round++) {
      let changed = false;
      for (let variable = 0; variable < labels.length; variable++) {
        const better = choose(variable, false);
        if (better !== labels[variable]) changed = true;
        labels[variable] = better;
      }
      if (!changed) break;
      this.#offer(labels);
    }
  }

  #offer(labels: readonly number[]): void {
    let cost = 0;
    for (const [variable, own] of this.#unary.entries()) cost += own[labels[variable] as number] as number;
    for (const { a, b, costs } of this.#edges) {
      cost += costs[(labels[a] as number) * this.#labels(b) + (labels[b] as number)] as number;
    }
    if (cost >= this.#cost) return;
    this.#cost = cost;
    this.#best = [...labels];
  }

  /** By the variable whose best label agrees least with those around it: with that label, and without. */
  #branch(alive: readonly Uint16Array[], messages: readonly Float64Array[], moved: Moved, bound: number): Node[] {
    const labels = alive.map((left, variable) => bestAmong(this.#sums(variable, alive, messages), left));
    let worst = -1;
    let most = Number.NEGATIVE_INFINITY;
    for (const [variable, left] of alive.entries()) {
      if (left.length < 2) continue;
      let slack = 0;
      for (const end of this.#ends[variable] as End[]) {
        const { other } = end;
        const [mine, theirs] = [labels[variable] as number, labels[other] as number];
        const given = moved.given[Math.max(variable, other)]?.[variable > other ? mine : theirs] as number;
        const incoming = messages[end.incoming]?.[mine] as number;
        const outgoing = messages[end.outgoing]?.[theirs] as number;
        const cost = (end.costs[mine * this.#labels(other) + theirs] as number) - incoming - outgoing + given;
        slack += cost - leastAmong(this.#edgeLeast(variable, end, alive, messages, moved), left);
      }
      if (slack > most) {
        most = slack;
        worst = variable;
      }
    }
    const chosen = labels[worst] as number;
    const split = (keep: (label: number) => boolean): Node => ({
      alive: alive.map((left, variable) => (variable === worst ? left.filter(keep) : left)),
      messages,
      bound,
    });
    return [split((one) => one !== chosen), split((one) => one === chosen)];
  }
}

function leastAmong(costs: Float64Array, labels: Uint16Array): number {
  let least = Number.POSITIVE_INFINITY;
  for (let at = 0; at < labels.length; at++) least = Math.min(least, costs[labels[at] as number] as number);
  return least;
}

function bestAmong(costs: Float64Array, labels: Uint16Array): number {
  let best = labels[0] as number;
  for (const label of labels) if ((costs[label] as number) < (costs[best] as number)) best = label;
  return best;
}
