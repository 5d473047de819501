/** The shape of a task that can be carried out, checked where one comes over a boundary. */
import { z } from 'zod';
import { MOST_ALTERNATIVES } from './alternatives.ts';
import { jsonBytes, LAUNCH_OFFERS, RESULT_BYTES } from './budgets.ts';
import type { ClusterSpec } from './cluster.ts';
import type { Budget } from './cost-budget.ts';
import { StyxError } from './errors.ts';
import { machineWantsSchema } from './machine-wants.ts';
import type { InstanceTypeOffer, ResourceRequest } from './machines.ts';
import { mountTarget } from './mount-target.ts';
import { RAY_EXTRAS, type RayRequest, rayVersionProblem } from './ray.ts';
import { FieldError, field } from './spec/field.ts';
import { envName } from './spec/secrets.ts';
import { gpuCount } from './spec/styx-fields.ts';
import { taskName, text } from './spec/values.ts';
import type { Task } from './task.ts';
import * as files from './task-files.ts';

const finite = z.number().min(0);
const name = z.string().min(1).max(253).nullable();
const accelerators = z.object({ name: z.string().min(1), count: z.number().positive() }).nullable();
const amount = z.object({ count: z.number().positive(), atLeast: z.boolean() }).nullable();
const script = z.string().nullable();

const choice = z.object({
  cloud: name,
  region: name,
  zone: name,
  instanceType: name,
  cpus: amount,
  memory: amount,
  accelerators,
  useSpot: z.boolean(),
});
const request = choice.extend({
  clouds: z.array(z.string().min(1).max(253)).max(100).optional(),
  others: z
    .array(choice)
    .max(MOST_ALTERNATIVES - 1)
    .exactOptional(),
  inOrder: z.boolean().exactOptional(),
  numNodes: z.int().min(1).max(10_000),
  wants: machineWantsSchema().exactOptional(),
});
const resourceRequest: z.ZodType<ResourceRequest> = request;

const place = z.string().min(1).max(253);
/**
 * Places of a plan. They are an activity's answer too, whose bytes are bounded. A function: workflow sandboxes freeze what a module exports,
 * and schemas change when they are first used.
 */
export function plannedOffers(): z.ZodType<InstanceTypeOffer[]> {
  const offer = z.object({
    cloud: place,
    region: place,
    zone: place,
    instanceType: place,
    cpus: finite,
    memory: finite,
    accelerators,
    useSpot: z.boolean(),
    hourlyCost: finite,
    disk: z.object({ size: finite, hourlyCost: finite }).exactOptional(),
    noStop: z.string().exactOptional(),
  });
  return z
    .array(offer)
    .min(1)
    .max(LAUNCH_OFFERS)
    .refine((offers) => jsonBytes(offers) <= RESULT_BYTES, `has more than ${RESULT_BYTES} bytes`);
}

const budget: z.ZodType<Budget> = z
  .object({
    maxCost: z.number().positive().nullable(),
    maxDuration: z.number().positive().nullable(),
    onExceed: z.enum(['stop', 'down', 'notify']),
  })
  .refine(({ maxCost, maxDuration }) => maxCost !== null || maxDuration !== null, 'has no limit');

const specSchema: z.ZodType<ClusterSpec> = z.object({
  resources: request.extend({ planned: plannedOffers().exactOptional() }),
  numNodes: z.int().min(1).max(10_000),
  resourcesText: z.string(),
  conda: z.boolean().exactOptional(),
  budget: budget.exactOptional(),
});

function shortName(value: unknown): string {
  const short = taskName(value);
  if (short.length > 100) throw new FieldError('must have at most 100 characters');
  return short;
}

const snapshot: z.ZodType<files.Snapshot> = z.object({
  manifest: z.string().regex(/^[0-9a-f]{64}$/),
  kind: z.enum(['directory', 'file']),
  files: z.int().min(0),
  bytes: z.number().min(0),
});
const source: z.ZodType<files.FileSource> = z.union([
  z.object({ path: z.string().min(1).max(4_096) }),
  z.object({ url: z.string().min(1).max(4_096), ref: z.string().min(1).max(1_024).nullable() }),
]);
const fileMount: z.ZodType<files.FileMount> = z.object({
  target: field({}, (value) => mountTarget(text(value))),
  source,
  snapshot,
});

const ray: z.ZodType<RayRequest> = z.object({
  version: z
    .string()
    .refine((version) => rayVersionProblem(version) === null, 'is no version of Ray that can be had')
    .nullable(),
  extras: z.array(z.enum(RAY_EXTRAS)),
  headResources: z.record(z.string().max(100), finite).nullable(),
  restartHead: z.boolean().nullable(),
});

/** Of a command, as it came over a boundary. @throws invalid */
export function validateRay(value: unknown): RayRequest {
  return validated(ray, value, 'request for Ray');
}

const taskSchema: z.ZodType<Task> = z
  .object({
    name: field({}, shortName).nullable(),
    resources: resourceRequest,
    numNodes: z.int().min(1).max(10_000),
    envs: z.record(z.string(), z.string()),
    secrets: z.record(z.string(), z.object({ $secret: z.string(), box: z.string() })),
    setup: script,
    run: script,
    autostop: z
      .object({ idleMinutes: z.int().min(1), down: z.boolean(), waitFor: z.enum(['jobs_and_ssh', 'jobs', 'none']) })
      .nullable(),
    priority: z.int().min(-1000).max(1000),
    demand: z.object({ cpus: finite, gpus: field({}, gpuCount), memory: finite }),
    maxDuration: z.number().positive().nullable(),
    queue: z.enum(['fifo', 'backfill']).nullable(),
    budget: budget.exactOptional(),
    ray: ray.exactOptional(),
    workdir: z.object({ source, snapshot: snapshot.refine(({ kind }) => kind === 'directory') }).exactOptional(),
    fileMounts: z.array(fileMount).min(1).max(files.MAX_MOUNTS).exactOptional(),
    group: z.object({ pipeline: z.string(), task: z.int().min(0), copy: z.int().min(0) }).exactOptional(),
  })
  .superRefine((task, ctx) => {
    if (task.resources.numNodes !== task.numNodes) {
      ctx.addIssue({ code: 'custom', message: 'differs from numNodes', path: ['resources', 'numNodes'] });
    }
    for (const key of [...Object.keys(task.envs), ...Object.keys(task.secrets)]) {
      try {
        envName(key);
      } catch (error) {
        if (!(error instanceof FieldError)) throw error;
        ctx.addIssue({ code: 'custom', message: error.message, path: ['envs', key] });
      }
    }
    const texts: [string, string | null][] = [['setup', task.setup], ['run', task.run], ...Object.entries(task.envs)];
    for (const [key, value] of texts) {
      if (value?.includes('\0')) ctx.addIssue({ code: 'custom', message: 'must not hold NUL characters', path: [key] });
    }
  });

/** A task that came over a boundary. Throws StyxError `invalid`; fields that it does not know are dropped. */
export function validateTask(value: unknown): Task {
  return validated(taskSchema, value, 'task');
}

/** What a cluster is to be launched for, as it came over a boundary. @throws invalid */
export function validateSpec(value: unknown): ClusterSpec {
  return validated(specSchema, value, 'spec');
}

function validated<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.slice(0, 10).map((issue) => `${issue.path.join('.') || what}: ${issue.message}`);
  throw new StyxError('invalid', `not a ${what}: ${problems.join('; ')}`);
}
