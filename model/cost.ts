/** What something has cost: a running total and at most one open interval, so that it never grows. */

export interface Cost {
  /** US dollars of closed intervals. */
  readonly accrued: number;
  /** Start of the open interval, milliseconds since the epoch; null: nothing is charged now. */
  readonly since: number | null;
  /** US dollars an hour in the open interval, else in the last one. */
  readonly hourly: number;
  /** Milliseconds of closed intervals; absent: none were counted. */
  readonly upMs?: number;
}

export const NO_COST: Cost = { accrued: 0, since: null, hourly: 0 };

const HOUR = 3_600_000;

/** Charges `hourly` from `now` on; an open interval is closed first. */
export function startCost(cost: Cost, hourly: number, now: number): Cost {
  return { accrued: costAt(cost, now), since: now, hourly, upMs: upTimeAt(cost, now) };
}

export function stopCost(cost: Cost, now: number): Cost {
  if (cost.since === null) return cost;
  return { accrued: costAt(cost, now), since: null, hourly: cost.hourly, upMs: upTimeAt(cost, now) };
}

/** US dollars until `now`. A clock that went back takes nothing off. */
export function costAt(cost: Cost, now: number): number {
  return cost.since === null ? cost.accrued : cost.accrued + (cost.hourly * Math.max(0, now - cost.since)) / HOUR;
}

/** Milliseconds that were charged until `now`. */
export function upTimeAt({ since, upMs = 0 }: Cost, now: number): number {
  return since === null ? upMs : upMs + Math.max(0, now - since);
}

/** US dollars an hour now. */
export function hourlyNow(cost: Cost): number {
  return cost.since === null ? 0 : cost.hourly;
}
