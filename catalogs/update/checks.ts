/** What is held against fetched prices before they are believed. */
import { StyxError } from '../../model/errors.ts';
import type { CatalogRow } from '../catalog.ts';
import { rowKey } from '../catalog.ts';

/** A price that moves so much is a unit or a field read wrongly before it is a price. */
const SUSPECT_FACTOR = 10;
/** A list that lost more than this share of its rows is a broken list. */
const LEAST_SHARE = 0.5;
const MAX_PRICE = 1e6;

export interface QuarantinedPrice {
  readonly instanceType: string;
  readonly region: string;
  readonly zone: string | null;
  readonly kind: 'price' | 'spotPrice';
  /** Stays. US dollars an hour. */
  readonly before: number;
  /** What the cloud says now; null of none. */
  readonly fetched: number;
}

export interface Checked {
  readonly rows: readonly CatalogRow[];
  readonly quarantined: readonly QuarantinedPrice[];
  readonly added: number;
  readonly removed: number;
  /** Rows of which a price is another one than before. */
  readonly changed: number;
}

/**
 * @param before the catalogue that stands; null: there is none
 * @param spot does the list say this row's spot price? Otherwise the one that stands stays
 * @param force believe all of it
 * @throws invalid at a row that cannot be, or when most of the rows are gone
 */
export function checkRows(
  cloud: string,
  fetched: readonly CatalogRow[],
  before: readonly CatalogRow[] | null,
  { spot, force }: { spot: (row: CatalogRow) => boolean; force: boolean },
): Checked {
  const rows = cheapest(fetched);
  for (const row of rows) checkRow(cloud, row);
  const old = new Map((before ?? []).map((row) => [rowKey(row), row]));
  if (rows.length === 0) throw refused(cloud, 'it has no rows at all', 'Nothing was changed.');
  if (!force && rows.length < old.size * LEAST_SHARE) {
    throw refused(
      cloud,
      `it has ${rows.length} rows, and the one that stands has ${old.size}`,
      'Nothing was changed. If so much is really gone, run it again with --force.',
    );
  }
  const quarantined: QuarantinedPrice[] = [];
  let changed = 0;
  const kept = rows.map((row) => {
    const was = old.get(rowKey(row));
    if (was === undefined) return row;
    const price = trusted('price', row, was, force, quarantined);
    const spotPrice = spot(row) ? trusted('spotPrice', row, was, force, quarantined) : was.spotPrice;
    if (price !== was.price || spotPrice !== was.spotPrice) changed++;
    return { ...row, price, spotPrice };
  });
  const known = rows.filter((row) => old.has(rowKey(row))).length;
  return { rows: kept, quarantined, changed, added: rows.length - known, removed: old.size - known };
}

function trusted(
  kind: 'price' | 'spotPrice',
  row: CatalogRow,
  was: CatalogRow,
  force: boolean,
  quarantined: QuarantinedPrice[],
): number | null {
  const [before, fetched] = [was[kind], row[kind]];
  if (force || before === null || fetched === null || before === fetched) return fetched;
  const [low, high] = before < fetched ? [before, fetched] : [fetched, before];
  if (high < low * SUSPECT_FACTOR) return fetched;
  const { instanceType, region, zone } = row;
  quarantined.push({ instanceType, region, zone, kind, before, fetched });
  return before;
}

/** Lists name some offers twice; the lower price holds, as with SkyPilot's files. */
function cheapest(rows: readonly CatalogRow[]): CatalogRow[] {
  const best = new Map<string, CatalogRow>();
  for (const row of rows) {
    const key = rowKey(row);
    const other = best.get(key);
    if (other === undefined || (row.price ?? Infinity) < (other.price ?? Infinity)) best.set(key, row);
  }
  return [...best.values()];
}

function checkRow(cloud: string, row: CatalogRow): void {
  const { instanceType, region, zone, cpus, memory, price, spotPrice, accelerators, acceleratorMemory } = row;
  for (const name of [instanceType, region, zone ?? 'none', accelerators?.name ?? 'none']) {
    // Names reach terminals and requests to clouds.
    if (name.trim() === '' || name.length > 128 || /[\p{C}\p{Zl}\p{Zp}\ufffd]/u.test(name)) {
      throw refused(cloud, `${JSON.stringify(name.slice(0, 128))} is no name`, 'Nothing was changed.');
    }
  }
  const figures = { cpus, memory, price, spotPrice, acceleratorMemory, accelerators: accelerators?.count ?? null };
  for (const [field, value] of Object.entries(figures)) {
    if (
      value === null ||
      (Number.isFinite(value) && value >= 0 && value <= (field === 'acceleratorMemory' ? 1e7 : MAX_PRICE))
    )
      continue;
    throw refused(cloud, `${field} of ${instanceType} in ${region} cannot be ${value}`, 'Nothing was changed.');
  }
}

function refused(cloud: string, why: string, hint: string): StyxError {
  return new StyxError('invalid', `the fetched catalogue of ${cloud} is refused: ${why}`, { hint });
}
