/** What of a task file this version carries out. The one table that says so; what it lists is refused by name at launch. */

import { containerImages, REGISTRY_VARIABLES, registryProblem } from './container.ts';
import { alternativeObstacles, requestOf } from './executable-machines.ts';
import { recoveryProblem } from './job-recovery.ts';
import { WORKDIR } from './mount-target.ts';
import { NOT_YET, type Obstacle } from './obstacle.ts';
import { recoveryPolicy } from './recovery-policy.ts';
import { type ConfigOverrides, configPaths } from './spec/config.ts';
import { FieldError } from './spec/field.ts';
import type { Alternative } from './spec/resources.ts';
import type { TaskSpec } from './spec/task.ts';
import type { JobDemand, WrittenTask } from './task.ts';
import { localMounts, workdirSource } from './task-files.ts';

/** Fields that are read and checked and not carried out, with how one sees that a task uses them. */
const NOT_EXECUTED = {
  volumes: (task) => Object.keys(task.volumes).length > 0,
  managed_secrets: (task) => task.managedSecrets.length > 0,
  service: (task) => task.service !== null,
  inputs: (task) => task.inputs !== null,
  outputs: (task) => task.outputs !== null,
  event_callback: (task) => task.eventCallback !== null,
  config: (task) => Object.keys(task.config).length > 0,
  'config.hooks': (task) => task.hooks.length > 0,
  api_server_access: (task) => task.apiServerAccess === true,
  'resources.accelerator_args': some((one) => one.acceleratorArgs !== null),
  'resources.job_recovery': some((one) => one.jobRecovery !== null),
  'resources.local_disk': some((one) => one.localDisk !== null),
  'resources.priority_class': some((one) => one.priorityClass !== null),
  'resources.volumes': some((one) => one.volumes.length > 0),
} as const satisfies Record<string, (task: TaskSpec) => boolean>;

export const NOT_EXECUTED_FIELDS: readonly string[] = Object.keys(NOT_EXECUTED);

/** Of those, what a managed job carries out. */
export const OF_MANAGED_JOBS: readonly string[] = ['resources.job_recovery'];

/** Of those, what counts where several managed jobs are placed together. */
const OF_PIPELINES: readonly string[] = ['inputs', 'outputs'];

/** What a managed job has no use for, since its clusters live as long as its copies do. */
const NOT_OF_MANAGED_JOBS: Readonly<Record<string, (task: TaskSpec) => string | null>> = {
  run: (task) => (task.run === null ? 'a managed job needs a run script' : null),
  'resources.autostop': ({ resources: { alternatives } }) =>
    alternatives.some(({ autostop }) => autostop !== null && autostop !== false)
      ? 'has no meaning for a managed job: its machines go when it ends'
      : null,
  'resources.job_recovery': ({ numNodes, resources: { alternatives } }) => {
    const policies = alternatives.map((one) => recoveryProblem(recoveryPolicy(one.jobRecovery), one.useSpot, numNodes));
    return policies.find((problem) => problem !== null) ?? null;
  },
  budget: (task) => (task.budget === null ? null : `of a managed job is ${NOT_YET}`),
  queue: (task) => (task.queue === null ? null : 'is for the jobs of a cluster, and a managed job has one of its own'),
};

/** What a pool has no use for: it makes workers, on which jobs run. */
const NOT_OF_POOLS: Readonly<Record<string, (task: TaskSpec) => string | null>> = {
  pool: (task) => (task.pool === null ? 'is missing: it says how many workers there are' : null),
  run: (task) => (task.run === null ? null : 'has no meaning for a pool: jobs bring their own'),
  'resources.autostop': NOT_OF_MANAGED_JOBS['resources.autostop'] ?? (() => null),
  'resources.job_recovery': ({ resources: { alternatives } }) =>
    alternatives.some(({ jobRecovery }) => jobRecovery !== null)
      ? 'is for managed jobs: a worker that is lost is always replaced'
      : null,
  budget: (task) => (task.budget === null ? null : `of a pool is ${NOT_YET}`),
  queue: (task) => (task.queue === null ? null : `of a pool is ${NOT_YET}`),
  ray: (task) => (task.ray === null ? null : `of a pool is ${NOT_YET}`),
};

const OF_POOLS: typeof NOT_OF_POOLS = {
  pool: (task) => (task.pool === null ? null : 'is for pools of workers: make one with `styx jobs pool apply`'),
};

/** Jobs share a worker of a pool, whose machines are made and filled once for all of them. */
const NOT_OF_POOLED_JOBS: Readonly<Record<string, (task: TaskSpec) => string | null>> = {
  setup: (task) => (task.setup === null ? null : 'of a job in a pool is not run: write it into the file of the pool'),
  workdir: (task) => (task.workdir === null ? null : SHARED_FILES),
  file_mounts: (task) => (Object.keys(task.fileMounts).length === 0 ? null : SHARED_FILES),
  ray: (task) => (task.ray === null ? null : `of a job in a pool is ${NOT_YET}`),
  'resources.job_recovery.replace_nodes': ({ resources: { alternatives } }) =>
    alternatives.some(({ jobRecovery }) => jobRecovery?.replaceNodes === true)
      ? 'has no meaning for a job in a pool: its workers are replaced by the pool'
      : null,
};
const SHARED_FILES =
  'of a job in a pool would change the files of others on its worker: write it into the file of the pool';

const DEFAULT_DEMAND_CPUS = 0.5;
const MAX_NODES = 10_000;
const MAX_NAME = 100;

function some(used: (one: Alternative) => boolean): (task: TaskSpec) => boolean {
  return (task) => task.resources.alternatives.some(used);
}

/** What a task is carried out as. pipeline: as one of several managed jobs. pooled-job: a managed job that runs in a pool. */
export type TaskUse = 'cluster' | 'managed-job' | 'pipeline' | 'pooled-job' | 'pool';

const UNUSED: Readonly<Record<TaskUse, readonly (typeof NOT_OF_POOLS)[]>> = {
  cluster: [OF_POOLS],
  'managed-job': [OF_POOLS, NOT_OF_MANAGED_JOBS],
  pipeline: [OF_POOLS, NOT_OF_MANAGED_JOBS],
  'pooled-job': [OF_POOLS, NOT_OF_MANAGED_JOBS, NOT_OF_POOLED_JOBS],
  pool: [NOT_OF_POOLS],
};

/** All that stands in the way; empty when `executableTask` can be called. */
export function obstacles(task: TaskSpec, use: TaskUse = 'cluster'): Obstacle[] {
  const found: Obstacle[] = [];
  if (use !== 'pipeline') {
    const message = 'is for a task among several of a file that `styx jobs launch` runs';
    if (task.dependsOn !== null) found.push({ path: ['depends_on'], message });
    if (task.continueOnFailure) found.push({ path: ['continue_on_failure'], message });
  }
  for (const table of UNUSED[use]) {
    for (const [path, look] of Object.entries(table)) {
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
    if (OF_PIPELINES.includes(path)) {
      const message = 'is for a task among several of a file that `styx jobs launch` runs';
      if (use !== 'pipeline') found.push({ path: [path], message });
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
  found.push(...alternativeObstacles(task));
  found.push(...containerObstacles(task));
  found.push(...fileObstacles(task));
  if (task.numNodes > MAX_NODES)
    found.push({ path: ['num_nodes'], message: `must be at most ${MAX_NODES}, not ${task.numNodes}` });
  if ((task.name?.length ?? 0) > MAX_NAME)
    found.push({ path: ['name'], message: `must have at most ${MAX_NAME} characters` });
  return found;
}

function containerObstacles({ resources: { alternatives }, envs, secrets }: TaskSpec): Obstacle[] {
  const images = alternatives.flatMap(({ imageId }) => (imageId === null ? [] : containerImages(imageId)));
  const path = ['resources', 'image_id'];
  if (new Set(images).size > 1) return [{ path, message: `several images of containers are ${NOT_YET}; name one` }];
  const problem = images.length === 0 ? null : registryProblem({ ...envs, ...secrets });
  return problem === null ? [] : [{ path: ['secrets'], message: problem }];
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
  const demand: JobDemand = {
    cpus: spec.jobDemand.cpus ?? DEFAULT_DEMAND_CPUS,
    gpus: spec.jobDemand.gpus ?? asked.accelerators?.count ?? 0,
    memory: spec.jobDemand.memory ?? 0,
  };
  return {
    name: spec.name,
    resources: requestOf(spec),
    numNodes: spec.numNodes,
    ...withClosedPassword(spec),
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

/** A registry's password among the variables is a secret nevertheless. */
function withClosedPassword({ envs, secrets }: TaskSpec): Pick<WrittenTask, 'envs' | 'secrets'> {
  const { [REGISTRY_VARIABLES.password]: password, ...others } = envs;
  if (password === undefined) return { envs, secrets };
  return { envs: others, secrets: { [REGISTRY_VARIABLES.password]: password, ...secrets } };
}

function autostopOf(asked: Alternative['autostop']): WrittenTask['autostop'] {
  if (asked === null || asked === false) return null;
  const { idleMinutes, down, waitFor } = asked;
  return { idleMinutes: Math.max(1, idleMinutes), down, waitFor: waitFor ?? 'jobs_and_ssh' };
}
