/** Everything that is wrong with the configuration, of all files and options at once. */
import { StyxError } from '../errors.ts';
import { renderProblem, type TaskProblem } from '../task-error.ts';
import { MAX_PROBLEMS } from '../yaml.ts';

export interface ConfigProblem extends TaskProblem {
  /** null: the problem is of an option of the command line, which `path` names. */
  readonly file: string | null;
}

/** Kind `invalid`. The message has a line for each problem: `~/.styx/config.yaml:3:5: provision.ssh_timeout: must be …`. */
export class ConfigError extends StyxError {
  readonly problems: readonly ConfigProblem[];

  constructor(found: readonly ConfigProblem[]) {
    const files = [...new Set(found.map(({ file }) => file))];
    const problems = files.flatMap((file) => inOrder(found.filter((problem) => problem.file === file)));
    const shown = problems.slice(0, MAX_PROBLEMS).map((problem) => renderProblem(problem.file ?? '', problem));
    if (problems.length > MAX_PROBLEMS) shown.push(`… and ${problems.length - MAX_PROBLEMS} more`);
    super('invalid', shown.join('\n'), { hint: 'Correct the configuration and run the command again.' });
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}
