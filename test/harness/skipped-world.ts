/** Real workflows on a server that skips time, with steps that are simulated. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowClient } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import type { Worker } from '@temporalio/worker';
import { createLog } from '../../system/log.ts';
import { bundle } from '../../workers/bundle.ts';
import { sealedClient } from '../../workers/sealing.ts';
import { createWorkers } from '../../workers/worker.ts';
import type { SimulatedCluster } from './simulated-steps.ts';
import { testDir } from './temporal.ts';
import { skipTime, startTimeSkipping } from './time-skipping.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const KEPT_TIMERS = join(ROOT, 'test', 'workflows', 'fixtures', 'kept-timers.ts');

export class SkippedWorld {
  readonly client: WorkflowClient;
  readonly environment: TestWorkflowEnvironment;
  private readonly home: string;
  private readonly workers: readonly Worker[];
  private readonly running: readonly Promise<void>[];

  private constructor(environment: TestWorkflowEnvironment, client: WorkflowClient, home: string, workers: Worker[]) {
    this.environment = environment;
    this.client = client;
    this.home = home;
    this.workers = workers;
    this.running = workers.map((worker) => worker.run());
  }

  /** @param server path of its start script */
  static async start(server: string, steps: SimulatedCluster): Promise<SkippedWorld> {
    const home = testDir();
    const environment = await startTimeSkipping(server);
    const codePath = join(home, 'workflows.js');
    writeFileSync(codePath, await bundle(join(ROOT, 'workflows', 'index.ts'), [KEPT_TIMERS]));
    const workers = await createWorkers({
      connection: environment.nativeConnection,
      namespace: 'default',
      workflowBundle: { codePath },
      activities: { actQueue: steps.act, watchQueue: steps.watch, noticeQueue: steps.notices },
      home,
      // A command's age is measured by a clock that jumps here.
      codec: 'optional',
      serverIsLocal: true,
      log: createLog('worker'),
    });
    const client = new WorkflowClient({ connection: environment.connection, ...sealedClient(home, 'optional') });
    return new SkippedWorld(environment, client, home, workers);
  }

  /** Lets so many ms of the server's time pass. */
  async skip(ms: number): Promise<void> {
    await skipTime(this.environment, ms, () => this.workers.every(isIdle));
  }

  async end(): Promise<void> {
    for (const worker of this.workers) worker.shutdown();
    await Promise.all(this.running);
    await this.environment.teardown();
    rmSync(this.home, { recursive: true, force: true });
  }
}

function isIdle(worker: Worker): boolean {
  const { numInFlightWorkflowActivations, numInFlightActivities } = worker.getStatus();
  return numInFlightWorkflowActivations + numInFlightActivities === 0;
}
