/** The import law: arrows go down the list of rooms, and nothing but a provider's folder names a provider. */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { workflowBundle } from '../workers/bundle.ts';

const root = join(import.meta.dirname, '..');

/** From the top. A room may import itself and what is below it. */
const LADDER = [
  'cli',
  'server',
  'client',
  'workers',
  'workflows',
  'activities',
  'clouds',
  'nodes',
  'agent',
  'data',
  'optimizer',
  'catalogs',
  'system',
  'model',
];
const MAX_LINES = 400;

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const files = LADDER.flatMap((room) => {
  try {
    const names = readdirSync(join(root, room), { recursive: true, encoding: 'utf8' });
    return names.filter((name) => /\.(ts|py|sh)$/.test(name)).map((name) => join(room, name));
  } catch {
    return [];
  }
});
const sources = files.filter((file) => file.endsWith('.ts'));
const room = (file: string) => file.split('/')[0] as string;
const text = (file: string) => readFileSync(join(root, file), 'utf8');

const STATEMENT = /^\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm;
const DYNAMIC = /\bimport\(\s*'([^']+)'/g;

/** Of our own files and of packages: `to` is a path below the root, or the specifier as written. */
const imports: Import[] = sources.flatMap((from) => {
  const resolve = (specifier: string) =>
    specifier.startsWith('.') ? relative(root, join(root, dirname(from), specifier)) : specifier;
  const code = text(from);
  return [
    ...[...code.matchAll(STATEMENT)].map((m) => ({ from, to: resolve(m[2] as string), typeOnly: m[1] !== undefined })),
    ...[...code.matchAll(DYNAMIC)].map((m) => ({ from, to: resolve(m[1] as string), typeOnly: false })),
  ];
});
const inner = imports.filter(({ to }) => LADDER.includes(room(to)));
const show = ({ from, to }: Import) => `${from} -> ${to}`;

test('the imports of the tree are found', () => {
  expect(inner.length).toBeGreaterThan(100);
  expect(imports.filter(({ to }) => to.startsWith('..')).map(show)).toEqual([]);
});

test('imports go down the ladder of rooms', () => {
  const upward = inner.filter(({ from, to }) => LADDER.indexOf(room(to)) < LADDER.indexOf(room(from)));
  expect(upward.map(show)).toEqual([]);
});

test('the model imports only the model and pure packages', () => {
  const PURE = ['zod', 'zod/mini', 'yaml', '@noble/hashes'];
  const others = imports.filter(
    ({ from, to }) =>
      room(from) === 'model' && room(to) !== 'model' && !PURE.some((name) => to === name || to.startsWith(`${name}/`)),
  );
  expect(others.map(show)).toEqual([]);
});

test('the optimizer is a function of what it is given: no I/O, no clock, no chance', () => {
  const others = imports.filter(
    ({ from, to }) => room(from) === 'optimizer' && !['optimizer', 'catalogs', 'model'].includes(room(to)),
  );
  expect(others.map(show)).toEqual([]);
  const impure = sources.filter(
    (file) => room(file) === 'optimizer' && /\bDate\b|Math\.random|performance\.|process\./.test(text(file)),
  );
  expect(impure).toEqual([]);
});

test('workflows import the model, the workflow API and types of activities, nothing else', () => {
  const API = ['@temporalio/workflow', '@temporalio/common'];
  const others = imports.filter(
    ({ from, to, typeOnly }) =>
      room(from) === 'workflows' &&
      !['workflows', 'model'].includes(room(to)) &&
      !(room(to) === 'activities' && typeOnly) &&
      !API.includes(to),
  );
  expect(others.map(show)).toEqual([]);
});

test('modules that workflows share hold no state', () => {
  const STATE =
    /^(?:export )?(?:let|var) |^(?:export )?const \w+(?:: [^=]+)? = (?:new (?:Weak)?(?:Map|Set)(?:<[^=]*>)?\(\)|\[\]|\{\});/;
  const stateful = sources
    .filter((file) => ['workflows', 'model'].includes(room(file)))
    .flatMap((file) =>
      text(file)
        .split('\n')
        .filter((line) => STATE.test(line))
        .map((line) => `${file}: ${line}`),
    );
  expect(stateful).toEqual([]);
});

test('below the clouds only the model and the system are known to what reaches nodes', () => {
  const others = inner.filter(
    ({ from, to }) => room(from) === 'nodes' && !['nodes', 'agent', 'system', 'model'].includes(room(to)),
  );
  expect(others.map(show)).toEqual([]);
});

test('only the registry of clouds imports a provider', () => {
  const provider = (file: string) => /^clouds\/([^/]+)\//.exec(file)?.[1];
  const others = inner.filter(
    ({ from, to }) =>
      provider(to) !== undefined && provider(from) !== provider(to) && from !== join('clouds', 'registry.ts'),
  );
  expect(others.map(show)).toEqual([]);
});

test('no file imports itself by way of others', () => {
  const graph = Map.groupBy(
    inner.filter(({ typeOnly }) => !typeOnly),
    ({ from }) => from,
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    if (done.has(file) || path.includes(file)) return;
    for (const { to } of graph.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of sources) visit(file, []);
  expect(cycles).toEqual([]);
});

test('every imported package is listed as a dependency, not as one for development only', () => {
  const { dependencies } = JSON.parse(text('package.json')) as { dependencies: Record<string, string> };
  const packageOf = (specifier: string) =>
    specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
  const unlisted = imports.filter(
    ({ to }) => !LADDER.includes(room(to)) && !isBuiltin(to) && !(packageOf(to) in dependencies) && !to.startsWith('.'),
  );
  expect(unlisted.map(show)).toEqual([]);
});

test(`no file is longer than ${MAX_LINES} lines`, () => {
  const long = files.map((file) => `${file}: ${text(file).split('\n').length - 1}`);
  expect(long.filter((line) => Number(line.split(': ')[1]) > MAX_LINES)).toEqual([]);
});

test('the bundle of the workflows holds the model, the workflows and what they may import', async () => {
  const { codePath } = await workflowBundle();
  const code = readFileSync(codePath, 'utf8');
  const modules = [...code.matchAll(/^\/\*\*\*\/ "(\.\/[^"]+)":?$/gm)].map((match) => match[1] as string);
  expect(modules.length).toBeGreaterThan(50);
  const ALLOWED =
    /^\.\/(?:model\/|workflows\/|node_modules\/(?:@temporalio\/(?:workflow|common)|@noble\/hashes|zod|nexus-rpc|long|ms)(?:\/|$))/;
  const packages = modules.filter((name) => !ALLOWED.test(name));
  expect(packages).toEqual([]);
  expect(modules.filter((name) => /^\.\/(activities|clouds|nodes|system|workers)\//.test(name))).toEqual([]);
});
