/** A pool and its jobs under any sequence of what can happen to them. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PoolSize } from '../../model/pool.ts';
import { holds } from './holds.ts';
import { PoolPlay } from './pool-play.ts';

const SIZES: fc.Arbitrary<PoolSize> = fc
  .record({
    min: fc.nat(2),
    more: fc.nat(2),
    threshold: fc.integer({ min: 1, max: 3 }),
    upAfter: fc.constantFrom(0, 500),
  })
  .map(({ min, more, ...rest }) => ({ min, max: Math.max(1, min + more), downAfter: 1_000, ...rest }));
const acts = fc.array(fc.tuple(fc.nat(16), fc.nat(11)), { maxLength: 80 });

test('nothing of a job ever runs on two workers, there are never more workers than the pool may have, and all jobs end', () => {
  const seen = new Set<string>();
  const law = fc.property(SIZES, acts, (size, given) => {
    const play = new PoolPlay({ ...size, threshold: 1 });
    for (const [choice, pick] of given) play.step(choice, pick);
    const ended = () => [...play.jobs.values()].every(({ open }) => !open);
    play.rest(ended);
    for (const [id, { state }] of play.jobs)
      expect(ended(), `${id} ${JSON.stringify({ ...state, pool: play.pool })}`).toBe(true);
    for (const { state } of play.jobs.values()) seen.add(state.status);
  });
  holds(law, 200);
  expect(seen).toContain('SUCCEEDED');
  expect(seen).toContain('CANCELLED');
});

test('left alone it comes back to as many workers as it has at least, all of the present version', () => {
  const law = fc.property(SIZES, acts, (size, given) => {
    const play = new PoolPlay({ ...size, threshold: 1 });
    for (const [choice, pick] of given) play.step(choice, pick);
    const settled = () => {
      if (!play.quiet) return false;
      const { current, workers: now, waiting } = play.pool;
      const ready = now.filter(({ phase }) => phase === 'ready');
      return (
        waiting.length === 0 &&
        ready.length === current.size.min &&
        now.length === ready.length &&
        ready.every(({ digest, jobs }) => digest === current.digest && jobs.length === 0)
      );
    };
    play.rest(settled);
    expect(play.pool.workers.length, JSON.stringify(play.pool)).toBe(play.pool.current.size.min);
    expect(settled(), JSON.stringify(play.pool)).toBe(true);
  });
  holds(law, 150);
});

test('taken down at any moment it ends with no worker and no job, and makes no worker any more', () => {
  const law = fc.property(SIZES, acts, acts, fc.boolean(), (size, before, after, purge) => {
    const play = new PoolPlay({ ...size, threshold: 1 });
    for (const [choice, pick] of before) play.step(choice, pick);
    play.change({ type: 'down', command: { requestId: 'd', user: 'u', purge } });
    const { made } = play.pool;
    // An update is refused from here on.
    for (const [choice, pick] of after) if (choice < 11 || choice > 12) play.step(choice, pick);
    play.rest(() => play.over);
    expect(play.over, JSON.stringify(play.pool)).toBe(true);
    expect(play.pool.made).toBe(made);
    expect([...play.clusters.values()].filter(({ state }) => state !== 'gone')).toEqual([]);
  });
  holds(law, 150);
});
