/** Which types of machines are at least as large as those that had no room. */
import type { CatalogRow } from '../catalogs/catalog.ts';

type Tried = Pick<CatalogRow, 'cloud' | 'region' | 'instanceType'>;

/**
 * In the regions of `tried`, with no fewer CPUs, memory and accelerators than the smallest of them: those with its accelerator first, then
 * the cheapest on demand; each type once, where it costs least.
 */
export function otherTypes(rows: readonly CatalogRow[], tried: readonly Tried[], most: number): CatalogRow[] {
  const keys = new Set(tried.map(keyOf));
  const shapes = rows.filter((row) => keys.has(keyOf(row)));
  if (shapes.length === 0) return [];
  const regions = new Set(tried.map(regionOf));
  const names = new Set(shapes.map(({ accelerators }) => accelerators?.name));
  const fits = rows.filter(
    (row) =>
      row.price !== null &&
      regions.has(regionOf(row)) &&
      !keys.has(keyOf(row)) &&
      shapes.some((shape) => isAsLarge(row, shape)),
  );
  const isOther = (row: CatalogRow) => Number(!names.has(row.accelerators?.name));
  fits.sort((a, b) => isOther(a) - isOther(b) || (a.price ?? 0) - (b.price ?? 0));
  const first = new Map<string, CatalogRow>();
  for (const row of fits) if (!first.has(keyOf(row))) first.set(keyOf(row), row);
  return [...first.values()].slice(0, most);
}

function keyOf({ cloud, instanceType }: Tried): string {
  return `${cloud} ${instanceType}`;
}

function regionOf({ cloud, region }: Tried): string {
  return `${cloud} ${region}`;
}

/** Another accelerator counts when it has as much memory. Images are made for an architecture. */
function isAsLarge(row: CatalogRow, than: CatalogRow): boolean {
  if (row.arch !== than.arch) return false;
  if ((row.cpus ?? 0) < (than.cpus ?? 0) || (row.memory ?? 0) < (than.memory ?? 0)) return false;
  if (row.accelerators === null || than.accelerators === null) return row.accelerators === than.accelerators;
  if (row.accelerators.count < than.accelerators.count) return false;
  if (row.accelerators.name === than.accelerators.name) return true;
  return (
    row.acceleratorMemory !== null && row.acceleratorMemory >= (than.acceleratorMemory ?? Number.POSITIVE_INFINITY)
  );
}
