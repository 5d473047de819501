/** Writes the tables that are made from the code into docs/. Run it when test/docs says that they differ. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DOC_TABLES, withTables } from './doc-tables.ts';

for (const [file, tables] of Object.entries(DOC_TABLES)) {
  const path = join(import.meta.dirname, '..', file);
  const before = readFileSync(path, 'utf8');
  const after = withTables(before, tables);
  if (after === before) continue;
  writeFileSync(path, after);
  console.log(`wrote ${file}`);
}
