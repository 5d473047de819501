import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CatalogRow, catalogOf } from '../../catalogs/catalog.ts';
import { type GpuQuery, gpuOffers } from '../../catalogs/gpus.ts';
import { canonicalName } from '../../model/accelerators.ts';
import { catalogRows, INFO } from './rows.ts';

const ANY: GpuQuery = { name: null, memory: null, count: null, region: null, zone: null, allRegions: false };

function offer(cloud: string, changes: Partial<CatalogRow>): CatalogRow {
  const accelerators = { name: 'A100', count: 1 };
  return {
    cloud,
    instanceType: 'x',
    region: 'r',
    zone: null,
    cpus: 8,
    memory: 64,
    accelerators,
    acceleratorMemory: 40,
    price: 1,
    spotPrice: null,
    arch: null,
    ...changes,
  };
}

function found(rows: readonly CatalogRow[], query: Partial<GpuQuery> = {}) {
  const catalogs = [...Map.groupBy(rows, ({ cloud }) => cloud)].map(([cloud, of]) => catalogOf({ ...INFO, cloud }, of));
  return gpuOffers(catalogs, { ...ANY, ...query });
}
const shown = (rows: readonly CatalogRow[], query: Partial<GpuQuery> = {}) =>
  found(rows, query).flatMap(({ offers }) =>
    offers.map((one) => `${one.cloud} ${one.instanceType} ${one.region} ${one.price}`),
  );

test('of each type the cheapest region is shown, that of the lower spot price among equals, and one without a price last', () => {
  const rows = [
    offer('a', { region: 'dear', price: 2 }),
    offer('a', { region: 'none', price: null, spotPrice: 0.1 }),
    offer('a', { region: 'plain', price: 1, spotPrice: 0.6 }),
    offer('a', { region: 'spot', price: 1, spotPrice: 0.5 }),
  ];
  expect(shown(rows)).toEqual(['a x spot 1']);
  expect(shown(rows, { allRegions: true })).toEqual(['a x spot 1', 'a x plain 1', 'a x dear 2', 'a x none null']);
  expect(shown(rows, { region: (region) => region === 'dear' })).toEqual(['a x dear 2']);
});

test('zones of one region are one offer, and a zone that is asked for leaves out the others', () => {
  const rows = [offer('a', { zone: 'r-1', price: 3 }), offer('a', { zone: 'r-2', price: 2 })];
  expect(shown(rows, { allRegions: true })).toEqual(['a x r 2']);
  expect(shown(rows, { zone: 'r-1' })).toEqual(['a x r 3']);
  expect(shown([offer('a', { price: 5 })], { zone: 'r-1' })).toEqual(['a x r 5']);
});

test('the cheapest cloud comes first, with all that it offers', () => {
  const rows = [
    offer('b', { instanceType: 'small', price: 2 }),
    offer('b', { instanceType: 'large', price: 9 }),
    offer('a', { instanceType: 'only', price: 3 }),
    offer('c', { instanceType: 'spot', price: null, spotPrice: 1 }),
  ];
  expect(shown(rows)).toEqual(['b small r 2', 'b large r 9', 'a only r 3', 'c spot r null']);
});

describe('an accelerator is found', () => {
  const named = (name: string, count = 1) => ({ accelerators: { name, count }, instanceType: `${name}-${count}` });
  const rows = ['A100', 'A100-80GB', 'RTXA6000', 'tpu-v2-32', 'tpu-v2-8', 'V100'].map((name) =>
    offer('a', named(name)),
  );
  const names = (query: Partial<GpuQuery>) => found(rows, query).map(({ name }) => name);

  test('by a part of its name in any case, itself first', () => {
    expect(names({ name: 'a100' })).toEqual(['A100', 'A100-80GB']);
    expect(names({ name: 'a100-80gb' })).toEqual(['A100-80GB']);
    expect(names({ name: '100' })).toEqual(['A100', 'A100-80GB', 'V100']);
    expect(names({ name: 'TPU' })).toEqual(['tpu-v2-8', 'tpu-v2-32']);
  });

  test('by an alias', () => {
    expect(names({ name: 'A100-SXM4-40GB' })).toEqual(['A100']);
    expect(names({ name: 'rtx-a6000' })).toEqual(['RTXA6000']);
  });

  test('by the number of them in one machine', () => {
    const many = [1, 8, 0.5].map((count) => offer('a', named('A100', count)));
    expect(found(many).map(({ counts }) => counts)).toEqual([[0.5, 1, 8]]);
    expect(shown(many, { count: 8 })).toEqual(['a A100-8 r 1']);
    expect(found(many, { count: 3 })).toEqual([]);
  });
});

test('whatever is offered, nothing that is shown is dearer than an offer of the same that is not', () => {
  fc.assert(
    fc.property(catalogRows, (rows) => {
      const offers = found(rows).flatMap((one) => one.offers);
      for (const row of rows.filter(({ accelerators }) => accelerators !== null)) {
        const same = offers.filter(
          (one) =>
            one.instanceType === row.instanceType &&
            one.accelerators.name === canonicalName(row.accelerators?.name ?? '') &&
            one.accelerators.count === row.accelerators?.count &&
            one.cpus === row.cpus &&
            one.memory === row.memory,
        );
        expect(same.length).toBe(1);
        expect(same[0]?.price ?? Infinity).toBeLessThanOrEqual(row.price ?? Infinity);
      }
    }),
  );
});
