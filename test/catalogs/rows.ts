/** Rows as catalogues could have them, odd ones first of all. */
import fc from 'fast-check';
import { type CatalogInfo, type CatalogRow, rowKey } from '../../catalogs/catalog.ts';

export const INFO: CatalogInfo = {
  cloud: 'aws',
  prices: '2026-07',
  spotPrices: null,
  undated: true,
  sources: [{ of: 'prices', from: 'a/repository', commit: '0123abcd', date: '2026-07', license: null }],
};

const name = fc.oneof(
  fc.constantFrom(
    'p4d.24xlarge',
    'East Coast (NY2)',
    '__proto__',
    'H100_NVLINK_80GB::8',
    'a,b',
    'say "so"',
    "l'île",
    '0',
  ),
  fc.stringMatching(/^[a-z][a-z0-9.-]{0,12}$/),
);
const price = fc.option(fc.oneof(fc.constantFrom(0, 1e-7, 154.656), fc.double({ min: 0, max: 1e5, noNaN: true })));
const count = fc.constantFrom(1, 8, 0.167, 0.5);
const accelerated = fc.oneof(
  fc.record({
    accelerators: fc.record({ name: fc.constantFrom('A100', 'T4', 'tpu-v3-8', 'Gaudi HL-205'), count }),
    acceleratorMemory: fc.constantFrom(16, 40, 1024),
  }),
  // Its memory is in no table.
  fc.record({
    accelerators: fc.record({ name: fc.constant('Abacus-9'), count }),
    acceleratorMemory: fc.option(fc.constantFrom(16, 40)),
  }),
);
const plain = fc.constant({ accelerators: null, acceleratorMemory: null });

const row: fc.Arbitrary<CatalogRow> = fc
  .record({
    cloud: fc.constant(INFO.cloud),
    instanceType: name,
    region: name,
    zone: fc.option(name),
    cpus: fc.option(fc.constantFrom(0.25, 2, 96)),
    memory: fc.option(fc.constantFrom(0.5, 3.75, 1152)),
    price,
    spotPrice: price,
    arch: fc.constantFrom('x86_64' as const, 'arm64' as const, null),
  })
  .chain((one) => fc.oneof(plain, accelerated).map((more) => ({ ...one, ...more })));

/** At most one row of a key. */
export const catalogRows: fc.Arbitrary<CatalogRow[]> = fc.uniqueArray(row, { selector: rowKey, maxLength: 40 });
