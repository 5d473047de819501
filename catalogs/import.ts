/** From the rows of a CSV to a catalogue: what contradicts itself is refused, and accelerators get their hosts. */
import { type Catalog, type CatalogInfo, type CatalogRow, catalogOf, rowKey } from './catalog.ts';
import { type CsvRow, readCatalogCsv, refusal } from './csv.ts';
import { type Dialect, SKYPILOT_CSV, STYX_CSV } from './csv-dialects.ts';

/** @throws invalid, with file and line, when the file is no catalogue or contradicts itself */
export function importCatalog(bytes: Uint8Array, file: string, info: CatalogInfo): Catalog {
  const { dialect, rows } = readCatalogCsv(bytes, file, info.cloud);
  const hosted = dialect.attachable === null ? rows : withHosts(rows, dialect.attachable, file);
  return catalogOf(info, unique(hosted, dialect, file));
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

/** Accelerators that GCP attaches to as few as 4 vCPUs each; to the others belong 8. */
const SMALL_HOSTS = new Set(['T4', 'P4']);

/**
 * SkyPilot lists accelerators of GCP without the machine that they are attached to, and their price alone. Each becomes
 * one offer for each N1 machine of its size in its place, at the sum. Where no such machine is sold, there is no offer.
 */
function withHosts(rows: readonly CsvRow[], attachable: string, file: string): CsvRow[] {
  const place = ({ region, zone }: CatalogRow) => JSON.stringify([region, zone]);
  const [alone, whole] = [true, false].map((is) =>
    rows.filter(({ row }) => (row.instanceType === attachable) === is),
  ) as [CsvRow[], CsvRow[]];
  const [first] = alone;
  if (first === undefined) return whole;
  const hosts = whole
    .map(({ row }) => row)
    .filter((row) => row.accelerators === null && /^n1-(standard|highmem)-\d+$/.test(row.instanceType));
  if (hosts.length === 0) {
    throw refusal(
      file,
      first.line,
      `${SKYPILOT_CSV.columns.instanceType} is empty, and the file has no N1 machine as its host`,
    );
  }
  const byPlace = Map.groupBy(hosts, place);
  const offers = alone.flatMap(({ row, line }) => {
    const { name, count } = row.accelerators ?? { name: '', count: 0 };
    const sizes = SMALL_HOSTS.has(name) ? [count * 4, count * 8] : [count * 8];
    const fitting = (byPlace.get(place(row)) ?? []).filter(({ cpus }) => cpus !== null && sizes.includes(cpus));
    return fitting.map((host) => ({ line, row: attached(row, host) }));
  });
  return [...whole, ...offers];
}

function attached(row: CatalogRow, host: CatalogRow): CatalogRow {
  const { instanceType, cpus, memory, arch } = host;
  return {
    ...row,
    instanceType,
    cpus,
    memory,
    arch,
    price: sum(row.price, host.price),
    spotPrice: sum(row.spotPrice, host.spotPrice),
  };
}

function sum(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.round((a + b) * 1e6) / 1e6;
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
