import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { catalogOf } from '../../catalogs/catalog.ts';
import { decodeCatalog, encodeCatalog } from '../../catalogs/format.ts';
import { exportCatalog, importCatalog } from '../../catalogs/import.ts';
import { catalogRows, INFO } from './rows.ts';

test('what is built, written and loaded is what it was made of', () => {
  fc.assert(
    fc.property(catalogRows, (rows) => {
      const built = catalogOf(INFO, rows);
      expect(decodeCatalog(encodeCatalog(built), 'x')).toEqual(built);
      expect(importCatalog(Buffer.from(exportCatalog(built)), 'x.csv', INFO)).toEqual(built);
    }),
  );
});

describe('a file that is not whole is refused by its name', () => {
  const [row] = fc.sample(
    catalogRows.filter((rows) => rows.length > 1),
    { numRuns: 1, seed: 7 },
  );
  const whole = encodeCatalog(catalogOf(INFO, row ?? []));

  test('wherever it was cut', () => {
    expect(() => decodeCatalog(whole, 'aws.json')).not.toThrow();
    for (let end = 0; end < whole.length - 2; end++) {
      expect(() => decodeCatalog(whole.slice(0, end), 'aws.json'), `cut at ${end}`).toThrow(/^aws\.json is not a/);
    }
  });

  test.each([
    ['of another version', (text: string) => text.replace('styx-catalog/1', 'styx-catalog/9')],
    ['with a row less', (text: string) => text.replace(/"rows": \d+/, '"rows": 1000')],
    ['with more rows than it says', (text: string) => text.replace(/"rows": \d+/, '"rows": 1')],
    ['with a place that it does not list', (text: string) => text.replace(/"places": \[[^\]]*\],/, '"places": [')],
    ['of nothing', () => 'null'],
  ])('%s', (_, broken) => {
    expect(() => decodeCatalog(broken(whole), 'aws.json')).toThrow(
      /^aws\.json is not a catalogue of the form styx-catalog\/1/,
    );
  });
});
