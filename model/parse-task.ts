/** Task YAML, or a shell command, to a normalised Task. */
import { jsonBytes, TASK_BYTES } from './budgets.ts';
import { nearestWord } from './spelling.ts';
import type { JobDemand, Task } from './task.ts';
import { TaskError, type TaskProblem } from './task-error.ts';
import { WORKDIR } from './task-files.ts';
import { type ReadOverrides, readOverrides, type TaskOverrides } from './task-overrides.ts';
import { KNOWN_FIELDS, UNSUPPORTED_FIELDS, type YamlTask, yamlTask } from './task-schema.ts';
import { plainValue, positionAt, readYaml, type YamlNode } from './yaml.ts';

const DEFAULT_DEMAND_CPUS = 0.5;
const START = { line: 1, column: 1 };

/**
 * The task that `text` describes; `file` names it in messages. Throws TaskError with all problems at once, and nothing else.
 * Substitutes nothing: `$NAME` in a script is the shell's.
 */
export function parseTask(text: string, options: { file: string; overrides?: TaskOverrides }): Task {
  const { file } = options;
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > TASK_BYTES) throw new TaskError(file, [{ ...START, path: '', message: tooLarge(bytes) }]);
  const problems: TaskProblem[] = [];
  const overrides = readOverrides(options.overrides ?? {}, problems);
  const yaml = readYaml(text);
  for (const { line, column, message } of yaml.problems) problems.push({ line, column, path: '', message });
  const { root } = yaml;
  if (yaml.problems.length === 0 && (root === null || root.kind !== 'map')) {
    const empty = root === null || (root.kind === 'scalar' && root.value === null);
    const message = empty ? 'holds no task' : 'must be a map of fields, such as "run: echo hello"';
    problems.push({ ...(root?.at ?? START), path: '', message });
  }
  if (root === null || root.kind !== 'map') throw new TaskError(file, problems);
  const parsed = yamlTask.safeParse(plainTask(root, overrides.envs));
  for (const issue of parsed.error?.issues ?? []) problems.push(...problemsOf(issue, root));
  problems.push(...contradictions(root));
  if (!parsed.success || problems.length > 0) throw new TaskError(file, problems);
  const task = normalised(parsed.data, overrides);
  if (jsonBytes(task) > TASK_BYTES) problems.push({ ...START, path: '', message: tooLarge(jsonBytes(task)) });
  if (task.workdir !== undefined && task.fileMounts?.some(({ target }) => target === WORKDIR)) {
    const message = `the target ${WORKDIR} cannot be given together with a workdir, which is put there`;
    problems.push({ ...positionAt(root, ['file_mounts']), path: 'file_mounts', message });
  }
  if (problems.length > 0) throw new TaskError(file, problems);
  return task;
}

/** A task whose `run` is a shell command. Throws TaskError. */
export function commandTask(command: string, overrides: TaskOverrides = {}): Task {
  const problems: TaskProblem[] = [];
  const read = readOverrides(overrides, problems);
  const problem = (message: string) => problems.push({ line: null, column: null, path: 'command', message });
  if (command.trim() === '') problem('is empty');
  if (command.includes('\0')) problem('must not hold NUL characters');
  const task = normalised({ run: command }, read);
  if (jsonBytes(task) > TASK_BYTES) problem(tooLarge(jsonBytes(task)));
  if (problems.length > 0) throw new TaskError('command', problems);
  return task;
}

function tooLarge(bytes: number): string {
  return `the task is ${Math.ceil(bytes / 1024)} kB; at most ${TASK_BYTES / 1024} kB are allowed`;
}

/** The document as plain values; variables as Python prints them, without those that the command line gives. */
function plainTask(root: YamlNode & { kind: 'map' }, given: Readonly<Record<string, string>>): Record<string, unknown> {
  const task = plainValue(root) as Record<string, unknown>;
  const envs = root.entries.find((entry) => entry.key === 'envs')?.value;
  if (envs?.kind !== 'map') return task;
  const values: Record<string, unknown> = Object.create(null);
  for (const { key, value } of envs.entries) {
    if (Object.hasOwn(given, key)) continue;
    values[key] = value.kind === 'scalar' && value.value !== null ? value.text : plainValue(value);
  }
  return { ...task, envs: values };
}

interface Issue {
  readonly code?: string | undefined;
  readonly message: string;
  readonly path: readonly PropertyKey[];
  readonly keys?: readonly string[];
}

function problemsOf(issue: Issue, root: YamlNode): TaskProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => unknownField(key, issue.path.map(String), root));
  }
  return [{ ...positionAt(root, issue.path), path: issue.path.map(String).join('.'), message: issue.message }];
}

function unknownField(key: string, holder: readonly string[], root: YamlNode): TaskProblem {
  const holderPath = holder.join('.');
  const path = [...holder, key.length > 60 ? `${key.slice(0, 60)}…` : key].join('.');
  const place = { ...positionAt(root, [...holder, key], 'key'), path };
  const unsupported = UNSUPPORTED_FIELDS[holderPath] ?? [];
  if (unsupported.includes(key)) return { ...place, message: 'not supported yet by this version of Styx' };
  const known = KNOWN_FIELDS[holderPath] ?? [];
  for (const [elsewhere, names] of Object.entries(KNOWN_FIELDS)) {
    if (!names.includes(key) || elsewhere === 'resources.autostop') continue;
    const where = elsewhere === '' ? 'at the top of the task' : `under "${elsewhere}"`;
    return { ...place, message: `unknown field here; it belongs ${where}` };
  }
  const suggestion = nearestWord(key, [...known, ...unsupported]);
  return { ...place, message: 'unknown field', ...(suggestion === null ? {} : { suggestion }) };
}

/** Fields that cannot stand together. */
function contradictions(root: YamlNode & { kind: 'map' }): TaskProblem[] {
  const problems: TaskProblem[] = [];
  const resources = root.entries.find((entry) => entry.key === 'resources')?.value;
  if (resources?.kind !== 'map') return problems;
  const given = new Map(resources.entries.map((entry) => [entry.key, entry]));
  const refuse = (name: string, besides: string) => {
    const entry = given.get(name);
    const other = given.get(besides);
    if (entry === undefined || other === undefined || isNull(entry.value) || isNull(other.value)) return;
    problems.push({ ...entry.at, path: `resources.${name}`, message: `cannot be given together with "${besides}"` });
  };
  for (const name of ['cloud', 'region', 'zone']) refuse(name, 'infra');
  refuse('gpus', 'accelerators');
  return problems;
}

function isNull(node: YamlNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

function normalised(yaml: YamlTask, overrides: ReadOverrides): Task {
  const resources = yaml.resources ?? {};
  const accelerators = firstGiven(overrides.accelerators, resources.accelerators, resources.gpus);
  const numNodes = overrides.numNodes ?? yaml.num_nodes ?? 1;
  const workdir = overrides.workdir ?? yaml.workdir;
  const mounts = yaml.file_mounts ?? [];
  const place = overrides.place ?? resources.infra ?? resources;
  const demand: JobDemand = {
    cpus: yaml.job_demand?.cpus ?? DEFAULT_DEMAND_CPUS,
    gpus: yaml.job_demand?.gpus ?? accelerators?.count ?? 0,
    memory: yaml.job_demand?.memory ?? 0,
  };
  return {
    name: overrides.name ?? yaml.name ?? null,
    resources: {
      cloud: place.cloud ?? null,
      region: place.region ?? null,
      zone: place.zone ?? null,
      instanceType: firstGiven(overrides.instanceType, resources.instance_type),
      cpus: firstGiven(overrides.cpus, resources.cpus),
      memory: firstGiven(overrides.memory, resources.memory),
      accelerators,
      useSpot: overrides.useSpot ?? resources.use_spot ?? false,
      numNodes,
    },
    numNodes,
    envs: { ...yaml.envs, ...overrides.envs },
    setup: yaml.setup ?? null,
    run: yaml.run ?? null,
    autostop: resources.autostop ?? null,
    priority: overrides.priority ?? resources.priority ?? 0,
    demand,
    maxDuration: yaml.max_duration ?? null,
    queue: yaml.queue ?? null,
    ...(workdir === undefined ? {} : { workdir: { source: workdir, snapshot: null } }),
    ...(mounts.length === 0 ? {} : { fileMounts: mounts }),
  };
}

/** The first that is not undefined; null is a value. */
function firstGiven<T>(...values: readonly (T | null | undefined)[]): T | null {
  return values.find((value) => value !== undefined) ?? null;
}
