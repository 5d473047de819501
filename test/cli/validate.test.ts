import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
const home = mkdtempSync(join(tmpdir(), 'styx-validate-home-'));
const cache = mkdtempSync(join(tmpdir(), 'styx-validate-cache-'));
const dir = mkdtempSync(join(tmpdir(), 'styx-validate-'));

afterAll(() => {
  for (const one of [home, cache, dir]) rmSync(one, { recursive: true, force: true });
});

function validate(...args: string[]) {
  const result = spawnSync(process.execPath, [main, 'validate', ...args], {
    cwd: dir,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: home, STYX_HOME: home, STYX_CACHE: cache },
  });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

function file(name: string, text: string): string {
  writeFileSync(join(dir, name), text);
  return name;
}

beforeAll(() => {
  mkdirSync(join(dir, 'src'));
  writeFileSync(join(dir, 'data.csv'), 'x');
});

describe('styx validate', () => {
  test('accepts what it understands, says what a launch would refuse, and touches nothing', () => {
    const plain = file('plain.yaml', 'run: echo hi\n');
    const full = file(
      'full.yaml',
      'workdir: src\nfile_mounts: {/data.csv: data.csv, ~/b: s3://b}\nresources: {local_disk: nvme}\n',
    );
    const group = file('group.yaml', 'name: g\nexecution: parallel\n---\nname: a\nrun: x\n---\nname: b\nrun: y\n');
    expect(validate(plain, full, group)).toEqual({
      code: 0,
      out: [
        'plain.yaml: a task',
        'full.yaml: a task; not supported by launch yet: resources.local_disk, file_mounts.~/b',
        'group.yaml: a group of 2 tasks; not supported by launch yet: a group',
        '',
      ].join('\n'),
      err: '',
    });
    expect(readdirSync(home)).toEqual([]);
  });

  test('rejects a file with all its problems, and the others are still told', () => {
    const broken = file('broken.yaml', 'run: 5\nresorces: {}\n');
    const { code, out, err } = validate(broken, file('plain.yaml', 'run: x'), 'nowhere.yaml');
    expect(code).toBe(1);
    expect(out).toBe('plain.yaml: a task\n');
    expect(err.split('\n')).toEqual([
      'broken.yaml:1:6: run: must be text, not 5; put it in quotes',
      'broken.yaml:2:1: resorces: unknown field; did you mean "resources"?',
      'task file nowhere.yaml does not exist',
      '',
    ]);
  });

  test('looks for what the task brings from here, from the working directory', () => {
    const text = [
      'workdir: data.csv',
      'file_mounts:',
      '  /a: missing',
      '  /b: {name: bucket, source: data.csv}',
      '  /c: {name: bucket, source: [data.csv, gone]}',
      '  /d: src',
      '  /e: skypilot:kept',
      '',
    ].join('\n');
    const { code, err } = validate(file('sources.yaml', text));
    expect(code).toBe(1);
    expect(err.trim().split('\n')).toEqual([
      'sources.yaml:1:10: workdir: there is no directory data.csv here',
      'sources.yaml:3:7: file_mounts./a: there is no file or directory missing here',
      'sources.yaml:4:30: file_mounts./b.source: is a file; write source: [data.csv] to bring one file',
      'sources.yaml:5:30: file_mounts./c.source: there is no file or directory gone here',
    ]);
  });

  test('gives the tasks as it understands them, without values of secrets', () => {
    const good = file(
      'good.yaml',
      'name: p\n---\nresources: {infra: AWS/r, cpus: 4+}\nsecrets: {K: v}\nrun: x\n---\nrun: y\n',
    );
    const { code, out } = validate('-o', 'json', good, file('bad.yaml', 'nme: x'));
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual([
      {
        file: 'good.yaml',
        valid: true,
        kind: 'pipeline',
        header: { name: 'p' },
        tasks: [
          { num_nodes: 1, resources: { infra: 'aws/r', cpus: '4+' }, secrets: { K: '<redacted>' }, run: 'x' },
          { num_nodes: 1, run: 'y' },
        ],
      },
      {
        file: 'bad.yaml',
        valid: false,
        problems: [{ line: 1, column: 1, path: 'nme', message: 'unknown field', suggestion: 'name' }],
        message: 'bad.yaml:1:1: nme: unknown field; did you mean "name"?',
      },
    ]);
  });
});
