/** When nothing fits: which constraints stand in the way, and what would be nearest without them. */
import type { CatalogRow } from '../catalogs/catalog.ts';
import type { Check } from './constraints.ts';
import { byCost } from './order.ts';
import type { Ranked, Relaxation } from './request.ts';

interface Group {
  /** Indices of the checks that its rows fail, and no others. */
  readonly failed: readonly number[];
  rows: number;
  nearest: Ranked;
  distance: number;
}

/**
 * Of rows that none fits. The rows that fail a set of checks, and no other, are those that fit without the set: every single check that
 * has such rows is told; when none has, the smallest sets.
 * Rows without any price are left out.
 */
export function relaxationsOf(
  rows: readonly CatalogRow[],
  checks: readonly Check[],
  alternative: number,
  price: (row: CatalogRow) => Ranked,
): Relaxation[] {
  const groups = new Map<number, Group>();
  for (const row of rows) {
    if (row.price === null && row.spotPrice === null) continue;
    let mask = 0;
    for (let at = 0; at < checks.length; at++) if (!(checks[at] as Check).fits(row)) mask |= 1 << at;
    if (mask === 0) continue;
    const known = groups.get(mask);
    const failed = known?.failed ?? checks.flatMap((_, at) => ((mask >> at) & 1 ? [at] : []));
    const distance = failed.reduce((sum, at) => sum + (checks[at] as Check).distance(row), 0);
    if (known === undefined) {
      groups.set(mask, { failed, rows: 1, nearest: price(row), distance });
      continue;
    }
    known.rows++;
    if (distance > known.distance) continue;
    const priced = price(row);
    if (distance === known.distance && byCost(priced, known.nearest) >= 0) continue;
    known.nearest = priced;
    known.distance = distance;
  }
  const all = [...groups.values()];
  const fewest = Math.min(...all.map(({ failed }) => failed.length));
  return all
    .filter(({ failed }) => failed.length === fewest)
    .map(({ failed, rows, nearest }) => ({
      alternative,
      relax: failed.map((at) => (checks[at] as Check).constraint),
      rows,
      nearest,
    }))
    .sort((a, b) => b.rows - a.rows || byCost(a.nearest, b.nearest) || (a.relax.join() < b.relax.join() ? -1 : 1));
}
