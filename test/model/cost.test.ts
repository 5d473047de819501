import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Cost, costAt, NO_COST, startCost, stopCost } from '../../model/cost.ts';
import { holds } from './holds.ts';

const HOUR = 3_600_000;

type Step = { after: number; hourly: number | null };
const steps = fc.array(
  fc.record({
    after: fc.integer({ min: -HOUR, max: 100 * HOUR }),
    hourly: fc.option(fc.float({ min: 0, max: 100, noNaN: true })),
  }),
);

/** A step without a price stops the charge. */
function play(all: readonly Step[]): { cost: Cost; now: number; expected: number } {
  let cost = NO_COST;
  let now = 1_700_000_000_000;
  let expected = 0;
  for (const { after, hourly } of all) {
    expected += cost.since === null ? 0 : (Math.max(0, after) / HOUR) * cost.hourly;
    now += after;
    cost = hourly === null ? stopCost(cost, now) : startCost(cost, hourly, now);
  }
  return { cost, now, expected };
}

test('an hour costs the hourly price, and nothing is charged before the start or after the stop', () => {
  const running = startCost(NO_COST, 3, 0);
  expect(costAt(NO_COST, 5 * HOUR)).toBe(0);
  expect(costAt(running, HOUR)).toBe(3);
  expect(costAt(stopCost(running, 2 * HOUR), 9 * HOUR)).toBe(6);
});

test('a new price charges the time before it at the old one', () => {
  expect(costAt(startCost(startCost(NO_COST, 3, 0), 1, HOUR), 3 * HOUR)).toBe(5);
});

test('the total is the sum of its intervals', () => {
  const law = fc.property(steps, (all) => {
    const { cost, now, expected } = play(all);
    expect(costAt(cost, now)).toBeCloseTo(expected, 6);
  });
  holds(law, 500);
});

test('the total is never negative and never shrinks, whatever the clock does', () => {
  const law = fc.property(steps, fc.integer({ min: -HOUR, max: HOUR }), (all, later) => {
    const { cost, now } = play(all);
    expect(cost.accrued).toBeGreaterThanOrEqual(0);
    expect(costAt(cost, now + later)).toBeGreaterThanOrEqual(cost.accrued);
  });
  holds(law, 500);
});

test('stopping twice is stopping once', () => {
  const law = fc.property(steps, fc.nat(), (all, later) => {
    const { cost, now } = play(all);
    const stopped = stopCost(cost, now);
    expect(stopCost(stopped, now + later)).toEqual(stopped);
    expect(costAt(stopped, now + later)).toBe(stopped.accrued);
  });
  holds(law, 300);
});
