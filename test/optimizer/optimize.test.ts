import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { placeOfUri } from '../../optimizer/egress.ts';
import {
  type Dag,
  type EgressModel,
  LIST_PRICES,
  optimize,
  type Plan,
  type Ranked,
  rank,
} from '../../optimizer/index.ts';
import { holds } from '../model/holds.ts';
import { fittingRows, someDag } from './arbitrary.ts';
import { row, task } from './made.ts';

interface Totals {
  readonly cost: number;
  readonly seconds: number;
}

/** What a choice of offers comes to, told apart from the code. */
function totals({ tasks, edges }: Dag, chosen: readonly Ranked[], egress: EgressModel): Totals {
  const ends = new Map<number, number>();
  let cost = 0;
  const end = (at: number): number => {
    const known = ends.get(at);
    if (known !== undefined) return known;
    const place = chosen[at] as Ranked;
    const before = edges.filter(([, to]) => to === at).map(([from]) => from);
    let start = 0;
    for (const from of before) {
      const gigabytes = tasks[from]?.outputs?.gigabytes ?? 0;
      start = Math.max(start, end(from) + egress.seconds(chosen[from] as Ranked, place, gigabytes));
      cost += egress.cost(chosen[from] as Ranked, place, gigabytes);
    }
    const inputs = tasks[at]?.inputs;
    const source = inputs ? placeOfUri(inputs.uri) : null;
    if (before.length === 0 && inputs && source !== null) {
      start = egress.seconds(source, place, inputs.gigabytes);
      cost += egress.cost(source, place, inputs.gigabytes);
    }
    cost += place.cost;
    ends.set(at, start + place.hours * 3600);
    return start + place.hours * 3600;
  };
  const seconds = Math.max(...tasks.map((_, at) => end(at)));
  return { cost, seconds };
}

/** The offers that may be chosen for each task. */
function choices(dag: Dag, rows: Parameters<typeof rank>[1]): Ranked[][] {
  return dag.tasks.map((each) => {
    const { placements } = rank(each, rows, { hours: each.hours ?? 1 });
    const ordered = each.resources.order === 'ordered';
    return placements.filter(({ alternative }) => !ordered || alternative === placements[0]?.alternative);
  });
}

function bruteForce(dag: Dag, all: readonly Ranked[][], by: keyof Totals): number {
  let least = Number.POSITIVE_INFINITY;
  const chosen: Ranked[] = [];
  const visit = (at: number): void => {
    const own = all[at];
    if (own === undefined) {
      least = Math.min(least, totals(dag, chosen, LIST_PRICES)[by]);
      return;
    }
    for (const one of own) {
      chosen[at] = one;
      visit(at + 1);
    }
  };
  visit(0);
  return least;
}

describe('of any DAG', () => {
  for (const objective of ['cost', 'time'] as const) {
    test(`the plan for ${objective} is as good as the best of all plans, which is proved`, () => {
      let solved = 0;
      const law = fc.property(someDag, fittingRows, (dag, rows) => {
        const all = choices(dag, rows);
        fc.pre(all.reduce((product, own) => product * own.length, 1) <= 5000);
        const plan = optimize(dag, rows, { objective });
        if (all.some((own) => own.length === 0)) {
          expect(plan.kind).toBe('no-plan');
          return;
        }
        expect(plan.kind).toBe('plan');
        const found = plan as Plan;
        const chosen = found.tasks.map(({ placement }) => placement);
        for (const [at, placement] of chosen.entries()) expect(all[at]).toContainEqual(placement);
        const told = totals(dag, chosen, LIST_PRICES);
        expect(found.cost).toBeCloseTo(told.cost, 6);
        expect(found.seconds).toBeCloseTo(told.seconds, 6);
        const key = objective === 'cost' ? 'cost' : 'seconds';
        expect(found.proved).toBe(true);
        expect(found[key]).toBeCloseTo(bruteForce(dag, all, key), 6);
        expect(found.bound).toBeCloseTo(found[key], 6);
        if (dag.edges.length > 0) solved++;
      });
      holds(law, 3000);
      expect(solved).toBeGreaterThan(1000);
    });
  }

  test('with time as objective the plan is never slower, and with cost never dearer, than the other one', () => {
    const law = fc.property(someDag, fittingRows, (dag, rows) => {
      const [cheap, fast] = (['cost', 'time'] as const).map((objective) => optimize(dag, rows, { objective }));
      if (cheap?.kind !== 'plan' || fast?.kind !== 'plan') return;
      expect(cheap.cost).toBeLessThanOrEqual(fast.cost + 1e-6);
      expect(fast.seconds).toBeLessThanOrEqual(cheap.seconds + 1e-6);
    });
    holds(law, 1000);
  });
});

const here = row({ price: 1 });
const there = row({ cloud: 'gcp', instanceType: 'n2-standard-8', region: 'us-central1', price: 0.5 });
const send = (gigabytes: number) => ({ outputs: { uri: 's3://between', gigabytes } });
const places = (plan: ReturnType<typeof optimize>) =>
  plan.kind === 'plan' ? plan.tasks.map(({ placement }) => placement.cloud) : [];

test('a chain moves to a cheaper cloud when that saves more than its data costs on the way', () => {
  const chain = (gigabytes: number): Dag => ({
    tasks: [task({ infra: 'aws' }, send(gigabytes)), task({}, { hours: 10 })],
    edges: [[0, 1]],
  });
  expect(places(optimize(chain(50), [here, there]))).toEqual(['aws', 'gcp']);
  expect(places(optimize(chain(60), [here, there]))).toEqual(['aws', 'aws']);
});

test('within one cloud, regions are told apart by what data costs between them', () => {
  const near = row({ region: 'us-east-2', price: 0.99 });
  const dag: Dag = {
    tasks: [task({ infra: 'aws/us-east-1' }, send(2)), task({})],
    edges: [[0, 1]],
  };
  expect(optimize(dag, [here, near])).toMatchObject({ tasks: [{}, { placement: { region: 'us-east-1' } }] });
  const light: Dag = { ...dag, tasks: [task({ infra: 'aws/us-east-1' }, send(0.5)), task({})] };
  expect(optimize(light, [here, near])).toMatchObject({
    tasks: [{}, { placement: { region: 'us-east-2' } }],
    transfers: [{ from: 0, to: 1, gigabytes: 0.5, cost: 0.005, seconds: 0 }],
  });
});

test('what a first task reads is paid for from where it stands', () => {
  const dag: Dag = { tasks: [task({}, { inputs: { uri: 's3://data', gigabytes: 100 } })], edges: [] };
  expect(places(optimize(dag, [here, there]))).toEqual(['aws']);
  expect(optimize(dag, [there])).toMatchObject({
    cost: 9.5,
    seconds: 3680,
    transfers: [{ from: null, to: 0, cost: 9 }],
  });
});

test('the fastest plan takes the dearer alternative on the longest way, and the cheaper one where there is time', () => {
  const either = { any_of: [{ infra: 'aws' }, { infra: 'gcp' }] };
  const dag: Dag = {
    // On aws an hour, on gcp two.
    tasks: [task(either, { hours: [1, 2] }), task(either, { hours: [3, 6] }), task({}, { hours: 1 })],
    edges: [
      [0, 2],
      [1, 2],
    ],
  };
  const plan = optimize(dag, [row({ price: 10 }), there], { objective: 'time' });
  expect(plan).toMatchObject({ kind: 'plan', seconds: 4 * 3600, proved: true });
  expect(places(plan)).toEqual(['gcp', 'aws', 'gcp']);
});

test('tasks start when what they wait for has ended and its data has come', () => {
  const dag: Dag = { tasks: [task({ infra: 'aws' }, send(10)), task({ infra: 'gcp' }, { hours: 2 })], edges: [[0, 1]] };
  expect(optimize(dag, [here, there])).toMatchObject({
    tasks: [
      { start: 0, end: 3600 },
      { start: 3608, end: 3608 + 7200 },
    ],
    seconds: 10_808,
  });
});

test('tasks that no offer fits are all named, with what stands in the way', () => {
  const dag: Dag = {
    tasks: [task({}), task({ accelerators: 'A100' }, { name: 'train' }), task({ cpus: 3 })],
    edges: [],
  };
  expect(optimize(dag, [here])).toMatchObject({
    kind: 'no-plan',
    tasks: [
      { task: 1, name: 'train', ranking: { relaxations: [{ relax: ['accelerators'] }] } },
      { task: 2, name: 'task 3', ranking: { relaxations: [{ relax: ['cpus'] }] } },
    ],
  });
});

test('tasks that wait for each other, edges to nowhere and sizes below 0 are refused by name', () => {
  const tasks = ['a', 'b', 'c'].map((name) => task({}, { name }));
  const loop: Dag = {
    tasks,
    edges: [
      [0, 1],
      [1, 2],
      [2, 1],
    ],
  };
  expect(() => optimize(loop, [here])).toThrow('these tasks wait for each other: b, c');
  expect(() => optimize({ tasks, edges: [[0, 7]] }, [here])).toThrow('there is no edge 0 -> 7 among 3 tasks');
  const less: Dag = { tasks: [task({}, { name: 'a', ...send(-1) })], edges: [] };
  expect(() => optimize(less, [here])).toThrow('a: the size of its data must be GB from 0');
});

test('a DAG without tasks costs nothing', () => {
  expect(optimize({ tasks: [], edges: [] }, [here])).toMatchObject({ kind: 'plan', cost: 0, seconds: 0, proved: true });
  expect(optimize({ tasks: [], edges: [] }, [], { objective: 'time' })).toMatchObject({ seconds: 0, proved: true });
});
