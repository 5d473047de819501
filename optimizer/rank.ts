/** All offers that meet a request, the best first, and why the others do not. */
import type { CatalogRow } from '../catalogs/catalog.ts';
import type { Alternative } from '../model/spec/resources.ts';
import { type Check, checksOf, priceOf, uncheckedFields } from './constraints.ts';
import { diskCost } from './disk.ts';
import { byCost } from './order.ts';
import { relaxationsOf } from './relax.ts';
import type { PlacementRequest, Ranked, Ranking, RankOptions, Reason, Relaxation } from './request.ts';

/** `rows` is walked once for each alternative, so give an array. */
export function rank(request: PlacementRequest, rows: readonly CatalogRow[], options: RankOptions = {}): Ranking {
  const { resources, arch = null } = request;
  const excluded: Reason[] = [];
  const groups = resources.alternatives.map((one, alternative) => {
    const checks = checksOf(one, arch, options.clouds ?? null);
    const price = pricing(request, one, alternative, options);
    const { fits, reasons } = sift(rows, checks, alternative);
    const made = fits.map((row) => price(row, one.useSpot));
    const kept = options.types === 'cheapest' ? cheapestTypes(made) : made;
    excluded.push(...reasons);
    if (kept.length < made.length) {
      const rows = made.length - kept.length;
      excluded.push({ alternative, constraint: 'cheapest_type', asked: 'the cheapest type', rows, alone: rows });
    }
    return { checks, price, kept };
  });
  const placements =
    resources.order === 'ordered'
      ? groups.flatMap(({ kept }) => kept.sort(byCost))
      : groups.flatMap(({ kept }) => kept).sort(byCost);
  const relaxations: Relaxation[] =
    placements.length > 0
      ? []
      : groups.flatMap(({ checks, price }, alternative) => {
          const { useSpot } = resources.alternatives[alternative] as Alternative;
          const sold = (row: CatalogRow) => (priceOf(row, useSpot) === null ? !useSpot : useSpot);
          return relaxationsOf(rows, checks, alternative, (row) => price(row, sold(row)));
        });
  return {
    placements: groups.length === 1 ? placements : once(placements),
    excluded,
    considered: rows.length,
    relaxations,
    unchecked: uncheckedFields(resources.alternatives),
  };
}

function sift(
  rows: readonly CatalogRow[],
  checks: readonly Check[],
  alternative: number,
): { fits: CatalogRow[]; reasons: Reason[] } {
  const fits: CatalogRow[] = [];
  const failing = checks.map(() => 0);
  const alone = checks.map(() => 0);
  for (const row of rows) {
    let failed = 0;
    let last = 0;
    for (let at = 0; at < checks.length; at++) {
      if ((checks[at] as Check).fits(row)) continue;
      failing[at] = (failing[at] as number) + 1;
      failed++;
      last = at;
    }
    if (failed === 0) fits.push(row);
    else if (failed === 1) alone[last] = (alone[last] as number) + 1;
  }
  const reasons = checks
    .map(({ constraint, asked }, at) => ({
      alternative,
      constraint,
      asked,
      rows: failing[at] as number,
      alone: alone[at] as number,
    }))
    .filter((reason) => reason.rows > 0)
    .sort((a, b) => b.rows - a.rows);
  return { fits, reasons };
}

type Pricing = (row: CatalogRow, useSpot: boolean) => Ranked;

function pricing(
  { numNodes }: PlacementRequest,
  { diskSize }: Alternative,
  alternative: number,
  options: RankOptions,
): Pricing {
  const { hours: all = 1, reservations = [], disk = null } = options;
  const hours = typeof all === 'number' ? all : (all[alternative] ?? 1);
  return (row, useSpot) => {
    const { cloud, region, zone, instanceType, cpus, memory, accelerators, arch } = row;
    const hourlyCost = priceOf(row, useSpot) ?? 0;
    const reserved = useSpot
      ? 0
      : reservations
          .filter(
            (one) =>
              one.cloud === cloud &&
              one.instanceType === instanceType &&
              one.region === region &&
              (one.zone === null || zone === null || one.zone === zone),
          )
          .reduce((sum, { nodes }) => sum + nodes, 0);
    const reservedNodes = Math.min(numNodes, reserved);
    const diskHourly = disk === null ? 0 : diskCost(disk, cloud, diskSize);
    return {
      cloud,
      region,
      zone,
      instanceType,
      cpus,
      memory,
      accelerators,
      arch,
      useSpot,
      hourlyCost,
      alternative,
      numNodes,
      reservedNodes,
      hours,
      diskHourly,
      cost: (hourlyCost * (numNodes - reservedNodes) + diskHourly * numNodes) * hours,
    };
  };
}

function cheapestTypes(placements: readonly Ranked[]): Ranked[] {
  const best = new Map<string, Ranked>();
  for (const one of placements) {
    const known = best.get(one.cloud);
    if (known === undefined || byCost(one, known) < 0) best.set(one.cloud, one);
  }
  return placements.filter(({ cloud, instanceType }) => best.get(cloud)?.instanceType === instanceType);
}

/** An offer that several alternatives ask for stays where it stands best. */
function once(placements: readonly Ranked[]): Ranked[] {
  const seen = new Set<string>();
  return placements.filter((one) => {
    const { cloud, region, zone, instanceType, useSpot, accelerators, cpus, memory } = one;
    const key = JSON.stringify([cloud, region, zone, instanceType, useSpot, accelerators, cpus, memory]);
    return !seen.has(key) && seen.add(key);
  });
}
