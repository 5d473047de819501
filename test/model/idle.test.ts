import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ClusterActivity, idleness } from '../../model/idle.ts';
import { holds } from './holds.ts';

const MINUTE = 60_000;
const quiet: ClusterActivity = {
  rule: { idleMinutes: 10, down: false, waitFor: 'jobs_and_ssh' },
  liveJobs: 0,
  sessions: 0,
  lastJobEndedAt: null,
  lastSessionEndedAt: null,
  ruleSetAt: 0,
  upAt: 0,
  lastSubmitAt: null,
  now: 5 * MINUTE,
  idleMinute: MINUTE,
};
const busy = { idleSince: null, dueAt: null };

function under(waitFor: 'jobs_and_ssh' | 'jobs' | 'none', more: Partial<ClusterActivity>) {
  return idleness({ ...quiet, rule: { idleMinutes: 10, down: false, waitFor }, ...more });
}

describe('autostop', () => {
  test('is due the rule’s minutes after the last of what counts', () => {
    expect(idleness(quiet)).toEqual({ idleSince: 0, dueAt: 10 * MINUTE });
    for (const what of ['lastJobEndedAt', 'lastSessionEndedAt', 'ruleSetAt', 'upAt', 'lastSubmitAt'] as const) {
      expect(idleness({ ...quiet, [what]: MINUTE })).toEqual({ idleSince: MINUTE, dueAt: 11 * MINUTE });
    }
  });

  test('waits for jobs and sessions, for jobs, or for nothing', () => {
    expect(under('jobs_and_ssh', { sessions: 1 })).toEqual(busy);
    expect(under('jobs_and_ssh', { liveJobs: 1 })).toEqual(busy);
    expect(under('jobs', { liveJobs: 1 })).toEqual(busy);
    expect(under('jobs', { sessions: 1, lastSessionEndedAt: MINUTE }).dueAt).toBe(10 * MINUTE);
    expect(under('none', { liveJobs: 1, sessions: 1, lastJobEndedAt: MINUTE }).dueAt).toBe(10 * MINUTE);
    expect(under('none', { lastSubmitAt: MINUTE }).dueAt).toBe(11 * MINUTE);
  });

  test('without a rule is never due, though the cluster counts as idle', () => {
    expect(idleness({ ...quiet, rule: null })).toEqual({ idleSince: 0, dueAt: null });
    expect(idleness({ ...quiet, rule: null, sessions: 1 })).toEqual(busy);
  });

  test('has not begun to be idle in the future', () => {
    expect(idleness({ ...quiet, lastSubmitAt: 6 * MINUTE })).toEqual({ idleSince: 5 * MINUTE, dueAt: 16 * MINUTE });
  });
});

const time = fc.integer({ min: 0, max: 1_000_000 });
const activity: fc.Arbitrary<ClusterActivity> = fc.record({
  rule: fc.option(
    fc.record({
      idleMinutes: fc.integer({ min: 1, max: 1000 }),
      down: fc.boolean(),
      waitFor: fc.constantFrom('jobs_and_ssh' as const, 'jobs' as const, 'none' as const),
    }),
    { freq: 9 },
  ),
  liveJobs: fc.constantFrom(0, 0, 1, 5),
  sessions: fc.constantFrom(0, 0, 1, 5),
  lastJobEndedAt: fc.option(time),
  lastSessionEndedAt: fc.option(time),
  ruleSetAt: fc.option(time),
  upAt: time,
  lastSubmitAt: fc.option(time),
  now: time,
  idleMinute: fc.integer({ min: 1, max: 60_000 }),
});

test('autostop is never due while a job lives, unless its rule waits for nothing', () => {
  const law = fc.property(activity, (given) => {
    if (given.rule?.waitFor === 'none') return;
    expect(idleness({ ...given, liveJobs: given.liveJobs + 1 })).toEqual(busy);
  });
  holds(law, 500);
});

test('whatever happens later makes autostop due no earlier, and never within the rule’s minutes of a submission', () => {
  const moments = ['lastJobEndedAt', 'lastSessionEndedAt', 'ruleSetAt', 'upAt', 'lastSubmitAt', 'now'] as const;
  const law = fc.property(activity, fc.constantFrom(...moments), fc.nat({ max: 100_000 }), (given, moment, later) => {
    const { dueAt } = idleness(given);
    if (dueAt === null || given.rule === null) return;
    const moved = idleness({ ...given, [moment]: (given[moment] ?? 0) + later }).dueAt;
    expect(moved).toBeGreaterThanOrEqual(dueAt);
    expect(dueAt).toBeGreaterThanOrEqual((given.lastSubmitAt ?? 0) + given.rule.idleMinutes * given.idleMinute);
  });
  holds(law, 1000);
});
