/**
 * Managed jobs whose spot machines come and go as in a trace: the real workflows on a server that skips time, held against the simulation
 * (bench/spot-simulation.ts) that printed what strategies cost, over the same trace. Traces are made up here, as there; with
 * STYX_TEST_TRACES=DIR[:DIR...] windows of published ones are run too (their format: bench/spot-traces.ts).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOOK_MS, SPOT_ALONE, type Strategy, simulate, strategyOf, type Work } from '../../bench/spot-simulation.ts';
import { madeUpTraces, type ZoneTrace } from '../../bench/spot-traces.ts';
import { DEFAULT_RECOVERY, type RecoveryPolicy } from '../../model/job-recovery.ts';
import type { ManagedJobView } from '../../model/managed-job.ts';
import { DEADLINE_BACK_AFTER, DEFAULT_FALLBACK, type FallbackRule } from '../../model/market.ts';
import { type DeadlineRule, RESERVE } from '../../model/uniform-progress.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { type SimulatedCopy, SimulatedSpot } from '../harness/simulated-spot.ts';
import { endedSkipped, eventsByRun, SKIPPED_TIMING, type SkippedJob, submitSkipped } from '../harness/skipped-jobs.ts';
import { SkippedWorld } from '../harness/skipped-world.ts';
import { timeSkippingServer } from '../harness/time-skipping.ts';
import { publishedWindows, type TraceWindow } from '../harness/trace-windows.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Windows are as many made-up traces of two regions with a zone each: such in which a start that takes a minute more changes no decision. */
const SEEDS = LONG_FORM ? [7, 16, 26, 37] : [7];
const REGIONS = ['r0', 'r1'];
const PUBLISHED = (process.env.STYX_TEST_TRACES ?? '').split(':').filter((directory) => directory !== '');
/** Fewer launches in vain than users have: each costs seconds here. */
const TIMING = { ...SKIPPED_TIMING, retryUntilUpFirst: 5 * MINUTE, retryUntilUpMax: 30 * MINUTE };
/** Prices are those of the simulated cloud. Machines that a look for spot finds stand as long as others take to start. */
const WORK: Work = {
  work: 2 * HOUR,
  deadline: 3.25 * HOUR,
  overhead: LOOK_MS,
  prices: { spot: 0.6, 'on-demand': 2 },
  timing: TIMING,
};
const RULE: DeadlineRule = {
  work: WORK.work,
  deadline: WORK.deadline,
  overhead: WORK.overhead,
  checkpointEvery: 0,
  backAfter: DEADLINE_BACK_AFTER,
  reserve: RESERVE,
};
/** No look is due just when the work is done. */
const FALLBACK: FallbackRule = { ...DEFAULT_FALLBACK, backAfter: 25 * MINUTE };
/** Of one start, besides what the simulation knows of: steps of workflows take real time, and machines cost until they are proved gone. */
const START_MS = 2 * MINUTE;

const policy = (more: Partial<RecoveryPolicy>): RecoveryPolicy => ({ ...DEFAULT_RECOVERY, ...more });
/** Without a choice of markets it is tried again after the pauses of launches that failed. */
const alone = (places: 'EAGER_NEXT_REGION' | 'FAILOVER'): Strategy => ({ ...SPOT_ALONE, looksEvery: HOUR, places });
const ALL: readonly { recovery: RecoveryPolicy; simulated: Strategy }[] = [
  {
    recovery: policy({ strategy: 'deadline', deadline: RULE }),
    simulated: strategyOf('deadline', { kind: 'deadline', rule: RULE }),
  },
  {
    recovery: policy({ strategy: 'on_demand_fallback', fallback: FALLBACK }),
    simulated: strategyOf('on_demand_fallback', { kind: 'fallback', rule: FALLBACK }),
  },
  { recovery: policy({ strategy: 'EAGER_NEXT_REGION' }), simulated: alone('EAGER_NEXT_REGION') },
  { recovery: policy({ strategy: 'FAILOVER' }), simulated: alone('FAILOVER') },
];
/** Each takes a minute. */
const STRATEGIES = LONG_FORM || PUBLISHED.length > 0 ? ALL : ALL.slice(0, 1);

function madeUp(seed: number): TraceWindow {
  const made = madeUpTraces({ seed, zones: REGIONS.length, days: 2, there: 0.75, missing: 0.75 });
  const traces = made.map((trace, index) => ({ ...trace, zone: `${REGIONS[index]}a` }));
  return { name: `made up with seed ${seed}`, traces };
}

/** @throws when a directory has none: nothing would be tested. */
function published(directory: string): TraceWindow[] {
  const strategies = STRATEGIES.map(({ simulated }) => simulated);
  const windows = publishedWindows(directory, REGIONS, { work: WORK, strategies, count: LONG_FORM ? 6 : 2 });
  if (windows.length === 0) throw new Error(`no window of the traces in ${directory} is steady`);
  return windows;
}

/** When a machine of the region that is made `after` ms from the trace's start goes; null: there is none then. */
function goneAfter(traces: readonly ZoneTrace[], region: string, after: number): number | null {
  const { available = [], gap = 1 } = traces.find(({ zone }) => zone.startsWith(region)) ?? {};
  const tick = Math.floor(after / gap);
  if (available[tick] !== true) return null;
  const end = available.indexOf(false, tick);
  return (end < 0 ? available.length : end) * gap;
}

const WINDOWS = [...SEEDS.map(madeUp), ...PUBLISHED.flatMap(published)];
if (PUBLISHED.length === 0)
  console.warn('SKIPPED: windows of published traces of spot: STYX_TEST_TRACES=DIR[:DIR...] says where traces are');

const server = await timeSkippingServer();
if ('missing' in server) console.warn(`SKIPPED: tests of traces of spot with skipped time: ${server.missing}`);

describe.skipIf('missing' in server)('managed jobs over a trace of spot', () => {
  let world: SkippedWorld;
  let spot: SimulatedSpot;
  const followed = new Map<string, { readonly from: number; readonly traces: readonly ZoneTrace[] }>();

  beforeAll(async () => {
    const takenAt = (region: string, at: number, job: string) => {
      const { from = 0, traces = [] } = followed.get(job) ?? {};
      const gone = goneAfter(traces, region, at - from);
      return gone === null ? null : from + gone;
    };
    const work = { work: WORK.work, checkpointEvery: 0, boot: WORK.overhead };
    spot = new SimulatedSpot(() => world, { regions: REGIONS, takenAt }, work);
    world = await SkippedWorld.start('path' in server ? server.path : '', spot.steps());
  }, 60_000);
  afterAll(async () => {
    await world?.end();
  }, 60_000);

  const cost = ({ spot: onSpot, from, takenAt, endedAt }: SimulatedCopy) =>
    (WORK.prices[onSpot ? 'spot' : 'on-demand'] * (Math.min(takenAt, endedAt ?? Number.NaN) - from)) / HOUR;

  /** What the cloud saw of a job, as the simulation tells it. */
  function outcome({ job, submittedAt }: SkippedJob, { past }: ManagedJobView) {
    const copies = spot.of(job);
    // A look for spot is no try.
    const tries = copies.filter(({ cluster }) => past.some((one) => one.cluster === cluster));
    return {
      starts: copies.length,
      cost: copies.reduce((sum, copy) => sum + cost(copy), 0),
      endedAt: (tries.find(({ finished }) => finished)?.runsUntil ?? Number.NaN) - submittedAt,
      preemptions: tries.filter(({ takenAt, endedAt }) => takenAt <= (endedAt ?? 0)).length,
      moves: past.filter(({ why }) => why.startsWith('moves to')).length,
    };
  }

  it.each(WINDOWS)(
    '$name: each strategy costs and moves as simulated, one copy at a time, in time where it has a deadline, with bounded histories',
    { timeout: 400_000 },
    async ({ traces }) => {
      const jobs = await Promise.all(
        STRATEGIES.map(({ recovery }) =>
          submitSkipped(world, recovery, {
            known: (job, from) => followed.set(job, { from, traces }),
            timing: TIMING,
          }),
        ),
      );
      const views = await endedSkipped(world, jobs, HOUR, 20);
      for (const [index, { recovery, simulated }] of STRATEGIES.entries()) {
        const [job, view] = [jobs[index] as SkippedJob, views[index] as ManagedJobView];
        const wanted = simulate(traces, WORK, simulated);
        const had = outcome(job, view);
        const name = `${recovery.strategy}: ${JSON.stringify({ had, wanted })}`;
        console.log(name);
        expect(view.status, name).toBe('SUCCEEDED');
        expect(had, name).toMatchObject({ preemptions: wanted.preemptions, moves: wanted.moves });
        expect(Math.abs(had.endedAt - wanted.endedAt), name).toBeLessThan(had.starts * START_MS);
        const startCost = (START_MS * WORK.prices['on-demand']) / HOUR;
        expect(Math.abs(had.cost - wanted.cost), name).toBeLessThan(had.starts * startCost);
        if (recovery.strategy === 'deadline') expect(had.endedAt, name).toBeLessThan(WORK.deadline);
        expect(Math.max(...(await eventsByRun(world, job)))).toBeLessThan(2 * SKIPPED_TIMING.historyEvents);
      }
      expect(spot.offences).toEqual([]);
      expect(
        spot.copies.filter(({ endedAt }) => endedAt === null),
        'all machines are gone',
      ).toEqual([]);
    },
  );
});
