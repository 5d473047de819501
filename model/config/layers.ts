/** One source of configuration: read and checked by itself, before it is laid over those below. */
import { flatIssues, issueText, unknownFieldOf } from '../spec/field.ts';
import { nearestWord } from '../spelling.ts';
import { plainValue, positionAt, readYaml, type YamlNode } from '../yaml.ts';
import type { ConfigProblem } from './error.ts';
import { configFile, TAKEN } from './fields.ts';
import { isCarriedOut } from './keys.ts';

export type MapNode = YamlNode & { readonly kind: 'map' };

export interface ConfigSource {
  /** For people: `~/.sky/config.yaml`, or the option as given. */
  readonly name: string;
  /** SkyPilot's files are taken as they are: what Styx does not know or do in them is no error. */
  readonly kind: 'skypilot' | 'styx' | 'option';
}

export interface ConfigLayer {
  readonly source: ConfigSource;
  readonly root: MapNode;
  /** Paths of keys that nobody knows, of SkyPilot's files alone: elsewhere they are problems. */
  readonly unknown: readonly string[];
}

/** Files of configuration are small; a larger one is something else. */
export const MAX_CONFIG_BYTES = 1024 * 1024;

const START = { line: 1, column: 1 };
const MAX_ISSUES = 200;

/** A file as a layer; null, and more `problems`, when it is wrong. One that holds nothing is an empty layer. */
export function fileLayer(text: string, source: ConfigSource, problems: ConfigProblem[]): ConfigLayer | null {
  const before = problems.length;
  const add = (at: { line: number; column: number }, message: string) =>
    problems.push({ file: source.name, line: at.line, column: at.column, path: '', message });
  if (text.length > MAX_CONFIG_BYTES) {
    add(START, `holds more than ${MAX_CONFIG_BYTES / 1024} kB`);
    return null;
  }
  const { documents, problems: broken } = readYaml(text);
  for (const { message, ...at } of broken) add(at, message);
  const [root, second] = documents;
  if (second !== undefined) add(second.at, 'a configuration is one document');
  if (root !== undefined && root.kind !== 'map' && !(root.kind === 'scalar' && root.value === null)) {
    add(root.at, 'must be a map of keys, such as "allowed_clouds: [local]"');
  }
  if (problems.length > before) return null;
  return checkedLayer(root?.kind === 'map' ? root : { kind: 'map', at: START, entries: [] }, source, problems);
}

/** `a.b=value`, the value as YAML, as a layer; null, and more `problems`, when it is wrong. */
export function optionLayer(option: string, argument: string, problems: ConfigProblem[]): ConfigLayer | null {
  const equals = argument.indexOf('=');
  const path = argument.slice(0, Math.max(0, equals));
  const add = (message: string) =>
    problems.push({ file: null, line: null, column: null, path: `${option} ${path || argument}`, message });
  const text = argument.slice(equals + 1);
  const steps = path.split('.');
  if (equals < 0) add('is neither a file that exists nor of the form key=value');
  else if (steps.some((step) => step === '' || step === '__proto__'))
    add('is not a key, such as provision.ssh_timeout');
  else if (text.trim() === '') add('has no value; null takes back what files say');
  else {
    const { documents, problems: broken } = readYaml(text);
    for (const { message } of broken) add(message);
    const [value] = documents;
    if (value === undefined || broken.length > 0) return null;
    const root = steps.reduceRight<YamlNode>(
      (held, key) => ({ kind: 'map', at: START, entries: [{ key, at: START, value: held }] }),
      value,
    );
    return checkedLayer(root as MapNode, { name: option, kind: 'option' }, problems);
  }
  return null;
}

function checkedLayer(written: MapNode, source: ConfigSource, problems: ConfigProblem[]): ConfigLayer | null {
  const before = problems.length;
  const unknown: string[] = [];
  const { root, clash } = withOneWorkspace(written);
  if (clash !== null && source.kind !== 'skypilot') problems.push(placed(source, written, ['workspace'], clash));
  const parsed = configFile.safeParse(plainValue(written), { error: issueText });
  for (const issue of flatIssues(parsed.error?.issues ?? []).slice(0, MAX_ISSUES)) {
    const path = issue.path.map(String);
    const known = issue.code === 'custom' ? unknownFieldOf(issue.params)?.known : undefined;
    if (source.kind === 'skypilot') {
      if (known !== undefined) unknown.push(path.join('.'));
      else if (TAKEN.includes(path[0] ?? '') || isCarriedOut(path))
        problems.push(placed(source, written, path, issue.message));
    } else if (known === undefined) problems.push(placed(source, written, path, issue.message));
    else problems.push(unknownKey(source, written, path, known));
  }
  return problems.length > before ? null : { source, root, unknown };
}

/** `workspace` is `active_workspace` by another name, so that the one of a higher layer goes before the other of a lower one. */
function withOneWorkspace(root: MapNode): { root: MapNode; clash: string | null } {
  const alias = root.entries.find(({ key }) => key === 'workspace');
  const own = root.entries.find(({ key }) => key === 'active_workspace');
  if (alias === undefined) return { root, clash: null };
  const others = root.entries.filter((entry) => entry !== alias);
  if (own === undefined)
    return { root: { ...root, entries: [...others, { ...alias, key: 'active_workspace' }] }, clash: null };
  const same = plainValue(alias.value) === plainValue(own.value);
  return {
    root: { ...root, entries: others },
    clash: same ? null : `is another name of active_workspace, which is something else in line ${own.at.line}`,
  };
}

function placed(
  { name, kind }: ConfigSource,
  root: MapNode,
  path: readonly string[],
  message: string,
  part: 'key' | 'value' = 'value',
): ConfigProblem {
  if (kind !== 'option') return { file: name, ...positionAt(root, path, part), path: path.join('.'), message };
  return { file: null, line: null, column: null, path: `${name} ${path.join('.')}`, message };
}

function unknownKey(
  source: ConfigSource,
  root: MapNode,
  path: readonly string[],
  known: readonly string[],
): ConfigProblem {
  const near = nearestWord(path.at(-1) ?? '', known);
  const problem = placed(source, root, path, 'unknown key', 'key');
  return near === null ? problem : { ...problem, suggestion: near };
}
