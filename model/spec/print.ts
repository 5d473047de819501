/** A task file as YAML again: canonical values, defaults left out. */
import { stringify } from 'yaml';
import { hookConfig } from './autostop.ts';
import type { TaskFile } from './file.ts';
import { poolConfig } from './pool.ts';
import { rayConfig } from './ray.ts';
import { resourcesConfig } from './resources-config.ts';
import { secretRefConfig } from './secrets.ts';
import { serviceConfig } from './service.ts';
import { fileMountConfig } from './storage.ts';
import { budgetConfig } from './styx-fields.ts';
import type { TaskSpec } from './task.ts';
import { volumeConfig } from './volumes.ts';

type Config = Record<string, unknown>;

/** The fields of YAML with their normal values. */
export function taskConfig(task: TaskSpec): Config {
  const config = { ...task.config, ...(task.hooks.length === 0 ? {} : { hooks: task.hooks.map(hookConfig) }) };
  const all: Config = {
    name: task.name,
    num_nodes: task.numNodes,
    resources: resourcesConfig(task.resources),
    workdir: task.workdir === null ? null : workdirConfig(task.workdir),
    file_mounts: mapped(task.fileMounts, fileMountConfig),
    volumes: mapped(task.volumes, volumeConfig),
    envs: task.envs,
    secrets: task.secrets,
    managed_secrets: task.managedSecrets.map(secretRefConfig),
    setup: task.setup,
    run: task.run,
    service: task.service === null ? null : serviceConfig(task.service),
    pool: task.pool === null ? null : poolConfig(task.pool),
    inputs: task.inputs === null ? null : { [task.inputs.uri]: task.inputs.gigabytes },
    outputs: task.outputs === null ? null : { [task.outputs.uri]: task.outputs.gigabytes },
    event_callback: task.eventCallback,
    config,
    api_server_access: task.apiServerAccess,
    max_duration: task.maxDuration,
    job_demand: task.jobDemand,
    queue: task.queue,
    budget: task.budget === null ? null : budgetConfig(task.budget),
    ray: task.ray === null ? null : rayConfig(task.ray),
    continue_on_failure: task.continueOnFailure ? true : null,
  };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null && !isEmpty(value)));
  // An empty list says something: the task waits for none.
  return task.dependsOn === null ? given : { ...given, depends_on: task.dependsOn };
}

/** One map a document: header first where there is one. */
export function fileConfigs(file: TaskFile): Config[] {
  switch (file.kind) {
    case 'task':
      return [taskConfig(file.task)];
    case 'pipeline':
      return [...(file.name === null ? [] : [{ name: file.name }]), ...file.tasks.map(taskConfig)];
    case 'group': {
      const header: Config = {
        name: file.name,
        execution: 'parallel',
        primary_tasks: file.primaryTasks,
        termination_delay: file.terminationDelay,
        inter_connection: file.interConnection,
      };
      const given = Object.fromEntries(Object.entries(header).filter(([, value]) => value !== null));
      return [given, ...file.tasks.map(taskConfig)];
    }
  }
}

/** All text is in quotes, so that no reader of YAML takes it for something else. */
export function printTaskFile(file: TaskFile): string {
  const documents = fileConfigs(file).map((config) =>
    stringify(config, { defaultStringType: 'QUOTE_DOUBLE', lineWidth: 0, aliasDuplicateObjects: false }),
  );
  return documents.join('---\n');
}

/** Without the values of secrets. */
export function redacted(file: TaskFile): TaskFile {
  const hidden = (task: TaskSpec): TaskSpec => ({
    ...task,
    secrets: mapped(task.secrets, () => '<redacted>') as Record<string, string>,
  });
  return file.kind === 'task' ? { ...file, task: hidden(file.task) } : { ...file, tasks: file.tasks.map(hidden) };
}

function workdirConfig(workdir: NonNullable<TaskSpec['workdir']>): unknown {
  if (workdir.kind === 'path') return workdir.path;
  return { url: workdir.url, ...(workdir.ref === null ? {} : { ref: workdir.ref }) };
}

function mapped<T>(map: Readonly<Record<string, T>>, change: (value: T) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
