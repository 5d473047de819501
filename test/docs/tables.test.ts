/** Docs say what the code's tables say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NOT_EXECUTED_FIELDS } from '../../model/executable.ts';
import { fieldDocs } from '../../model/spec/json-schema.ts';
import { DOC_FILES, DOC_TABLES, withTables } from '../../scripts/doc-tables.ts';

const root = join(import.meta.dirname, '..', '..');
const text = (file: string) => readFileSync(join(root, file), 'utf8');

test.each(Object.entries(DOC_TABLES))(
  'the tables of %s are those of the code (else: node scripts/docs.ts)',
  (file, tables) => {
    expect(text(file)).toBe(withTables(text(file), tables));
  },
);

test.each(Object.entries(DOC_FILES))('%s is what the code makes (else: node scripts/docs.ts)', (file, made) => {
  expect(text(file)).toBe(made);
});

test('every field that is refused is a field of the table', () => {
  const paths = fieldDocs().map(({ path }) => path);
  expect(paths.length).toBeGreaterThan(150);
  expect(NOT_EXECUTED_FIELDS.filter((path) => !paths.includes(path))).toEqual([]);
});
