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
const acts = fc.array(fc.tuple(fc.nat(18), fc.nat(11)), { maxLength: 80 });

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
      if (!play.quiet()) return false;
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

test('a job that is paused at any moment keeps no worker and no place, and resumed it goes on', () => {
  const seen = new Set<string>();
  const law = fc.property(SIZES, acts, fc.nat(4), (size, before, pick) => {
    const play = new PoolPlay({ ...size, threshold: 1 });
    for (const [choice, code] of before) play.step(choice, code);
    const id = `job/w/${pick + 1}`;
    const state = () => play.stateOf(id);
    if (state().outcome !== null) return;
    play.tellJob(id, { type: 'pause', requestId: 'paused', user: 'u' });
    const { copies } = state();
    for (const one of play.jobs.keys()) {
      if (one !== id) play.tellJob(one, { type: 'resume', requestId: 'others', user: 'u' });
    }
    play.settle(() => play.quiet(id) && state().copy === null);
    const { status, outcome, paused, queue } = state();
    seen.add(outcome?.status ?? 'paused');
    if (outcome !== null) return expect(outcome.status).toBe('SUCCEEDED');
    expect([status, paused, queue, state().copies]).toEqual(['PENDING', 'u', 'parked', copies]);
    const { workers, waiting } = play.pool;
    expect([play.quiet(id), ...waiting, ...workers.flatMap(({ jobs }) => jobs)]).toEqual([true]);
    play.rest(() => !play.jobs.get(id)?.open);
    expect(state().status).toBe('SUCCEEDED');
  });
  holds(law, 200);
  expect(seen).toContain('paused');
});

test('the worker of a job that is paused stays, also where the job had lost another one before', () => {
  const play = new PoolPlay({ min: 2, max: 2, threshold: 1, upAfter: 0, downAfter: 1_000 });
  const stand = () => {
    for (let turn = 0; turn < 4; turn++) {
      play.step(0, 0);
      play.deliver(50);
    }
  };
  stand();
  const [lost = ''] = play.up();
  play.goes(lost);
  stand();
  const recovered = [...play.jobs.keys()].find((id) => play.stateOf(id).cause === 'machines' && play.stateOf(id).copy);
  const worker = play.stateOf(recovered ?? '').copy?.cluster ?? '';
  play.tellJob(recovered ?? '', { type: 'pause', requestId: 'paused', user: 'u' });
  play.deliver(100);
  expect(play.stateOf(recovered ?? '')).toMatchObject({ status: 'PENDING', copy: null, recoveries: 1, pauses: 1 });
  expect(play.up()).toContain(worker);
  expect(play.pool.events.map(({ text }) => text).join('\n')).not.toContain('was lost on it');
});

test("a pool's word from before a pause is not taken for its answer to the question after it", () => {
  const play = new PoolPlay({ min: 1, max: 1, threshold: 1, upAfter: 0, downAfter: 1_000 });
  play.deliver(50);
  const id = 'job/w/1';
  play.tellJob(id, { type: 'pause', requestId: 'p', user: 'u' });
  play.tellJob(id, { type: 'resume', requestId: 'r', user: 'u' });
  play.tellJob(id, { type: 'placed', copy: 1, cluster: 'before' });
  expect(play.stateOf(id).copy).toBe(null);
  play.tellJob(id, { type: 'placed', copy: 2, cluster: 'after' });
  expect(play.stateOf(id).copy).toMatchObject({ number: 2, cluster: 'after', try: 1 });
});

test('a job that is paused is not cancelled with its pool, and resumed it waits until there is one again', () => {
  const play = new PoolPlay({ min: 1, max: 1, threshold: 1, upAfter: 0, downAfter: 1_000 });
  for (let turn = 0; turn < 4; turn++) {
    play.step(0, 0);
    play.deliver(50);
  }
  const id = 'job/w/1';
  expect(play.stateOf(id).copy).not.toBe(null);
  play.tellJob(id, { type: 'pause', requestId: 'p', user: 'u' });
  play.deliver(100);
  play.change({ type: 'down', command: { requestId: 'd', user: 'u', purge: false } });
  play.settle(() => play.over);
  expect(play.stateOf(id)).toMatchObject({ status: 'PENDING', paused: 'u', copy: null });
  play.tellJob(id, { type: 'resume', requestId: 'r', user: 'u' });
  play.deliver(100);
  expect(play.stateOf(id)).toMatchObject({ status: 'PENDING', paused: null, reason: 'pool p is not there' });
});
