/** What clusters do over hours, in seconds: the real workflows on a server that skips time. */
import { randomUUID } from 'node:crypto';
import { WithStartWorkflowOperation, type WorkflowClient, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterInput, ClusterView, LaunchCommand } from '../../model/commands.ts';
import type { Budget } from '../../model/cost-budget.ts';
import { clusterWorkflowId } from '../../model/identity.ts';
import { commandTask } from '../../model/parse-task.ts';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { resourcesText } from '../../model/resources-text.ts';
import type { AutostopRule } from '../../model/task.ts';
import { NORMAL } from '../../model/timing.ts';
import { type SimulatedCluster, simulatedCluster } from '../harness/simulated-steps.ts';
import { SkippedWorld } from '../harness/skipped-world.ts';
import { timeSkippingServer } from '../harness/time-skipping.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The safety looks of every ten minutes would be most of what is replayed here. */
const TIMING = { ...NORMAL, describeOpsEvery: HOUR, historyEvents: 100 };
const server = await timeSkippingServer();
if ('missing' in server) console.warn(`SKIPPED: tests of hours with skipped time: ${server.missing}`);

describe.skipIf('missing' in server)('a cluster over hours', () => {
  let world: SkippedWorld;
  let steps: SimulatedCluster;
  let client: WorkflowClient;

  beforeAll(async () => {
    steps = simulatedCluster();
    world = await SkippedWorld.start('path' in server ? server.path : '', steps);
    client = world.client;
  }, 60_000);
  afterAll(async () => {
    await world?.end();
  }, 60_000);

  async function launch(prefix: string, autostop: AutostopRule | null, budget?: Budget): Promise<Cluster> {
    steps.actions.length = 0;
    // A second try of a test must not meet the cluster of the first.
    const name = `${prefix}-${randomUUID().slice(0, 6)}`;
    const cluster = new Cluster(client, name);
    await submit(name, autostop, budget);
    await cluster.until((view) => view.jobs[0]?.status === 'RUNNING');
    return cluster;
  }

  async function submit(name: string, autostop: AutostopRule | null, budget?: Budget): Promise<void> {
    const id = clusterWorkflowId('default', name);
    const task = { ...commandTask('sleep 1'), secrets: {}, ...(budget === undefined ? {} : { budget }) };
    const command: LaunchCommand = {
      requestId: randomUUID(),
      user: 'tester',
      task,
      spec: { resources: task.resources, numNodes: 1, resourcesText: resourcesText(task) },
      retryUntilUp: false,
      autostop,
      noSetup: false,
      commandLine: 'test',
    };
    const input: ClusterInput = { version: 1, workspace: 'default', name, installation: 'test', timing: TIMING };
    const startWorkflowOperation = new WithStartWorkflowOperation('cluster', {
      workflowId: id,
      taskQueue: CLUSTER_QUEUE,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [input],
    });
    await client.executeUpdateWithStart('launch', {
      args: [command],
      startWorkflowOperation,
    });
  }

  const hour = (down: boolean, waitFor: AutostopRule['waitFor'] = 'jobs_and_ssh'): AutostopRule => ({
    idleMinutes: 60,
    down,
    waitFor,
  });

  it('a job that runs for twelve hours is not killed, and the idle hour counts from its end', {
    timeout: 240_000,
  }, async () => {
    const cluster = await launch('long', hour(false));
    await world.skip(12 * HOUR);
    const running = await cluster.view();
    expect(running.status).toBe('UP');
    expect(running.jobs[0]?.status).toBe('RUNNING');
    expect(steps.actions).not.toContain('cancel 1 on 0');
    await cluster.endJob(running);
    await world.skip(55 * MINUTE);
    expect((await cluster.view()).status).toBe('UP');
    await world.skip(10 * MINUTE);
    await cluster.until((view) => view.status === 'STOPPED');
    expect(steps.actions).toContain('stop');
    expect(steps.actions).not.toContain('terminate');
  });

  it('an SSH session holds the cluster, and its end starts the hour', { timeout: 240_000 }, async () => {
    const cluster = await launch('session', hour(true));
    await cluster.endJob(await cluster.view());
    await cluster.sessions(1);
    await world.skip(5 * HOUR);
    expect((await cluster.view()).status).toBe('UP');
    await cluster.sessions(0);
    await world.skip(50 * MINUTE);
    expect((await cluster.view()).status).toBe('UP');
    await world.skip(15 * MINUTE);
    expect(await cluster.handle.result()).toBeUndefined();
    expect(steps.actions).toContain('terminate');
  });

  it('with wait_for jobs a session does not hold it', { timeout: 240_000 }, async () => {
    const cluster = await launch('jobs-only', hour(false, 'jobs'));
    await cluster.endJob(await cluster.view());
    await cluster.sessions(1);
    await world.skip(65 * MINUTE);
    await cluster.until((view) => view.status === 'STOPPED');
  });

  it('with wait_for none the hour runs while a job runs', { timeout: 240_000 }, async () => {
    const cluster = await launch('timer', hour(false, 'none'));
    await world.skip(65 * MINUTE);
    await cluster.until((view) => view.status === 'STOPPED');
    expect((await cluster.view()).jobs[0]?.status).toBe('CANCELLED');
  });

  it('without a rule it stands for two days, costs what it costs, and its history stays bounded', {
    timeout: 240_000,
  }, async () => {
    const cluster = await launch('days', null);
    await cluster.endJob(await cluster.view());
    const firstRun = (await cluster.handle.describe()).runId;
    await world.skip(2 * DAY);
    await cluster.until((view) => view.status === 'UP');
    const { historyLength, runId } = await cluster.handle.describe();
    expect(runId, 'it continued as new').not.toBe(firstRun);
    expect(historyLength).toBeLessThan(2 * TIMING.historyEvents);
    await cluster.sessions(0);
    await cluster.poke();
    const { costSoFar } = await cluster.view();
    expect(costSoFar).toBeGreaterThan(2 * 48 - 1);
    expect(costSoFar).toBeLessThan(2 * 48 + 5);
  });

  /** A machine costs $2 an hour here. */
  const budget = (maxCost: number, onExceed: Budget['onExceed']): Budget => ({ maxCost, maxDuration: null, onExceed });

  it('a budget of $10 at $2 an hour stops the cluster after five hours, under its job, and it cannot be started again', {
    timeout: 240_000,
  }, async () => {
    const cluster = await launch('spends', null, budget(10, 'stop'));
    await world.skip(4 * HOUR + 55 * MINUTE);
    expect((await cluster.view()).status).toBe('UP');
    await world.skip(10 * MINUTE);
    await cluster.until((view) => view.status === 'STOPPED');
    const view = await cluster.view();
    expect(view.statusReason).toBe('stopped: its budget of $10.00 is spent');
    expect(view.jobs[0]?.status).toBe('CANCELLED');
    expect(view.costSoFar).toBeGreaterThanOrEqual(10);
    expect(view.costSoFar, 'of the ten minutes in which it had to stop').toBeLessThan(10.4);
    expect(steps.actions).toContain('stop');
    expect(steps.actions).not.toContain('terminate');
    await expect(cluster.start()).rejects.toMatchObject({
      cause: { message: expect.stringContaining(`The budget of cluster '${cluster.name}' ($10.00) is spent`) },
    });
    await submit(cluster.name, null, budget(14, 'stop'));
    await cluster.until((now) => now.status === 'UP');
    await world.skip(HOUR + 45 * MINUTE);
    expect((await cluster.view()).status).toBe('UP');
    await world.skip(20 * MINUTE);
    await cluster.until((now) => now.status === 'STOPPED');
    const { costSoFar } = await cluster.view();
    expect(costSoFar).toBeGreaterThanOrEqual(14);
    expect(costSoFar).toBeLessThan(14.8);
  });

  it('a budget of hours ends the cluster, counts over continue-as-new, and not while the cluster is stopped', {
    timeout: 240_000,
  }, async () => {
    const cluster = await launch('hours', null, { maxCost: null, maxDuration: 30 * 3600, onExceed: 'down' });
    await cluster.endJob(await cluster.view());
    const firstRun = (await cluster.handle.describe()).runId;
    await world.skip(20 * HOUR);
    await cluster.stop();
    await cluster.until((view) => view.status === 'STOPPED');
    await world.skip(40 * HOUR);
    await cluster.start();
    await cluster.until((view) => view.status === 'UP');
    await world.skip(9 * HOUR);
    for (let turn = 0; turn < 40; turn++) await cluster.poke();
    expect((await cluster.view()).status).toBe('UP');
    await world.skip(50 * MINUTE);
    expect((await cluster.handle.describe()).runId, 'it continued as new').not.toBe(firstRun);
    expect((await cluster.view()).status).toBe('UP');
    await world.skip(20 * MINUTE);
    expect(await cluster.handle.result()).toBeUndefined();
    expect((await cluster.view()).statusReason).toBe('ended: its budget of 1d 6h of running is spent');
    expect(steps.actions).toContain('terminate');
  });

  it('a budget that only tells does so once and lets everything run', { timeout: 240_000 }, async () => {
    const cluster = await launch('told', null, budget(10, 'notify'));
    await world.skip(4 * HOUR);
    expect((await cluster.view()).statusReason).toBe('');
    await world.skip(2 * HOUR);
    await cluster.until((view) => view.statusReason === 'its budget of $10.00 is spent');
    const told = (await cluster.view()).budget?.exceeded?.at;
    const { historyLength } = await cluster.handle.describe();
    await world.skip(5 * HOUR);
    const view = await cluster.view();
    expect(view).toMatchObject({ status: 'UP', budget: { exceeded: { at: told } } });
    expect(view.jobs[0]?.status).toBe('RUNNING');
    expect((await cluster.handle.describe()).historyLength - historyLength, 'it does not ring again').toBeLessThan(80);
    const { memo } = await cluster.handle.describe();
    expect(memo).toMatchObject({ styx: { status: 'UP', statusReason: 'its budget of $10.00 is spent' } });
    expect(steps.actions).not.toContain('stop');
  });
});

class Cluster {
  readonly name: string;
  readonly handle: WorkflowHandle;
  private readonly client: WorkflowClient;

  constructor(client: WorkflowClient, name: string) {
    this.name = name;
    this.client = client;
    this.handle = client.getHandle(clusterWorkflowId('default', name));
  }

  async view(): Promise<ClusterView> {
    return await this.handle.query<ClusterView>('view');
  }

  /** Real milliseconds: the clock stands while nobody awaits a result. */
  async until(condition: (view: ClusterView) => boolean): Promise<void> {
    for (const end = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const view = await this.view();
      if (condition(view)) return;
      if (Date.now() > end) throw new Error(`still ${view.status}, jobs ${JSON.stringify(view.jobs)}`);
    }
  }

  /** What the watch would tell. */
  async endJob(view: ClusterView): Promise<void> {
    const job = this.client.getHandle(`${this.handle.workflowId}/${view.generation}/job-1`);
    await job.signal('rankEnded', { phase: 'run', rank: 0, exitCode: 0, lost: false, endedAt: 0 });
    await this.until((now) => now.jobs[0]?.status === 'SUCCEEDED');
  }

  async sessions(count: number): Promise<void> {
    const { generation } = await this.view();
    await this.handle.signal('observed', { generation, child: 1, at: 0, sessions: count });
    await this.until((view) => view.sessions === count);
  }

  async stop(): Promise<void> {
    await this.handle.executeUpdate('stop', { args: [{ requestId: randomUUID(), user: 'tester' }] });
  }

  async start(): Promise<void> {
    const command = { requestId: randomUUID(), user: 'tester', retryUntilUp: false };
    await this.handle.executeUpdate('start', { args: [command] });
  }

  /** A command, so that the view's clock moves. */
  async poke(): Promise<void> {
    await this.handle.executeUpdate('autostop', { args: [{ requestId: randomUUID(), user: 'tester', rule: null }] });
  }
}
