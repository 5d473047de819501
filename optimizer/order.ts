/** The order of offers. */
import type { Ranked } from './request.ts';

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Of places that cost the same SkyPilot takes one in the United States. */
function isElsewhere({ region }: Ranked): boolean {
  return !/^us/i.test(region);
}

/** A total order of different offers of one alternative, so that the answer never depends on the order of the rows. */
export function byCost(a: Ranked, b: Ranked): number {
  return (
    a.cost - b.cost ||
    // With reservations: what is cheaper once they are used up.
    a.hourlyCost - b.hourlyCost ||
    compareText(a.cloud, b.cloud) ||
    Number(isElsewhere(a)) - Number(isElsewhere(b)) ||
    compareText(a.region, b.region) ||
    compareText(a.zone ?? '', b.zone ?? '') ||
    compareText(a.instanceType, b.instanceType) ||
    Number(a.useSpot) - Number(b.useSpot) ||
    compareText(a.accelerators?.name ?? '', b.accelerators?.name ?? '') ||
    (a.accelerators?.count ?? 0) - (b.accelerators?.count ?? 0) ||
    (a.cpus ?? 0) - (b.cpus ?? 0) ||
    (a.memory ?? 0) - (b.memory ?? 0) ||
    compareText(a.arch ?? '', b.arch ?? '') ||
    a.alternative - b.alternative
  );
}
