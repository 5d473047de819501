/** The queue of managed jobs under any sequence of what jobs may tell it. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  barrierFor,
  dropFromQueue,
  fairOrder,
  hourlyOf,
  type JobQueueState,
  newJobQueue,
  parseJobQueue,
  type QueueTold,
  refillQueue,
  tellQueue,
  type WaitingRow,
} from '../../model/job-queue.ts';
import { holds } from './holds.ts';

const told = fc.record({
  id: fc.integer({ min: 1, max: 40 }).map((id) => `j${id}`),
  phase: fc.constantFrom('waiting', 'waiting', 'waiting', 'running', 'parked', 'ended'),
  priority: fc.integer({ min: -2, max: 2 }),
  hourly: fc.integer({ min: 0, max: 4 }),
});
const limits = fc.record(
  {
    launching: fc.integer({ min: 1, max: 3 }),
    running: fc.integer({ min: 1, max: 6 }),
    userLaunching: fc.integer({ min: 1, max: 3 }),
    userRunning: fc.integer({ min: 1, max: 4 }),
    hourlyCost: fc.integer({ min: 1, max: 10 }),
  },
  { requiredKeys: ['launching', 'running'] },
);
/** A job is its user's for ever. */
const userOf = (id: string) => `u${Number(id.slice(1)) % 4}`;

test('no number is given twice, limits hold, nobody is let in before somebody who has a better claim, and nobody is forgotten', () => {
  const law = fc.property(limits, fc.array(told, { maxLength: 120 }), (given, tolds) => {
    let state: JobQueueState = newJobQueue(given);
    const numbers = new Map<string, number>();
    const alive = new Set<string>();
    for (const one of tolds) {
      const number = numbers.get(one.id) ?? null;
      const phase = one.phase === 'running' && !state.live.some((row) => row[1] === one.id) ? 'waiting' : one.phase;
      if (phase === 'parked' || phase === 'ended') alive.delete(one.id);
      else alive.add(one.id);
      const next = tellQueue(state, { ...one, phase, number, user: userOf(one.id) } satisfies QueueTold);
      state = next.state;
      for (const answer of next.answers) {
        expect(numbers.get(answer.id) ?? answer.number).toBe(answer.number);
        numbers.set(answer.id, answer.number);
      }
      expect(new Set(numbers.values()).size).toBe(numbers.size);
      expect([...state.waiting.map((row) => row[2]), ...state.live.map((row) => row[1])].toSorted()).toEqual(
        [...alive].toSorted(),
      );
      expect(state.live.length).toBeLessThanOrEqual(given.running);
      const launching = state.live.filter(([, , of]) => of === 'launching');
      expect(launching.length).toBeLessThanOrEqual(given.launching);
      for (const [place, user] of state.users.entries()) {
        const own = state.live.filter((row) => row[3] === place);
        expect(own.every((row) => userOf(row[1]) === user)).toBe(true);
        expect(own.length).toBeLessThanOrEqual(given.userRunning ?? Infinity);
        expect(own.filter((row) => row[2] === 'launching').length).toBeLessThanOrEqual(given.userLaunching ?? Infinity);
      }
      // Whoever still waits does so for a reason.
      for (const row of state.waiting) expect(barrierFor(state, row[3])).not.toBeNull();
      expect(state.waiting).toEqual(fairOrder(state.waiting, state.live, state.served));
      expect(parseJobQueue(JSON.parse(JSON.stringify(state)))).toEqual(state);
    }
  });
  holds(law, 200);
});

test('the order is that in which whoever has the fewest jobs comes first among equal priorities', () => {
  const row = fc.tuple(fc.integer({ min: -1, max: 1 }), fc.nat(3));
  const law = fc.property(fc.array(row, { maxLength: 40 }), fc.array(fc.nat(3), { maxLength: 10 }), (given, held) => {
    const rows = given.map(([priority, user], index): WaitingRow => [index + 1, priority, `j${index}`, user]);
    const live = held.map((user, index) => [index + 100, `l${index}`, 'running', user, 0] as const);
    const order = fairOrder(rows, live);
    expect(order.toSorted((a, b) => a[0] - b[0])).toEqual(rows);
    const counts = new Map<number, number>();
    const countOf = (user: number) => counts.get(user) ?? 0;
    for (const user of held) counts.set(user, countOf(user) + 1);
    for (const [index, [number, priority, , user]] of order.entries()) {
      for (const [otherNumber, otherPriority, , other] of order.slice(index + 1)) {
        expect(otherPriority).toBeLessThanOrEqual(priority);
        if (otherPriority < priority) continue;
        // Another of the same user: the older one. Another user: who has fewer, at a tie the older.
        if (other === user) expect(otherNumber).toBeGreaterThan(number);
        else expect(countOf(other)).toBeGreaterThanOrEqual(countOf(user));
      }
      counts.set(user, countOf(user) + 1);
    }
  });
  holds(law, 200);
});

test('what machines cost is counted while they stand, and holds up the next one alone', () => {
  let state = newJobQueue({ launching: 9, running: 9, hourlyCost: 5 });
  const tell = (id: string, phase: QueueTold['phase'], hourly = 0) => {
    const next = tellQueue(state, { id, number: null, priority: 0, phase, user: 'u', hourly });
    state = next.state;
    return next.answers.filter(({ admitted }) => admitted).map((answer) => answer.id);
  };
  expect(tell('a', 'waiting')).toEqual(['a']);
  expect(tell('a', 'running', 5)).toEqual([]);
  expect(hourlyOf(state.live)).toBe(5);
  expect(tell('b', 'waiting')).toEqual([]);
  expect(barrierFor(state, 0)).toBe('hourlyCost');
  expect(tell('a', 'ended')).toEqual(['b']);
});

test('one who submits thousands of jobs does not keep another one out of the rows that are held', () => {
  let state: JobQueueState = newJobQueue({ launching: 1, running: 1 });
  const tell = (id: string, user: string) => {
    state = tellQueue(state, { id, number: null, priority: 0, phase: 'waiting', user, hourly: 0 }).state;
  };
  tell('first', 'many');
  const rows = Array.from({ length: 3_000 }, (_, index): WaitingRow => [index + 2, 0, `m${index}`, 0]);
  state = refillQueue(state, { rows, users: ['many'], more: true, last: 3_001, live: false }).state;
  tell('one', 'few');
  expect([state.waiting.length, state.more, state.waiting[0]?.[2]]).toEqual([2_000, true, 'one']);
  // By turns, though there is one slot and the other has older jobs.
  const { answers } = dropFromQueue(state, ['first']);
  expect(answers.map(({ id }) => id)).toEqual(['one']);
});

test('rows are at most 60 bytes, no more than 2,000 are held, and the rest comes back from lists', () => {
  let state: JobQueueState = newJobQueue({ launching: 0, running: 0 });
  const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  const users = Array.from({ length: 1_000 }, (_, index) => `u${index}`);
  for (let n = 1; n <= 1_100; n++) {
    const user = users[n % 1_000] ?? '';
    state = tellQueue(state, {
      id: id(n),
      number: n + 90_000,
      priority: -1000,
      phase: 'waiting',
      user,
      hourly: 0,
    }).state;
  }
  const more = Array.from({ length: 1_000 }, (_, n): WaitingRow => [n + 91_101, -1000, id(n + 1_101), n]);
  state = refillQueue(state, { rows: more, users, more: true, last: 92_100, live: false }).state;
  expect([state.waiting.length, state.more]).toEqual([2_000, true]);
  for (const row of state.waiting) expect(JSON.stringify(row).length).toBeLessThanOrEqual(60);
  const rows: WaitingRow[] = [[92_100, -1000, id(2_100), 0]];
  state = refillQueue({ ...state, waiting: [] }, { rows, users: ['u5'], more: false, last: 92_100, live: false }).state;
  expect([state.waiting.map((row) => row[2]), state.more, state.next]).toEqual([[id(2_100)], false, 92_101]);
  expect(state.users[state.waiting[0]?.[3] ?? -1]).toBe('u5');
});
