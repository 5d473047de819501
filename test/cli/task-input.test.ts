import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autostopRule, commandLineText, parseEnvFile, readTask } from '../../cli/task-input.ts';
import type { AutostopRule } from '../../model/task.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'styx-input-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('an entrypoint', () => {
  test('that ends in .yaml is a file, with options over it', () => {
    const file = join(dir, 'task.yaml');
    writeFileSync(file, 'name: a\nenvs: {X: 1, Y: 2}\nresources: {cpus: 2}\nrun: echo $X\n');
    const task = readTask([file], { name: 'b', cpus: '4+', env: ['X=9'], numNodes: '3' });
    expect(task).toMatchObject({ name: 'b', numNodes: 3, envs: { X: '9', Y: '2' }, run: 'echo $X' });
    expect(task.resources.cpus).toEqual({ count: 4, atLeast: true });
  });

  test('that does not exist is said to', () => {
    expect(() => readTask([join(dir, 'nothing.yaml')], {})).toThrow('does not exist');
  });

  test('of several words is a shell command', () => {
    expect(readTask(['echo', '$HOME;', 'ls'], {}).run).toBe('echo $HOME; ls');
  });

  test('that is absent makes machines without a job', () => {
    expect(readTask([], { cpus: '2' })).toMatchObject({ run: null, setup: null });
  });
});

describe('variables', () => {
  test('of --secret are like those of --env, and go over the secrets of the file', () => {
    const file = join(dir, 'secrets.yaml');
    writeFileSync(file, 'secrets: {A: a, B: , C: 1}\nrun: x\n');
    const values = join(dir, 'values');
    writeFileSync(values, "B='from file'\nC=c\n");
    process.env.STYX_TEST_VALUE = 'here';
    const task = readTask([file], { secret: ['C=9', 'STYX_TEST_VALUE'], secretFile: values });
    delete process.env.STYX_TEST_VALUE;
    expect(task.secrets).toEqual({ A: 'a', B: 'from file', C: '9', STYX_TEST_VALUE: 'here' });
    expect(task.envs).toEqual({});
    expect(() => readTask([file], {})).toThrow(/secrets.*\(B\).*--secret/);
    expect(() => readTask(['x'], { secret: ['=hunter2'] })).toThrow(/^(?!.*hunter2)/);
  });

  test('of --env go before those of --env-file', () => {
    const file = join(dir, 'env');
    writeFileSync(file, '# comment\nA=1\nexport B="two words"\nC=\'x\'\n\nD=a=b # kept\n');
    expect(readTask(['true'], { envFile: file, env: ['A=9'] }).envs).toEqual({
      A: '9',
      B: 'two words',
      C: 'x',
      D: 'a=b # kept',
    });
  });

  test('without a value take the one from here, and fail when there is none', () => {
    process.env.STYX_TEST_VALUE = 'here';
    expect(readTask(['true'], { env: ['STYX_TEST_VALUE'] }).envs).toEqual({ STYX_TEST_VALUE: 'here' });
    expect(() => readTask(['true'], { env: ['STYX_TEST_ABSENT'] })).toThrow('no such variable');
    delete process.env.STYX_TEST_VALUE;
  });

  test('in a malformed line of a file are refused with its number', () => {
    expect(() => parseEnvFile('A=1\nB C\n', 'env')).toThrow('env:2');
  });
});

describe('secrets', () => {
  test('are not what --env-file gives, unless the task asks for one', () => {
    const env = join(dir, 'more-env');
    writeFileSync(env, 'TOKEN=abc\n');
    expect(readTask(['true'], { envFile: env }).envs).toEqual({ TOKEN: 'abc' });
  });
});

describe('autostop options', () => {
  const base: AutostopRule = { idleMinutes: 30, down: false, waitFor: 'jobs' };

  test('that are absent leave the rule of the task', () => {
    expect(autostopRule({}, base)).toBeUndefined();
  });

  test('fill what they do not say from the task', () => {
    expect(autostopRule({ down: true }, base)).toEqual({ idleMinutes: 30, down: true, waitFor: 'jobs' });
    expect(autostopRule({ idleMinutesToAutostop: 5 }, base)).toEqual({ idleMinutes: 5, down: false, waitFor: 'jobs' });
    expect(autostopRule({ down: true }, null)).toEqual({ idleMinutes: 1, down: true, waitFor: 'jobs_and_ssh' });
  });

  test('of 0 minutes mean 1', () => {
    expect(autostopRule({ idleMinutesToAutostop: 0 }, null)?.idleMinutes).toBe(1);
  });

  test('of --wait-for alone are refused, not ignored', () => {
    expect(() => autostopRule({ waitFor: 'none' }, null)).toThrow('--wait-for');
  });
});

test('the recorded command line can be pasted into a shell and shows no values of variables', () => {
  expect(commandLineText(['exec', 'c', '--secret', 'K=v', '--secret=L=w'])).toBe(
    'styx exec c --secret K=... --secret=L=...',
  );
  expect(commandLineText(['exec', 'c', '--env', 'TOKEN=abc', '--env=K=v\nw', "echo 'hi there'; $X"])).toBe(
    `styx exec c --env TOKEN=... --env=K=... 'echo '\\''hi there'\\''; $X'`,
  );
  expect(commandLineText(['exec', 'c', '--secret', 'T=abc', '--secret=K=v', '--secret', 'NAME'])).toBe(
    'styx exec c --secret T=... --secret=K=... --secret NAME',
  );
});
