/** Spot or on-demand: the rules of each strategy, and whole jobs over traces that the same function decides about. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { optimum } from '../../bench/spot-optimum.ts';
import { greedy, type Strategy, simulate, strategyOf, type Work } from '../../bench/spot-simulation.ts';
import { madeUpTraces } from '../../bench/spot-traces.ts';
import { DEFAULT_FALLBACK, decideMarket, type MarketFacts } from '../../model/market.ts';
import { parseJob, parsePooledJob } from '../../model/parse-task.ts';
import { type DeadlineRule, RESERVE } from '../../model/uniform-progress.ts';
import { holds } from './holds.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const RULE: DeadlineRule = {
  deadline: 36 * HOUR,
  work: 24 * HOUR,
  overhead: 10 * MINUTE,
  checkpointEvery: 0,
  backAfter: 20 * MINUTE,
};
const RESERVED: DeadlineRule = { ...RULE, reserve: RESERVE };
const IDLE: MarketFacts = {
  now: 0,
  kept: 0,
  advancing: false,
  overhead: RULE.overhead,
  present: null,
  spot: 'unknown',
  hold: 'no',
  failures: [],
};

function deadline(facts: Partial<MarketFacts>, rule = RULE) {
  return decideMarket({ kind: 'deadline', rule }, { ...IDLE, ...facts });
}

describe('deadline', () => {
  test('spot is tried first; without it the job waits while it is ahead, and takes on-demand machines when it is behind', () => {
    expect(deadline({}).want).toBe('spot');
    const ahead = deadline({ now: 3 * HOUR, kept: 2 * HOUR + 10 * MINUTE, spot: 'missing' });
    expect(ahead.want).toBe('wait');
    expect(deadline({ now: (ahead.until ?? 0) - 2, kept: 2 * HOUR + 10 * MINUTE, spot: 'missing' }).want).toBe('wait');
    expect(deadline({ now: ahead.until ?? 0, kept: 2 * HOUR + 10 * MINUTE, spot: 'missing' }).want).toBe('on-demand');
  });

  test('with a reserve it waits on, behind the line, until no more is to spare than changeovers may need', () => {
    const spare = RESERVE * Math.sqrt(RULE.overhead * RULE.work);
    const facts = { now: 5 * HOUR, kept: 2 * HOUR, spot: 'missing' } as const;
    expect(deadline(facts).want).toBe('on-demand');
    const { want, until } = deadline(facts, RESERVED);
    expect(want).toBe('wait');
    const slack = RULE.deadline - (until ?? 0) - (RULE.work - facts.kept);
    expect(spare - slack).toBeGreaterThan(0);
    expect(spare - slack).toBeLessThanOrEqual(2);
    const spent = { ...facts, now: until ?? 0 };
    expect(deadline(spent, RESERVED).want).toBe('on-demand');
    // As time goes on there it makes good nothing, and the line alone would have it leave.
    const there = { ...spent, now: spent.now + 4 * HOUR, kept: facts.kept + 4 * HOUR, present: 'on-demand' } as const;
    expect(deadline({ ...there, advancing: true }, RESERVED).want).toBe('on-demand');
  });

  test('spot machines are kept until they are taken; on-demand ones until it is two changeovers ahead, or spot is there', () => {
    expect(deadline({ now: 30 * HOUR, kept: 19 * HOUR, present: 'spot', advancing: true }).want).toBe('spot');
    const behind = { now: 6 * HOUR, kept: 3 * HOUR, present: 'on-demand', advancing: true } as const;
    expect(deadline({ ...behind, spot: 'there' }).want).toBe('spot');
    const stays = deadline(behind);
    expect(stays.want).toBe('on-demand');
    const until = stays.until ?? 0;
    expect(deadline({ ...behind, now: until, kept: behind.kept + until - behind.now }).want).toBe('spot');
  });

  test('once nothing but on-demand machines can be in time it has them until it is done, spot or not', () => {
    const facts = { now: 30 * HOUR, kept: 18 * HOUR + 15 * MINUTE } as const;
    expect(deadline({ ...facts, spot: 'there' })).toMatchObject({ want: 'on-demand', hold: 'until-done' });
    const later = { now: 31 * HOUR, kept: 20 * HOUR, present: 'on-demand', spot: 'there', hold: 'until-done' } as const;
    expect(deadline(later).want).toBe('on-demand');
  });

  test('spot machines that are being made are given up at the moment of the safety net', () => {
    const facts = { now: 10 * HOUR, kept: 0, present: 'spot' } as const;
    const { want, until } = deadline(facts);
    expect([want, until]).toEqual(['spot', 36 * HOUR - 24 * HOUR - 10 * MINUTE]);
    expect(deadline({ ...facts, now: until ?? 0 })).toMatchObject({ want: 'on-demand', hold: 'until-done' });
  });

  test('a moment that a decision names is in the future, and at it something else is decided or a later one named', () => {
    const law = fc.property(
      fc.integer({ min: 0, max: 36 * HOUR }),
      fc.integer({ min: 0, max: 24 * HOUR }),
      fc.boolean(),
      fc.constantFrom(null, 'spot' as const, 'on-demand' as const),
      fc.constantFrom('there' as const, 'missing' as const, 'unknown' as const),
      fc.constantFrom(RULE, RESERVED),
      (now, kept, advancing, present, spot, rule) => {
        const facts = { now, kept, present, spot, advancing: advancing && present !== null };
        const before = deadline(facts, rule);
        if (before.until === null) return;
        expect(before.until).toBeGreaterThan(now);
        const gained = facts.advancing ? before.until - now : 0;
        const after = deadline({ ...facts, now: before.until, kept: kept + gained }, rule);
        if (after.want === before.want) expect(after.until ?? Number.POSITIVE_INFINITY).toBeGreaterThan(before.until);
      },
    );
    holds(law, 2_000);
  });
});

describe('on_demand_fallback', () => {
  const decide = (facts: Partial<MarketFacts>) =>
    decideMarket({ kind: 'fallback', rule: DEFAULT_FALLBACK }, { ...IDLE, ...facts });

  test('spot, until it failed three times within an hour; then on-demand, until spot is there again', () => {
    expect(decide({ now: 70 * MINUTE, failures: [5 * MINUTE, 20 * MINUTE, 69 * MINUTE] }).want).toBe('spot');
    const failed = decide({ now: 70 * MINUTE, failures: [15 * MINUTE, 20 * MINUTE, 69 * MINUTE] });
    expect(failed).toMatchObject({ want: 'on-demand', hold: 'until-spot' });
    expect(decide({ now: 5 * HOUR, hold: 'until-spot', present: 'on-demand' }).want).toBe('on-demand');
    expect(decide({ now: 5 * HOUR, hold: 'until-spot' }).want, 'its machines died').toBe('on-demand');
    expect(decide({ now: 5 * HOUR, hold: 'until-spot', present: 'on-demand', spot: 'there' })).toMatchObject({
      want: 'spot',
      hold: 'no',
    });
  });
});

describe('over traces', () => {
  const work = (hours: number): Work => ({
    work: 8 * HOUR,
    deadline: hours * HOUR,
    overhead: 10 * MINUTE,
    prices: { spot: 1, 'on-demand': 3 },
  });

  test('the deadline is met however spot comes and goes, and nothing is cheaper than the optimum', () => {
    const law = fc.property(
      fc.integer(),
      fc.constantFrom(0.1, 0.5, 2, 8),
      fc.constantFrom(0.1, 0.5, 2, 8),
      fc.constantFrom(9, 10, 12, 16),
      fc.constantFrom(1, 3),
      (seed, there, missing, hours, zones) => {
        const traces = madeUpTraces({ seed, zones, days: 2, there, missing });
        const job = work(hours);
        const rule: DeadlineRule = { ...RULE, ...job };
        const strategies: Strategy[] = [
          strategyOf('even', { kind: 'deadline', rule }),
          strategyOf('deadline', { kind: 'deadline', rule: { ...rule, reserve: RESERVE } }),
          greedy(rule),
        ];
        const least = optimum(traces, job);
        for (const strategy of strategies) {
          const outcome = simulate(traces, job, strategy);
          expect(outcome.late, `${strategy.name}: ${JSON.stringify(outcome)}`).toBe(false);
          expect(outcome.cost).toBeGreaterThanOrEqual(least - 0.5);
        }
      },
    );
    holds(law, 25);
  });

  test('a look finds spot machines that stand: those that are taken before do not have a job moved', () => {
    const job: Work = { ...work(16), work: 4 * HOUR };
    const rule = { ...DEFAULT_FALLBACK, backAfter: 30 * MINUTE };
    const fallback = strategyOf('fallback', { kind: 'fallback', rule });
    const withSpot = (minutes: readonly number[]) => {
      const available = Array.from({ length: 24 * 60 }, (_, minute) => minutes.includes(minute));
      return simulate([{ zone: 'r-0a', type: 'made-up', gap: MINUTE, available }], job, fallback);
    };
    const without = withSpot([]);
    expect(without).toMatchObject({ moves: 0, preemptions: 0 });
    // Launches in vain are followed by pauses, then come on-demand machines, and a look half an hour later.
    const lookAt = Math.floor((without.endedAt - without.onDemand) / MINUTE) + 30;
    const soonGone = withSpot([lookAt, lookAt + 1]);
    expect(soonGone).toMatchObject({ moves: 0, preemptions: 0, endedAt: without.endedAt });
    expect(soonGone.cost, 'what the look had was paid for').toBeGreaterThan(without.cost);
    const stands = withSpot([...Array(60).keys()].map((minute) => lookAt + minute));
    expect(stands).toMatchObject({ moves: 1, preemptions: 1 });
  });

  test.each([
    ['half of the time, and the deadline is near', 2, 2, 10],
    ['half of the time, and the deadline is far', 2, 2, 16],
    ['a quarter of the time, and the deadline is far', 3, 9, 16],
  ])('where spot is there %s, it is cheaper than greedy, and than without its reserve', (_, there, missing, hours) => {
    const all = Array.from({ length: 400 }, (_, seed) => madeUpTraces({ seed, zones: 1, days: 2, there, missing }));
    const job = work(hours);
    const even: DeadlineRule = { ...RULE, ...job };
    const rule: DeadlineRule = { ...even, reserve: RESERVE };
    const mean = (cost: (traces: ReturnType<typeof madeUpTraces>) => number) =>
      all.reduce((sum, traces) => sum + cost(traces), 0) / all.length;
    const ours = mean((traces) => simulate(traces, job, strategyOf('deadline', { kind: 'deadline', rule })).cost);
    const theirs = mean((traces) => simulate(traces, job, greedy(rule)).cost);
    expect(ours).toBeLessThan(theirs);
    const papers = mean((traces) => simulate(traces, job, strategyOf('even', { kind: 'deadline', rule: even })).cost);
    expect(ours).toBeLessThan(papers);
  });
});

describe('job_recovery of a task', () => {
  const file = { file: 't.yaml' };
  const read = (yaml: string, spot = true, nodes = 1) => {
    const resources = `resources:\n  use_spot: ${spot}\n  job_recovery: ${yaml}\n`;
    return parseJob(`num_nodes: ${nodes}\n${resources}run: a\n`, file).recovery;
  };

  test('has all of a strategy, with its defaults', () => {
    expect(read('{strategy: deadline, deadline: 36h, work: 24h}')).toMatchObject({
      strategy: 'deadline',
      deadline: RESERVED,
    });
    expect(
      read('{strategy: deadline, deadline: 36h, work: 24h, checkpoint_every: never}').deadline?.checkpointEvery,
    ).toBe(null);
    expect(read('on_demand_fallback')).toMatchObject({ fallback: DEFAULT_FALLBACK });
    expect(read('{strategy: on_demand_fallback, preemptions: 5, within: 2h}').fallback).toMatchObject({
      preemptions: 5,
      within: 2 * HOUR,
    });
    expect(read('{no_capacity: {max_restarts: 2, backoff: 30s}, error: {max_restarts: 4}}', false)).toMatchObject({
      maxRestartsOnErrors: 4,
      causes: { noCapacity: { maxRestarts: 2, backoff: 30_000 } },
    });
  });

  test.each([
    ['deadline', /"deadline" and "work"/],
    ['{strategy: deadline, deadline: 36h}', /work.*is missing/],
    ['{strategy: deadline, deadline: 24h, work: 24h}', /must be less than "deadline"/],
    ['{strategy: FAILOVER, within: 1h}', /strategy on_demand_fallback alone/],
    ['{deadline: 36h}', /strategy deadline alone/],
    ['{strategy: deadlin}', /deadline/],
    ['{max_restarts_on_errors: 1, error: {max_restarts: 1}}', /cannot be given together/],
    ['{preemption: {restarts: 1}}', /unknown field/],
    ['{replace_nodes: maybe}', /must be true or false/],
  ])('%s is refused by name', (yaml, text) => {
    expect(() => read(yaml)).toThrow(text);
  });

  test('replace_nodes is for jobs of several nodes, on clusters of their own, which a strategy does not move', () => {
    expect(read('{replace_nodes: true}', false, 2)).toMatchObject({
      strategy: 'EAGER_NEXT_REGION',
      replaceNodes: true,
    });
    expect(read('{strategy: FAILOVER, replace_nodes: true}', false, 2)).toMatchObject({ replaceNodes: true });
    expect(read('{replace_nodes: false}', false)).not.toHaveProperty('replaceNodes');
    expect(() => read('{replace_nodes: true}')).toThrow(/needs several nodes/);
    expect(() => read('{strategy: on_demand_fallback, replace_nodes: true}', true, 2)).toThrow(
      /replace_nodes.*does not go with strategy on_demand_fallback/,
    );
    const pooled = 'num_nodes: 2\nresources: {job_recovery: {replace_nodes: true}}\nrun: a\n';
    expect(() => parsePooledJob(pooled, file)).toThrow(/replace_nodes.*has no meaning for a job in a pool/);
  });

  test('a strategy between spot and on-demand needs a task that may use spot', () => {
    expect(() => read('on_demand_fallback', false)).toThrow(/needs "use_spot: true"/);
  });
});
