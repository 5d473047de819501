/** The figures that Styx brings, every row of them. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { rowKey } from '../../catalogs/catalog.ts';
import { encodeCatalog } from '../../catalogs/format.ts';
import { exportCatalog, importCatalog } from '../../catalogs/import.ts';
import { catalogFiles, loadCatalog } from '../../catalogs/load.ts';
import { findAccelerator } from '../../model/accelerators.ts';

const files = catalogFiles('/nonexistent');
const ISO = /^\d{4}(-\d\d(-\d\d)?)?$/;

test('there is a catalogue of each cloud that is sold by the hour', () => {
  expect(files.map(({ cloud }) => cloud)).toEqual(
    (
      'aws azure cudo do fluidstack gcp hetzner hyperbolic hyperstack ibm jarvislabs lambda nebius oci ovhcloud paperspace ' +
      'primeintellect runpod scaleway scp seeweb shadeform vast verda'
    ).split(' '),
  );
});

test('all of them are small on disk and in memory', async () => {
  const loaded = await Promise.all(files.map((file) => loadCatalog(file)));
  const rows = loaded.reduce((sum, { catalog }) => sum + catalog.length, 0);
  expect(rows).toBeGreaterThan(20_000);
  expect(loaded.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(1_000_000);
  const columns = loaded.flatMap(({ catalog: { columns } }) => [columns.price, columns.spotPrice, columns.place]);
  expect(columns.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(1_000_000);
});

describe.each(files)('$cloud', (file) => {
  test('says what each figure is, where it is from and how old it is', async () => {
    const { catalog } = await loadCatalog(file);
    const { cloud, sources, prices, spotPrices, undated } = catalog.info;
    expect(cloud).toBe(file.cloud);
    expect(sources.length).toBeGreaterThan(0);
    for (const source of sources) {
      expect(source.of).not.toBe('');
      expect(source.from).not.toBe('');
      expect(source.date ?? '2026').toMatch(ISO);
    }
    const dates = sources.flatMap(({ date }) => date ?? []);
    for (const date of [prices, spotPrices]) expect(date === null || dates.includes(date), `${date}`).toBe(true);
    const ofPrices = sources.filter(({ of }) => of.includes('price') || of.includes('market'));
    expect(undated).toBe(ofPrices.some(({ date }) => date === null));
  });

  test('has plausible rows, none twice, and known accelerators alone', async () => {
    const { catalog } = await loadCatalog(file);
    const wrong: string[] = [];
    const keys = new Set<string>();
    for (const row of catalog.rows()) {
      const { instanceType, region, price, spotPrice, cpus, memory, accelerators, acceleratorMemory } = row;
      const key = rowKey(row);
      const check = (fine: boolean, what: string) => {
        if (!fine) wrong.push(`${what}: ${key}`);
      };
      check(!keys.has(key), 'twice');
      keys.add(key);
      check(instanceType !== '' && region !== '', 'no name');
      check(price !== null && price > 0 && price < 200_000, `price ${price}`);
      check(spotPrice === null || (spotPrice > 0 && spotPrice <= (price ?? 0) * 1.2), `spot ${spotPrice} of ${price}`);
      check(cpus !== null && cpus > 0 && cpus < 2000, `cpus ${cpus}`);
      check(memory !== null && memory > 0 && memory < 40_000, `memory ${memory}`);
      if (accelerators === null) {
        check(acceleratorMemory === null, 'memory of no accelerator');
        continue;
      }
      const known = findAccelerator(accelerators.name);
      check(known?.name === accelerators.name, `unknown ${accelerators.name}`);
      check(acceleratorMemory === known?.memory, `memory ${acceleratorMemory} of ${accelerators.name}`);
      check(accelerators.count > 0 && accelerators.count <= 16, `count ${accelerators.count}`);
    }
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(keys.size).toBe(catalog.length);
    expect(catalog.length).toBeGreaterThan(0);
  });

  test('is rebuilt byte for byte from the CSV that it is exported as', async () => {
    const { catalog } = await loadCatalog(file);
    const rebuilt = importCatalog(Buffer.from(exportCatalog(catalog)), 'x.csv', catalog.info);
    expect(encodeCatalog(rebuilt)).toBe(readFileSync(file.path, 'utf8'));
  });
});
