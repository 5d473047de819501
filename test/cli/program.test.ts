import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../cli/commands.ts';

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
const home = mkdtempSync(join(tmpdir(), 'styx-cli-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A command that never gets as far as a server. */
function styx(...args: string[]) {
  const result = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    cwd: home,
    env: { PATH: process.env.PATH, HOME: home, STYX_HOME: home, STYX_CACHE: home },
  });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

describe('help', () => {
  test('lists every command', () => {
    const { code, out } = styx('--help');
    expect(code).toBe(0);
    for (const { name, hidden } of COMMANDS) expect(out.includes(`\n  ${name} `), name).toBe(hidden !== true);
  });

  test.each(COMMANDS.filter(({ hidden }) => hidden !== true).map(({ name }) => name))(
    'of %s names its options',
    (name) => {
      const { code, out } = styx(name, '--help');
      expect(code).toBe(0);
      expect(out).toContain(`styx ${name}`);
      expect(out).toContain('--help');
    },
  );
});

describe('what cannot be understood is refused with exit code 2 and what to do', () => {
  test.each([
    [['lauch'], 'styx launch'],
    [['launch', '--clone-disk-from', 'x'], '--clone-disk-from'],
    [['status', '-o', 'xml'], 'table, json'],
    [['cancel', 'c', 'one'], 'whole number'],
    [['launch', '-c', '../x', 'true'], 'must begin with a letter'],
    [['launch', '--num-nodes', 'none-at-all', 'true'], '--num-nodes'],
    [['launch', '--local-disk', 'nvme', 'true'], '--local-disk: not supported yet'],
    [['start', '--retry-for', 'soon', 'c'], '--retry-for: "soon" is no length of time: expected 30m, 2h or the like'],
    [['launch', '--retry-for', '2', 'true'], '--retry-for: "2" is no length of time: expected 30m, 2h or the like'],
    [['launch', '--infra', 'local', '--cloud', 'aws', 'true'], '--infra: cannot be given together with'],
    [['autostop', '--wait-for', 'rain'], 'jobs_and_ssh'],
    [['logs', 'c', '-o', 'json'], '--status'],
    [['down', '-y'], '--all'],
    [['down', 'x', '-a', '-y'], '--all'],
  ])('styx %j', (args, says) => {
    const { code, out, err } = styx(...args);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(says);
    expect(err).not.toContain('    at ');
  });
});

test('a broken task file is shown with place and reason, and a stack trace only with --debug', () => {
  const file = join(home, 'bad.yaml');
  writeFileSync(file, 'run: echo\nnum_node: 2\n');
  const { code, err } = styx('launch', '--dryrun', 'bad.yaml');
  expect(code).toBe(2);
  expect(err).toMatch(/^Error: bad\.yaml:2:1: .*num_nodes/s);
  expect(err).not.toContain('    at ');
  expect(styx('launch', '--dryrun', '--debug', file).err).toContain('    at ');
});

test('a dry run shows what would be chosen, on stdout, and starts nothing', () => {
  const { code, out } = styx('launch', '--dryrun', '--infra', 'local', '--num-nodes', '2', 'true');
  expect(code).toBe(0);
  expect(out).toContain('Considered resources (2 nodes):');
  expect(out.split('\n')[1]?.split(/ {2,}/)).toEqual([
    'INFRA',
    'INSTANCE',
    'vCPUs',
    'Mem(GB)',
    'GPUS',
    'COST ($)',
    'CHOSEN',
  ]);
  expect(styx('server', 'status', '-o', 'json').out).toContain('"running": false');
});

test('versions are JSON for programs', () => {
  expect(JSON.parse(styx('version', '-o', 'json').out)).toMatchObject({
    styx: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
});

describe('completion', () => {
  test.skipIf(spawnSync('bash', ['--version']).error !== undefined)(
    'of bash offers commands, options and files',
    () => {
      const script = styx('completion', 'bash').out;
      const complete = (...words: string[]) => {
        const setUp = `COMP_WORDS=(styx ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _styx; printf '%s\\n' "\${COMPREPLY[@]}"`;
        const result = spawnSync('bash', ['--norc', '-c', `styx() { echo my-cluster; }\n${script}\n${setUp}`], {
          encoding: 'utf8',
          cwd: home,
        });
        return result.stdout.trim().split('\n').sort();
      };
      expect(complete('sta')).toEqual(['start', 'status']);
      expect(complete('server', 'l')).toEqual(['logs']);
      expect(complete('launch', '--no-s')).toEqual(['--no-setup']);
      expect(complete('down', 'my')).toEqual(['my-cluster']);
      expect(complete('down', 'a', '--a')).toEqual(['--all']);
      writeFileSync(join(home, 'task.yaml'), '');
      expect(complete('exec', 'my-cluster', 'task')).toEqual(['task.yaml']);
    },
  );

  test.each(['zsh', 'fish'])('of %s is a script of that shell', (shell) => {
    const { code, out } = styx('completion', shell);
    expect(code).toBe(0);
    for (const { name, hidden } of COMMANDS)
      expect(out.includes(name), name).toBe(hidden !== true || name === '__names');
    const checked = spawnSync(shell, ['-n'], { input: out, encoding: 'utf8' });
    if (checked.error === undefined) expect(checked.stderr).toBe('');
  });
});
