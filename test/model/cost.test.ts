import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Cost, costAt, hourlyNow, NO_COST, startCost, stopCost, upTimeAt } from '../../model/cost.ts';
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
function play(all: readonly Step[]): { cost: Cost; now: number; expected: number; up: number } {
  let cost = NO_COST;
  let now = 1_700_000_000_000;
  let expected = 0;
  let up = 0;
  for (const { after, hourly } of all) {
    expected += cost.since === null ? 0 : (Math.max(0, after) / HOUR) * cost.hourly;
    up += cost.since === null ? 0 : Math.max(0, after);
    now += after;
    cost = hourly === null ? stopCost(cost, now) : startCost(cost, hourly, now);
  }
  return { cost, now, expected, up };
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
    const { cost, now, expected, up } = play(all);
    expect(costAt(cost, now)).toBeCloseTo(expected, 6);
    expect(upTimeAt(cost, now)).toBe(up);
  });
  holds(law, 500);
});

/** What happened, as somebody who keeps a book of it writes it down: from when to when, at which price. */
type Interval = { from: number; to: number; hourly: number };

test('cost and time are the sums of a book of all intervals, at any moment, however often it starts and stops', () => {
  const changes = fc.array(
    fc.record({
      after: fc.integer({ min: 0, max: 100 * HOUR }),
      hourly: fc.option(fc.double({ min: 0, max: 100, noNaN: true })),
    }),
    { maxLength: 40 },
  );
  const law = fc.property(changes, fc.integer({ min: 0, max: 50 * HOUR }), (all, later) => {
    const book: Interval[] = [];
    let [cost, now, open]: [Cost, number, Interval | null] = [NO_COST, 1_700_000_000_000, null];
    for (const { after, hourly } of all) {
      now += after;
      if (open !== null) book.push({ ...open, to: now });
      open = hourly === null ? null : { from: now, to: now, hourly };
      cost = hourly === null ? stopCost(cost, now) : startCost(cost, hourly, now);
    }
    now += later;
    if (open !== null) book.push({ ...open, to: now });
    const sum = (of: (one: Interval) => number) => book.reduce((total, one) => total + of(one), 0);
    expect(costAt(cost, now)).toBeCloseTo(
      sum(({ from, to, hourly }) => ((to - from) / HOUR) * hourly),
      6,
    );
    expect(upTimeAt(cost, now)).toBe(sum(({ from, to }) => to - from));
    expect(hourlyNow(cost)).toBe(open?.hourly ?? 0);
  });
  holds(law, 500);
});

test('a total that was counted without its time, by an older version, goes on', () => {
  const { upMs: _, ...older } = stopCost(startCost(NO_COST, 3, 0), 2 * HOUR);
  const again = startCost(older, 1, 5 * HOUR);
  expect([costAt(again, 6 * HOUR), upTimeAt(again, 6 * HOUR)]).toEqual([7, HOUR]);
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
