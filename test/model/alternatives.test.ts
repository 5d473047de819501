/** Requests of which several kinds of machines would do. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alternativesOf, mayBeOf, mergeOffers } from '../../model/alternatives.ts';
import { ANY_MACHINE, type InstanceTypeOffer } from '../../model/machines.ts';
import { parseTask } from '../../model/parse-task.ts';
import { aSpec, Story } from './cluster-fixtures.ts';

const asks = (resources: string) => parseTask(`resources: ${resources}\nrun: x\n`, { file: 'f' }).resources;
const cards = (resources: string) => alternativesOf(asks(resources)).map(({ accelerators }) => accelerators?.name);

describe('what a task file says', () => {
  test('is asked for by each alternative, over what stands beside', () => {
    const asked = asks('{cpus: 4, any_of: [{infra: aws}, {infra: gcp/us-central1, use_spot: true}]}');
    expect(asked.inOrder).toBeUndefined();
    expect(alternativesOf(asked)).toMatchObject([
      { cloud: 'aws', region: null, cpus: { count: 4 }, useSpot: false },
      { cloud: 'gcp', region: 'us-central1', cpus: { count: 4 }, useSpot: true },
    ]);
    expect(['aws', 'gcp', 'local'].filter((cloud) => mayBeOf(cloud, asked))).toEqual(['aws', 'gcp']);
  });

  test('is an order for a list of accelerators, and none for a map', () => {
    expect(cards('{accelerators: [H100, A100]}')).toEqual(['H100', 'A100']);
    expect(asks('{accelerators: [H100, A100]}').inOrder).toBe(true);
    expect(cards('{accelerators: {A100: 1, H100: 1}}').toSorted()).toEqual(['A100', 'H100']);
    expect(asks('{accelerators: {A100: 1, H100: 1}}').inOrder).toBeUndefined();
  });
});

test('accelerators that are asked for by memory are all that have it, of a maker where one is named', () => {
  const by = (text: string) => cards(`{accelerators: "${text}"}`);
  expect(by('80GB+')).toEqual(expect.arrayContaining(['A100-80GB', 'H100', 'H200', 'MI300X']));
  expect(by('80GB+')).not.toContain('A100');
  expect(by('nvidia:80GB:2')).toEqual(expect.arrayContaining(['A100-80GB', 'H100']));
  expect(by('nvidia:80GB:2')).not.toContain('H200');
  expect(alternativesOf(asks('{accelerators: "nvidia:80GB:2"}')).every((one) => one.accelerators?.count === 2)).toBe(
    true,
  );
});

const offer = fc
  .record({
    cloud: fc.constantFrom('a', 'b'),
    region: fc.constantFrom('r', 's'),
    instanceType: fc.constantFrom('small', 'large'),
    useSpot: fc.boolean(),
    hourlyCost: fc.integer({ min: 1, max: 9 }),
  })
  .map((one): InstanceTypeOffer => ({ ...one, zone: one.region, cpus: 1, memory: 1, accelerators: null }));
const place = ({ cloud, region, instanceType, useSpot }: InstanceTypeOffer) =>
  [cloud, region, instanceType, useSpot].join(' ');
const cost = ({ hourlyCost }: InstanceTypeOffer) => hourlyCost;

describe('offers of several alternatives', () => {
  test('are all there, each place once, the cheapest first', () => {
    fc.assert(
      fc.property(fc.array(fc.array(offer)), (lists) => {
        const merged = mergeOffers({}, lists, cost);
        expect(merged.map(cost)).toEqual(merged.map(cost).toSorted((x, y) => x - y));
        expect(new Set(merged.map(place))).toEqual(new Set(lists.flat().map(place)));
        expect(new Set(merged.map(place)).size).toBe(merged.length);
      }),
    );
  });

  test('in order, each place comes with the first alternative that has it', () => {
    fc.assert(
      fc.property(fc.array(fc.array(offer)), (lists) => {
        const merged = mergeOffers({ inOrder: true }, lists, cost);
        const first = (one: InstanceTypeOffer) =>
          lists.findIndex((list) => list.some((other) => place(other) === place(one)));
        expect(merged.map(first)).toEqual(merged.map(first).toSorted((x, y) => x - y));
        expect(new Set(merged.map(place))).toEqual(new Set(lists.flat().map(place)));
      }),
    );
  });
});

test('a task fits a cluster when one of its alternatives does, also before the cluster stands', () => {
  const gpu = (name: string) => ({ name, count: 1 });
  const both = { ...ANY_MACHINE, accelerators: gpu('A100'), others: [{ ...ANY_MACHINE, accelerators: gpu('H100') }] };
  const story = new Story();
  story.command('launch', { task: { resources: both }, spec: { ...aSpec(1), resources: both } });
  const only = (name: string) => ({ task: { resources: { ...ANY_MACHINE, accelerators: gpu(name) } } });
  expect(story.problem('launch', only('H100'))).toBeNull();
  expect(story.problem('launch', only('L4'))?.message).toMatch(/asks for L4:1/);
  expect(story.problem('launch', { task: { resources: { ...both, accelerators: gpu('L4') } } })).toBeNull();
});
