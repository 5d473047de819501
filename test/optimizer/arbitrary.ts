/** Rows, requests and DAGs at random: few names and round prices, so that much fits and much is equal. */
import * as fc from 'fast-check';
import type { CatalogRow } from '../../catalogs/catalog.ts';
import type { Dag } from '../../optimizer/dag.ts';
import { asked, row } from './made.ts';

const REGIONS: Readonly<Record<string, readonly string[]>> = {
  aws: ['us-east-1', 'us-east-2', 'sa-east-1'],
  gcp: ['us-central1', 'europe-west4'],
  lambda: ['us-south-1'],
};

const price = fc.integer({ min: 1, max: 12 }).map((quarters) => quarters / 4);
const sizes = fc.constantFrom(2, 4, 8, 16, 32);

export const someRow: fc.Arbitrary<CatalogRow> = fc
  .record({
    cloud: fc.constantFrom(...Object.keys(REGIONS)),
    at: fc.nat(2),
    zone: fc.constantFrom(null, 'a', 'b'),
    type: fc.constantFrom('m6i.large', 'm7i.large', 'n2-standard-8', 'g5.xlarge', 't3.large'),
    cpus: fc.option(sizes, { freq: 10 }),
    memory: fc.option(sizes, { freq: 10 }),
    accelerators: fc.option(
      fc.record({ name: fc.constantFrom('A100', 'A100-80GB', 'T4'), count: fc.constantFrom(1, 2, 8) }),
    ),
    price: fc.option(price, { freq: 5 }),
    spotPrice: fc.option(price),
    arch: fc.constantFrom('x86_64' as const, 'arm64' as const, null),
  })
  .map(({ at, type, ...rest }) => {
    const regions = REGIONS[rest.cloud] as readonly string[];
    const region = regions[at % regions.length] as string;
    return row({ ...rest, instanceType: type, region, acceleratorMemory: rest.accelerators === null ? null : 40 });
  });

/** Each offer once, as catalogues have them. */
export const someRows = (max: number) =>
  fc.uniqueArray(someRow, {
    maxLength: max,
    selector: ({ price: _, spotPrice: __, ...key }) => JSON.stringify(key),
  });

const TYPES: Readonly<Record<string, string>> = { aws: 'm6i.2xlarge', gcp: 'n2-standard-8', lambda: 'cpu_4x' };

/** Rows that fit the tasks of `someDag`. */
export const fittingRows = fc.uniqueArray(
  someRow.map((one) => ({
    ...one,
    ...{ instanceType: TYPES[one.cloud] as string, cpus: 8, memory: 32, accelerators: null, arch: 'x86_64' as const },
    price: one.price ?? 1,
  })),
  { minLength: 1, maxLength: 6, selector: ({ cloud, region, zone }) => JSON.stringify([cloud, region, zone]) },
);

const amount = fc.tuple(sizes, fc.constantFrom('', '+')).map(([count, plus]) => `${count}${plus}`);

/** Fields that each keep something out. */
export const CONSTRAINTS = {
  infra: fc.constantFrom('aws', 'gcp', 'aws/us-east-1', 'aws/us-east-2/a', 'lambda'),
  instance_type: fc.constantFrom('m6i.large', 'g5.xlarge'),
  cpus: amount,
  memory: amount,
  accelerators: fc.constantFrom('A100:1', 'a100:8', 'T4:2', '40GB+:1', 'amd:40GB'),
  max_hourly_cost: price,
};

export const someFields = fc.record({ ...CONSTRAINTS, use_spot: fc.boolean() }, { requiredKeys: [] });

export const someRequest = fc
  .record({
    base: someFields,
    group: fc.constantFrom('any_of', 'ordered', null),
    others: fc.array(someFields, { minLength: 1, maxLength: 3 }),
    numNodes: fc.integer({ min: 1, max: 3 }),
    arch: fc.constantFrom('x86_64' as const, 'arm64' as const, null),
  })
  .map(({ base, group, others, numNodes, arch }) => ({
    ...asked(group === null ? base : { ...base, [group]: others }, numNodes),
    arch,
  }));

/** Whose tasks any row with a price fits, with few rows, so that all plans can be gone through. */
export const someDag: fc.Arbitrary<Dag> = fc
  .record({
    hours: fc.array(fc.constantFrom(0.5, 1, 3), { minLength: 1, maxLength: 5 }),
    gigabytes: fc.array(fc.constantFrom(0, 5, 20, 400, 20_000), { minLength: 5, maxLength: 5 }),
    inputs: fc.array(fc.constantFrom('s3://in', 'gs://in', 'cos://us-south/in', 'file'), {
      minLength: 5,
      maxLength: 5,
    }),
    fields: fc.array(
      fc.constantFrom<Record<string, unknown>>(
        { cpus: '2+' },
        { any_of: [{ cpus: '2+' }, { cpus: '2+', use_spot: true }] },
        { ordered: [{ infra: 'lambda', cpus: '2+' }, { cpus: '2+' }] },
      ),
      { minLength: 5, maxLength: 5 },
    ),
    nodes: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 5, maxLength: 5 }),
    // Of five tasks, up to all of ten pairs: elimination alone does not do then.
    links: fc.uniqueArray(
      fc.tuple(fc.nat(4), fc.nat(4)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
      { maxLength: 10, selector: (pair) => pair.join() },
    ),
    flip: fc.boolean(),
  })
  .map(({ hours, gigabytes, inputs, fields, nodes, links, flip }) => ({
    tasks: hours.map((hour, at) => ({
      ...asked(fields[at] as Record<string, unknown>, nodes[at]),
      name: `t${at}`,
      // The two alternatives of a task take different times.
      hours: [hour, hour * 2],
      inputs: { uri: inputs[at] as string, gigabytes: gigabytes[4 - at] as number },
      outputs: { uri: 's3://out', gigabytes: gigabytes[at] as number },
    })),
    edges: links
      .filter(([from, to]) => from < to && to < hours.length)
      .map(([from, to]) =>
        flip ? ([hours.length - 1 - from, hours.length - 1 - to] as const) : ([from, to] as const),
      ),
  }));
