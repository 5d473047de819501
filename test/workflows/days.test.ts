/** What managed jobs do over days while their machines are taken away: the real workflows on a server that skips time. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_RECOVERY, type RecoveryPolicy } from '../../model/job-recovery.ts';
import {
  copyCluster,
  MANAGED_JOB_WORKFLOW,
  type ManagedJobInput,
  type ManagedJobView,
  managedJobId,
} from '../../model/managed-job.ts';
import { commandTask } from '../../model/parse-task.ts';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { NORMAL } from '../../model/timing.ts';
import { SimulatedSpot } from '../harness/simulated-spot.ts';
import { SkippedWorld } from '../harness/skipped-world.ts';
import { timeSkippingServer } from '../harness/time-skipping.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The safety looks of every ten minutes would be most of what is replayed here. */
const TIMING = { ...NORMAL, describeOpsEvery: 6 * HOUR, historyEvents: 150 };
/** Hours between two of them. Each costs seconds here. */
const LONG = process.env.STYX_TEST_LONG === '1';
const EVERY = LONG ? 1 : 20;
const server = await timeSkippingServer();
if ('missing' in server) console.warn(`SKIPPED: tests of days with skipped time: ${server.missing}`);

describe.skipIf('missing' in server)('a managed job over days', () => {
  let world: SkippedWorld;
  let spot: SimulatedSpot;

  beforeAll(async () => {
    const hourly = { regions: ['r1', 'r2', 'r3'], takenAt: (_region: string, at: number) => at + HOUR };
    spot = new SimulatedSpot(() => world, hourly, { work: 0, checkpointEvery: 0, boot: 0 });
    world = await SkippedWorld.start('path' in server ? server.path : '', spot.steps());
  }, 60_000);
  afterAll(async () => {
    await world?.end();
  }, 60_000);

  /** @returns its workflow and what its clusters' names begin with */
  async function submit(recovery: RecoveryPolicy): Promise<{ id: string; job: string; runId: string }> {
    const requestId = randomUUID();
    const id = managedJobId('default', requestId);
    const task = commandTask('train');
    const input: ManagedJobInput = {
      version: 1,
      workspace: 'default',
      requestId,
      installation: 'test',
      user: 'tester',
      task: { ...task, secrets: {}, resources: { ...task.resources, useSpot: true } },
      resourcesText: 'spot',
      recovery,
      limits: { launching: 16, running: 2_000 },
      fenceAfter: 5 * MINUTE,
      conda: false,
      submittedAt: await world.environment.currentTimeMs(),
      timing: TIMING,
    };
    const start = { workflowId: id, taskQueue: CLUSTER_QUEUE, args: [input] as [ManagedJobInput] };
    const { firstExecutionRunId: runId } = await world.client.start(MANAGED_JOB_WORKFLOW, start);
    return { id, job: copyCluster(id, 0).replace(/-0$/, ''), runId };
  }

  /** Events of each run of a workflow, from its first on. */
  async function eventsByRun(workflowId: string, first: string): Promise<number[]> {
    const counts: number[] = [];
    for (let runId: string | undefined = first; runId !== undefined; ) {
      const history = await world.client.getHandle(workflowId, runId).fetchHistory();
      const events: NonNullable<typeof history.events> = history.events ?? [];
      counts.push(events.length);
      runId = events.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? undefined;
    }
    return counts;
  }

  /** Lets time pass until all have ended. */
  async function ended(ids: readonly string[], days: number): Promise<ManagedJobView[]> {
    const status = async (id: string) => (await world.client.getHandle(id).describe()).status.name;
    for (let left = days; left > 0; left--) {
      if ((await Promise.all(ids.map(status))).every((one) => one === 'COMPLETED')) break;
      await world.skip(DAY);
    }
    return await Promise.all(ids.map((id) => world.client.getHandle(id).query<ManagedJobView>('view')));
  }

  it(`of ten days, whose machines are taken every ${EVERY} h, is done once; one copy runs at a time, and no history grows`, {
    timeout: LONG ? 3_600_000 : 240_000,
  }, async () => {
    spot.market = { regions: ['r1', 'r2', 'r3'], takenAt: (_region, at) => at + EVERY * HOUR };
    spot.work = { work: 10 * DAY, checkpointEvery: 0, boot: 2 * MINUTE };
    const { id, job, runId } = await submit(DEFAULT_RECOVERY);
    const [view] = await ended([id], 14);
    const taken = spot.of(job).length - 1;
    console.log(
      'COPIES',
      view?.status,
      spot
        .of(job)
        .map((c) =>
          [c.from, c.runsFrom, c.runsUntil, c.takenAt, c.endedAt]
            .map((t) => (((t ?? 0) - (spot.copies[0]?.from ?? 0)) / HOUR).toFixed(2))
            .join(' '),
        ),
    );
    expect(taken).toBeGreaterThanOrEqual(240 / EVERY - 1);
    expect(view).toMatchObject({ status: 'SUCCEEDED', recoveries: taken, preemptions: taken, errorRestarts: 0 });
    expect(spot.offences).toEqual([]);
    expect(spot.of(job).filter(({ finished }) => finished)).toHaveLength(1);
    expect(
      spot.of(job).every(({ endedAt }) => endedAt !== null),
      'all machines are gone',
    ).toBe(true);
    const events = await eventsByRun(id, runId);
    expect(events.length, 'it continued as new').toBeGreaterThan(taken / 10);
    expect(Math.max(...events)).toBeLessThan(2 * TIMING.historyEvents);
  });
});
