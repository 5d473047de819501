/** What a cluster may cost and how long its machines may be up, and when that is over. All times are arguments. */
import { type Cost, costAt, hourlyNow, upTimeAt } from './cost.ts';
import { formatDuration } from './duration.ts';

export interface Budget {
  /** US dollars; null: any. One of the two limits is there. */
  readonly maxCost: number | null;
  /** Seconds that the cluster's machines are up; null: any. */
  readonly maxDuration: number | null;
  readonly onExceed: 'stop' | 'down' | 'notify';
}

export interface ClusterBudget extends Budget {
  /** When it was found to be spent last, and how; absent: not yet. */
  readonly exceeded?: { readonly at: number; readonly why: string };
}

/** As people and programs see it. */
export interface BudgetView extends Budget {
  /** When it is spent if nothing changes; null while nothing costs, or when it never is. */
  readonly exceedsAt: number | null;
  readonly exceeded: { readonly at: number; readonly why: string } | null;
}

/** What counts against a budget. */
export interface Spending {
  /** US dollars. */
  readonly cost: number;
  readonly upMs: number;
}

export const NOTHING_SPENT: Spending = { cost: 0, upMs: 0 };

const HOUR = 3_600_000;
/** Sums of floating-point numbers are not exact to the last digit. */
const TOLERANCE = 1e-9;
/** Longer than any limit of time, and what timers can be set to. */
const NEVER_MS = 10 * 365 * 24 * HOUR;

/** Spent until `now`, without what had been spent `before` the budget's count began. */
export function spending(cost: Cost, before: Spending, now: number): Spending {
  return { cost: costAt(cost, now) - before.cost, upMs: upTimeAt(cost, now) - before.upMs };
}

function limits({ maxCost, maxDuration }: Budget, spent: Spending, hourly: number): { byCost: number; byTime: number } {
  const left = (maxCost ?? 0) - spent.cost;
  const costMs = left <= (maxCost ?? 0) * TOLERANCE ? 0 : hourly > 0 ? Math.ceil((left / hourly) * HOUR) : Infinity;
  return {
    byCost: maxCost === null ? Infinity : costMs,
    byTime: maxDuration === null ? Infinity : Math.max(0, maxDuration * 1_000 - spent.upMs),
  };
}

/** Milliseconds until it is spent, at `hourly` US dollars an hour; 0: it is. Infinity: more than ten years, or never. */
export function budgetLasts(budget: Budget, hourly: number, spent: Spending = NOTHING_SPENT): number {
  const { byCost, byTime } = limits(budget, spent, hourly);
  const ms = Math.min(byCost, byTime);
  return ms > NEVER_MS ? Infinity : ms;
}

/** The moment in the open interval from which it is spent; null when nothing is charged now, or never. */
export function budgetExceedsAt(budget: Budget, cost: Cost, before: Spending): number | null {
  if (cost.since === null) return null;
  const ms = budgetLasts(budget, cost.hourly, spending(cost, before, cost.since));
  return ms === Infinity ? null : cost.since + ms;
}

export function isSpent(budget: Budget, cost: Cost, before: Spending, now: number): boolean {
  const exceedsAt = budgetExceedsAt(budget, cost, before);
  if (exceedsAt !== null) return exceedsAt <= now;
  return budgetLasts(budget, hourlyNow(cost), spending(cost, before, now)) === 0;
}

function costText(dollars: number): string {
  return `$${dollars.toFixed(dollars < 0.1 ? 4 : 2)}`;
}

function timeText(seconds: number): string {
  return `${formatDuration(seconds)} of running`;
}

/** `$10.00 or 1d of running`. */
export function budgetText({ maxCost, maxDuration }: Budget): string {
  return [
    ...(maxCost === null ? [] : [costText(maxCost)]),
    ...(maxDuration === null ? [] : [timeText(maxDuration)]),
  ].join(' or ');
}

/** Why it counts as spent: the limit that was reached first. */
export function spentText(budget: Budget, cost: Cost, before: Spending): string {
  const { byCost, byTime } = limits(budget, spending(cost, before, cost.since ?? 0), cost.hourly);
  const limit = byTime < byCost ? { maxCost: null } : { maxDuration: null };
  return `its budget of ${budgetText({ ...budget, ...limit })} is spent`;
}

const THEN = { stop: 'the cluster is stopped', down: 'the cluster is ended', notify: 'that is told' } as const;

/** For who is about to launch: `At $4.10/h this budget of $10.00 lasts 2h 26m; then the cluster is stopped.` */
export function foreseen(budget: Budget, hourly: number): string {
  const ms = budgetLasts(budget, hourly);
  const start = `At ${costText(hourly)}/h this budget of ${budgetText(budget)}`;
  if (ms === Infinity) return `${start} is never spent.`;
  return `${start} lasts ${formatDuration(ms / 1_000)}; then ${THEN[budget.onExceed]}.`;
}
