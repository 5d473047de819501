/** A task file: one task, a pipeline of several, or a group that runs at once. */
import { z } from 'zod';
import type { TaskProblem } from '../task-error.ts';
import { type Position, plainValue, type YamlNode } from '../yaml.ts';
import { FieldError, field, flatIssues, isMap, issueText, mapOf, shown } from './field.ts';
import { contradictions, problemOf } from './problems.ts';
import { substituted } from './substitute.ts';
import { type TaskSpec, taskSpec } from './task.ts';
import { taskName, text, timeSeconds } from './values.ts';

export type TaskFile =
  | { readonly kind: 'task'; readonly task: TaskSpec }
  /** One after the other. */
  | { readonly kind: 'pipeline'; readonly name: string | null; readonly tasks: readonly TaskSpec[] }
  | TaskGroup;

/** At once. */
export interface TaskGroup {
  readonly kind: 'group';
  readonly name: string;
  /** The group ends when these have ended; null: all. */
  readonly primaryTasks: readonly string[] | null;
  /** Seconds that the other tasks have then: of all, or by task and `default`. */
  readonly terminationDelay: number | Readonly<Record<string, number>> | null;
  /** Must the tasks reach each other over the network? */
  readonly interConnection: boolean | null;
  readonly tasks: readonly TaskSpec[];
}

/** Values of the command line, which a file may leave open. */
export interface GivenValues {
  readonly envs: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
  /** For secrets that the file names without a value. */
  readonly secretDefaults: Readonly<Record<string, string>>;
}

type MapNode = YamlNode & { readonly kind: 'map' };

/** null: there are problems. `roots` are the documents of the tasks, in their order. */
export function readTaskFile(
  documents: readonly YamlNode[],
  given: GivenValues,
  problems: TaskProblem[],
): { file: TaskFile; roots: readonly YamlNode[] } | null {
  const before = problems.length;
  const maps: MapNode[] = [];
  for (const document of documents) {
    if (document.kind === 'map') maps.push(document);
    else if (document.kind !== 'scalar' || document.value !== null) {
      problems.push({ ...document.at, path: '', message: 'must be a map of fields, such as "run: echo hello"' });
    }
  }
  if (problems.length === 0 && maps.every(({ entries }) => entries.length === 0)) {
    problems.push({ ...(documents[0]?.at ?? { line: 1, column: 1 }), path: '', message: 'holds no task' });
  }
  const [first, ...others] = maps;
  if (first === undefined || problems.length > before) return null;
  const header = headerOf(first, documents.length);
  const roots = header === null || others.length === 0 ? maps : others;
  if (header === 'pipeline' && others.length === 0 && documents.length > 1) {
    problems.push({ ...first.at, path: '', message: 'holds no task below its header' });
    return null;
  }
  if (header === 'group') return readGroup(first, others, given, problems);
  const tasks = roots.map((root) =>
    readTask(header === 'pipeline' && root === first ? withoutHeader(root) : root, given, problems),
  );
  const name = header === 'pipeline' ? readHeaderName(first, problems) : null;
  if (header === 'pipeline') checkExecution(first, problems);
  if (problems.length > before) return null;
  const specs = tasks.filter((task) => task !== null);
  const [only, ...more] = specs;
  if (only === undefined) return null;
  if (more.length === 0) return { file: { kind: 'task', task: { ...only, name: name ?? only.name } }, roots };
  return { file: { kind: 'pipeline', name, tasks: specs }, roots };
}

/** A first document of a name alone, with or without its `execution`, heads the others. */
function headerOf(root: MapNode, documents: number): 'group' | 'pipeline' | null {
  const keys = root.entries.map(({ key }) => key).sort();
  const execution = root.entries.find(({ key }) => key === 'execution')?.value;
  if (documents > 1 && execution?.kind === 'scalar' && execution.value === 'parallel') return 'group';
  return keys.join() === 'name' || keys.join() === 'execution,name' ? 'pipeline' : null;
}

function withoutHeader(root: MapNode): MapNode {
  return { ...root, entries: root.entries.filter(({ key }) => key !== 'execution') };
}

function readHeaderName(root: MapNode, problems: TaskProblem[]): string | null {
  const entry = root.entries.find(({ key }) => key === 'name');
  if (entry?.value.kind === 'scalar' && entry.value.value === null) return null;
  try {
    return taskName(entry === undefined ? null : plainValue(entry.value));
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    problems.push({ ...(entry?.value ?? root).at, path: 'name', message: error.message });
    return null;
  }
}

function checkExecution(root: MapNode, problems: TaskProblem[]): void {
  const entry = root.entries.find(({ key }) => key === 'execution');
  if (entry === undefined) return;
  const value = plainValue(entry.value);
  if (value === 'serial' || value === null) return;
  const message =
    value === 'parallel'
      ? 'needs the tasks of the group in documents below'
      : `must be serial or parallel, not ${shown(value)}`;
  problems.push({ ...entry.value.at, path: 'execution', message });
}

/** Nobody reads more, and each takes a search for its place and the nearest word. */
const MAX_ISSUES = 500;

/** null: there are problems. */
export function readTask(root: YamlNode, given: GivenValues, problems: TaskProblem[]): TaskSpec | null {
  const before = problems.length;
  const values = new Map<string, string>();
  const plain = plainTask(root, given, values);
  const filled = substituted(plain, values);
  if (filled === null) {
    problems.push({ ...root.at, path: '', message: 'holds more than a megabyte when its variables are put in' });
    return null;
  }
  const parsed = taskSpec.safeParse(filled, { error: issueText });
  const issues = flatIssues(parsed.error?.issues ?? []).slice(0, MAX_ISSUES);
  const seen = new Set<string>();
  for (const problem of [...contradictions(root), ...issues.map((issue) => problemOf(issue, root))]) {
    const key = `${problem.path} ${problem.message}`;
    if (!seen.has(key)) problems.push(problem);
    seen.add(key);
  }
  return parsed.success && problems.length === before ? parsed.data : null;
}

/** The document as plain values: variables and secrets as Python prints them, with those of the command line; `values` gets them. */
function plainTask(root: YamlNode, given: GivenValues, values: Map<string, string>): Record<string, unknown> {
  const task = plainValue(root) as Record<string, unknown>;
  const merged: Record<string, unknown> = { ...task };
  for (const name of ['envs', 'secrets'] as const) {
    const node = root.kind === 'map' ? root.entries.find((entry) => entry.key === name)?.value : undefined;
    const written = textsOf(node);
    const extra = given[name];
    if (written === null || (node === undefined && Object.keys(extra).length === 0)) continue;
    const all: Record<string, unknown> = { ...written, ...extra };
    if (name === 'secrets' && node?.kind === 'map') {
      for (const [key, value] of Object.entries(given.secretDefaults)) if (all[key] === null) all[key] = value;
    }
    merged[name] = node?.kind === 'list' && Object.keys(extra).length === 0 ? task[name] : all;
    for (const [key, value] of Object.entries(all)) if (typeof value === 'string') values.set(key, value);
  }
  return merged;
}

/** null: neither a map nor, as of secrets, a list of texts. */
function textsOf(node: YamlNode | undefined): Record<string, unknown> | null {
  if (node === undefined || (node.kind === 'scalar' && node.value === null)) return {};
  if (node.kind === 'list') {
    const names = node.items.map(plainValue);
    return names.every((name) => typeof name === 'string')
      ? Object.fromEntries(names.map((name) => [name, null]))
      : null;
  }
  if (node.kind !== 'map') return null;
  return Object.fromEntries(
    node.entries.map(({ key, value }) => [
      key,
      value.kind === 'scalar' && value.value !== null ? value.text : plainValue(value),
    ]),
  );
}

const GROUP_NAME = /^[A-Za-z0-9_-]+$/;
const groupName = (value: unknown) => {
  if (value === undefined) throw new FieldError('is missing: a group has one');
  if (GROUP_NAME.test(text(value))) return value as string;
  throw new FieldError(`must hold only letters, digits, "-" and "_", not ${shown(value)}`);
};

const delay = (value: unknown) => {
  const seconds = timeSeconds(value, 1);
  if (seconds === null) throw new FieldError(`must be seconds, or such as "30s", "5m" or "1h", not ${shown(value)}`);
  return seconds;
};

const groupHeader = mapOf(
  {
    name: field({ type: 'string' }, groupName),
    execution: z.literal('parallel'),
    primary_tasks: z.array(z.string()).optional(),
    termination_delay: field({}, (value) => (isMap(value) ? value : delay(value))).optional(),
    inter_connection: z.boolean().optional(),
  },
  { nulls: 'absent' },
);

function readGroup(
  first: MapNode,
  roots: readonly MapNode[],
  given: GivenValues,
  problems: TaskProblem[],
): { file: TaskFile; roots: readonly YamlNode[] } | null {
  const before = problems.length;
  const header = groupHeader.safeParse(plainValue(first), { error: issueText });
  for (const issue of header.error?.issues ?? []) problems.push(problemOf(issue, first));
  const lines = new Map<string, Position>();
  const tasks = roots.map((root) => readTask(root, given, problems));
  for (const [index, task] of tasks.entries()) {
    const at = roots[index]?.at ?? first.at;
    if (task === null) continue;
    const earlier = task.name === null ? undefined : lines.get(task.name);
    if (task.name === null) problems.push({ ...at, path: 'name', message: 'is missing: each task of a group has one' });
    else if (!GROUP_NAME.test(task.name)) {
      problems.push({ ...at, path: 'name', message: 'must hold only letters, digits, "-" and "_" in a group' });
    } else if (earlier !== undefined) {
      problems.push({
        ...at,
        path: 'name',
        message: `"${task.name}" is the name of the task in line ${earlier.line} too`,
      });
    } else lines.set(task.name, at);
  }
  if (roots.length === 0) problems.push({ ...first.at, path: '', message: 'holds no task of the group' });
  if (!header.success || problems.length > before) return null;
  const { name, primary_tasks, termination_delay, inter_connection } = header.data;
  const known = [...lines.keys()];
  const refuse = (path: readonly (string | number)[], message: string) =>
    problems.push(problemOf({ code: 'custom', path: [...path], message, input: undefined }, first));
  for (const [index, wanted] of (primary_tasks ?? []).entries()) {
    if (!known.includes(wanted))
      refuse(['primary_tasks', index], `no task is named ${shown(wanted)}; there are ${known.join(', ')}`);
  }
  const delays = isMap(termination_delay) ? readDelays(termination_delay, known, refuse) : (termination_delay ?? null);
  if (problems.length > before) return null;
  return {
    file: {
      kind: 'group',
      name,
      primaryTasks: primary_tasks === undefined || primary_tasks.length === 0 ? null : primary_tasks,
      terminationDelay: delays as TaskGroup['terminationDelay'],
      interConnection: inter_connection ?? null,
      tasks: tasks.filter((task) => task !== null),
    },
    roots,
  };
}

function readDelays(
  written: Readonly<Record<string, unknown>>,
  known: readonly string[],
  refuse: (path: readonly string[], message: string) => void,
): Record<string, number> {
  const delays: [string, number][] = [];
  for (const [name, value] of Object.entries(written)) {
    if (name !== 'default' && !known.includes(name))
      refuse(['termination_delay', name], 'is no task of the group, and not "default"');
    try {
      delays.push([name, delay(value)]);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      refuse(['termination_delay', name], error.message);
    }
  }
  return Object.fromEntries(delays);
}
