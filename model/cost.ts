/** What a cluster has cost: a running total and at most one open interval, of its machines or of the disks that they left, so that it never grows. */

export interface Cost {
  /** US dollars of closed intervals. */
  readonly accrued: number;
  /** Start of the interval in which machines are charged, milliseconds since the epoch; null: none are now. */
  readonly since: number | null;
  /** US dollars an hour in that interval, disks included; else in the last one. */
  readonly hourly: number;
  /** Milliseconds of closed intervals; absent: none were counted. */
  readonly upMs?: number;
  /** Disks of machines that are stopped, US dollars an hour of all of them from then on; absent: none are charged now. Never beside `since`. */
  readonly disks?: { readonly since: number; readonly hourly: number };
}

export const NO_COST: Cost = { accrued: 0, since: null, hourly: 0 };

const HOUR = 3_600_000;

/** Charges `hourly` for machines and their disks from `now` on; what was charged until then ends. */
export function startCost(cost: Cost, hourly: number, now: number): Cost {
  return { accrued: costAt(cost, now), since: now, hourly, upMs: upTimeAt(cost, now) };
}

/** The end of all: nothing is charged from `now` on. */
export function stopCost(cost: Cost, now: number): Cost {
  if (cost.since === null && cost.disks === undefined) return cost;
  return { accrued: costAt(cost, now), since: null, hourly: cost.hourly, upMs: upTimeAt(cost, now) };
}

/** The machines stop and leave their disks, which cost `hourly` from `now` on; 0: nothing. */
export function keepDisks(cost: Cost, hourly: number, now: number): Cost {
  const stopped = stopCost(cost, now);
  return hourly > 0 ? { ...stopped, disks: { since: now, hourly } } : stopped;
}

/** US dollars until `now`. A clock that went back takes nothing off. */
export function costAt({ accrued, since, hourly, disks }: Cost, now: number): number {
  if (since !== null) return accrued + charge(hourly, since, now);
  return disks === undefined ? accrued : accrued + charge(disks.hourly, disks.since, now);
}

function charge(hourly: number, since: number, now: number): number {
  return (hourly * Math.max(0, now - since)) / HOUR;
}

/** Milliseconds that machines were charged until `now`. */
export function upTimeAt({ since, upMs = 0 }: Cost, now: number): number {
  return since === null ? upMs : upMs + Math.max(0, now - since);
}

/** US dollars an hour now. */
export function hourlyNow(cost: Cost): number {
  return cost.since === null ? (cost.disks?.hourly ?? 0) : cost.hourly;
}
