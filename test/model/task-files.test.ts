import { expect, test } from 'vitest';
import { mountTarget } from '../../model/mount-target.ts';
import { parseTask } from '../../model/parse-task.ts';
import { filesProblem } from '../../model/task-files.ts';
import { validateTask } from '../../model/task-schema.ts';

const parse = (text: string, overrides = {}) => parseTask(text, { file: 'task.yaml', overrides });
const snapshot = { manifest: 'a'.repeat(64), kind: 'directory', files: 1, bytes: 2 } as const;

test('a workdir is a directory, or a git repository at a ref', () => {
  expect(parse('workdir: .').workdir).toEqual({ source: { path: '.' }, snapshot: null });
  expect(parse('workdir: {url: "https://example.com/a.git", ref: v1}').workdir).toEqual({
    source: { url: 'https://example.com/a.git', ref: 'v1' },
    snapshot: null,
  });
  expect(parse('workdir: {url: "git@example.com:a"}').workdir?.source).toEqual({ url: 'git@example.com:a', ref: null });
  expect(parse('workdir: a', { workdir: '~/b' }).workdir?.source).toEqual({ path: '~/b' });
  expect(parse('run: x')).not.toHaveProperty('workdir');
});

test('targets of mounts have one normal form: below the home directory, or below the workdir', () => {
  const targets = parse('run: x\nfile_mounts: {~/a//b/./c: x, data: y, ./d/e: z}').fileMounts ?? [];
  expect(targets.map(({ target }) => target)).toEqual(['~/a/b/c', '~/sky_workdir/data', '~/sky_workdir/d/e']);
});

test('targets outside of the home directory are those that the machine can do without', () => {
  const targets = parse('run: x\nfile_mounts: {/data: a, //mnt/./m/x: b, /usr/local/share/y: c}').fileMounts ?? [];
  expect(targets.map(({ target }) => target)).toEqual(['/data', '/mnt/m/x', '/usr/local/share/y']);
  for (const path of ['/library/x', '/runs', '/opt/x', '/tmp/x', '/home/me/x', '/root/x', '/var/lib/x', '/usr/local/x'])
    expect(mountTarget(path)).toBe(path);
  const machine = 'bin boot dev etc lib lib64 lib/x proc proc/1/x run run/x sbin sys usr usr/bin usr/x var/run/x';
  const shared = 'home media mnt opt root srv tmp var var/lib var/tmp usr/local usr/local/bin usr/local/share';
  for (const path of [...machine.split(' '), ...shared.split(' ')])
    expect(() => mountTarget(`/${path}`), path).toThrow(/is kept for the machine|is used by others/);
});

test.each([
  ['file_mounts: {~/../x: a}', 'file_mounts.~/../x: must not hold ".."'],
  ['file_mounts: {a/../../x: a}', 'must not hold ".."'],
  ['file_mounts: {/etc/../x: a}', 'must not hold ".."'],
  ['file_mounts: {/etc/x: a}', 'file_mounts./etc/x: /etc is kept for the machine'],
  ['file_mounts: {/: a}', 'file_mounts'],
  ['file_mounts: {//.: a}', '/ is kept for the machine'],
  ['file_mounts: {/usr/share/x: a}', '/usr is kept for the machine, but for /usr/local'],
  ['file_mounts: {/tmp: a}', '/tmp is used by others on the machine'],
  ['file_mounts: {/data: a, //data: b}', 'names the same place as another target'],
  ['file_mounts: {a/: b}', 'cannot end with a slash'],
  ['file_mounts: {~: b}', 'file_mounts'],
  ['file_mounts: {~root/a: b}', 'must begin with ~/'],
  ['file_mounts: {~/.styx-agent/bin: b}', 'is kept for the agent'],
  ['file_mounts: {"a\\nb": b}', 'is not a path'],
  ['file_mounts: {"a\\0b": b}', 'is not a path'],
  ['file_mounts: {a: b, ./a: c}', 'names the same place as another target'],
  ['file_mounts: {a: s3://bucket/x}', 'file_mounts.a: buckets and URLs are not supported yet'],
  ['file_mounts: {a: {name: x, mode: MOUNT}}', 'file_mounts.a: storage objects are not supported yet'],
  ['file_mounts: {a: null}', 'file_mounts.a: must be a path'],
  ['file_mounts: {a: b/}', 'cannot end with a slash'],
  ['file_mounts: [a]', 'must be a map'],
  ['workdir: .\nfile_mounts: {~/sky_workdir: a}', 'is where the workdir goes'],
  ['workdir: "a\\nb"', 'must not hold line breaks'],
  ['workdir: ""', 'must be a directory'],
  ['workdir: https://example.com/a.git', 'a git repository is {url:'],
  ['workdir: {ref: main}', 'workdir.url: is missing'],
  ['workdir: {url: --upload-pack=x}', 'workdir.url: must not be'],
  ['workdir: {url: a, ref: --x}', 'workdir.ref: must not be'],
  ['workdir: {url: a, branch: x}', 'workdir.branch: unknown field'],
])('%s is refused by name', (text, wanted) => {
  expect(() => parse(text)).toThrow(wanted);
});

test('a task without the snapshots of its files is not accepted, nor one whose targets are no places', () => {
  const task = parse('workdir: .\nfile_mounts: {~/a: b}\nrun: x');
  expect(filesProblem(task)).toContain('no snapshot');
  const workdir = { source: { path: '.' }, snapshot };
  const mount = (target: string) => ({ ...task, workdir, fileMounts: [{ target, source: { path: 'b' }, snapshot }] });
  expect(filesProblem(mount('~/a'))).toBeNull();
  expect(filesProblem(mount('~/../a'))).toContain('..');
  expect(filesProblem(mount('~/a/./b'))).toContain('no place');
  expect(validateTask(mount('~/a'))).toEqual(mount('~/a'));
  expect(() => validateTask(task)).toThrow('workdir.snapshot');
});
