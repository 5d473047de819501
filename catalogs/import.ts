/** From the rows of a CSV to a catalogue: what contradicts itself is refused, and accelerators get their hosts. */
import { withHosts } from './attached.ts';
import { type Catalog, type CatalogInfo, type CatalogRow, catalogOf, rowKey } from './catalog.ts';
import { type CsvRow, readCatalogCsv, refusal } from './csv.ts';
import { type Dialect, SKYPILOT_CSV, STYX_CSV } from './csv-dialects.ts';

/** @throws invalid, with file and line, when the file is no catalogue or contradicts itself */
export function importCatalog(bytes: Uint8Array, file: string, info: CatalogInfo): Catalog {
  const { dialect, rows } = readCatalogCsv(bytes, file, info.cloud);
  const offers = dialect.attachable === null ? rows : hosted(rows, dialect.attachable, file);
  return catalogOf(info, unique(offers, dialect, file));
}

function unique(rows: readonly CsvRow[], dialect: Dialect, file: string): CatalogRow[] {
  const seen = new Map<string, CsvRow>();
  for (const one of rows) {
    const key = rowKey(one.row);
    const before = seen.get(key);
    if (before === undefined) seen.set(key, one);
    else if (!dialect.lenient) throw refusal(file, one.line, `is the same offer as line ${before.line}`);
    else if ((one.row.price ?? Infinity) < (before.row.price ?? Infinity)) seen.set(key, one);
  }
  return [...seen.values()].map(({ row }) => row);
}

/** @throws invalid when no accelerator of the file has a machine to be attached to */
function hosted(rows: readonly CsvRow[], attachable: string, file: string): CsvRow[] {
  const offers = withHosts(rows, attachable);
  const alone = rows.find(({ row }) => row.instanceType === attachable);
  if (alone === undefined || offers.some(({ row }) => row.accelerators !== null)) return offers;
  const column = SKYPILOT_CSV.columns.instanceType;
  throw refusal(file, alone.line, `${column} is empty, and the file has no machine that the accelerator goes with`);
}

/** The catalogue as CSV in our columns, which `importCatalog` reads. */
export function exportCatalog(catalog: Catalog): string {
  const cell = (value: string | number | null) => {
    const text = String(value ?? '');
    return /[",\n\r]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [...catalog.rows()].map((row) => {
    const { instanceType, cpus, memory, arch, accelerators, acceleratorMemory, region, zone, price, spotPrice } = row;
    const { name = null, count = null } = accelerators ?? {};
    const cells = [instanceType, cpus, memory, arch, name, count, acceleratorMemory, region, zone, price, spotPrice];
    return cells.map(cell).join(',');
  });
  return `${[Object.values(STYX_CSV.columns).join(','), ...lines].join('\n')}\n`;
}
