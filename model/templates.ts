/**
 * `${{ tasks.NAME.outputs.KEY }}` in the values of a task's variables: what another task left. Only there: text of one task pasted into a
 * script of another would be read by its shell as code.
 */
import type { Outputs } from './outputs.ts';
import { nearestWord } from './spelling.ts';

const TEMPLATE = /\$\{\{([^}]*)\}\}/g;
const REFERENCE = /^\s*tasks\.([A-Za-z0-9._-]+)\.outputs\.([A-Za-z_][A-Za-z0-9_-]*)\s*$/;
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is one of ours, not of JavaScript
export const TEMPLATE_FORM = '${{ tasks.NAME.outputs.KEY }}';

export interface OutputReference {
  readonly task: string;
  readonly key: string;
}

/** Those of a text; null: one of its templates is none. */
export function referencesIn(text: string): OutputReference[] | null {
  const found: OutputReference[] = [];
  for (const [, inner = ''] of text.matchAll(TEMPLATE)) {
    const match = REFERENCE.exec(inner);
    if (match === null) return null;
    found.push({ task: match[1] ?? '', key: match[2] ?? '' });
  }
  return found;
}

export function hasTemplate(text: string): boolean {
  return /\$\{\{\s*tasks\./.test(text);
}

/** With what was left put in; of a task that failed and may fail there is nothing. */
export function filled(text: string, outputs: ReadonlyMap<string, Outputs>): string {
  return text.replaceAll(TEMPLATE, (whole, inner: string) => {
    const match = REFERENCE.exec(inner);
    return match === null ? whole : (outputs.get(match[1] ?? '')?.[match[2] ?? ''] ?? '');
  });
}

/** `STYX_OUTPUT_PREPARE_DATA_PATH` of task `prepare-data` and key `path`. */
export function outputVariable(task: string, key: string): string {
  return `STYX_OUTPUT_${variablePart(task)}_${variablePart(key)}`;
}

export function variablePart(text: string): string {
  return text.toUpperCase().replace(/[^A-Z0-9]/g, '_');
}

/** A task's variables with those of the tasks before it; what the task itself says wins. */
export function withOutputs(
  envs: Readonly<Record<string, string>>,
  before: readonly { readonly name: string; readonly outputs: Outputs }[],
): Record<string, string> {
  const given = before.flatMap(({ name, outputs }) =>
    Object.entries(outputs).map(([key, value]) => [outputVariable(name, key), value] as const),
  );
  const byName = new Map(before.map(({ name, outputs }) => [name, outputs]));
  const own = Object.entries(envs).map(([name, value]) => [name, filled(value, byName)] as const);
  return Object.fromEntries([...given, ...own]);
}

/** What is wrong with a template; null: nothing. `known`: all tasks, `before`: those that it comes after. */
export function templateProblem(
  text: string,
  known: readonly string[],
  before: readonly string[],
): { readonly message: string; readonly suggestion?: string } | null {
  const references = referencesIn(text);
  if (references === null) return { message: `a template must be of the form ${TEMPLATE_FORM}` };
  for (const { task } of references) {
    if (!known.includes(task)) {
      const near = nearestWord(task, known);
      const message = `no task is named "${task}"; there are ${known.join(', ')}`;
      return near === null ? { message } : { message, suggestion: near };
    }
    if (!before.includes(task)) {
      return { message: `takes an output of "${task}", which it does not depend on: name that in depends_on` };
    }
  }
  return null;
}
