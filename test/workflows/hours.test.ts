/** What clusters do over hours, in seconds: the real workflows on a server that skips time. */
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { WithStartWorkflowOperation } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterInput, ClusterView, LaunchCommand } from '../../model/commands.ts';
import { clusterWorkflowId } from '../../model/identity.ts';
import { commandTask } from '../../model/parse-task.ts';
import { ACTIVITY_QUEUE, WATCH_QUEUE, WORKFLOW_QUEUE } from '../../model/queues.ts';
import { resourcesText } from '../../model/resources-text.ts';
import type { AutostopRule } from '../../model/task.ts';
import { NORMAL } from '../../model/timing.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { type SimulatedCluster, simulatedCluster } from '../harness/simulated-steps.ts';
import { startTimeSkipping, timeSkippingServer } from '../harness/time-skipping.ts';

const server = await timeSkippingServer();
if ('missing' in server) console.warn(`SKIPPED: tests of hours with skipped time: ${server.missing}`);

describe.skipIf('missing' in server)('a cluster over hours', () => {
  let environment: TestWorkflowEnvironment;
  let workers: { running: Promise<void>[]; all: Worker[]; cluster: SimulatedCluster };

  beforeAll(async () => {
    environment = await startTimeSkipping('path' in server ? server.path : '');
    const { codePath } = await workflowBundle();
    const cluster = simulatedCluster();
    const connection = environment.nativeConnection;
    const all = await Promise.all([
      Worker.create({ connection, taskQueue: WORKFLOW_QUEUE, workflowBundle: { codePath } }),
      Worker.create({ connection, taskQueue: ACTIVITY_QUEUE, activities: cluster.act }),
      Worker.create({ connection, taskQueue: WATCH_QUEUE, activities: cluster.watch }),
    ]);
    workers = { running: all.map((worker) => worker.run()), all, cluster };
  }, 60_000);

  afterAll(async () => {
    for (const worker of workers?.all ?? []) worker.shutdown();
    await Promise.all(workers?.running ?? []);
    await environment?.teardown();
  }, 60_000);

  async function launch(name: string, autostop: AutostopRule | null): Promise<Cluster> {
    workers.cluster.actions.length = 0;
    const id = clusterWorkflowId('default', name);
    const task = { ...commandTask('sleep 1'), secrets: {} };
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
    const input: ClusterInput = { version: 1, workspace: 'default', name, installation: 'test', timing: NORMAL };
    const startWorkflowOperation = new WithStartWorkflowOperation('cluster', {
      workflowId: id,
      taskQueue: WORKFLOW_QUEUE,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [input],
    });
    await environment.client.workflow.executeUpdateWithStart('launch', {
      args: [command],
      startWorkflowOperation,
    });
    const cluster = new Cluster(environment, id);
    await cluster.until((view) => view.jobs[0]?.status === 'RUNNING');
    return cluster;
  }

  const hour = (down: boolean, waitFor: AutostopRule['waitFor'] = 'jobs_and_ssh'): AutostopRule => ({
    idleMinutes: 60,
    down,
    waitFor,
  });

  it('a job that runs for twelve hours is not killed, and the idle hour counts from its end', {
    timeout: 60_000,
  }, async () => {
    const cluster = await launch('long', hour(false));
    await environment.sleep('12 hours');
    const running = await cluster.view();
    expect(running.status).toBe('UP');
    expect(running.jobs[0]?.status).toBe('RUNNING');
    expect(workers.cluster.actions).not.toContain('cancel 1 on 0');
    await cluster.endJob(running);
    await environment.sleep('55 minutes');
    expect((await cluster.view()).status).toBe('UP');
    await environment.sleep('10 minutes');
    await cluster.until((view) => view.status === 'STOPPED');
    expect(workers.cluster.actions).toContain('stop');
    expect(workers.cluster.actions).not.toContain('terminate');
  });

  it('an SSH session holds the cluster, and its end starts the hour', { timeout: 60_000 }, async () => {
    const cluster = await launch('session', hour(true));
    await cluster.endJob(await cluster.view());
    await cluster.sessions(1);
    await environment.sleep('5 hours');
    expect((await cluster.view()).status).toBe('UP');
    await cluster.sessions(0);
    await environment.sleep('50 minutes');
    expect((await cluster.view()).status).toBe('UP');
    await environment.sleep('15 minutes');
    expect(await cluster.handle.result()).toBeUndefined();
    expect(workers.cluster.actions).toContain('terminate');
  });

  it('with wait_for jobs a session does not hold it', { timeout: 60_000 }, async () => {
    const cluster = await launch('jobs-only', hour(false, 'jobs'));
    await cluster.endJob(await cluster.view());
    await cluster.sessions(1);
    await environment.sleep('65 minutes');
    await cluster.until((view) => view.status === 'STOPPED');
  });

  it('with wait_for none the hour runs while a job runs', { timeout: 60_000 }, async () => {
    const cluster = await launch('timer', hour(false, 'none'));
    await environment.sleep('65 minutes');
    await cluster.until((view) => view.status === 'STOPPED');
    expect((await cluster.view()).jobs[0]?.status).toBe('CANCELLED');
  });

  it('without a rule it stands for two days, costs what it costs, and its history stays bounded', {
    timeout: 120_000,
  }, async () => {
    const cluster = await launch('days', null);
    await cluster.endJob(await cluster.view());
    const firstRun = (await cluster.handle.describe()).runId;
    await environment.sleep('2 days');
    await cluster.until((view) => view.status === 'UP');
    const { historyLength, runId } = await cluster.handle.describe();
    expect(runId, 'it continued as new').not.toBe(firstRun);
    expect(historyLength).toBeLessThan(2 * NORMAL.historyEvents);
    await cluster.sessions(0);
    await cluster.poke();
    const { costSoFar } = await cluster.view();
    expect(costSoFar).toBeGreaterThan(2 * 48 - 1);
    expect(costSoFar).toBeLessThan(2 * 48 + 5);
  });
});

class Cluster {
  readonly handle: WorkflowHandle;
  private readonly environment: TestWorkflowEnvironment;

  constructor(environment: TestWorkflowEnvironment, id: string) {
    this.environment = environment;
    this.handle = environment.client.workflow.getHandle(id);
  }

  async view(): Promise<ClusterView> {
    return await this.handle.query<ClusterView>('view');
  }

  /** Real milliseconds: the clock stands while nobody awaits a result. */
  async until(condition: (view: ClusterView) => boolean): Promise<void> {
    for (const end = Date.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const view = await this.view();
      if (condition(view)) return;
      if (Date.now() > end) throw new Error(`still ${view.status}, jobs ${JSON.stringify(view.jobs)}`);
    }
  }

  /** What the watch would tell. */
  async endJob(view: ClusterView): Promise<void> {
    const job = this.environment.client.workflow.getHandle(`${this.handle.workflowId}/${view.generation}/job-1`);
    await job.signal('rankEnded', { phase: 'run', rank: 0, exitCode: 0, lost: false, endedAt: 0 });
    await this.until((now) => now.jobs[0]?.status === 'SUCCEEDED');
  }

  async sessions(count: number): Promise<void> {
    const { generation } = await this.view();
    await this.handle.signal('observed', { generation, child: 1, at: 0, sessions: count });
    await this.until((view) => view.sessions === count);
  }

  /** A command, so that the view's clock moves. */
  async poke(): Promise<void> {
    await this.handle.executeUpdate('autostop', { args: [{ requestId: randomUUID(), user: 'tester', rule: null }] });
  }
}
