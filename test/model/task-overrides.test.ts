import { describe, expect, it, test } from 'vitest';
import { commandTask, parseTask } from '../../model/parse-task.ts';
import { readTaskFile, type TaskFile } from '../../model/spec/file.ts';
import { readOverrides, type TaskOverrides } from '../../model/spec/overrides.ts';
import { taskConfig } from '../../model/spec/print.ts';
import type { TaskProblem } from '../../model/task-error.ts';
import { readYaml } from '../../model/yaml.ts';

/** The fields of the task with the options over it, or the problems. */
function over(text: string, options: TaskOverrides): Record<string, unknown> | string[] {
  const problems: TaskProblem[] = [];
  const overrides = readOverrides(options, problems);
  const read = readTaskFile(readYaml(text).documents, overrides, problems);
  const file: TaskFile | undefined = read?.file;
  if (file?.kind !== 'task') return problems.map(({ path, message }) => `${path}: ${message}`);
  const task = overrides.apply(file.task, problems);
  return problems.length > 0 ? problems.map(({ path, message }) => `${path}: ${message}`) : taskConfig(task);
}

describe('options over a file', () => {
  const file =
    'name: a\nresources: {infra: aws/r/z, disk_size: 100, image_id: ami-1, ports: 80, any_of: [{cpus: 1}, {cpus: 2, accelerators: T4}]}\nrun: x';

  it.each<[TaskOverrides, unknown]>([
    [{ cpus: '8+' }, { any_of: [{ cpus: '8+' }, { cpus: '8+', accelerators: 'T4:1' }] }],
    [{ gpus: 'A100:2' }, { any_of: [{ accelerators: 'A100:2' }, { accelerators: 'A100:2' }] }],
    [{ diskSize: '1TB', diskTier: 'HIGH' }, { any_of: [{ disk_size: 1024, disk_tier: 'high' }, {}] }],
    [{ ports: ['8080', '8081-8083', '9000'] }, { any_of: [{ ports: ['8080-8083', '9000'] }, {}] }],
    [{ infra: 'gcp' }, { any_of: [{ infra: 'gcp' }, { infra: 'gcp' }] }],
    [{ region: 'q' }, { any_of: [{ infra: 'aws/q/z' }, {}] }],
    [{ zone: 'none', region: '*' }, { any_of: [{ infra: 'aws' }, {}] }],
    [{ priority: 'urgent' }, { any_of: [{ priority_class: 'urgent' }, {}] }],
    [{ networkTier: 'best', localDisk: '500+' }, { any_of: [{ network_tier: 'best', local_disk: 'nvme:500+' }, {}] }],
  ])('%j hold for every alternative', (options, resources) => {
    expect(over(file, options)).toMatchObject({ resources });
  });

  test('"none" takes a field of every alternative back', () => {
    const none = { cpus: 'none', gpus: 'none', infra: 'None', ports: ['none'], imageId: 'none' };
    expect(over(file, none)).toEqual({
      name: 'a',
      num_nodes: 1,
      resources: { any_of: [{ disk_size: 100 }, { disk_size: 100 }] },
      run: 'x',
    });
  });

  test('replace a workdir, and the parts of a git one', () => {
    const git = 'workdir: {url: u, ref: main}\nrun: x';
    expect(over(git, { gitRef: 'dev' })).toMatchObject({ workdir: { url: 'u', ref: 'dev' } });
    expect(over(git, { workdir: 'here' })).toMatchObject({ workdir: 'here' });
    expect(over('workdir: .', { gitUrl: 'v' })).toMatchObject({ workdir: { url: 'v' } });
    expect(over('run: x', { gitRef: 'dev' })).toEqual(['--git-ref: needs --git-url, or a git workdir in the task']);
    expect(over('run: x', { gitUrl: 'u', workdir: '.' })).toEqual([
      '--workdir: cannot be given together with --git-url or --git-ref',
    ]);
  });

  test('give variables before they are put in, and secrets that have no value', () => {
    const text = 'envs: {DIR: }\nsecrets: {T: , U: , "secrets:V": }\nworkdir: $DIR/$T\nrun: x';
    const options = { envs: { DIR: 'src' }, secrets: { T: 't' }, secretDefaults: { U: 'u', OTHER: 'o', T: 'lower' } };
    expect(over(text, options)).toEqual({
      num_nodes: 1,
      envs: { DIR: 'src' },
      secrets: { T: 't', U: 'u' },
      managed_secrets: ['secrets:V'],
      workdir: 'src/t',
      run: 'x',
    });
  });

  it.each<[TaskOverrides, string]>([
    [{ infra: 'aws', cloud: 'gcp' }, '--infra: cannot be given together with --cloud, --region or --zone'],
    [{ ports: ['80', 'none'] }, '--ports: cannot be "none" and others'],
    [{ ports: ['70000'] }, '--ports: must be ports from 1 to 65535, such as 8080 or 8080-8090, not "70000"'],
    [{ diskTier: 'fast' }, '--disk-tier: must be low, medium, high, ultra or best, not "fast"'],
    [{ diskSize: '0' }, '--disk-size: must be GiB from 1, or such as "500GB" or "1TB", not "0"'],
    [{ secrets: { '1': 'x' } }, '--secret: "1" cannot be the name of an environment variable'],
    [{ gpus: 'tpu-v4-8' }, 'options: accelerators: cannot be a TPU on aws: TPUs are on gcp and kubernetes'],
  ])('that are wrong are named: %j', (options, problem) => {
    expect(over(file, options)).toEqual(expect.arrayContaining([problem]));
  });
});

describe('what is given and cannot be carried out', () => {
  it.each<[TaskOverrides, string]>([
    [{ localDisk: 'nvme' }, '--local-disk'],
    [{ priority: 'urgent' }, '--priority'],
  ])('by option is refused by the option: %j', (options, option) => {
    const refusal = new RegExp(`^${option}: not supported yet by this version of Styx$`);
    expect(() => parseTask('run: x', { file: 'task.yaml', overrides: options })).toThrow(refusal);
    expect(() => commandTask('x', options)).toThrow(refusal);
  });

  it.each([
    ['run: x\nresources: {local_disk: nvme}', '2:13: resources.local_disk'],
    ['resources:\n  any_of:\n  - {local_disk: nvme}\nrun: x', '3:6: resources.any_of.0.local_disk'],
    ['resources:\n  autostop: {hook: x}\nrun: x', '2:14: resources.autostop.hook'],
    ['config:\n  docker: {run_options: x}\n  hooks: [{run: y}]', '2:12: config.docker.run_options'],
    ['config:\n  docker: {run_options: x}\n  hooks: [{run: y}]', '3:3: config.hooks'],
    ['volumes:\n  /v: n', '1:1: volumes'],
    ['service: {replicas: 2}\nrun: x', '1:1: service'],
  ])('by the file is refused where it stands: %j', (text, place) => {
    expect(() => parseTask(text, { file: 'task.yaml' })).toThrow(`task.yaml:${place}: not supported yet`);
  });

  it.each(['disk_size: 256', 'ports: []', 'labels: {}', 'job_recovery: none', 'priority_class: ""', 'volumes: []'])(
    'and says no more than the default is taken: %s',
    (field) => {
      expect(parseTask(`resources: {${field}}\nrun: x`, { file: 'f' })).toEqual(parseTask('run: x', { file: 'f' }));
    },
  );
});
