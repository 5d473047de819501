/** The schemas of what a pool is given: its state after continue-as-new, and commands that were not made by `client/`. */
import { z } from 'zod';
import { CLUSTER_STATUSES } from './cluster.ts';
import { StyxError } from './errors.ts';
import { type ApplyPoolCommand, MAX_WORKERS, type PoolState, WORKER_PHASES } from './pool.ts';
import type { Task } from './task.ts';
import { filesProblem } from './task-files.ts';
import { validateTask } from './task-schema.ts';

const demand = z.object({ cpus: z.number(), gpus: z.number(), memory: z.number() });
const job = z.object({
  id: z.string(),
  copy: z.number(),
  number: z.number(),
  priority: z.number(),
  numNodes: z.number(),
  demand,
});
const size = z.object({
  min: z.int().min(0).max(MAX_WORKERS),
  max: z.int().min(0).max(MAX_WORKERS),
  threshold: z.int().min(1),
  upAfter: z.number().min(0),
  downAfter: z.number().min(0),
});
/** It was checked when it came. */
const task = z.custom<Task>((value) => typeof value === 'object' && value !== null);
const answer = z.object({ version: z.number(), note: z.string() });

const poolState = z.object({
  version: z.literal(1),
  createdAt: z.number(),
  current: z.object({
    number: z.number(),
    digest: z.string(),
    task,
    resourcesText: z.string(),
    conda: z.boolean(),
    size,
  }),
  workers: z.array(
    z.object({
      number: z.number(),
      cluster: z.string(),
      version: z.number(),
      digest: z.string(),
      phase: z.enum(WORKER_PHASES),
      phaseSince: z.number(),
      launchedAt: z.number(),
      draining: z.boolean(),
      size: z.object({ nodes: z.number(), cpus: z.number(), gpus: z.number(), memory: z.number() }).nullable(),
      jobs: z.array(job),
      idleSince: z.number().nullable(),
      status: z.enum(CLUSTER_STATUSES),
      infra: z.string().nullable(),
      instanceType: z.string().nullable(),
      silentSince: z.number().nullable(),
      why: z.string(),
      cost: z.number(),
      hourly: z.number(),
      costAt: z.number(),
    }),
  ),
  made: z.number(),
  waiting: z.array(job),
  crowdedSince: z.number().nullable(),
  failures: z.number(),
  nextLaunchAt: z.number().nullable(),
  broken: z.string().nullable(),
  ending: z.object({ by: z.string(), purge: z.boolean() }).nullable(),
  spent: z.number(),
  events: z.array(z.object({ at: z.number(), text: z.string() })),
  requests: z.array(z.object({ id: z.string(), answer })),
}) satisfies z.ZodType<PoolState>;

/** @throws ZodError when the state was not written by this version's schema */
export function parsePoolState(value: unknown): PoolState {
  return poolState.parse(value);
}

/** @throws invalid */
export function validateApply(command: ApplyPoolCommand): void {
  const checked = size.safeParse(command.size);
  if (!checked.success || checked.data.max < checked.data.min) {
    const what = checked.success ? 'more workers at least than at most' : z.prettifyError(checked.error);
    throw new StyxError('invalid', `the size of the pool is not one: ${what}`);
  }
  if (command.workers === null) return;
  validateTask(command.workers.task);
  const files = filesProblem(command.workers.task);
  if (files !== null) throw new StyxError('invalid', `The task's files are not there: ${files}.`);
}
