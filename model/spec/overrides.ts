/** What the command line says over a task file. */
import type { TaskProblem } from '../task-error.ts';
import { accelerator } from './accelerators.ts';
import { FieldError, issueText } from './field.ts';
import { DISK_TIERS, imageId, localDisk, NETWORK_TIERS, ports } from './machine-fields.ts';
import { cloudName, infra, type Place, placeName } from './place.ts';
import { type Alternative, alternative, writtenAlternative } from './resources.ts';
import { alternativeConfig } from './resources-config.ts';
import { envName, envValue } from './secrets.ts';
import type { TaskSpec, Workdir } from './task.ts';
import { cpus, diskSize, flag, memory, taskName, text, wholeNumber, word } from './values.ts';

/** Values in the forms that a command line gives them; absent leaves the task's own. `none` takes a field back to unset. */
export interface TaskOverrides {
  readonly name?: string | undefined;
  readonly numNodes?: string | number | undefined;
  readonly infra?: string | undefined;
  /** Older than `infra`, and not together with it. */
  readonly cloud?: string | undefined;
  readonly region?: string | undefined;
  readonly zone?: string | undefined;
  readonly cpus?: string | number | undefined;
  readonly memory?: string | number | undefined;
  readonly gpus?: string | undefined;
  readonly instanceType?: string | undefined;
  readonly useSpot?: boolean | undefined;
  readonly imageId?: string | undefined;
  readonly diskSize?: string | undefined;
  readonly diskTier?: string | undefined;
  readonly networkTier?: string | undefined;
  readonly localDisk?: string | undefined;
  readonly ports?: readonly string[] | undefined;
  /** A number, or the name of a class. */
  readonly priority?: string | number | undefined;
  readonly workdir?: string | undefined;
  readonly gitUrl?: string | undefined;
  readonly gitRef?: string | undefined;
  /** Variables that replace or add to the task's. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** Secrets that replace or add to the task's. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** Values for secrets that the file names without one. */
  readonly secretDefaults?: Readonly<Record<string, string>> | undefined;
}

export interface ReadOverrides {
  readonly envs: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
  readonly secretDefaults: Readonly<Record<string, string>>;
  /** The option that gave a field, by the field's path. */
  readonly options: ReadonlyMap<string, string>;
  /** Everything but variables and secrets, which a file takes in while it is read. Problems go to `problems`. */
  apply(task: TaskSpec, problems: TaskProblem[]): TaskSpec;
}

/** Problems go to `problems`, named by their option. */
export function readOverrides(overrides: TaskOverrides, problems: TaskProblem[]): ReadOverrides {
  const reader = new OptionReader(problems);
  const name = reader.read('--name', 'name', overrides.name, taskName);
  const numNodes = reader.read('--num-nodes', 'num_nodes', numeric(overrides.numNodes), (value) =>
    wholeNumber(value, 1, Number.MAX_SAFE_INTEGER),
  );
  const place = readPlace(reader, overrides);
  const machine = readMachine(reader, overrides);
  const workdir = readWorkdir(reader, overrides);
  const envs = reader.values('--env', 'envs', overrides.envs);
  const secrets = reader.values('--secret', 'secrets', overrides.secrets);
  const secretDefaults = reader.values('--env-file', null, overrides.secretDefaults);
  const touches = Object.keys(place).length > 0 || Object.keys(machine).length > 0;
  return {
    envs,
    secrets,
    secretDefaults,
    options: reader.options,
    apply(task, found) {
      const changed = {
        ...task,
        name: name ?? task.name,
        numNodes: numNodes ?? task.numNodes,
        workdir: workdir === undefined ? task.workdir : workdir(task.workdir, found),
      };
      if (!touches) return changed;
      const [first, ...others] = task.resources.alternatives.map((one) => overridden(one, place, machine, found));
      return first === undefined
        ? changed
        : { ...changed, resources: { ...task.resources, alternatives: [first, ...others] } };
    },
  };
}

type Written = Record<string, unknown>;

function overridden(one: Alternative, place: Partial<Place>, machine: Written, problems: TaskProblem[]): Alternative {
  const config: Written = { ...alternativeConfig({ ...one, ...place }), ...machine };
  const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null));
  const parsed = writtenAlternative.safeParse(given, { error: issueText });
  const refuse = (message: string, path: readonly PropertyKey[]) => {
    const field = path.map(String).join('.');
    problems.push({
      line: null,
      column: null,
      path: 'options',
      message: field === '' ? message : `${field}: ${message}`,
    });
    return one;
  };
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return refuse(issue?.message ?? 'cannot be put over the file', issue?.path ?? []);
  }
  try {
    return alternative(parsed.data, parsed.data.accelerators?.options[0] ?? null);
  } catch (error) {
    if (error instanceof FieldError) return refuse(error.message, error.path);
    throw error;
  }
}

class OptionReader {
  readonly options = new Map<string, string>();
  readonly #problems: TaskProblem[];

  constructor(problems: TaskProblem[]) {
    this.#problems = problems;
  }

  problem(option: string, message: string): void {
    this.#problems.push({ line: null, column: null, path: option, message });
  }

  /** undefined: not given, or not understood. */
  read<T>(option: string, field: string | null, value: unknown, parse: (value: unknown) => T): T | undefined {
    if (value === undefined) return undefined;
    try {
      const read = parse(value);
      if (field !== null) this.options.set(field, option);
      return read;
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.problem(option, error.message);
      return undefined;
    }
  }

  /** The same, in which `none` is null. */
  resettable<T>(option: string, field: string, value: unknown, parse: (value: unknown) => T): T | null | undefined {
    if (typeof value === 'string' && value.toLowerCase() === 'none') return null;
    return this.read(option, field, value, parse);
  }

  values(option: string, field: string | null, values: Readonly<Record<string, string>> = {}): Record<string, string> {
    const entries = Object.entries(values).flatMap(([name, value]) => {
      const read = this.read(option, field, value, (held): [string, string] => [envName(name), envValue(held)]);
      return read === undefined ? [] : [read];
    });
    return Object.fromEntries(entries);
  }
}

/** Text is a number on a command line. */
function numeric(value: unknown): unknown {
  return typeof value === 'string' && /^[-+]?\d{1,15}$/.test(value.trim()) ? Number(value) : value;
}

function readPlace(reader: OptionReader, { infra: wanted, cloud, region, zone }: TaskOverrides): Partial<Place> {
  if (wanted === undefined) {
    const part = (option: string, value: string | undefined, parse: (value: unknown) => string) =>
      reader.resettable(option, 'resources.infra', value === '*' ? 'none' : value, parse);
    return given({
      cloud: part('--cloud', cloud, cloudName),
      region: part('--region', region, placeName),
      zone: part('--zone', zone, placeName),
    });
  }
  if ((cloud ?? region ?? zone) !== undefined) {
    reader.problem('--infra', 'cannot be given together with --cloud, --region or --zone');
    return {};
  }
  const place = reader.resettable('--infra', 'resources.infra', wanted, infra);
  return place === null ? { cloud: null, region: null, zone: null } : (place ?? {});
}

/** Fields of `resources` as YAML would give them; null takes one back. */
function readMachine(reader: OptionReader, options: TaskOverrides): Written {
  const checked = (option: string, field: string, value: unknown, parse: (value: unknown) => unknown) => {
    const read = reader.resettable(option, `resources.${field}`, value, parse);
    return read === undefined || read === null ? read : value;
  };
  return given({
    cpus: checked('--cpus', 'cpus', options.cpus, cpus),
    memory: checked('--memory', 'memory', options.memory, memory),
    accelerators: checked('--gpus', 'accelerators', options.gpus, accelerator),
    instance_type: checked('--instance-type', 'instance_type', options.instanceType, placeName),
    use_spot: reader.read('--use-spot', 'resources.use_spot', options.useSpot, flag),
    image_id: checked('--image-id', 'image_id', options.imageId, imageId),
    disk_size: checked('--disk-size', 'disk_size', options.diskSize, diskSize),
    disk_tier: checked('--disk-tier', 'disk_tier', options.diskTier, (value) => word(value, DISK_TIERS)),
    network_tier: checked('--network-tier', 'network_tier', options.networkTier, (value) => word(value, NETWORK_TIERS)),
    local_disk: checked('--local-disk', 'local_disk', options.localDisk, localDisk),
    ports: readPorts(reader, options.ports),
    ...readPriority(reader, options.priority),
  });
}

function readPorts(reader: OptionReader, wanted: readonly string[] | undefined): unknown {
  if (wanted === undefined || wanted.length === 0) return undefined;
  if (!wanted.some((port) => port.toLowerCase() === 'none'))
    return reader.read('--ports', 'resources.ports', wanted, ports);
  if (wanted.length > 1) reader.problem('--ports', 'cannot be "none" and others');
  return null;
}

/** A number or a class takes the place of both. */
function readPriority(reader: OptionReader, wanted: string | number | undefined): Written {
  if (wanted === undefined) return {};
  const value = typeof wanted === 'string' ? wanted.trim() : wanted;
  const none = { priority: null, priority_class: null };
  if (value === '' || (typeof value === 'string' && value.toLowerCase() === 'none')) return none;
  const number = numeric(value);
  if (typeof number === 'string') {
    return { ...none, priority_class: reader.read('--priority', 'resources.priority_class', number, text) };
  }
  const read = reader.read('--priority', 'resources.priority', number, (held) => wholeNumber(held, -1000, 1000));
  return { ...none, priority: read ?? null };
}

function readWorkdir(reader: OptionReader, { workdir: path, gitUrl, gitRef }: TaskOverrides) {
  const directory = reader.read('--workdir', 'workdir', path, text);
  const url = reader.read('--git-url', 'workdir', gitUrl, text);
  const ref = reader.read('--git-ref', 'workdir', gitRef, text);
  if (directory !== undefined && (url ?? ref) !== undefined) {
    reader.problem('--workdir', 'cannot be given together with --git-url or --git-ref');
  }
  if ((directory ?? url ?? ref) === undefined) return undefined;
  return (before: Workdir | null, problems: TaskProblem[]): Workdir | null => {
    if (directory !== undefined) return { kind: 'path', path: directory };
    const git = before?.kind === 'git' ? before : null;
    const at = url ?? git?.url;
    if (at !== undefined) return { kind: 'git', url: at, ref: ref ?? git?.ref ?? null };
    problems.push({
      line: null,
      column: null,
      path: '--git-ref',
      message: 'needs --git-url, or a git workdir in the task',
    });
    return before;
  };
}

function given<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
