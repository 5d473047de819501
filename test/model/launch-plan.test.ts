/** Plans of launches: their hash, and what differs between a plan and now. */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../model/canonical-json.ts';
import {
  type PlanContent,
  parsePlan,
  planHash,
  plannedTask,
  sealedPlan,
  taskDifferences,
} from '../../model/launch-plan.ts';
import type { InstanceTypeOffer } from '../../model/machines.ts';
import { parseTask } from '../../model/parse-task.ts';
import { additionsTo, changesOf, leftOf } from '../../model/planned-offers.ts';

/** Without -0, which JSON writes as 0. */
const json = () => fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown);

/** The same value with the members of its objects in another order. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([key, held]): [string, unknown] => [key, shuffled(held)]);
  return Object.fromEntries(members.toReversed());
}

describe('canonical JSON', () => {
  test('is JSON of the same value, and does not depend on the order in which members were written', () => {
    fc.assert(
      fc.property(json(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(value);
        expect(canonicalJson(shuffled(value))).toBe(text);
        expect(canonicalJson(JSON.parse(JSON.stringify(value, null, 3)))).toBe(text);
      }),
    );
  });

  test('and so the hash is the same for the same content, and another one for every other', () => {
    const pairs = json().chain((a) => fc.tuple(fc.constant(a), fc.oneof(json(), fc.constant(shuffled(a)))));
    fc.assert(
      fc.property(pairs, ([a, b]) => {
        expect(planHash({ a }) === planHash({ a: b })).toBe(isDeepStrictEqual(a, b));
      }),
    );
  });

  test('has keys in the order of UTF-16 units, and says what JSON cannot', () => {
    expect(canonicalJson({ b: 1, a: undefined, '\u{1f600}': [true, null], '\ufb33': 'é\n', A: 1e21 })).toBe(
      '{"A":1e+21,"b":1,"\u{1f600}":[true,null],"\ufb33":"é\\n"}',
    );
    for (const value of [Number.NaN, Infinity, undefined, [undefined]]) {
      expect(() => canonicalJson(value)).toThrow('JSON cannot say');
    }
  });
});

const SIZES = ['small', 'large'] as const;
const offer = (instanceType: string, hourlyCost: number, more: Partial<InstanceTypeOffer> = {}): InstanceTypeOffer => ({
  ...{ cloud: 'here', region: 'r', zone: 'z', cpus: 4, memory: 16, accelerators: null, useSpot: false },
  ...{ instanceType, hourlyCost },
  ...more,
});
const planned = [offer(SIZES[1], 2), offer(SIZES[0], 1)];
const written = (yaml: string) => plannedTask(parseTask(yaml, { file: 'task.yaml' }));
const content = (task: Record<string, unknown>): PlanContent => ({
  kind: 'styx-plan',
  version: 1,
  made: '2030-01-02T03:04:05.678Z',
  task,
  placements: planned,
  sources: [{ cloud: 'here', from: 'cloud', prices: null, spotPrices: null, undated: false, own: false }],
});

describe('a plan', () => {
  const plan = sealedPlan(content(written('run: echo')));

  test('is read again as it was written, however its file is laid out', () => {
    expect(parsePlan(JSON.stringify(plan, null, 2), 'p')).toEqual(plan);
    expect(parsePlan(JSON.stringify(shuffled(plan)), 'p')).toEqual(plan);
  });

  test('that was edited anywhere is refused, be it by a field that means nothing', () => {
    const edits: object[] = [
      { made: '2031-01-02T03:04:05.678Z' },
      { placements: planned.toReversed() },
      { placements: [planned[0]] },
      { placements: [offer(SIZES[1], 2.000001), planned[1]] },
      { task: written('run: echo hello') },
      { sources: [] },
      { more: null },
      { hash: `sha256:${'0'.repeat(64)}` },
    ];
    for (const edit of edits) {
      expect(() => parsePlan(JSON.stringify({ ...plan, ...edit }), 'p'), JSON.stringify(edit)).toThrow('p was edited');
    }
  });

  test('that is none, or of another version, or holds too much, is refused by what is wrong with it', () => {
    expect(() => parsePlan('run: echo', 'p')).toThrow('p is not a plan: it is not JSON');
    expect(() => parsePlan('{"kind": "other"}', 'p')).toThrow('p is not a plan of `styx plan`');
    const resealed = (more: object) => {
      const { hash: _, ...rest } = { ...plan, ...more };
      return JSON.stringify({ ...rest, hash: planHash(rest) });
    };
    expect(() => parsePlan(resealed({ version: 2 }), 'p')).toThrow('p is a plan of version 2');
    expect(() => parsePlan(resealed({ placements: [] }), 'p')).toThrow('placements');
    const many = Array.from({ length: 51 }, (_, index) => offer(`t${index}`, 1));
    expect(() => parsePlan(resealed({ placements: many }), 'p')).toThrow('placements');
    expect(parsePlan(resealed({ placements: many.slice(1) }), 'p').placements).toHaveLength(50);
  });

  test('holds the names of secrets and not their values, and no login of a git URL', () => {
    const text = JSON.stringify(
      written('secrets: {TOKEN: hunter2}\nworkdir: {url: "https://me:s3cret@example.org/a.git", ref: main}\n'),
    );
    expect(text).toContain('"secrets":["TOKEN"]');
    expect(text).toContain('"https://example.org/a.git"');
    expect(text).not.toMatch(/hunter2|s3cret/);
  });
});

describe('tasks', () => {
  test('that say the same in other words do not differ', () => {
    const once = written('envs: {A: "1", B: x}\nrun: echo\nresources: {infra: local, cpus: 2}\nsecrets: {S: one}');
    const again = written('secrets: {S: two}\nresources: {cloud: local, cpus: "2"}\nrun: echo\nenvs: {B: x, A: 1}');
    expect(taskDifferences(once, again)).toEqual([]);
  });

  test('that differ do so in the fields that are named, without values of variables', () => {
    const before = written('run: echo 1\nnum_nodes: 2\nenvs: {KEPT: k, CHANGED: before, GONE: g}\nsecrets: {S: s}');
    const after = written(`run: echo 2\nenvs: {KEPT: k, CHANGED: after, constructor: c}\nsetup: ${'x'.repeat(99)}`);
    expect(taskDifferences(before, after).toSorted()).toEqual([
      'envs.CHANGED: another value',
      'envs.GONE: set in the plan, absent now',
      'envs.constructor: absent in the plan, set now',
      'numNodes: 2 in the plan, 1 now',
      'resources.numNodes: 2 in the plan, 1 now',
      'run: "echo 1" in the plan, "echo 2" now',
      'secrets: ["S"] in the plan, [] now',
      `setup: null in the plan, "${'x'.repeat(59)}… now`,
    ]);
  });
});

test('what a plan of somebody else holds cannot move the cursor', () => {
  const ansi = '\u001b[2J';
  const messages = [`{"kind": "${ansi}`, JSON.stringify({ kind: 'styx-plan', version: 1, hash: ansi })].map((text) => {
    try {
      parsePlan(text, 'p');
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  });
  const shown = [...messages, ...taskDifferences({ [ansi]: 1, a: '\u009b2J' }, {})];
  expect(shown.map((text) => /[^ -~…]/.test(text))).toEqual([false, false, false, false]);
  expect(shown).toContain('?[2J: 1 in the plan, absent now');
});

describe('offers of now', () => {
  test('that are as planned, or cheaper, are left, in the order of the plan and at their own price', () => {
    const now = [offer('new', 0.5), offer(SIZES[0], 0.9), offer(SIZES[1], 2)];
    expect(leftOf(planned, now)).toEqual([offer(SIZES[1], 2), offer(SIZES[0], 0.9)]);
    expect(changesOf(planned, now)).toEqual([{ planned: planned[1], now: now[1] }]);
    expect(additionsTo(planned, now)).toEqual([{ planned: null, now: now[0] }]);
  });

  test.each([
    ['dearer', offer(SIZES[0], 1.01), true],
    ['another machine', offer(SIZES[0], 1, { memory: 8 }), true],
    ['spot', offer(SIZES[0], 1, { useSpot: true }), false],
    ['in another zone', offer(SIZES[0], 1, { zone: 'y' }), false],
  ])('that are %s are not what was planned', (_, other, isThere) => {
    const now = [other, offer(SIZES[1], 2)];
    expect(leftOf(planned, now)).toEqual([planned[0]]);
    expect(changesOf(planned, now)).toEqual([{ planned: planned[1], now: isThere ? other : null }]);
  });
});
