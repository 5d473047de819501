/** Task YAML, or a shell command, to what it says and to what can be carried out. */
import { jsonBytes, TASK_BYTES } from './budgets.ts';
import { executableTask, obstacles, type TaskUse } from './executable.ts';
import type { RecoveryPolicy } from './job-recovery.ts';
import { recoveryPolicy } from './recovery-policy.ts';
import { readTask, readTaskFile, type TaskFile } from './spec/file.ts';
import { type ReadOverrides, readOverrides, type TaskOverrides } from './spec/overrides.ts';
import type { PoolSpec } from './spec/pool.ts';
import type { TaskSpec } from './spec/task.ts';
import type { WrittenTask } from './task.ts';
import { TaskError, type TaskProblem } from './task-error.ts';
import { positionAt, readYaml, type YamlNode } from './yaml.ts';

const START = { line: 1, column: 1 };

/** Something wrong with a task that only its surroundings show, such as a directory that is not there. */
export interface Finding {
  /** `['file_mounts', '/data']`. */
  readonly path: readonly string[];
  readonly message: string;
}

/**
 * What a task file says, this version carrying it out or not, with the command line's options over each task; `file` names it in
 * messages, `check` looks at each task that is right by itself. Throws TaskError with all problems at once.
 */
export function parseTaskFile(
  text: string,
  options: { file: string; overrides?: TaskOverrides; check?: (task: TaskSpec) => readonly Finding[] },
): TaskFile {
  const { file, check = () => [] } = options;
  const problems: TaskProblem[] = [];
  const overrides = readOverrides(options.overrides ?? {}, problems);
  const written = readText(text, file, overrides, problems);
  if (written === null || problems.length > 0) throw new TaskError(file, problems);
  const read = { ...written, file: changed(written.file, (task) => overrides.apply(task, problems)) };
  if (problems.length > 0) throw new TaskError(file, problems);
  for (const [index, task] of tasksOf(read.file).entries()) {
    for (const { path, message } of check(task)) {
      const root = read.roots[index];
      const at = root === undefined ? START : positionAt(root, path);
      problems.push({ ...at, path: path.join('.'), message });
    }
  }
  if (problems.length > 0) throw new TaskError(file, problems);
  return read.file;
}

function changed(file: TaskFile, change: (task: TaskSpec) => TaskSpec): TaskFile {
  return file.kind === 'task' ? { ...file, task: change(file.task) } : { ...file, tasks: file.tasks.map(change) };
}

export function tasksOf(file: TaskFile): readonly TaskSpec[] {
  return file.kind === 'task' ? [file.task] : file.tasks;
}

/**
 * The task that `text` describes, with the command line's options over it. Throws TaskError with all problems at once, also when it
 * says something that this version does not carry out. Nothing is substituted in scripts: `$NAME` there is the shell's.
 */
export function parseTask(text: string, options: { file: string; overrides?: TaskOverrides }): WrittenTask {
  return parseFor('cluster', text, options).task;
}

/** A task and what is done about it when it ends before its time. */
export interface WrittenJob {
  readonly task: WrittenTask;
  readonly recovery: RecoveryPolicy;
}

export interface WrittenPool {
  readonly task: WrittenTask;
  readonly pool: PoolSpec;
}

interface Carried extends WrittenJob {
  readonly pool: PoolSpec | null;
}

/** The same, to be carried out as a managed job. */
export function parseJob(text: string, options: { file: string; overrides?: TaskOverrides }): WrittenJob {
  return parseFor('managed-job', text, options);
}

/** The same, on a worker of a pool. */
export function parsePooledJob(text: string, options: { file: string; overrides?: TaskOverrides }): WrittenJob {
  return parseFor('pooled-job', text, options);
}

/** What makes the workers of a pool, and how many. */
export function parsePool(text: string, options: { file: string; overrides?: TaskOverrides }): WrittenPool {
  const { task, pool } = parseFor('pool', text, options);
  if (pool === null) throw new Error('a pool without `pool` is refused above');
  return { task, pool };
}

function parseFor(
  use: Exclude<TaskUse, 'pipeline'>,
  text: string,
  options: { file: string; overrides?: TaskOverrides },
): Carried {
  const { file } = options;
  const problems: TaskProblem[] = [];
  const overrides = readOverrides(options.overrides ?? {}, problems);
  const read = readText(text, file, overrides, problems);
  if (read === null || problems.length > 0) throw new TaskError(file, problems);
  const [root = null, second] = read.roots;
  if (read.file.kind !== 'task') {
    const what = read.file.kind === 'group' ? 'a job group' : 'a pipeline of several tasks';
    const at = (second ?? root)?.at ?? START;
    const message = use.startsWith('pool')
      ? `${what} is not for pools, whose jobs and workers have one task each`
      : `${what} is for managed jobs: run this with \`styx jobs launch\``;
    throw new TaskError(file, [{ ...at, path: '', message }]);
  }
  return carriedOut(overrides.apply(read.file.task, problems), { file, root, overrides, problems, use });
}

/** A task whose `run` is a shell command; null: machines only. Throws TaskError. */
export function commandTask(command: string | null, options: TaskOverrides = {}): WrittenTask {
  return commandFor('cluster', command, options).task;
}

/** The same, to be carried out as a managed job. */
export function commandJob(command: string | null, options: TaskOverrides = {}): WrittenJob {
  return commandFor('managed-job', command, options);
}

/** The same, on a worker of a pool. */
export function commandPooledJob(command: string | null, options: TaskOverrides = {}): WrittenJob {
  return commandFor('pooled-job', command, options);
}

function commandFor(use: TaskUse, command: string | null, options: TaskOverrides): WrittenJob {
  const problems: TaskProblem[] = [];
  const overrides = readOverrides(options, problems);
  const spec = specOf(command, overrides, problems);
  return carriedOut(spec, { file: 'command', root: null, overrides, problems, use });
}

/** The same, this version carrying it out or not. Throws TaskError. */
export function commandSpec(command: string | null, options: TaskOverrides = {}): TaskSpec {
  const problems: TaskProblem[] = [];
  const spec = specOf(command, readOverrides(options, problems), problems);
  if (problems.length > 0) throw new TaskError('command', problems);
  return spec;
}

function specOf(command: string | null, overrides: ReadOverrides, problems: TaskProblem[]): TaskSpec {
  const problem = (message: string) => problems.push({ line: null, column: null, path: 'command', message });
  if (command?.trim() === '') problem('is empty');
  if (command?.includes('\0')) problem('must not hold NUL characters');
  const empty: YamlNode = { kind: 'map', at: START, entries: [] };
  const spec = readTask(empty, overrides, problems);
  if (spec === null || problems.length > 0) throw new TaskError('command', problems);
  return overrides.apply({ ...spec, run: command }, problems);
}

export function readText(text: string, file: string, overrides: ReadOverrides, problems: TaskProblem[]) {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > TASK_BYTES) throw new TaskError(file, [{ ...START, path: '', message: tooLarge(bytes) }]);
  const yaml = readYaml(text);
  for (const { line, column, message } of yaml.problems) problems.push({ line, column, path: '', message });
  if (yaml.documents.length === 0 && yaml.problems.length > 0) return null;
  return readTaskFile(yaml.documents, overrides, problems);
}

export interface Source {
  readonly file: string;
  readonly root: YamlNode | null;
  readonly overrides: ReadOverrides;
  readonly problems: TaskProblem[];
  readonly use: TaskUse;
}

export function carriedOut(spec: TaskSpec, { file, root, overrides, problems, use }: Source): Carried {
  for (const { path, message } of obstacles(spec, use)) problems.push({ ...placeOf(path, root, overrides), message });
  if (problems.length > 0) throw new TaskError(file, problems);
  const task = executableTask(spec);
  const bytes = jsonBytes(task);
  const place = root === null ? { line: null, column: null, path: 'command' } : { ...START, path: '' };
  if (bytes > TASK_BYTES) throw new TaskError(file, [{ ...place, message: tooLarge(bytes) }]);
  return { task, recovery: recoveryPolicy(spec.resources.alternatives[0].jobRecovery), pool: spec.pool };
}

/** Where a field of the task came from: an option, or the place in the file that says it. */
function placeOf(
  path: readonly string[],
  root: YamlNode | null,
  overrides: ReadOverrides,
): Omit<TaskProblem, 'message'> {
  const [top = ''] = path;
  const option = overrides.options.get(path.join('.')) ?? overrides.options.get(top);
  if (option !== undefined) return { line: null, column: null, path: option };
  if (root === null) return { line: null, column: null, path: path.join('.') };
  for (const steps of spellings(path, root)) {
    if (nodeAt(root, steps) !== null) return { ...positionAt(root, steps, 'key'), path: steps.join('.') };
  }
  return { ...root.at, path: path.join('.') };
}

/** Paths under which a field may be written. */
function* spellings(steps: readonly string[], root: YamlNode): Generator<readonly string[]> {
  yield steps;
  const [head, name = ''] = steps;
  if (head === 'managed_secrets') yield ['secrets'];
  if (head === 'config' && name === 'hooks') yield ['resources', 'autostop', 'hook'];
  if (head !== 'resources') return;
  if (name === 'accelerators') yield ['resources', 'gpus'];
  if (name === 'any_of' || name === 'ordered') {
    yield ['resources', 'accelerators'];
    yield ['resources', 'gpus'];
  }
  if (name === 'volumes') yield ['file_mounts'];
  for (const group of ['any_of', 'ordered']) {
    const list = nodeAt(root, ['resources', group]);
    const count = list?.kind === 'list' ? list.items.length : 0;
    for (let index = 0; index < count; index++) yield ['resources', group, String(index), ...steps.slice(1)];
  }
}

function nodeAt(root: YamlNode, steps: readonly string[]): YamlNode | null {
  let node: YamlNode | undefined = root;
  for (const step of steps) {
    if (node?.kind === 'map') node = node.entries.find(({ key }) => key === step)?.value;
    else node = node?.kind === 'list' ? node.items[Number(step)] : undefined;
  }
  return node ?? null;
}

export function tooLarge(bytes: number): string {
  return `the task is ${Math.ceil(bytes / 1024)} kB; at most ${TASK_BYTES / 1024} kB are allowed`;
}
