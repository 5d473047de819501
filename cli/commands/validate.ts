import { type Command, Option } from 'commander';
import { StyxError } from '../../model/errors.ts';
import { obstacles } from '../../model/executable.ts';
import { parseTaskFile, tasksOf } from '../../model/parse-task.ts';
import type { TaskFile } from '../../model/spec/file.ts';
import { fileConfigs, printTaskFile, redacted } from '../../model/spec/print.ts';
import { TaskError, type TaskProblem } from '../../model/task-error.ts';
import { missingSources } from '../mount-sources.ts';
import { debugOption } from '../options.ts';
import { type CommonOptions, runCommand } from '../run.ts';
import { readText } from '../task-input.ts';

interface ValidateOptions extends Omit<CommonOptions, 'output'> {
  readonly output: 'table' | 'json' | 'yaml';
}

const REJECTED_EXIT = 1;

export function configure(command: Command): void {
  command
    .argument('<file...>', 'task files; - for stdin')
    .addOption(
      new Option('-o, --output <format>', 'a line for each file, or the tasks as they are understood')
        .choices(['table', 'json', 'yaml'])
        .default('table'),
    );
  debugOption(command).action((files: string[], options: ValidateOptions) =>
    runCommand({ debug: options.debug === true }, async () => validate(files, options.output)),
  );
}

type Verdict =
  | { readonly file: string; readonly read: TaskFile }
  | { readonly file: string; readonly problems: readonly TaskProblem[]; readonly message: string };

function validate(files: readonly string[], output: ValidateOptions['output']): number {
  const verdicts = files.map(verdictOn);
  if (output === 'json') process.stdout.write(`${JSON.stringify(verdicts.map(asJson), null, 2)}\n`);
  for (const verdict of verdicts) {
    if ('read' in verdict) {
      if (output === 'table') process.stdout.write(`${accepted(verdict.file, verdict.read)}\n`);
      if (output === 'yaml') process.stdout.write(`---\n${printTaskFile(redacted(verdict.read))}`);
    } else if (output !== 'json') process.stderr.write(`${verdict.message}\n`);
  }
  return verdicts.every((verdict) => 'read' in verdict) ? 0 : REJECTED_EXIT;
}

function verdictOn(file: string): Verdict {
  const name = file === '-' ? 'stdin' : file;
  try {
    const text = readText(file === '-' ? 0 : file, `task file ${name}`);
    return { file, read: parseTaskFile(text, { file: name, check: missingSources }) };
  } catch (error) {
    if (!(error instanceof StyxError)) throw error;
    return { file, problems: error instanceof TaskError ? error.problems : [], message: error.message };
  }
}

/** What the file holds, and what a launch would refuse of it. */
function accepted(file: string, read: TaskFile): string {
  const count = tasksOf(read).length;
  const what = read.kind === 'task' ? 'a task' : `a ${read.kind} of ${count} task${count === 1 ? '' : 's'}`;
  const refused = new Set(tasksOf(read).flatMap((task) => obstacles(task).map(({ path }) => path.join('.'))));
  const later = read.kind === 'task' ? [...refused] : [`a ${read.kind}`, ...refused];
  return `${file}: ${what}${later.length === 0 ? '' : `; not supported by launch yet: ${later.join(', ')}`}`;
}

function asJson(verdict: Verdict): Record<string, unknown> {
  const { file } = verdict;
  if (!('read' in verdict)) return { file, valid: false, problems: verdict.problems, message: verdict.message };
  const { kind } = verdict.read;
  const configs = fileConfigs(redacted(verdict.read));
  const tasks = tasksOf(verdict.read).length;
  return { file, valid: true, kind, header: configs.length > tasks ? configs[0] : null, tasks: configs.slice(-tasks) };
}
