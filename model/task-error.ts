/** Everything that is wrong with a task, told at once. */
import { StyxError } from './errors.ts';
import { MAX_PROBLEMS } from './yaml.ts';

export interface TaskProblem {
  /** From 1. null: the problem is of an option of the command line, which `path` names (`--gpus`). */
  readonly line: number | null;
  readonly column: number | null;
  /** `resources.cpus`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** What was probably meant. */
  readonly suggestion?: string;
}

/** Kind `invalid`. The message has a line for each problem: `task.yaml:3:5: resources.cpus: must be …`. */
export class TaskError extends StyxError {
  readonly file: string;
  readonly problems: readonly TaskProblem[];

  constructor(file: string, problems: readonly TaskProblem[]) {
    const sorted = [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
    const shown = sorted.slice(0, MAX_PROBLEMS).map((problem) => renderProblem(file, problem));
    if (sorted.length > MAX_PROBLEMS) shown.push(`… and ${sorted.length - MAX_PROBLEMS} more`);
    super('invalid', shown.join('\n'), { hint: 'Correct the task and run the command again.' });
    this.name = 'TaskError';
    this.file = file;
    this.problems = sorted;
  }
}

export function renderProblem(file: string, problem: TaskProblem): string {
  const place = problem.line === null ? '' : `${file}:${problem.line}:${problem.column}: `;
  const path = problem.path === '' ? '' : `${problem.path}: `;
  const suggestion = problem.suggestion === undefined ? '' : `; did you mean "${problem.suggestion}"?`;
  return `${place}${path}${problem.message}${suggestion}`;
}
