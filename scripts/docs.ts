/** Writes the tables that are made from the code into docs/. Run it when test/docs says that they differ. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DOC_FILES, DOC_TABLES, withTables } from './doc-tables.ts';

const path = (file: string) => join(import.meta.dirname, '..', file);
const read = (file: string) => (existsSync(path(file)) ? readFileSync(path(file), 'utf8') : '');

function write(file: string, after: string): void {
  if (after === read(file)) return;
  writeFileSync(path(file), after);
  console.log(`wrote ${file}`);
}

for (const [file, tables] of Object.entries(DOC_TABLES)) write(file, withTables(read(file), tables));
for (const [file, made] of Object.entries(DOC_FILES)) write(file, made);
