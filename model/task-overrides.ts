/** What the command line says over a task file. */
import type { ResourceRequest } from './machines.ts';
import type { TaskProblem } from './task-error.ts';
import * as fields from './task-fields.ts';
import { type FileSource, workdir } from './task-files.ts';

/** Values in the forms that a command line gives them; absent leaves the task's own. `none` takes a resource back to unset. */
export interface TaskOverrides {
  readonly name?: string | undefined;
  readonly infra?: string | undefined;
  readonly numNodes?: string | number | undefined;
  readonly cpus?: string | number | undefined;
  readonly memory?: string | number | undefined;
  readonly gpus?: string | undefined;
  readonly instanceType?: string | undefined;
  readonly useSpot?: boolean | undefined;
  /** Variables that replace or add to the task's. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  readonly priority?: string | number | undefined;
  readonly workdir?: string | undefined;
}

/** Overrides that were understood; `undefined` means not given. */
export interface ReadOverrides {
  readonly name: string | undefined;
  readonly place: fields.Place | undefined;
  readonly numNodes: number | undefined;
  readonly cpus: ResourceRequest['cpus'] | undefined;
  readonly memory: ResourceRequest['memory'] | undefined;
  readonly accelerators: ResourceRequest['accelerators'] | undefined;
  readonly instanceType: string | null | undefined;
  readonly useSpot: boolean | undefined;
  readonly priority: number | undefined;
  readonly workdir: FileSource | undefined;
  readonly envs: Readonly<Record<string, string>>;
}

const ANYWHERE: fields.Place = { cloud: null, region: null, zone: null };

/** Problems go to `problems`, named by their option. */
export function readOverrides(overrides: TaskOverrides, problems: TaskProblem[]): ReadOverrides {
  function read<T, N>(option: string, value: unknown, parse: (value: unknown) => T, none: N): T | N | undefined {
    if (value === undefined) return undefined;
    if (none !== undefined && typeof value === 'string' && value.toLowerCase() === 'none') return none;
    try {
      return parse(value);
    } catch (error) {
      if (!(error instanceof fields.FieldError)) throw error;
      problems.push({ line: null, column: null, path: option, message: error.message });
      return undefined;
    }
  }
  const envs: [string, string][] = [];
  for (const [name, value] of Object.entries(overrides.envs ?? {})) {
    const understood = read('--env', value, (held) => fields.envValue(fields.envName(name), held), undefined);
    if (understood !== undefined) envs.push([name, understood]);
  }
  return {
    name: read('--name', overrides.name, fields.taskName, undefined),
    place: read('--infra', overrides.infra, fields.infra, ANYWHERE),
    numNodes: read('--num-nodes', overrides.numNodes, fields.numNodes, undefined),
    cpus: read('--cpus', overrides.cpus, fields.cpus, null),
    memory: read('--memory', overrides.memory, fields.memory, null),
    accelerators: read('--gpus', overrides.gpus, fields.accelerators, null),
    instanceType: read('--instance-type', overrides.instanceType, fields.placeName, null),
    useSpot: read('--use-spot', overrides.useSpot, fields.flag, undefined),
    priority: read('--priority', overrides.priority, fields.priority, 0),
    workdir: read('--workdir', overrides.workdir, workdir, undefined),
    envs: Object.fromEntries(envs),
  };
}
