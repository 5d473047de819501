import { describe, expect, test } from 'vitest';
import type { CatalogRow } from '../../catalogs/catalog.ts';
import { otherTypes } from '../../optimizer/index.ts';
import { row } from './made.ts';

const found = (rows: readonly CatalogRow[], ...types: string[]) =>
  otherTypes(
    rows,
    types.map((instanceType) => ({ cloud: 'aws', region: 'us-east-1', instanceType })),
    3,
  ).map(({ instanceType }) => instanceType);

const made = (
  instanceType: string,
  cpus: number,
  memory: number,
  price: number | null,
  more: Partial<CatalogRow> = {},
) => row({ cloud: 'aws', instanceType, cpus, memory, price, accelerators: null, acceleratorMemory: null, ...more });

const cards = (name: string, count: number, acceleratorMemory: number) => ({
  accelerators: { name, count },
  acceleratorMemory,
});

describe('types that might do in place of those without room', () => {
  test('are at least as large, in the same regions, not tried, and the cheapest first', () => {
    const rows = [
      made('m5.large', 2, 8, 0.1),
      made('c5.large', 2, 4, 0.08),
      made('r5.large', 2, 16, 0.13),
      made('m7i.large', 2, 8, 0.01, { region: 'elsewhere' }),
      made('m6i.large', 2, 8, 0.096),
      made('m5.xlarge', 4, 16, 0.2),
      made('m5.2xlarge', 8, 32, 0.4),
      made('unsold', 8, 32, null),
      made('with-card', 8, 32, 0.01, cards('T4', 1, 16)),
      made('arm', 8, 32, 0.01, { arch: 'arm64' }),
      { ...made('n2', 8, 32, 0.01), cloud: 'gcp' },
    ];
    expect(found(rows, 'm5.large')).toEqual(['m6i.large', 'r5.large', 'm5.xlarge']);
    expect(found(rows, 'm5.large', 'm6i.large', 'r5.large')).toEqual(['m5.xlarge', 'm5.2xlarge']);
  });

  test('have the accelerator itself before others with as much memory', () => {
    const rows = [
      made('p4d', 96, 1152, 32, cards('A100', 8, 40)),
      made('p4de', 96, 1152, 41, cards('A100-80GB', 8, 80)),
      made('p5', 192, 2048, 98, cards('H100', 8, 80)),
      made('p3', 96, 1152, 24, cards('V100', 8, 32)),
      made('p4-more', 96, 1152, 60, cards('A100', 16, 40)),
      made('cpu', 96, 1152, 4),
    ];
    expect(found(rows, 'p4d')).toEqual(['p4-more', 'p4de', 'p5']);
  });

  test('are none for what no catalogue knows', () => {
    expect(found([made('m5.large', 2, 8, 0.1)], 'unknown')).toEqual([]);
  });
});
