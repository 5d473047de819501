/** The shapes of a task: as written in YAML (this version's fields) and normalised. */
import { z } from 'zod';
import { StyxError } from './errors.ts';
import type { ResourceRequest } from './machines.ts';
import type { AutostopRule, Task } from './task.ts';
import * as fields from './task-fields.ts';
import * as files from './task-files.ts';

/** A zod schema of a field's own parser, so that YAML and command-line options are read by the same code. */
function field<T>(parse: (value: unknown) => T) {
  return z.unknown().transform((value, ctx): T => {
    try {
      return parse(value);
    } catch (error) {
      if (!(error instanceof fields.FieldError)) throw error;
      ctx.addIssue({ code: 'custom', message: error.message, path: [...error.path] });
      return z.NEVER;
    }
  });
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A map that knows its fields; `null` is as good as absent. */
function fieldsOf<S extends z.ZodRawShape>(shape: S) {
  return z.preprocess(
    (value) => (isMap(value) ? Object.fromEntries(Object.entries(value).filter(([, held]) => held !== null)) : value),
    z.strictObject(shape, {
      error: (issue) => (issue.code === 'invalid_type' ? 'must be a map of fields' : undefined),
    }),
  );
}

const autostopFields = fieldsOf({
  idle_minutes: field(fields.idleMinutes).optional(),
  down: field(fields.flag).optional(),
  wait_for: field(fields.waitFor).optional(),
});

/** `false` is null: no autostop. */
const autostop = z.unknown().transform((value, ctx): AutostopRule | null => {
  if (value === false) return null;
  if (value === true) return fields.DEFAULT_AUTOSTOP;
  const parsed = (isMap(value) ? autostopFields : z.object({ idle_minutes: field(fields.idleMinutes) })).safeParse(
    isMap(value) ? value : { idle_minutes: value },
  );
  if (!parsed.success) {
    for (const { path, ...issue } of parsed.error.issues) ctx.addIssue({ ...issue, path: isMap(value) ? path : [] });
    return z.NEVER;
  }
  const { idle_minutes, down, wait_for } = parsed.data as z.infer<typeof autostopFields>;
  return {
    idleMinutes: idle_minutes ?? fields.DEFAULT_AUTOSTOP.idleMinutes,
    down: down ?? fields.DEFAULT_AUTOSTOP.down,
    waitFor: wait_for ?? fields.DEFAULT_AUTOSTOP.waitFor,
  };
});

const resourceShape = {
  infra: field(fields.infra).optional(),
  cloud: field(fields.cloudName).optional(),
  region: field(fields.placeName).optional(),
  zone: field(fields.placeName).optional(),
  cpus: field(fields.cpus).optional(),
  memory: field(fields.memory).optional(),
  accelerators: field(fields.accelerators).optional(),
  gpus: field(fields.accelerators).optional(),
  instance_type: field(fields.placeName).optional(),
  use_spot: field(fields.flag).optional(),
  autostop: autostop.optional(),
  priority: field(fields.priority).optional(),
};

const demandShape = {
  cpus: field(fields.demandAmount).optional(),
  gpus: field((value) => fields.gpuCount(value, 'none')).optional(),
  memory: field(fields.demandAmount).optional(),
};

const envs = z.unknown().transform((map, ctx): Record<string, string> => {
  if (!isMap(map)) {
    ctx.addIssue({ code: 'custom', message: 'must be a map of names to values' });
    return z.NEVER;
  }
  const values: [string, string][] = [];
  for (const [name, value] of Object.entries(map)) {
    try {
      values.push([fields.envName(name), fields.envValue(name, value)]);
    } catch (error) {
      if (!(error instanceof fields.FieldError)) throw error;
      ctx.addIssue({ code: 'custom', message: error.message, path: [name] });
    }
  }
  return Object.fromEntries(values);
});

const taskShape = {
  name: field(fields.taskName).optional(),
  resources: fieldsOf(resourceShape).optional(),
  num_nodes: field(fields.numNodes).optional(),
  envs: envs.optional(),
  setup: field(fields.text).optional(),
  run: field(fields.text).optional(),
  max_duration: field(fields.maxDuration).optional(),
  job_demand: fieldsOf(demandShape).optional(),
  queue: field(fields.queueDiscipline).optional(),
  workdir: field(files.workdir).optional(),
  file_mounts: field(files.fileMounts).optional(),
};

/** One document of task YAML as plain values, the values of `envs` as text or null. */
export const yamlTask = fieldsOf(taskShape);
export type YamlTask = z.infer<typeof yamlTask>;

/** Fields by the path of the map that holds them. */
export const KNOWN_FIELDS: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(taskShape),
  resources: Object.keys(resourceShape),
  'resources.autostop': ['idle_minutes', 'down', 'wait_for'],
  job_demand: Object.keys(demandShape),
};

/** Fields that SkyPilot has and this version does not. */
export const UNSUPPORTED_FIELDS: Readonly<Record<string, readonly string[]>> = {
  '': [
    ...['volumes', 'secrets', 'managed_secrets', 'service', 'pool', 'inputs', 'outputs'],
    ...[
      'event_callback',
      'config',
      'api_server_access',
      'api_access',
      'execution',
      'primary_tasks',
      'termination_delay',
    ],
    ...['inter_connection', 'file_mounts_mapping', 'volume_mounts', '_metadata', 'experimental', 'storage_mounts'],
  ],
  resources: [
    ...[
      'job_recovery',
      'spot_recovery',
      'disk_size',
      'disk_tier',
      'network_tier',
      'local_disk',
      'max_hourly_cost',
      'ports',
    ],
    ...['labels', 'image_id', 'accelerator_args', 'priority_class', 'volumes', 'any_of', 'ordered', 'hooks'],
  ],
  'resources.autostop': ['hook', 'hook_timeout'],
};

const finite = z.number().min(0);
const name = z.string().min(1).max(100).nullable();
const accelerators = z.object({ name: z.string().min(1), count: z.number().positive() }).nullable();
const amount = z.object({ count: z.number().positive(), atLeast: z.boolean() }).nullable();
const script = z.string().nullable();

const resourceRequest: z.ZodType<ResourceRequest> = z.object({
  cloud: name,
  region: name,
  zone: name,
  instanceType: name,
  cpus: amount,
  memory: amount,
  accelerators,
  useSpot: z.boolean(),
  numNodes: z.int().min(1).max(10_000),
});

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
  target: field((value) => files.mountTarget(fields.text(value))),
  source,
  snapshot,
});

const taskSchema: z.ZodType<Task> = z
  .object({
    name: field(fields.taskName).nullable(),
    resources: resourceRequest,
    numNodes: z.int().min(1).max(10_000),
    envs: z.record(z.string(), z.string()),
    setup: script,
    run: script,
    autostop: z
      .object({ idleMinutes: z.int().min(1), down: z.boolean(), waitFor: z.enum(['jobs_and_ssh', 'jobs', 'none']) })
      .nullable(),
    priority: z.int().min(-1000).max(1000),
    demand: z.object({ cpus: finite, gpus: field((value) => fields.gpuCount(value, 'none')), memory: finite }),
    maxDuration: z.number().positive().nullable(),
    queue: z.enum(['fifo', 'backfill']).nullable(),
    workdir: z.object({ source, snapshot: snapshot.refine(({ kind }) => kind === 'directory') }).exactOptional(),
    fileMounts: z.array(fileMount).min(1).max(files.MAX_MOUNTS).exactOptional(),
  })
  .superRefine((task, ctx) => {
    if (task.resources.numNodes !== task.numNodes) {
      ctx.addIssue({ code: 'custom', message: 'differs from numNodes', path: ['resources', 'numNodes'] });
    }
    for (const key of Object.keys(task.envs)) {
      try {
        fields.envName(key);
      } catch (error) {
        if (!(error instanceof fields.FieldError)) throw error;
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
  const result = taskSchema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues
    .slice(0, 10)
    .map((issue) => `${issue.path.join('.') || 'task'}: ${issue.message}`);
  throw new StyxError('invalid', `not a task: ${problems.join('; ')}`);
}
