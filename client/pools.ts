/** Pools of workers for managed jobs: applied, listed, looked at and taken down. A command is carried out once, however often it is sent. */

import { createHash, randomUUID } from 'node:crypto';
import { WithStartWorkflowOperation, type WorkflowExecutionInfo } from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { canonicalJson } from '../model/canonical-json.ts';
import { MEMO_KEY, SEARCH } from '../model/commands.ts';
import { foreignReason } from '../model/envelope.ts';
import { StyxError } from '../model/errors.ts';
import { nameProblem } from '../model/identity.ts';
import {
  type ApplyPoolCommand,
  type DownPoolCommand,
  MAX_WORKERS,
  POOL_KIND,
  POOL_QUERIES,
  POOL_UPDATES,
  POOL_WORKFLOW,
  type PoolAnswer,
  type PoolInput,
  type PoolMemo,
  type PoolSize,
  type PoolView,
  poolId,
} from '../model/pool.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import type { PoolSpec } from '../model/spec/pool.ts';
import type { WrittenTask } from '../model/task.ts';
import { closedTask } from './closed-task.ts';
import { onAllowedClouds } from './clouds.ts';
import type { CommandOptions } from './clusters.ts';
import { isNotFound, isUnanswered, toStyxError } from './errors.ts';
import type { JobsContext } from './jobs.ts';
import { didYouMean } from './names.ts';
import { repeat } from './repeat.ts';
import { withSnapshots } from './snapshots.ts';

export interface PoolRequest {
  readonly name: string;
  /** What makes a worker; absent: that of the pool as it is. */
  readonly workers?: { readonly task: WrittenTask; readonly resourcesText: string };
  readonly size: PoolSpec;
}

/** A pool as lists know it. */
export interface PoolSummary extends PoolMemo {
  /** Its workflow. */
  readonly id: string;
}

/** As SkyPilot's. */
const UP_S = 300;
const DOWN_S = 1_200;
const FENCE_MS = 5 * 60_000;
const LOOK_MS = 120_000;

/** @throws invalid */
function sizeOf(spec: PoolSpec): PoolSize {
  const max = spec.maxWorkers ?? spec.minWorkers;
  if (max > MAX_WORKERS) throw new StyxError('invalid', `a pool has at most ${MAX_WORKERS} workers, not ${max}`);
  return {
    min: spec.minWorkers,
    max,
    threshold: spec.queueLengthThreshold ?? 1,
    upAfter: (spec.upscaleDelaySeconds ?? UP_S) * 1_000,
    downAfter: (spec.downscaleDelaySeconds ?? DOWN_S) * 1_000,
  };
}

export class Pools {
  readonly #context: JobsContext;

  constructor(context: JobsContext) {
    this.#context = context;
  }

  /**
   * Makes the pool, or changes it: workers that are not as the file says are replaced one at a time, and jobs that run are not ended for it.
   * @throws invalid, refused (it is being taken down), not-found (no file, and no pool), transient
   */
  async apply(request: PoolRequest, options: CommandOptions = {}): Promise<PoolAnswer> {
    const { link, workspace, user, timing, fenceAfter = FENCE_MS } = this.#context;
    const { name } = request;
    const problem = nameProblem(name);
    if (problem !== null) throw new StyxError('invalid', `pool name '${name}' ${problem}`);
    const requestId = options.requestId ?? randomUUID();
    const size = sizeOf(request.size);
    const command: ApplyPoolCommand = { requestId, user, size, workers: await this.#workers(request, options) };
    if (command.workers === null) return await this.#update(name, POOL_UPDATES.apply, command, options);
    const installation = await link.installation();
    const input: PoolInput = { version: 1, workspace, name, installation, user, fenceAfter, timing };
    const send = (deadline: number) =>
      link.call(deadline, (workflow) =>
        workflow.executeUpdateWithStart<Workflow, PoolAnswer, [ApplyPoolCommand]>(POOL_UPDATES.apply, {
          args: [command],
          updateId: requestId,
          startWorkflowOperation: new WithStartWorkflowOperation(POOL_WORKFLOW, {
            workflowId: poolId(workspace, name),
            taskQueue: CLUSTER_QUEUE,
            args: [input],
            workflowIdConflictPolicy: 'USE_EXISTING',
            workflowIdReusePolicy: 'ALLOW_DUPLICATE',
            staticSummary: `Pool ${name}`,
          }),
        }),
      );
    // Not found: the pool of this name ended between the two halves of the call; the next attempt starts one.
    return await repeat(send, { ...options, alsoRepeat: isNotFound });
  }

  async #workers({ workers }: PoolRequest, options: CommandOptions): Promise<ApplyPoolCommand['workers']> {
    if (workers === undefined) return null;
    const { link, home, allowedClouds = null, installConda = false } = this.#context;
    const allowed = await onAllowedClouds(workers.task, allowedClouds);
    const written = await withSnapshots(home, () => link.installation(), allowed, 'launch', options);
    const { resourcesText } = workers;
    // Of the values of secrets too, which are closed differently each time.
    const digest = createHash('sha256').update(canonicalJson({ written, installConda })).digest('hex');
    const task = closedTask(link.keyring, written);
    return { digest, task, resourcesText, conda: installConda };
  }

  /** Cancels its jobs, and ends its workers when those have ended; with `purge` at once. @throws not-found, transient */
  async down(
    name: string,
    { purge = false, ...options }: CommandOptions & { purge?: boolean } = {},
  ): Promise<PoolAnswer> {
    const { user } = this.#context;
    const command: DownPoolCommand = { requestId: options.requestId ?? randomUUID(), user, purge };
    return await this.#update(name, POOL_UPDATES.down, command, options);
  }

  async #update<C extends { readonly requestId: string }>(
    name: string,
    update: string,
    command: C,
    options: CommandOptions,
  ): Promise<PoolAnswer> {
    const { link, workspace } = this.#context;
    const send = (deadline: number) =>
      link.call(deadline, (workflow) =>
        workflow
          .getHandle(poolId(workspace, name))
          .executeUpdate<PoolAnswer, [C]>(update, { args: [command], updateId: command.requestId }),
      );
    return await this.#orMissing(name, () => repeat(send, options));
  }

  /** All that is known of a pool, from its workflow; of one that was taken down too, while the server keeps it. @throws not-found, transient */
  async view(name: string, options: { budget?: number } = {}): Promise<PoolView> {
    const { link, workspace } = this.#context;
    const ask = (deadline: number) =>
      link.call(deadline, (workflow) =>
        workflow.getHandle(poolId(workspace, name)).query<PoolView, []>(POOL_QUERIES.view),
      );
    return await this.#orMissing(name, () => repeat(ask, { budget: LOOK_MS, ...options, alsoRepeat: isUnanswered }));
  }

  /** Those that are there, by name; without a worker. */
  async list(): Promise<PoolSummary[]> {
    const { link, workspace } = this.#context;
    const query = `${SEARCH.kind} = '${POOL_KIND}' AND ${SEARCH.workspace} = '${workspace}' AND ExecutionStatus = 'Running'`;
    const found = await link.read(async (workflow) => {
      const infos: WorkflowExecutionInfo[] = [];
      for await (const info of workflow.list({ query, pageSize: 1_000 })) infos.push(info);
      return infos;
    });
    return found
      .flatMap(({ workflowId, memo }) => {
        const known = memo?.[MEMO_KEY] as PoolMemo | undefined | null;
        return known == null || foreignReason(known) !== null ? [] : [{ ...known, id: workflowId }];
      })
      .toSorted((a, b) => a.name.localeCompare(b.name));
  }

  /** @throws not-found with the nearest names, refused when it is being taken down */
  async mustBe(name: string): Promise<void> {
    const pools = await this.list();
    const pool = pools.find((one) => one.name === name);
    if (pool?.status === 'SHUTTING_DOWN') throw new StyxError('refused', `pool '${name}' is being taken down`);
    if (pool !== undefined) return;
    const { link, workspace } = this.#context;
    // Lists may be a moment behind.
    const running = await link
      .read((workflow) => workflow.getHandle(poolId(workspace, name)).describe())
      .then(({ status }) => status.name === 'RUNNING')
      .catch((error: unknown) => {
        if (toStyxError(error).kind === 'not-found') return false;
        throw error;
      });
    if (!running) throw missing(name, pools);
  }

  async #orMissing<T>(name: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      const failure = toStyxError(error);
      if (failure.kind !== 'not-found') throw failure;
      throw missing(name, await this.list().catch(() => []));
    }
  }
}

function missing(name: string, pools: readonly PoolSummary[]): StyxError {
  const hint = didYouMean(
    name,
    pools.map((pool) => pool.name),
  );
  return new StyxError('not-found', `Pool '${name}' does not exist`, {
    hint: hint ?? 'Run `styx jobs pool status` to see those that there are.',
  });
}
