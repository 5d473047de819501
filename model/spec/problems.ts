/** What is wrong with a document of a task file, at the place where it stands. */
import type { z } from 'zod';
import { nearestWord } from '../spelling.ts';
import type { TaskProblem } from '../task-error.ts';
import { positionAt, type YamlNode } from '../yaml.ts';
import { isInternalField, unknownFieldOf } from './field.ts';
import { writtenResourcesFields } from './resources.ts';
import { taskFields } from './task.ts';

/** Maps in which a field is looked for that stands elsewhere. */
const HOLDERS: readonly (readonly [name: string, fields: readonly string[]])[] = [
  ['', Object.keys(taskFields)],
  ['resources', Object.keys(writtenResourcesFields).filter((name) => name !== 'hooks')],
];

/** Fields of older versions, by what became of them. */
const RENAMED: Readonly<Record<string, string>> = {
  spot_recovery: 'job_recovery',
  storage_mounts: 'file_mounts',
  experimental: 'config',
};

/** Problems of one issue: a key that its map does not know is one of its own. */
export function problemOf(issue: z.core.$ZodIssue, root: YamlNode): TaskProblem {
  const path = issue.path.map(String);
  const unknown = issue.code === 'custom' ? unknownFieldOf(issue.params) : null;
  if (unknown !== null) return unknownField(path, unknown.known, root);
  return { ...positionAt(root, issue.path), path: path.map(short).join('.'), message: issue.message };
}

function short(step: string): string {
  return step.length > 60 ? `${step.slice(0, 60)}…` : step;
}

function unknownField(path: readonly string[], known: readonly string[], root: YamlNode): TaskProblem {
  const key = path.at(-1) ?? '';
  const place = { ...positionAt(root, path, 'key'), path: path.map(short).join('.') };
  if (isInternalField(key)) return { ...place, message: "is SkyPilot's own bookkeeping, which no file needs" };
  const renamed = RENAMED[key];
  if (renamed !== undefined && known.includes(renamed))
    return { ...place, message: 'unknown field', suggestion: renamed };
  if (path.length <= 2 || path[1] === 'any_of' || path[1] === 'ordered') {
    for (const [holder, fields] of HOLDERS) {
      if (!fields.includes(key)) continue;
      const where = holder === '' ? 'at the top of the task' : `under "${holder}"`;
      return { ...place, message: `unknown field here; it belongs ${where}` };
    }
  }
  const suggestion = nearestWord(key, known);
  return { ...place, message: 'unknown field', ...(suggestion === null ? {} : { suggestion }) };
}

/** Fields that cannot stand together, found whatever else is wrong with them. */
export function contradictions(root: YamlNode): TaskProblem[] {
  const problems: TaskProblem[] = [];
  const refuse = (holder: YamlNode | undefined, path: string, name: string, besides: string, base?: YamlNode) => {
    const entry = given(holder, name);
    const there = given(holder, besides) ?? given(base, besides);
    if (entry === undefined || there === undefined) return;
    problems.push({ ...entry.at, path: `${path}${name}`, message: `cannot be given together with "${besides}"` });
  };
  refuse(root, '', 'pool', 'service');
  const resources = given(root, 'resources')?.value;
  refuse(resources, 'resources.', 'ordered', 'any_of');
  const places = (holder: YamlNode | undefined, path: string, base?: YamlNode) => {
    for (const name of ['cloud', 'region', 'zone']) refuse(holder, path, name, 'infra', base);
    refuse(holder, path, 'gpus', 'accelerators');
    if (base === undefined) return;
    for (const name of ['cloud', 'region', 'zone']) {
      if (given(holder, name) === undefined && given(base, name) !== undefined)
        refuse(holder, path, 'infra', name, base);
    }
  };
  places(resources, 'resources.');
  for (const group of ['any_of', 'ordered']) {
    const list = given(resources, group)?.value;
    if (list?.kind !== 'list') continue;
    for (const [index, item] of list.items.entries()) places(item, `resources.${group}.${index}.`, resources);
  }
  return problems;
}

function given(holder: YamlNode | undefined, name: string) {
  if (holder?.kind !== 'map') return undefined;
  const entry = holder.entries.find((candidate) => candidate.key === name);
  const empty = entry?.value.kind === 'scalar' && entry.value.value === null;
  return empty ? undefined : entry;
}
