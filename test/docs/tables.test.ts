/** Docs say what the code's tables say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { KNOWN_FIELDS, UNSUPPORTED_FIELDS } from '../../model/task-schema.ts';
import { DOC_TABLES, withTables } from '../../scripts/doc-tables.ts';

const root = join(import.meta.dirname, '..', '..');
const text = (file: string) => readFileSync(join(root, file), 'utf8');

test.each(Object.entries(DOC_TABLES))(
  'the tables of %s are those of the code (else: node scripts/docs.ts)',
  (file, tables) => {
    expect(text(file)).toBe(withTables(text(file), tables));
  },
);

test('docs/task-yaml.md describes every field of a task, and no other', () => {
  const all = Object.entries(KNOWN_FIELDS).flatMap(([holder, names]) =>
    names.map((name) => (holder === '' ? name : `${holder}.${name}`)),
  );
  const [, section = ''] = text('docs/task-yaml.md').split('## Fields');
  const described = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| `([\w.]+)` \|/gm)].map((match) => match[1]);
  expect(described.toSorted()).toEqual(all.toSorted());
  expect(all.length).toBeGreaterThan(20);
});

test('no field is both known and refused', () => {
  for (const [holder, names] of Object.entries(UNSUPPORTED_FIELDS)) {
    expect(names.filter((name) => KNOWN_FIELDS[holder]?.includes(name))).toEqual([]);
  }
});
