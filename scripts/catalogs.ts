/**
 * Builds catalogs/data from CSVs, or writes those CSVs from it:
 *   node scripts/catalogs.ts export DIR
 *   node scripts/catalogs.ts build DIR
 * DIR has `<cloud>.csv` in our columns (docs/catalogs.md) and `sources.json`: by cloud, what is known of the age and the
 * sources of its figures. A cloud that DIR lacks stays as it is.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { CatalogInfo } from '../catalogs/catalog.ts';
import { decodeCatalog, encodeCatalog } from '../catalogs/format.ts';
import { exportCatalog, importCatalog } from '../catalogs/import.ts';

type Sources = Record<string, Omit<CatalogInfo, 'cloud'>>;

const data = join(import.meta.dirname, '..', 'catalogs', 'data');
const namesOf = (dir: string, extension: string) =>
  readdirSync(dir)
    .filter((name) => name.endsWith(extension))
    .map((name) => basename(name, extension))
    .sort();

function build(dir: string): void {
  const sources = JSON.parse(readFileSync(join(dir, 'sources.json'), 'utf8')) as Sources;
  for (const cloud of namesOf(dir, '.csv')) {
    const info = sources[cloud];
    if (info === undefined) throw new Error(`${join(dir, 'sources.json')} says nothing of ${cloud}`);
    const path = join(dir, `${cloud}.csv`);
    const catalog = importCatalog(readFileSync(path), path, { cloud, ...info });
    const text = encodeCatalog(catalog);
    const file = join(data, `${cloud}.json`);
    const changed = !existsSync(file) || readFileSync(file, 'utf8') !== text;
    if (changed) writeFileSync(file, text);
    console.log(`${cloud}: ${catalog.length} rows, ${text.length} bytes${changed ? '' : ', as before'}`);
  }
}

function write(dir: string): void {
  mkdirSync(dir, { recursive: true });
  const sources: Sources = {};
  for (const cloud of namesOf(data, '.json')) {
    const file = join(data, `${cloud}.json`);
    const catalog = decodeCatalog(readFileSync(file, 'utf8'), file);
    const { cloud: _, ...info } = catalog.info;
    sources[cloud] = info;
    writeFileSync(join(dir, `${cloud}.csv`), exportCatalog(catalog));
  }
  writeFileSync(join(dir, 'sources.json'), `${JSON.stringify(sources, null, 2)}\n`);
}

const [action, dir] = process.argv.slice(2);
if (dir === undefined || (action !== 'build' && action !== 'export')) {
  console.error('usage: node scripts/catalogs.ts build|export DIR');
  process.exit(2);
}
if (action === 'build') build(dir);
else write(dir);
