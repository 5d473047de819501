import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CatalogRow, catalogOf, rowKey } from '../../catalogs/catalog.ts';
import { catalogRows, INFO } from './rows.ts';

const sorted = (rows: Iterable<CatalogRow>) => [...rows].sort((a, b) => (rowKey(a) < rowKey(b) ? -1 : 1));

test('a catalogue has the rows that it was made of, and no others', () => {
  fc.assert(
    fc.property(catalogRows, (rows) => {
      const catalog = catalogOf(INFO, rows);
      expect(catalog.length).toBe(rows.length);
      expect(sorted(catalog.rows())).toEqual(sorted(rows));
    }),
  );
});

test('the order in which rows come does not matter', () => {
  fc.assert(
    fc.property(catalogRows, (rows) => {
      expect(catalogOf(INFO, rows.toReversed())).toEqual(catalogOf(INFO, rows));
    }),
  );
});

test('only rows of wanted shapes are made', () => {
  fc.assert(
    fc.property(catalogRows, (rows) => {
      const wanted = [...catalogOf(INFO, rows).rows(({ accelerators }) => accelerators !== null)];
      expect(sorted(wanted)).toEqual(sorted(rows.filter(({ accelerators }) => accelerators !== null)));
    }),
  );
});
