/** What of a task file this version carries out. The one table that says so; what it lists is refused by name at launch. */

import { DEFAULT_RECOVERY, type RecoveryPolicy, STRATEGIES } from './job-recovery.ts';
import { wantsOf } from './machine-wants.ts';
import { WORKDIR } from './mount-target.ts';
import { type ConfigOverrides, configPaths } from './spec/config.ts';
import { FieldError } from './spec/field.ts';
import type { Alternative } from './spec/resources.ts';
import { gpuCount } from './spec/styx-fields.ts';
import type { TaskSpec } from './spec/task.ts';
import type { JobDemand, WrittenTask } from './task.ts';
import { localMounts, workdirSource } from './task-files.ts';

const NOT_YET = 'not supported yet by this version of Styx';

/** Fields that are read and checked and not carried out, with how one sees that a task uses them. */
const NOT_EXECUTED = {
  volumes: (task) => Object.keys(task.volumes).length > 0,
  managed_secrets: (task) => task.managedSecrets.length > 0,
  service: (task) => task.service !== null,
  pool: (task) => task.pool !== null,
  inputs: (task) => task.inputs !== null,
  outputs: (task) => task.outputs !== null,
  event_callback: (task) => task.eventCallback !== null,
  config: (task) => Object.keys(task.config).length > 0,
  'config.hooks': (task) => task.hooks.length > 0,
  api_server_access: (task) => task.apiServerAccess === true,
  'resources.accelerator_args': some((one) => one.acceleratorArgs !== null),
  'resources.job_recovery': some((one) => one.jobRecovery !== null),
  'resources.local_disk': some((one) => one.localDisk !== null),
  'resources.max_hourly_cost': some((one) => one.maxHourlyCost !== null),
  'resources.priority_class': some((one) => one.priorityClass !== null),
  'resources.volumes': some((one) => one.volumes.length > 0),
  'resources.any_of': (task) => task.resources.alternatives.length > 1 && task.resources.order === 'any_of',
  'resources.ordered': (task) => task.resources.alternatives.length > 1 && task.resources.order === 'ordered',
} as const satisfies Record<string, (task: TaskSpec) => boolean>;

export const NOT_EXECUTED_FIELDS: readonly string[] = Object.keys(NOT_EXECUTED);

/** Of those, what a managed job carries out. */
export const OF_MANAGED_JOBS: readonly string[] = ['resources.job_recovery'];

/** What a managed job has no use for, since its clusters live as long as its copies do. */
const NOT_OF_MANAGED_JOBS: Readonly<Record<string, (task: TaskSpec) => string | null>> = {
  run: (task) => (task.run === null ? 'a managed job needs a run script' : null),
  'resources.autostop': ({ resources: { alternatives } }) =>
    alternatives.some(({ autostop }) => autostop !== null && autostop !== false)
      ? 'has no meaning for a managed job: its machines go when it ends'
      : null,
  budget: (task) => (task.budget === null ? null : `of a managed job is ${NOT_YET}`),
  queue: (task) => (task.queue === null ? null : 'is for the jobs of a cluster, and a managed job has one of its own'),
};

const DEFAULT_DEMAND_CPUS = 0.5;
const MAX_NODES = 10_000;
const MAX_NAME = 100;

function some(used: (one: Alternative) => boolean): (task: TaskSpec) => boolean {
  return (task) => task.resources.alternatives.some(used);
}

/** A field of a task that stands in the way of carrying it out. */
export interface Obstacle {
  /** `['resources', 'disk_size']`. */
  readonly path: readonly string[];
  readonly message: string;
}

/** What a task is carried out as. */
export type TaskUse = 'cluster' | 'managed-job';

/** All that stands in the way; empty when `executableTask` can be called. */
export function obstacles(task: TaskSpec, use: TaskUse = 'cluster'): Obstacle[] {
  const found: Obstacle[] = [];
  if (use === 'managed-job') {
    for (const [path, look] of Object.entries(NOT_OF_MANAGED_JOBS)) {
      const message = look(task);
      if (message !== null) found.push({ path: path.split('.'), message });
    }
  }
  for (const [path, used] of Object.entries(NOT_EXECUTED)) {
    if (!used(task)) continue;
    if (OF_MANAGED_JOBS.includes(path)) {
      const message = 'is for managed jobs: run this with `styx jobs launch`';
      if (use === 'cluster') found.push({ path: path.split('.'), message });
      continue;
    }
    if (path === 'managed_secrets') {
      const names = task.managedSecrets.map(({ name }) => name).join(', ');
      const message = `secrets that are kept elsewhere (${names}) are ${NOT_YET}; give their values here or by --secret`;
      found.push({ path: [path], message });
      continue;
    }
    for (const held of path === 'config' ? configFieldPaths(task.config) : [path])
      found.push({ path: held.split('.'), message: NOT_YET });
  }
  const [{ accelerators }] = task.resources.alternatives;
  if (accelerators?.kind === 'memory') {
    found.push({ path: ['resources', 'accelerators'], message: `asking by memory or maker is ${NOT_YET}` });
  } else if (accelerators !== null) {
    try {
      gpuCount(accelerators.count);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      found.push({ path: ['resources', 'accelerators'], message: error.message });
    }
  }
  if (hasContainer(task)) {
    found.push({
      path: ['resources', 'image_id'],
      message: `an image of a container is ${NOT_YET}; name one of a machine`,
    });
  }
  found.push(...fileObstacles(task));
  if (task.numNodes > MAX_NODES)
    found.push({ path: ['num_nodes'], message: `must be at most ${MAX_NODES}, not ${task.numNodes}` });
  if ((task.name?.length ?? 0) > MAX_NAME)
    found.push({ path: ['name'], message: `must have at most ${MAX_NAME} characters` });
  return found;
}

function hasContainer({ resources: { alternatives } }: TaskSpec): boolean {
  return alternatives.some(({ imageId }) => {
    const { docker = null, images = [] } = imageId ?? {};
    return docker !== null || images.some(({ image }) => image.startsWith('docker:'));
  });
}

function fileObstacles(task: TaskSpec): Obstacle[] {
  const found: Obstacle[] = [];
  const look = (field: string, read: () => void) => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      found.push({ path: [field, ...error.path.map(String)], message: error.message });
    }
  };
  const { workdir } = task;
  if (workdir !== null) look('workdir', () => workdirSource(workdir));
  look('file_mounts', () => {
    const mounts = localMounts(task.fileMounts);
    const taken = workdir !== null && mounts.some(({ target }) => target === WORKDIR);
    if (taken)
      throw new FieldError(`the target ${WORKDIR} cannot be given together with a workdir, which is put there`);
  });
  return found;
}

function configFieldPaths(config: ConfigOverrides): string[] {
  return configPaths(config).map((path) => `config.${path}`);
}

/** What the workflows take, of a task without obstacles. */
export function executableTask(spec: TaskSpec): WrittenTask {
  const [asked] = spec.resources.alternatives;
  const mounts = localMounts(spec.fileMounts);
  const accelerators = asked.accelerators?.kind === 'named' ? asked.accelerators : null;
  const wants = wantsOf(asked);
  const demand: JobDemand = {
    cpus: spec.jobDemand.cpus ?? DEFAULT_DEMAND_CPUS,
    gpus: spec.jobDemand.gpus ?? accelerators?.count ?? 0,
    memory: spec.jobDemand.memory ?? 0,
  };
  return {
    name: spec.name,
    resources: {
      cloud: asked.cloud,
      region: asked.region,
      zone: asked.zone,
      instanceType: asked.instanceType,
      cpus: asked.cpus,
      memory: asked.memory?.count === 0 ? null : asked.memory,
      accelerators: accelerators === null ? null : { name: accelerators.name, count: accelerators.count },
      useSpot: asked.useSpot,
      numNodes: spec.numNodes,
      ...(wants === undefined ? {} : { wants }),
    },
    numNodes: spec.numNodes,
    envs: spec.envs,
    secrets: spec.secrets,
    setup: spec.setup,
    run: spec.run,
    autostop: autostopOf(asked.autostop),
    priority: asked.priority ?? 0,
    demand,
    maxDuration: spec.maxDuration,
    queue: spec.queue,
    ...(spec.budget === null ? {} : { budget: spec.budget }),
    ...(spec.ray === null ? {} : { ray: spec.ray }),
    ...(spec.workdir === null ? {} : { workdir: { source: workdirSource(spec.workdir), snapshot: null } }),
    ...(mounts.length === 0 ? {} : { fileMounts: mounts }),
  };
}

function autostopOf(asked: Alternative['autostop']): WrittenTask['autostop'] {
  if (asked === null || asked === false) return null;
  const { idleMinutes, down, waitFor } = asked;
  return { idleMinutes: Math.max(1, idleMinutes), down, waitFor: waitFor ?? 'jobs_and_ssh' };
}

/** `job_recovery` of a task; what it does not say has its default. */
export function recoveryOf(spec: TaskSpec): RecoveryPolicy {
  const [{ jobRecovery }] = spec.resources.alternatives;
  if (jobRecovery === null) return DEFAULT_RECOVERY;
  const { strategy, maxRestartsOnErrors, recoverOnExitCodes } = jobRecovery;
  return {
    strategy: STRATEGIES.find((name) => name === strategy) ?? DEFAULT_RECOVERY.strategy,
    maxRestartsOnErrors: maxRestartsOnErrors ?? DEFAULT_RECOVERY.maxRestartsOnErrors,
    recoverOnExitCodes: recoverOnExitCodes ?? DEFAULT_RECOVERY.recoverOnExitCodes,
  };
}
