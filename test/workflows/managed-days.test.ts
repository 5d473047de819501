/** What managed jobs do over days, in seconds: the real workflows on a server that skips time, in a simulated market for spot machines. */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { WorkflowClient, type WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import type { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { madeUpTraces } from '../../bench/spot-traces.ts';
import { type ManagedJobInput, type ManagedJobView, managedJobId } from '../../model/managed-job.ts';
import { parseJob } from '../../model/parse-task.ts';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { resourcesText } from '../../model/resources-text.ts';
import { NORMAL } from '../../model/timing.ts';
import { createLog } from '../../system/log.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { sealedClient } from '../../workers/sealing.ts';
import { createWorkers } from '../../workers/worker.ts';
import { type Market, SimulatedMarket } from '../harness/simulated-market.ts';
import { testDir } from '../harness/temporal.ts';
import { skipTime, startTimeSkipping, timeSkippingServer } from '../harness/time-skipping.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The safety looks of every ten minutes would be most of what is replayed here. */
const TIMING = { ...NORMAL, describeOpsEvery: 4 * HOUR, historyEvents: 200 };
/** Ten days with STYX_TEST_LONG=1. */
const DAYS = process.env.STYX_TEST_LONG === '1' ? 10 : 1;
/** Twenty seconds: a busy machine may take as long for a step, and the clock must stand meanwhile. */
const PATIENT = 80;
const ALWAYS: Market['spot'] = () => ({ there: true, until: Number.POSITIVE_INFINITY });
const server = await timeSkippingServer();
if ('missing' in server) console.warn(`SKIPPED: managed jobs over days, with skipped time: ${server.missing}`);

describe.skipIf('missing' in server)('a managed job over days', () => {
  const home = testDir();
  let environment: TestWorkflowEnvironment;
  let client: WorkflowClient;
  let world: SimulatedMarket;
  let workers: { running: Promise<void>[]; all: Worker[] };

  beforeAll(async () => {
    environment = await startTimeSkipping('path' in server ? server.path : '');
    const { codePath } = await workflowBundle();
    world = new SimulatedMarket(
      { spot: ALWAYS, work: 0 },
      () => environment.currentTimeMs(),
      () => client,
    );
    const all = await createWorkers({
      connection: environment.nativeConnection,
      namespace: 'default',
      workflowBundle: { codePath },
      activities: { actQueue: world.act, watchQueue: world.watch },
      home,
      // A command's age is measured by a clock that jumps here.
      codec: 'optional',
      serverIsLocal: true,
      log: createLog('worker'),
    });
    client = new WorkflowClient({ connection: environment.connection, ...sealedClient(home, 'optional') });
    workers = { running: all.map((worker) => worker.run()), all };
  }, 60_000);

  afterAll(async () => {
    for (const worker of workers?.all ?? []) worker.shutdown();
    await Promise.all(workers?.running ?? []);
    await environment?.teardown();
    rmSync(home, { recursive: true, force: true });
  }, 60_000);

  async function submit(market: Market, recovery: string): Promise<Job> {
    world.begin(market);
    const written = parseJob(`resources:\n  use_spot: true\n  job_recovery: ${recovery}\nrun: train\n`, {
      file: 'test.yaml',
    });
    const requestId = randomUUID();
    const input: ManagedJobInput = {
      version: 1,
      workspace: 'default',
      requestId,
      installation: 'test',
      user: 'tester',
      task: { ...written.task, secrets: {} },
      resourcesText: resourcesText(written.task),
      recovery: written.recovery,
      limits: { launching: 16, running: 16 },
      fenceAfter: 5 * MINUTE,
      conda: false,
      submittedAt: await environment.currentTimeMs(),
      timing: TIMING,
    };
    const workflowId = managedJobId('default', requestId);
    const handle = await client.start('managedJob', { workflowId, taskQueue: CLUSTER_QUEUE, args: [input] });
    return new Job(handle, input.submittedAt);
  }

  class Job {
    readonly handle: WorkflowHandle;
    readonly submittedAt: number;
    longestHistory = 0;

    constructor(handle: WorkflowHandle, submittedAt: number) {
      this.handle = handle;
      this.submittedAt = submittedAt;
    }

    async view(): Promise<ManagedJobView> {
      return await this.handle.query<ManagedJobView>('view');
    }

    /** Lets time pass until it has ended and its machines are gone. */
    async ends(step: number): Promise<ManagedJobView> {
      for (let steps = 0; ; steps++) {
        await skipTime(environment, step, PATIENT);
        if (steps > 60) throw new Error(`it does not end: ${JSON.stringify((await this.view()).events.slice(-10))}`);
        const { historyLength, status } = await this.handle.describe();
        this.longestHistory = Math.max(this.longestHistory, historyLength);
        if (status.name !== 'RUNNING') return await this.view();
      }
    }
  }

  it(`${DAYS} days with a preemption every hour: done once, no two copies at any moment, and its history stays bounded`, {
    timeout: 900_000,
  }, async () => {
    const job = await submit({ spot: ALWAYS, work: DAYS * DAY, longest: HOUR }, 'EAGER_NEXT_REGION');
    const view = await job.ends(DAYS === 1 ? 6 * HOUR : DAY);
    expect(view.status, JSON.stringify(view.events)).toBe('SUCCEEDED');
    // Each copy does an hour of the work, the last one its last.
    expect(view.recoveries).toBe(DAYS * 24 - 1);
    expect(world.runs).toHaveLength(DAYS * 24);
    expect(world.overlaps).toEqual([]);
    expect(world.standing).toEqual([]);
    expect(view).toMatchObject({ errorRestarts: 0, preemptions: DAYS * 24 - 1 });
    expect(job.longestHistory).toBeLessThan(2 * TIMING.historyEvents);
  });

  it('deadline: a sample of a trace is worked through in time, on on-demand machines only when that is due', {
    timeout: 300_000,
  }, async () => {
    const [trace] = madeUpTraces({ seed: 3, zones: 1, days: 2, there: 1.5, missing: 1.5 });
    const { gap, available } = trace ?? { gap: 1, available: [] };
    const begins = await environment.currentTimeMs();
    const spot: Market['spot'] = (at) => {
      const tick = Math.max(0, Math.floor((at - begins) / gap)) % available.length;
      let next = tick + 1;
      while (next < available.length && available[next] === available[tick]) next += 1;
      return { there: available[tick] === true, until: begins + next * gap };
    };
    const [work, deadline, overhead] = [6 * HOUR, 9 * HOUR, 10 * MINUTE];
    const job = await submit({ spot, work }, '{strategy: deadline, deadline: 9h, work: 6h}');
    const view = await job.ends(HOUR);
    expect(view.status, JSON.stringify(view.events)).toBe('SUCCEEDED');
    const ended = world.runs.at(-1)?.to ?? Number.POSITIVE_INFINITY;
    expect(ended - job.submittedAt, 'before its deadline').toBeLessThanOrEqual(deadline);
    expect(world.overlaps).toEqual([]);
    expect(world.standing).toEqual([]);

    let done = 0;
    for (const { useSpot, from, to } of world.runs) {
      const passed = from - job.submittedAt;
      const behind = done < (work / deadline) * passed;
      const due = deadline - passed - (work - done) <= 2 * overhead;
      if (!useSpot)
        expect(behind || due, `on-demand from ${passed / MINUTE} min on, ${done / MINUTE} min done`).toBe(true);
      done += (to ?? from) - from;
    }
    const markets = new Set(world.runs.map(({ useSpot }) => useSpot));
    expect([...markets].toSorted(), 'both were used').toEqual([false, true]);
    // Spot costs a third here.
    expect(view.costSoFar).toBeLessThan(3 * 6);
  });

  it('on_demand_fallback: after three preemptions it goes on elsewhere, and comes back when spot machines are there again', {
    timeout: 300_000,
  }, async () => {
    const begins = await environment.currentTimeMs();
    // Taken away each 15 minutes at first; then there is none; from the third hour on there is.
    const back = begins + 3 * HOUR;
    const spot: Market['spot'] = (at) => {
      if (at >= back) return { there: true, until: Number.POSITIVE_INFINITY };
      return at < begins + HOUR ? { there: true, until: begins + HOUR } : { there: false, until: back };
    };
    const market: Market = { spot, work: 6 * HOUR };
    const job = await submit({ ...market, longest: 15 * MINUTE }, '{strategy: on_demand_fallback, back_after: 30m}');
    await skipTime(environment, 2 * HOUR, PATIENT);
    world.market = market;
    const view = await job.ends(HOUR);
    expect(view.status, JSON.stringify(view.events)).toBe('SUCCEEDED');
    expect(world.runs.map(({ useSpot }) => useSpot)).toEqual([true, true, true, false, true]);
    expect(world.overlaps).toEqual([]);
    expect(world.standing).toEqual([]);
    expect(view.events.map(({ text }) => text).join('\n')).toContain('spot machines are to be had again');
    const returned = (world.runs.at(-1)?.from ?? 0) - back;
    expect(returned, 'one look after spot was there').toBeLessThanOrEqual(31 * MINUTE);
  });
});
