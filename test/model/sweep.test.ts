import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isClaimed } from '../../model/cloud-resource.ts';
import { confirmed, keyOf, type Look, MOST_REMOVED, removable, type Unclaimed } from '../../model/sweep.ts';
import { holds } from './holds.ts';

const place = fc.constantFrom('a', 'b');
const unclaimed: fc.Arbitrary<Unclaimed> = fc.record({
  cloud: place,
  region: place,
  zone: fc.constant(''),
  kind: fc.constantFrom('instance', 'volume'),
  id: fc.constantFrom('1', '2', '3'),
  state: fc.constant('running'),
  placementKey: fc.constantFrom('k', null),
  workflowId: fc.constantFrom('w', 'v', null),
  generation: fc.constantFrom('g-1', 'g-2', null),
  createdAt: fc.constant(1),
  hourlyCost: fc.constant(null),
  why: fc.constant('there is no such workflow'),
});
const look: fc.Arbitrary<Look> = fc.uniqueArray(unclaimed, { selector: keyOf, maxLength: 12 }).map((all) => ({
  looked: ['c'],
  seen: all.length,
  unclaimed: all,
  young: 0,
  unknown: [],
}));
const things = (count: number): Unclaimed[] =>
  Array.from({ length: count }, (_, index) => ({
    ...{ cloud: 'c', region: 'r', zone: '', kind: 'instance', id: `i-${index}`, state: 'running', placementKey: null },
    ...{ workflowId: null, generation: null, createdAt: 1, hourlyCost: null, why: 'it names no workflow' },
  }));

describe('an orphan', () => {
  test('was claimed by nobody in two looks, under the same cluster', () => {
    const law = fc.property(look, look, (first, second) => {
      for (const orphan of confirmed(first, second)) {
        const before = first.unclaimed.find((one) => keyOf(one) === keyOf(orphan));
        expect(before).toMatchObject({ workflowId: orphan.workflowId, generation: orphan.generation });
        expect(second.unclaimed).toContain(orphan);
      }
      const same = confirmed(first, first);
      expect(same).toEqual(first.unclaimed);
    });
    holds(law, 300);
  });

  test('is not what belongs to the generation and to a placement that its workflow claims', () => {
    const claims = { generation: 'g-2', placementKeys: ['k'] };
    expect(isClaimed({ generation: 'g-2', placementKey: 'k' }, claims)).toBe(true);
    expect(isClaimed({ generation: 'g-2', placementKey: null }, claims)).toBe(true);
    expect(isClaimed({ generation: 'g-2', placementKey: 'other' }, claims)).toBe(false);
    expect(isClaimed({ generation: 'g-1', placementKey: 'k' }, claims)).toBe(false);
    expect(isClaimed({ generation: null, placementKey: 'k' }, claims)).toBe(false);
  });
});

describe('a sweep removes', () => {
  test('all of what it may or nothing: never more than ten, and never more than half of what is there', () => {
    const law = fc.property(fc.nat(30), fc.nat(60), (orphans, others) => {
      const { remove, refusal } = removable(things(orphans), orphans + others, { max: null, only: null });
      const allowed = orphans <= MOST_REMOVED && orphans <= Math.ceil((orphans + others) / 2);
      expect(remove).toHaveLength(allowed ? orphans : 0);
      expect(refusal === null).toBe(allowed);
    });
    holds(law, 300);
  });

  test('as many as it was told to, and only what somebody has seen', () => {
    expect(removable(things(12), 12, { max: 12, only: null }).remove).toHaveLength(12);
    const { remove, refusal } = removable(things(12), 12, { max: 11, only: null });
    expect(remove).toEqual([]);
    expect(refusal).toBe(
      '12 would be removed, and at most 11 may be: look whether this is the right server, and say --max 12 if it is',
    );
    const seen = removable(things(12), 12, { max: null, only: ['i-3', 'i-99'] });
    expect(seen).toMatchObject({ remove: [{ id: 'i-3' }], refusal: null });
  });
});
