/** What managed jobs do over days while their machines are taken away: the real workflows on a server that skips time. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_RECOVERY } from '../../model/job-recovery.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { SimulatedSpot } from '../harness/simulated-spot.ts';
import { endedSkipped, eventsByRun, SKIPPED_TIMING, submitSkipped } from '../harness/skipped-jobs.ts';
import { SkippedWorld } from '../harness/skipped-world.ts';
import { timeSkippingServer } from '../harness/time-skipping.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Hours between two of them. Each costs seconds here. */
const EVERY = LONG_FORM ? 1 : 20;
const server = await timeSkippingServer();
if ('missing' in server) console.warn(`SKIPPED: tests of days with skipped time: ${server.missing}`);

describe.skipIf('missing' in server)('a managed job over days', () => {
  let world: SkippedWorld;
  let spot: SimulatedSpot;

  beforeAll(async () => {
    const taken = { regions: ['r1', 'r2', 'r3'], takenAt: (_region: string, at: number) => at + EVERY * HOUR };
    spot = new SimulatedSpot(() => world, taken, { work: 10 * DAY, checkpointEvery: 0, boot: 2 * MINUTE });
    world = await SkippedWorld.start('path' in server ? server.path : '', spot.steps());
  }, 60_000);
  afterAll(async () => {
    await world?.end();
  }, 60_000);

  it(`of ten days, whose machines are taken every ${EVERY} h, is done once; one copy runs at a time, and no history grows`, {
    timeout: LONG_FORM ? 3_600_000 : 240_000,
  }, async () => {
    const job = await submitSkipped(world, DEFAULT_RECOVERY);
    const [view] = await endedSkipped(world, [job], DAY, 14);
    const copies = spot.of(job.job);
    const taken = copies.length - 1;
    expect(taken).toBeGreaterThanOrEqual(240 / EVERY - 1);
    expect(view).toMatchObject({ status: 'SUCCEEDED', recoveries: taken, preemptions: taken, errorRestarts: 0 });
    expect(spot.offences).toEqual([]);
    expect(copies.filter(({ finished }) => finished)).toHaveLength(1);
    expect(
      copies.every(({ endedAt }) => endedAt !== null),
      'all machines are gone',
    ).toBe(true);
    const events = await eventsByRun(world, job);
    expect(events.length, 'it continued as new').toBeGreaterThan(taken / 10);
    expect(Math.max(...events)).toBeLessThan(2 * SKIPPED_TIMING.historyEvents);
  });
});
