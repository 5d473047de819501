import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Cost, costAt, hourlyNow, keepDisks, NO_COST, startCost, stopCost, upTimeAt } from '../../model/cost.ts';
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

/** What happened, as somebody who keeps a book of it writes it down: from when to when, at which price, for machines or for disks alone. */
type Interval = { from: number; to: number; hourly: number; up: boolean };

test('cost and time are the sums of a book of all intervals, at any moment, however often it starts and stops', () => {
  const changes = fc.array(
    fc.record({
      after: fc.integer({ min: 0, max: 100 * HOUR }),
      what: fc.constantFrom('start', 'stop', 'end'),
      hourly: fc.double({ min: 0, max: 100, noNaN: true }),
    }),
    { maxLength: 40 },
  );
  const law = fc.property(changes, fc.integer({ min: 0, max: 50 * HOUR }), (all, later) => {
    const book: Interval[] = [];
    let [cost, now, open]: [Cost, number, Interval | null] = [NO_COST, 1_700_000_000_000, null];
    for (const { after, what, hourly } of all) {
      now += after;
      if (open !== null) book.push({ ...open, to: now });
      open = what === 'end' ? null : { from: now, to: now, hourly, up: what === 'start' };
      if (what === 'start') cost = startCost(cost, hourly, now);
      else cost = what === 'stop' ? keepDisks(cost, hourly, now) : stopCost(cost, now);
    }
    now += later;
    if (open !== null) book.push({ ...open, to: now });
    const sum = (of: (one: Interval) => number) => book.reduce((total, one) => total + of(one), 0);
    expect(costAt(cost, now)).toBeCloseTo(
      sum(({ from, to, hourly }) => ((to - from) / HOUR) * hourly),
      6,
    );
    expect(upTimeAt(cost, now)).toBe(sum(({ from, to, up }) => (up ? to - from : 0)));
    expect(hourlyNow(cost)).toBe(open?.hourly ?? 0);
  });
  holds(law, 500);
});

test('a stop leaves the disks, which cost until the machines start or end, and no time of running', () => {
  const stopped = keepDisks(startCost(NO_COST, 3, 0), 0.5, 2 * HOUR);
  expect([costAt(stopped, 12 * HOUR), hourlyNow(stopped), upTimeAt(stopped, 12 * HOUR)]).toEqual([11, 0.5, 2 * HOUR]);
  const again = startCost(stopped, 3, 12 * HOUR);
  expect([costAt(again, 13 * HOUR), hourlyNow(again), upTimeAt(again, 13 * HOUR)]).toEqual([14, 3, 3 * HOUR]);
  const ended = stopCost(stopped, 12 * HOUR);
  expect([costAt(ended, 99 * HOUR), hourlyNow(ended)]).toEqual([11, 0]);
});

test('disks that cost nothing leave what a stop without disks leaves, and running and stopped disks are never charged together', () => {
  const law = fc.property(steps, fc.double({ min: 0, max: 100, noNaN: true }), (all, hourly) => {
    const { cost, now } = play(all);
    expect(keepDisks(cost, 0, now)).toEqual(stopCost(cost, now));
    const kept = keepDisks(cost, hourly, now);
    expect(kept.since).toBeNull();
    expect(startCost(kept, 1, now + HOUR).disks).toBeUndefined();
    expect(costAt(keepDisks(kept, hourly, now + HOUR), now + 2 * HOUR)).toBeCloseTo(costAt(kept, now + 2 * HOUR), 6);
  });
  holds(law, 300);
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
