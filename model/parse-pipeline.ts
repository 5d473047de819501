/** A task file to what `styx jobs launch` submits: one managed job, or several as a pipeline. */
import { jsonBytes } from './budgets.ts';
import type { RecoveryPolicy } from './job-recovery.ts';
import { carriedOut, parseJob, readText, type WrittenJob } from './parse-task.ts';
import { ancestors, type Execution, MAX_TASKS, PIPELINE_BYTES, type TaskRules } from './pipeline.ts';
import { resourcesText } from './resources-text.ts';
import { FieldError } from './spec/field.ts';
import type { TaskFile, TaskGroup } from './spec/file.ts';
import { readOverrides, type TaskOverrides } from './spec/overrides.ts';
import type { TaskSpec } from './spec/task.ts';
import { taskName } from './spec/values.ts';
import { nearestWord } from './spelling.ts';
import type { WrittenTask } from './task.ts';
import { TaskError, type TaskProblem } from './task-error.ts';
import { hasTemplate, referencesIn, templateProblem, variablePart } from './templates.ts';
import { positionAt, type YamlNode } from './yaml.ts';

export type TaskData = Pick<TaskSpec, 'inputs' | 'outputs'>;

export interface WrittenPipelineTask extends TaskRules {
  readonly task: WrittenTask;
  readonly recovery: RecoveryPolicy;
  readonly resourcesText: string;
  /** What comes in from outside, and what goes to each task that waits for it. */
  readonly data: TaskData;
}

export interface WrittenPipeline {
  readonly name: string | null;
  readonly execution: Execution;
  /** Of a group: whether its tasks have host names for each other. null: where that can be. */
  readonly interConnection: boolean | null;
  readonly tasks: readonly WrittenPipelineTask[];
}

export type WrittenSubmission =
  | ({ readonly kind: 'job' } & WrittenJob)
  | ({ readonly kind: 'pipeline' } & WrittenPipeline);

interface Options {
  readonly file: string;
  readonly overrides?: TaskOverrides;
}

/** Throws TaskError with all problems at once. The name of the command line is the pipeline's; its other options are of each task. */
export function parseSubmission(text: string, options: Options): WrittenSubmission {
  const { file } = options;
  const { name: asked, ...overTasks } = options.overrides ?? {};
  const problems: TaskProblem[] = [];
  const overrides = readOverrides(overTasks, problems);
  const read = readText(text, file, overrides, problems);
  if (read === null || problems.length > 0) throw new TaskError(file, problems);
  // Read again, so that whatever is wrong is said as of any other managed job.
  if (read.file.kind === 'task') return { kind: 'job', ...parseJob(text, options) };
  const name = nameOf(asked, read.file, problems);
  const reading = new Reading(read.file, read.roots, problems);
  const rules = reading.rules(name);
  const tasks = read.file.tasks.map((spec, index): WrittenPipelineTask | null => {
    const root = read.roots[index] ?? null;
    const changed = { ...overrides.apply(spec, problems), name: rules[index]?.name ?? null };
    try {
      const { task, recovery } = carriedOut(changed, { file, root, overrides, problems: [], use: 'pipeline' });
      const rule = rules[index];
      if (rule === undefined) return null;
      const { inputs, outputs } = changed;
      return { ...rule, task, recovery, resourcesText: resourcesText(task), data: { inputs, outputs } };
    } catch (error) {
      if (!(error instanceof TaskError)) throw error;
      problems.push(...error.problems);
      return null;
    }
  });
  const bytes = jsonBytes(tasks);
  if (bytes > PIPELINE_BYTES) {
    const message = `all tasks together are ${Math.ceil(bytes / 1024)} kB; at most ${PIPELINE_BYTES / 1024} kB are allowed`;
    problems.push({ line: 1, column: 1, path: '', message });
  }
  if (problems.length > 0) throw new TaskError(file, problems);
  const interConnection = read.file.kind === 'group' ? read.file.interConnection : false;
  return {
    kind: 'pipeline',
    name,
    execution: reading.execution,
    interConnection,
    tasks: tasks.filter((task) => task !== null),
  };
}

function nameOf(asked: string | undefined, file: Several, problems: TaskProblem[]): string | null {
  if (asked === undefined) return file.name;
  try {
    return taskName(asked);
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    problems.push({ line: null, column: null, path: '--name', message: error.message });
    return null;
  }
}

type Several = Exclude<TaskFile, { kind: 'task' }>;

class Reading {
  readonly execution: Execution;
  private readonly file: Several;
  private readonly roots: readonly YamlNode[];
  private readonly problems: TaskProblem[];

  constructor(file: Several, roots: readonly YamlNode[], problems: TaskProblem[]) {
    this.file = file;
    this.roots = roots;
    this.problems = problems;
    const asGraph = file.tasks.some(({ dependsOn }) => dependsOn !== null);
    this.execution = file.kind === 'group' ? 'group' : asGraph ? 'graph' : 'serial';
  }

  rules(pipeline: string | null): TaskRules[] {
    const { tasks } = this.file;
    if (tasks.length > MAX_TASKS)
      this.refuse(MAX_TASKS, [], `is one of ${tasks.length} tasks; at most ${MAX_TASKS} are allowed`);
    const names = tasks.map(({ name }, index) => name ?? `${pipeline ?? 'task'}-${index}`);
    this.checkNames(names);
    const afters = tasks.map((task, index) => this.after(task, index, names));
    this.checkCycles(names, afters);
    const rules = tasks.map((task, index): TaskRules => {
      const name = names[index] ?? '';
      return {
        name,
        after: afters[index] ?? [],
        continueOnFailure: task.continueOnFailure,
        needs: [],
        endsAfter: this.file.kind === 'group' ? endsAfter(this.file, name) : null,
      };
    });
    return rules.map((rule, index) => ({ ...rule, needs: this.needs(tasks[index], index, rules) }));
  }

  private refuse(index: number, path: readonly string[], message: string, suggestion?: string | null): void {
    const root = this.roots[index];
    const at = root === undefined ? { line: 1, column: 1 } : positionAt(root, path);
    const suggested = suggestion == null ? {} : { suggestion };
    this.problems.push({ ...at, path: path.join('.'), message, ...suggested });
  }

  private checkNames(names: readonly string[]): void {
    for (const [index, name] of names.entries()) {
      const earlier = names.slice(0, index).findIndex((one) => variablePart(one) === variablePart(name));
      if (earlier < 0) continue;
      const line = this.roots[earlier]?.at.line ?? 1;
      const message =
        names[earlier] === name
          ? `"${name}" is the name of the task in line ${line} too`
          : `"${name}" and "${names[earlier]}" (line ${line}) would give their outputs to variables of the same names`;
      this.refuse(index, this.file.tasks[index]?.name === null ? [] : ['name'], message);
    }
  }

  private after({ dependsOn, continueOnFailure }: TaskSpec, index: number, names: readonly string[]): number[] {
    if (this.execution === 'group') {
      if (dependsOn !== null) this.refuse(index, ['depends_on'], 'does not go together with execution: parallel');
      if (continueOnFailure) {
        const message = 'does not go together with execution: parallel; name the tasks that count in primary_tasks';
        this.refuse(index, ['continue_on_failure'], message);
      }
      return [];
    }
    if (this.execution === 'serial') return index === 0 ? [] : [index - 1];
    const found = new Set<number>();
    for (const [position, wanted] of (dependsOn ?? []).entries()) {
      const other = names.indexOf(wanted);
      const path = ['depends_on', String(position)];
      if (other < 0) {
        const others = names.filter((_, one) => one !== index);
        const message = `no task is named "${wanted}"; there are ${others.join(', ')}`;
        this.refuse(index, path, message, nearestWord(wanted, others));
      } else if (other === index) this.refuse(index, path, 'names the task itself');
      else if (found.has(other)) this.refuse(index, path, `names "${wanted}" twice`);
      else found.add(other);
    }
    return [...found].toSorted((a, b) => a - b);
  }

  /** Each circle once, at its first task. */
  private checkCycles(names: readonly string[], afters: readonly (readonly number[])[]): void {
    const done = new Set<number>();
    const visit = (index: number, path: readonly number[]): void => {
      const from = path.indexOf(index);
      if (from >= 0) {
        const circle = path.slice(from);
        const first = Math.min(...circle);
        const turned = [...circle.slice(circle.indexOf(first)), ...circle.slice(0, circle.indexOf(first)), first];
        const words = turned.map((one) => names[one]).join(' → ');
        this.refuse(first, ['depends_on'], `the tasks wait for each other: ${words}`);
        for (const one of circle) done.add(one);
        return;
      }
      if (done.has(index)) return;
      for (const other of afters[index] ?? []) visit(other, [...path, index]);
      done.add(index);
    };
    for (const index of afters.keys()) visit(index, []);
  }

  private needs(task: TaskSpec | undefined, index: number, rules: readonly TaskRules[]): TaskRules['needs'] {
    if (task === undefined) return [];
    for (const part of ['setup', 'run'] as const) {
      if (!hasTemplate(task[part] ?? '')) continue;
      const message =
        'templates are filled in envs alone: take the output from there, or from the variable STYX_OUTPUT_<TASK>_<KEY>';
      this.refuse(index, [part], message);
    }
    const names = rules.map(({ name }) => name);
    const before = [...ancestors(rules, index)].map((one) => names[one] ?? '');
    return Object.entries(task.envs).flatMap(([key, value]) => {
      if (!hasTemplate(value)) return [];
      const problem = templateProblem(value, names, before);
      if (problem !== null) this.refuse(index, ['envs', key], problem.message, problem.suggestion);
      const references = problem === null ? (referencesIn(value) ?? []) : [];
      return references.map((one) => ({ task: names.indexOf(one.task), key: one.key }));
    });
  }
}

/** ms; null: the group waits for it. */
function endsAfter({ primaryTasks, terminationDelay }: TaskGroup, name: string): number | null {
  if (primaryTasks === null || primaryTasks.includes(name)) return null;
  if (terminationDelay === null) return 0;
  if (typeof terminationDelay === 'number') return terminationDelay * 1_000;
  return (terminationDelay[name] ?? terminationDelay.default ?? 0) * 1_000;
}
