import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cost, costAt, NO_COST, startCost, stopCost, upTimeAt } from '../../model/cost.ts';
import {
  type Budget,
  budgetExceedsAt,
  budgetLasts,
  foreseen,
  isSpent,
  NOTHING_SPENT,
  spending,
  spentText,
} from '../../model/cost-budget.ts';
import { holds } from './holds.ts';

const HOUR = 3_600_000;
const dollars = (maxCost: number): Budget => ({ maxCost, maxDuration: null, onExceed: 'stop' });
const hours = (count: number): Budget => ({ maxCost: null, maxDuration: count * 3600, onExceed: 'stop' });

const life = fc.array(
  fc.record({
    up: fc.integer({ min: 0, max: 20 * HOUR }),
    down: fc.integer({ min: 0, max: 20 * HOUR }),
    hourly: fc.double({ min: 0.1, max: 100, noNaN: true }),
  }),
  { maxLength: 8 },
);

/** Ends with machines that are up. */
function lived(
  all: readonly { up: number; down: number; hourly: number }[],
  hourly: number,
): { cost: Cost; now: number } {
  let [cost, now]: [Cost, number] = [NO_COST, 1_700_000_000_000];
  for (const one of all) {
    cost = startCost(cost, one.hourly, now);
    now += one.up;
    cost = stopCost(cost, now);
    now += one.down;
  }
  return { cost: startCost(cost, hourly, now), now };
}

test('a budget is exceeded at the first millisecond at which a naive look finds a limit reached, whatever was before', () => {
  const limits = fc.record({
    maxCost: fc.option(fc.double({ min: 0.01, max: 5_000, noNaN: true })),
    maxDuration: fc.option(fc.integer({ min: 1, max: 400 * 3600 })),
  });
  const law = fc.property(
    life,
    life,
    limits,
    fc.double({ min: 0.1, max: 100, noNaN: true }),
    (old, all, limit, hourly) => {
      fc.pre(limit.maxCost !== null || limit.maxDuration !== null);
      const budget: Budget = { ...limit, onExceed: 'stop' };
      const first = lived(old, 1);
      const past = stopCost(first.cost, first.now);
      const before = { cost: costAt(past, first.now), upMs: upTimeAt(past, first.now) };
      const present = lived(all, hourly);
      const cost = {
        ...present.cost,
        accrued: present.cost.accrued + before.cost,
        upMs: (present.cost.upMs ?? 0) + before.upMs,
      };
      const reached = (at: number) =>
        (limit.maxCost !== null && costAt(cost, at) - before.cost >= limit.maxCost - 1e-7) ||
        (limit.maxDuration !== null && upTimeAt(cost, at) - before.upMs >= limit.maxDuration * 1_000);
      const at = budgetExceedsAt(budget, cost, before);
      if (at === null) throw new Error('a price above 0 and a limit have a moment');
      expect(reached(at)).toBe(true);
      expect(isSpent(budget, cost, before, at)).toBe(true);
      if (at > present.now) {
        // What the naive look forgives is worth 4 ms at ten cents an hour.
        expect(reached(at - 50) && at - 50 > present.now).toBe(false);
        expect(isSpent(budget, cost, before, at - 1)).toBe(false);
      } else expect(at).toBe(present.now);
      const stopped = stopCost(cost, at);
      expect([budgetExceedsAt(budget, stopped, before), isSpent(budget, stopped, before, at + HOUR)]).toEqual([
        null,
        true,
      ]);
    },
  );
  holds(law, 500);
});

describe('a budget', () => {
  test('of money lasts as long as the price lets it, one of time as long as it says', () => {
    expect(budgetLasts(dollars(10), 4)).toBe(2.5 * HOUR);
    expect(budgetLasts(hours(24), 4)).toBe(24 * HOUR);
    expect(budgetLasts({ ...hours(24), maxCost: 10 }, 4)).toBe(2.5 * HOUR);
    expect(budgetLasts(dollars(10), 0)).toBe(Infinity);
    expect(budgetLasts(dollars(1e9), 1e-6)).toBe(Infinity);
    expect(budgetLasts(dollars(10), 4, { cost: 11, upMs: 0 })).toBe(0);
  });

  test('of time does not count the time between a stop and a start', () => {
    const stopped = stopCost(startCost(NO_COST, 1, 0), 2 * HOUR);
    const cost = startCost(stopped, 1, 50 * HOUR);
    expect(budgetExceedsAt(hours(3), cost, NOTHING_SPENT)).toBe(51 * HOUR);
    expect(budgetExceedsAt(hours(3), stopped, NOTHING_SPENT)).toBeNull();
  });

  test('does not count what an older cluster of the name had spent', () => {
    const cost = startCost(stopCost(startCost(NO_COST, 5, 0), 2 * HOUR), 5, 3 * HOUR);
    const before = spending(stopCost(startCost(NO_COST, 5, 0), 2 * HOUR), NOTHING_SPENT, 3 * HOUR);
    expect(budgetExceedsAt(dollars(10), cost, before)).toBe(5 * HOUR);
    expect(budgetExceedsAt(dollars(10), cost, NOTHING_SPENT)).toBe(3 * HOUR);
  });

  test('says which limit was reached', () => {
    const cost = startCost(NO_COST, 4, 0);
    expect(spentText({ ...hours(24), maxCost: 10 }, cost, NOTHING_SPENT)).toBe('its budget of $10.00 is spent');
    expect(spentText({ ...hours(2), maxCost: 10 }, cost, NOTHING_SPENT)).toBe('its budget of 2h of running is spent');
  });

  test('is foreseen in words', () => {
    expect(foreseen(dollars(10), 4.1)).toBe(
      'At $4.10/h this budget of $10.00 lasts 2h 26m; then the cluster is stopped.',
    );
    expect(foreseen({ ...hours(36), maxCost: 1000, onExceed: 'down' }, 4.1)).toBe(
      'At $4.10/h this budget of $1000.00 or 1d 12h of running lasts 1d 12h; then the cluster is ended.',
    );
    expect(foreseen(dollars(0.05), 0)).toBe('At $0.0000/h this budget of $0.0500 is never spent.');
  });
});
