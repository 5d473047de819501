/** git itself is the oracle: whatever it would not list is left out, and nothing else. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { walkTree } from '../../data/tree-walk.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'styx-ignore-'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const GIT_ENV = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' };

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: root, env: GIT_ENV, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    try {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    } catch {
      // A generated tree may want a name as a file and as a directory.
    }
  }
}

async function listed(directory = root): Promise<string[]> {
  const { found } = await walkTree(directory);
  return found.flatMap(({ kind, path }) => (kind === 'file' && !path.startsWith('.git/') ? [path] : [])).toSorted();
}

function listedByGit(): string[] {
  return git('ls-files', '-z', '--others', '--exclude-standard').split('\0').filter(Boolean).toSorted();
}

const name = fc.constantFrom(
  'a',
  'b',
  'ab',
  'a.b',
  'foo',
  'foo.txt',
  'x y',
  'é',
  '#h',
  '!n',
  '[q]',
  'B',
  'a\\',
  '-',
  'logs',
);
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const atom = fc.oneof(
  name,
  fc.constantFrom(
    '*',
    '**',
    '?',
    '[ab]',
    '[!a]',
    '[^b-z]',
    '[[:alpha:]]',
    '[a-',
    '*.txt',
    'a*',
    '*b',
    'f??',
    '\\#h',
    '\\!n',
    '[\\]a]',
    '***',
    'a**',
    '**b',
    '.',
    '[[:nope:]]',
    '\\',
  ),
);
const pattern = fc
  .tuple(
    fc.constantFrom('', '', '', '!', '#', '\\'),
    fc.constantFrom('', '', '/'),
    fc.array(atom, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('/', '/', ''),
    fc.constantFrom('', '', '/', '/**', '/*', ' ', '  ', '\\ ', '\r', '\t'),
  )
  .map(([begin, anchor, atoms, between, end]) => begin + anchor + atoms.join(between) + end);
const ignoreFile = fc.array(pattern, { minLength: 1, maxLength: 5 }).map((lines) => lines.join('\n'));
const tree = fc.record({
  files: fc.array(path, { minLength: 1, maxLength: 25 }),
  top: ignoreFile,
  nested: fc.array(fc.tuple(path, ignoreFile), { maxLength: 3 }),
  exclude: fc.option(ignoreFile, { nil: '' }),
});

test('what git does not list is left out, and nothing else', { timeout: 240_000 }, async () => {
  git('init', '-q');
  await fc.assert(
    fc.asyncProperty(tree, async ({ files, top, nested, exclude }) => {
      git('clean', '-qffdx');
      write(Object.fromEntries(files.map((file) => [file, ''])));
      write({ '.gitignore': top, '.git/info/exclude': exclude });
      write(Object.fromEntries(nested.map(([at, text]) => [`${at}/.gitignore`, text])));
      expect(await listed()).toEqual(listedByGit());
    }),
    { numRuns: Number(process.env.STYX_TEST_RUNS ?? 120) },
  );
});

test('a directory inside a repository obeys the files above it, unless they leave out the directory itself', async () => {
  git('init', '-q');
  write({
    '.gitignore': '*.bin\nbuild/\n/project/top\n',
    'project/a.bin': '',
    'project/a.py': '',
    'project/top': '',
    'build/x.bin': '',
    'build/x': '',
  });
  expect(await listed(join(root, 'project'))).toEqual(['a.py']);
  expect(await listed(join(root, 'build'))).toEqual(['x', 'x.bin']);
});

test('a .styxignore stands in for .skyignore, and that for .gitignore, in every directory', async () => {
  write({
    '.gitignore': 'g\n',
    '.skyignore': 's\n',
    '.styxignore': 'x\n',
    g: '',
    s: '',
    x: '',
    'd/.styxignore': '!x\n',
    'd/x': '',
    'd/.skyignore': 'y',
    'd/y': '',
  });
  expect(await listed()).toEqual([
    '.gitignore',
    '.skyignore',
    '.styxignore',
    'd/.skyignore',
    'd/.styxignore',
    'd/x',
    'd/y',
    'g',
    's',
  ]);
  rmSync(join(root, '.styxignore'));
  expect(await listed()).toEqual(['.gitignore', '.skyignore', 'd/.skyignore', 'd/.styxignore', 'd/x', 'g', 'x']);
});

test("a repository's own directory goes along whatever .gitignore says, and stays here when .skyignore says so", async () => {
  git('init', '-q');
  write({ '.gitignore': '*\n!keep\n', keep: '', lost: '' });
  const paths = (await walkTree(root)).found.map(({ path }) => path);
  expect(paths).toContain('.git/HEAD');
  expect(paths).not.toContain('lost');
  write({ '.skyignore': '.git\n' });
  expect((await walkTree(root)).found.map(({ path }) => path)).toEqual(['.gitignore', '.skyignore', 'keep', 'lost']);
});
