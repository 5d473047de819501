/** What docs point to is there, and the commands and tasks that they show work as they stand. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { Command, CommanderError } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../cli/commands.ts';
import type { ConfigProblem } from '../../model/config/error.ts';
import { fileLayer } from '../../model/config/layers.ts';
import { parseJob, parsePool, parseTask } from '../../model/parse-task.ts';

const root = join(import.meta.dirname, '..', '..');
const files = ['', 'docs', 'docs/decisions']
  .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)))
  .filter((name) => name.endsWith('.md'));
const text = (file: string) => readFileSync(join(root, file), 'utf8');

/** Of fenced blocks: the language and the lines. */
function blocks(markdown: string): { language: string; body: string }[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', body = '']) => ({
    language,
    body,
  }));
}

/** How a block of YAML that is no task begins. */
const CONFIG_FILE = /^# (?:~\/\.styx\/config|\.styx)\.yaml\n/;

/** The anchor that a heading gets. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

function anchors(file: string): string[] {
  return [...text(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchor(heading));
}

test('the documents are found', () => {
  expect(files).toContain('README.md');
  expect(files.length).toBeGreaterThan(15);
});

describe.each(files)('%s', (file) => {
  const prose = text(file).replace(/^```[\s\S]*?^```$/gm, '');

  test('links to files and headings that exist', () => {
    const dead = [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [path = '', hash] = target.split('#');
        const full = path === '' ? file : relative(root, join(root, dirname(file), path));
        return !existsSync(join(root, full)) || (hash !== undefined && !anchors(full).includes(hash));
      });
    expect(dead).toEqual([]);
  });

  test('names files of the tree that exist', () => {
    const ROOMS =
      /^(catalogs|cli|client|workers|workflows|activities|clouds|nodes|agent|system|model|test|bench|docs|deploy|examples|scripts)\//;
    const named = [...prose.matchAll(/`([\w./-]+)`/g)].map(([, name = '']) => name).filter((name) => ROOMS.test(name));
    // What a later issue brings is spoken of as a room, without a file.
    expect(named.filter((name) => !existsSync(join(root, name)))).toEqual([]);
  });

  test('shows tasks and configurations that parse', () => {
    const shown = blocks(text(file)).filter(({ language }) => language === 'yaml');
    for (const { body } of shown) {
      const job = body.includes('job_recovery:') ? parseJob : parseTask;
      const parse = /^pool:/m.test(body) ? parsePool : job;
      if (!CONFIG_FILE.test(body)) expect(() => parse(body, { file })).not.toThrow();
      else {
        const problems: ConfigProblem[] = [];
        fileLayer(body, { name: file, kind: 'styx' }, problems);
        expect(problems).toEqual([]);
      }
    }
  });
});

/** The words of a shell line: quotes taken off, comments and what follows a pipe left out. */
function words(line: string): string[] {
  const found: string[] = [];
  for (const [whole, single, double] of line.matchAll(/'([^']*)'|"([^"]*)"|[^\s'"]+/g)) {
    if (single === undefined && double === undefined && /^[#|;&>]/.test(whole)) break;
    found.push(single ?? double ?? whole);
  }
  return found;
}

/** Every way in which docs show a command line: in blocks and in running text. */
function commandLines(markdown: string): string[] {
  const shown = blocks(markdown)
    .filter(({ language }) => ['', 'sh', 'bash', 'console'].includes(language))
    .flatMap(({ body }) => body.split('\n'));
  const inline = [...markdown.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  return [...shown, ...inline]
    .map((line) => line.trim().replace(/^\$ /, ''))
    .filter((line) => /^(bin\/)?styx( |$)/.test(line));
}

describe('commands that docs show', () => {
  const program = new Command('styx').enablePositionalOptions();

  beforeAll(async () => {
    const quiet = (command: Command) => {
      command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
      command.action(() => {});
      for (const one of command.commands) quiet(one);
    };
    for (const { name, load } of COMMANDS) (await load()).configure(program.command(name), COMMANDS);
    for (const one of program.commands) quiet(one);
    program.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
  });

  const lines = files.flatMap((file) => commandLines(text(file)).map((line) => [file, line] as const));

  test('are found', () => {
    expect(lines.length).toBeGreaterThan(20);
  });

  test.each(lines)('%s: %s', (_, line) => {
    const [, ...args] = words(line);
    // Prose speaks of a command by its name; capitals and brackets stand for what a user fills in.
    if (args.length <= 1 || args.some((word) => /^[A-Z[<…]/.test(word))) {
      const known = COMMANDS.some(({ name }) => name === args[0]);
      expect(args.length === 0 || /^[A-Z[<…-]/.test(args[0] ?? '') || known, line).toBe(true);
      return;
    }
    expect(problem(program, args), line).toBeNull();
  });
});

function problem(program: Command, args: readonly string[]): string | null {
  try {
    program.parse(args, { from: 'user' });
    return null;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? null : error.message;
    throw error;
  }
}
