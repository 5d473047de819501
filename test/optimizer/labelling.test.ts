import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { costOf, type Labelling, label } from '../../optimizer/labelling.ts';
import { holds } from '../model/holds.ts';

const cost = fc.integer({ min: 0, max: 40 }).map((tenths) => tenths / 10);

/** Small enough to go through; as dense as can be, so that elimination alone does not do. */
const problem: fc.Arbitrary<Labelling> = fc
  .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 })
  .chain((sizes) => {
    const pairs = sizes.flatMap((_, a) => sizes.flatMap((_size, b) => (a === b ? [] : [[a, b] as const])));
    return fc.record({
      unary: fc.tuple(...sizes.map((size) => fc.array(cost, { minLength: size, maxLength: size }))),
      edges: fc.subarray(pairs).chain((chosen) =>
        fc.tuple(
          ...chosen.map(([a, b]) => {
            const length = (sizes[a] as number) * (sizes[b] as number);
            return fc.array(cost, { minLength: length, maxLength: length }).map((costs) => ({ a, b, costs }));
          }),
        ),
      ),
    });
  })
  .map(({ unary, edges }) => ({
    unary: (unary as number[][]).map((costs) => Float64Array.from(costs)),
    edges: (edges as { a: number; b: number; costs: number[] }[]).map((edge) => ({
      ...edge,
      costs: Float64Array.from(edge.costs),
    })),
  }));

function leastOfAll(given: Labelling): number {
  let least = Number.POSITIVE_INFINITY;
  const labels: number[] = [];
  const visit = (variable: number): void => {
    const own = given.unary[variable];
    if (own === undefined) {
      least = Math.min(least, costOf(given, labels));
      return;
    }
    for (const choice of own.keys()) {
      labels[variable] = choice;
      visit(variable + 1);
    }
  };
  visit(0);
  return least;
}

describe('of any graph, edges in both directions and twice included', () => {
  test('the labels cost as little as the best of all, which is proved', () => {
    const law = fc.property(problem, (given) => {
      const found = label(given, 10_000);
      expect(found.proved).toBe(true);
      expect(found.cost).toBeCloseTo(leastOfAll(given), 6);
      expect(costOf(given, found.labels)).toBe(found.cost);
      expect(found.bound).toBe(found.cost);
    });
    holds(law, 3000);
  });

  test('a search that is broken off says so, and its bound is below the best of all', () => {
    let broken = 0;
    const law = fc.property(problem, (given) => {
      const found = label(given, 0);
      const least = leastOfAll(given);
      if (!found.proved) broken++;
      expect(found.bound).toBeLessThanOrEqual(least + 1e-6);
    });
    holds(law, 1000);
    expect(broken).toBeGreaterThan(20);
    const once = fc.property(problem, (given) => {
      const found = label(given, 1);
      expect(found.bound).toBeLessThanOrEqual(leastOfAll(given) + 1e-6);
      expect(found.cost).toBeGreaterThanOrEqual(found.bound);
    });
    holds(once, 1000);
  });
});
