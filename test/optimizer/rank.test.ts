import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CatalogRow } from '../../catalogs/catalog.ts';
import type { Alternative } from '../../model/spec/resources.ts';
import { DISK_PRICES, type PlacementRequest, type Ranked, rank } from '../../optimizer/index.ts';
import { holds } from '../model/holds.ts';
import { CONSTRAINTS, someFields, someRequest, someRows } from './arbitrary.ts';
import { asked, row } from './made.ts';

const types = (found: readonly Ranked[]) => found.map(({ instanceType }) => instanceType);

/** Does a row meet an alternative? Written apart from the code, field by field. */
function meets(row: CatalogRow, one: Alternative, arch: PlacementRequest['arch']): boolean {
  const price = one.useSpot ? row.spotPrice : row.price;
  const free = one.instanceType === null && one.accelerators === null;
  const size = (value: number | null, want: Alternative['cpus']) =>
    want === null || (value !== null && (want.atLeast ? value >= want.count : value === want.count));
  if (price === null || (one.maxHourlyCost !== null && price > one.maxHourlyCost)) return false;
  for (const key of ['cloud', 'region', 'zone', 'instanceType'] as const) {
    if (one[key] !== null && one[key] !== row[key]) return false;
  }
  if (!size(row.cpus, one.cpus) || !size(row.memory, one.memory)) return false;
  if (arch && row.arch !== arch) return false;
  if (free) {
    const families: Record<string, RegExp> =
      arch === 'arm64' ? { aws: /^$/, gcp: /^$/ } : { aws: /^m[67]i\./, gcp: /^n2-/ };
    if (families[row.cloud]?.test(row.instanceType) === false) return false;
    if (one.cpus === null && one.memory === null && !(row.cpus !== null && row.cpus >= 8)) return false;
    if (one.memory === null && !(row.cpus !== null && row.memory !== null && row.memory >= 4 * row.cpus)) return false;
  }
  const want = one.accelerators;
  if (want === null) return true;
  if (row.accelerators?.count !== want.count) return false;
  if (want.kind === 'named') return row.accelerators.name.toLowerCase() === want.name.toLowerCase();
  return want.manufacturer !== 'amd' && (want.atLeast ? 40 >= want.gib : want.gib === 40);
}

const offer = ({ cloud, region, zone, instanceType, accelerators, cpus, memory, arch }: Ranked | CatalogRow) =>
  [cloud, region, zone, instanceType, accelerators?.name, accelerators?.count, cpus, memory, arch].join();

describe('of any request and any rows', () => {
  test('the answer holds every offer that meets an alternative, once, and no other', () => {
    const law = fc.property(someRequest, someRows(40), (request, rows) => {
      const { placements } = rank(request, rows);
      const expected = new Set(
        request.resources.alternatives.flatMap((one) =>
          rows.filter((each) => meets(each, one, request.arch)).map((each) => `${offer(each)} ${one.useSpot}`),
        ),
      );
      const found = placements.map((each) => `${offer(each)} ${each.useSpot}`);
      expect(new Set(found)).toEqual(expected);
      // Rows that differ in `arch` alone are one offer.
      expect(found.length).toBe(new Set(found).size);
    });
    holds(law, 3000);
  });

  test('cheaper comes first, within each alternative when they are ordered', () => {
    const law = fc.property(someRequest, someRows(40), (request, rows) => {
      const { placements } = rank(request, rows);
      for (const [at, one] of placements.entries()) {
        const before = placements[at - 1];
        if (before === undefined) continue;
        if (request.resources.order === 'ordered' && before.alternative !== one.alternative) {
          expect(before.alternative).toBeLessThan(one.alternative);
        } else expect(before.cost).toBeLessThanOrEqual(one.cost);
      }
    });
    holds(law, 1500);
  });

  test('the order of the rows does not matter', () => {
    const law = fc.property(someRequest, someRows(30), (request, rows) => {
      expect(rank(request, rows.toReversed())).toEqual(rank(request, rows));
    });
    holds(law, 1000);
  });

  test('one more constraint never makes it cheaper', () => {
    // Sizes without type or accelerators replace what is asked by default, which is no constraint of the user's.
    const based = fc.record({ base: someFields, name: fc.constantFrom(...Object.keys(CONSTRAINTS)) }).chain((made) =>
      fc.record({
        base: fc.constant({ accelerators: 'A100:1', ...made.base } as Record<string, unknown>),
        name: fc.constant(made.name),
        value: CONSTRAINTS[made.name as keyof typeof CONSTRAINTS] as fc.Arbitrary<unknown>,
      }),
    );
    const law = fc.property(based, someRows(40), ({ base, name, value }, rows) => {
      fc.pre(!(name in base));
      const without = rank(asked(base), rows).placements[0];
      const [found] = rank(asked({ ...base, [name]: value }), rows).placements;
      if (found !== undefined) expect(found.cost).toBeGreaterThanOrEqual(without?.cost ?? Number.NaN);
    });
    holds(law, 2000);
  });

  test('rows that fit and rows that one constraint or more keep out are all of them', () => {
    const law = fc.property(someFields, someRows(40), (fields, rows) => {
      const { placements, excluded, considered } = rank(asked(fields), rows);
      const out = rows.length - placements.length;
      expect(considered).toBe(rows.length);
      expect(Math.max(0, ...excluded.map((reason) => reason.rows))).toBeLessThanOrEqual(out);
      expect(excluded.reduce((sum, reason) => sum + reason.rows, 0)).toBeGreaterThanOrEqual(out);
      expect(excluded.reduce((sum, reason) => sum + reason.alone, 0)).toBeLessThanOrEqual(out);
      for (const { rows: all, alone } of excluded) expect(alone).toBeLessThanOrEqual(all);
    });
    holds(law, 1000);
  });

  test('what is said to fit without a constraint fits without it', () => {
    const law = fc.property(someFields, someRows(25), (fields, rows) => {
      const { placements, relaxations } = rank(asked(fields), rows);
      if (placements.length > 0) expect(relaxations).toEqual([]);
      for (const { relax, nearest, rows: count } of relaxations) {
        const place = relax.some((name) => ['cloud', 'region', 'zone'].includes(name)) ? ['infra'] : [];
        const gone = [...relax, ...place];
        // What is asked by default has no field that could be taken away.
        if (
          gone.some(
            (name) =>
              name === 'general_purpose' ||
              (name !== 'on_demand' &&
                name !== 'use_spot' &&
                !(name in fields) &&
                !['cloud', 'region', 'zone'].includes(name)),
          )
        )
          continue;
        const kept: Record<string, unknown> = Object.fromEntries(
          Object.entries(fields).filter(([name]) => !gone.includes(name)),
        );
        if (relax.includes('on_demand') || relax.includes('use_spot')) kept.use_spot = nearest.useSpot;
        if (['accelerators', 'instance_type', 'cpus', 'memory'].some((name) => gone.includes(name))) continue;
        const then = rank(asked(kept), rows).placements;
        expect(then.map(offer)).toContain(offer(nearest));
        if (place.length === 0) expect(then.length).toBeGreaterThanOrEqual(count);
      }
    });
    holds(law, 2000);
  });
});

describe('SkyPilot’s meaning of a request', () => {
  const small = row({ instanceType: 'm6i.xlarge', cpus: 4, memory: 16, price: 0.2 });
  const medium = row({ price: 0.4 });
  const lean = row({ instanceType: 'c6i.2xlarge', memory: 16, price: 0.3 });
  const burstable = row({ instanceType: 't3.2xlarge', price: 0.1 });
  const gpu = row({ instanceType: 'g5.2xlarge', price: 0.05, accelerators: { name: 'A10G', count: 1 } });
  const cpuRows = [small, medium, lean, burstable, gpu];

  test('without anything asked it is 8 vCPUs or more with 4 GiB for each, of a general-purpose type', () => {
    expect(types(rank(asked({}), cpuRows).placements)).toEqual(['m6i.2xlarge']);
  });

  test('vCPUs asked for keep the 4 GiB for each, memory asked for replaces both', () => {
    expect(types(rank(asked({ cpus: 4 }), cpuRows).placements)).toEqual(['m6i.xlarge']);
    expect(types(rank(asked({ cpus: '4+' }), cpuRows).placements)).toEqual(['m6i.xlarge', 'm6i.2xlarge']);
    expect(types(rank(asked({ memory: 16 }), cpuRows).placements)).toEqual(['m6i.xlarge', 'c6i.2xlarge']);
  });

  test('a type or an accelerator that is named replaces all that is asked by default', () => {
    expect(types(rank(asked({ instance_type: 't3.2xlarge' }), cpuRows).placements)).toEqual(['t3.2xlarge']);
    expect(types(rank(asked({ accelerators: 'a10g' }), cpuRows).placements)).toEqual(['g5.2xlarge']);
  });

  test('accelerators are met by their number exactly, by name whatever its case, or by memory and maker', () => {
    const a100 = (count: number, memory: number) =>
      row({ instanceType: `a${count}`, accelerators: { name: 'A100', count }, acceleratorMemory: memory });
    const rows = [a100(1, 40), a100(8, 40)];
    expect(types(rank(asked({ accelerators: 'a100:8' }), rows).placements)).toEqual(['a8']);
    expect(types(rank(asked({ accelerators: 'A100:4' }), rows).placements)).toEqual([]);
    expect(types(rank(asked({ accelerators: '32GB+' }), rows).placements)).toEqual(['a1']);
    expect(types(rank(asked({ accelerators: '32GB' }), rows).placements)).toEqual([]);
    expect(types(rank(asked({ accelerators: 'nvidia:40GB:8' }), rows).placements)).toEqual(['a8']);
    expect(types(rank(asked({ accelerators: 'amd:40GB:8' }), rows).placements)).toEqual([]);
  });

  test('spot is paid at the price of spot, and not had where it is not sold', () => {
    const rows = [row({ price: 1, spotPrice: 0.5 }), row({ region: 'us-west-2', price: 0.1 })];
    expect(rank(asked({ use_spot: true }), rows).placements).toMatchObject([{ region: 'us-east-1', hourlyCost: 0.5 }]);
    expect(rank(asked({ use_spot: true, max_hourly_cost: 0.4 }), rows).placements).toEqual([]);
  });

  test('any_of is one pool by price, ordered is one list after the other', () => {
    const alternatives = [{ infra: 'aws' }, { infra: 'gcp' }];
    const rows = [
      row({ price: 3 }),
      row({ price: 4, region: 'us-east-2' }),
      row({ cloud: 'gcp', instanceType: 'n2-standard-8', price: 1 }),
    ];
    const costs = (group: string) => rank(asked({ [group]: alternatives }), rows).placements.map(({ cost }) => cost);
    expect(costs('any_of')).toEqual([1, 3, 4]);
    expect(costs('ordered')).toEqual([3, 4, 1]);
  });

  test('with the cheapest types alone, a cloud has all places of one type', () => {
    const rows = [
      row({ price: 1 }),
      row({ price: 3, region: 'us-east-2' }),
      row({ price: 2, instanceType: 'm7i.2xlarge' }),
    ];
    const { placements, excluded } = rank(asked({}), rows, { types: 'cheapest' });
    expect(placements.map(({ cost }) => cost)).toEqual([1, 3]);
    expect(excluded).toMatchObject([{ constraint: 'cheapest_type', rows: 1 }]);
  });

  test('nodes that are reserved cost nothing, spot ones aside', () => {
    const reservations = [{ cloud: 'aws', instanceType: 'm6i.2xlarge', region: 'us-east-1', zone: null, nodes: 3 }];
    const rows = [row({ price: 2, spotPrice: 1 }), row({ price: 1, region: 'us-east-2' })];
    const [best, second] = rank(asked({}, 4), rows, { reservations, hours: 10 }).placements;
    expect(best).toMatchObject({ region: 'us-east-1', reservedNodes: 3, cost: 20 });
    expect(second).toMatchObject({ reservedNodes: 0, cost: 40 });
    expect(rank(asked({ use_spot: true }, 4), rows, { reservations }).placements).toMatchObject([{ cost: 4 }]);
  });
});

test('an architecture is asked for beside the resources, and then its own general-purpose types come into question', () => {
  const arm = row({ instanceType: 'm7g.2xlarge', arch: 'arm64', price: 0.5 });
  expect(types(rank(asked({}), [row(), arm]).placements)).toEqual(['m6i.2xlarge']);
  expect(types(rank({ ...asked({}), arch: 'arm64' }, [row(), arm]).placements)).toEqual(['m7g.2xlarge']);
});

test('clouds that may not be used are left out, with their number of rows as the reason', () => {
  const { placements, excluded } = rank(asked({}), [row(), row({ cloud: 'do' })], { clouds: ['do'] });
  expect(placements).toMatchObject([{ cloud: 'do' }]);
  expect(excluded).toMatchObject([{ constraint: 'cloud', asked: 'do', rows: 1, alone: 1 }]);
});

test('images that are named by region keep to their regions', () => {
  const rows = [row(), row({ region: 'us-west-2', price: 0.1 })];
  const images = { image_id: { 'us-east-1': 'ami-1' } };
  expect(rank(asked(images), rows)).toMatchObject({
    placements: [{ region: 'us-east-1' }],
    unchecked: ['resources.image_id'],
  });
});

test('disks are counted when their prices are given, for all nodes and hours', () => {
  const [found] = rank(asked({ disk_size: 1000 }, 2), [row()], { disk: DISK_PRICES, hours: 73 }).placements;
  expect(found?.cost).toBeCloseTo(2 * 73 + (2 * 73 * 1000 * 0.08) / 730, 9);
});

test('what rows say nothing about is named, so that nobody takes it for checked', () => {
  const { unchecked } = rank(asked({ local_disk: 'nvme', disk_tier: 'best', ports: 80 }), [row()]);
  expect(unchecked).toEqual(['resources.disk_tier', 'resources.local_disk', 'resources.ports']);
});

describe('when nothing fits', () => {
  const gpus = [1, 4, 8].map((count) =>
    row({ instanceType: `p4.${count}`, price: count, accelerators: { name: 'A100', count } }),
  );

  test('each constraint whose giving up is enough is told with the nearest offer', () => {
    const { relaxations } = rank(asked({ accelerators: 'A100:3', max_hourly_cost: 9 }), gpus);
    expect(relaxations).toMatchObject([{ relax: ['accelerators'], rows: 3, nearest: { instanceType: 'p4.4' } }]);
    const dear = rank(asked({ accelerators: 'A100:8', max_hourly_cost: 2 }), gpus);
    expect(dear.relaxations).toMatchObject([
      { relax: ['accelerators'], nearest: { instanceType: 'p4.1' } },
      { relax: ['max_hourly_cost'], nearest: { instanceType: 'p4.8' } },
    ]);
  });

  test('when no single constraint is enough, the smallest sets are told', () => {
    const { relaxations } = rank(asked({ accelerators: 'A100:8', infra: 'gcp', max_hourly_cost: 2 }), gpus);
    expect(relaxations.map(({ relax }) => relax)).toEqual([
      ['cloud', 'accelerators'],
      ['cloud', 'max_hourly_cost'],
    ]);
  });

  test('a name that is written wrong is nearest to the right one', () => {
    const rows = [...gpus, row({ accelerators: { name: 'T4', count: 1 }, price: 0.01 })];
    const { relaxations } = rank(asked({ accelerators: 'A10O:1' }), rows);
    expect(relaxations[0]).toMatchObject({ relax: ['accelerators'], nearest: { instanceType: 'p4.1' } });
  });

  test('spot that is not sold leads to the price on demand', () => {
    const { relaxations } = rank(asked({ accelerators: 'A100:1', use_spot: true }), gpus);
    expect(relaxations).toMatchObject([{ relax: ['use_spot'], nearest: { useSpot: false, hourlyCost: 1 } }]);
  });
});
