import { describe, expect, it, test } from 'vitest';
import { parseTask } from '../../model/parse-task.ts';
import type { TaskOverrides } from '../../model/spec/overrides.ts';
import { TaskError } from '../../model/task-error.ts';

function parse(text: string, overrides: TaskOverrides = {}) {
  return parseTask(text, { file: 'task.yaml', overrides });
}

function errorOf(text: string, overrides: TaskOverrides = {}): TaskError {
  try {
    parse(text, overrides);
  } catch (error) {
    if (error instanceof TaskError) return error;
    throw error;
  }
  throw new Error(`parsed: ${text.slice(0, 200)}`);
}

describe('problems', () => {
  test('are all told at once, each with its place', () => {
    const error = errorOf('resources:\n  acelerators: A100\n  cpus: 0\nnum_nodes: none\nrun: 5\n');
    expect(error.kind).toBe('invalid');
    expect(error.message.split('\n')).toEqual([
      'task.yaml:2:3: resources.acelerators: unknown field; did you mean "accelerators"?',
      'task.yaml:3:9: resources.cpus: must be a number above 0, or such as "4+", not 0',
      'task.yaml:4:12: num_nodes: must be a whole number from 1, not "none"',
      'task.yaml:5:6: run: must be text, not 5; put it in quotes',
    ]);
  });

  it.each([
    ['run: x\nvolumes:\n  /a: b', 'task.yaml:2:1: volumes: not supported yet by this version of Styx'],
    [
      'resources: {any_of: [{cpus: 1}, {cpus: 2, disk_size: 100}]}',
      'task.yaml:1:13: resources.any_of: alternatives that differ in disk_size are not supported yet by this version of Styx',
    ],
    [
      'resources: {autostop: {hook: x}}',
      'task.yaml:1:24: resources.autostop.hook: not supported yet by this version of Styx',
    ],
    ['cpus: 4', 'task.yaml:1:1: cpus: unknown field here; it belongs under "resources"'],
    [
      'resources: {num_nodes: 4}',
      'task.yaml:1:13: resources.num_nodes: unknown field here; it belongs at the top of the task',
    ],
    ['__proto__: {}', 'task.yaml:1:1: the key "__proto__" is not allowed'],
    ['zzzzzz: 4', 'task.yaml:1:1: zzzzzz: unknown field'],
    ['run: a\nrun: b', 'task.yaml:2:1: duplicate key "run" (lines 1 and 2)'],
    ['envs:\n  A: 1\n  A: 2', 'task.yaml:3:3: duplicate key "A" (lines 2 and 3)'],
    [
      'run: a\n---\nrun: x',
      'task.yaml:3:1: a pipeline of several tasks is for managed jobs: run this with `styx jobs launch`',
    ],
    [
      'name: a\nexecution: parallel\n---\nname: b\nrun: x',
      'task.yaml:4:1: a job group is for managed jobs: run this with `styx jobs launch`',
    ],
    ['', 'task.yaml:1:1: holds no task'],
    ['# nothing\n', 'holds no task'],
    ['- a', 'task.yaml:1:1: must be a map of fields, such as "run: echo hello"'],
    ['resources: 5', 'task.yaml:1:12: resources: must be a map of fields'],
    ['envs: [A]', 'task.yaml:1:7: envs: must be a map of names to values'],
    ['envs: {A: }', "envs.A: Environment variable 'A' is None"],
    ['envs: {1A: x}', 'cannot be the name of an environment variable'],
    ['envs: {__proto__: x}', 'task.yaml:1:8: the key "__proto__" is not allowed'],
    ['envs: {A: [1]}', 'envs.A: must be text, not a list'],
    ['run: "a\\0b"', 'task.yaml:1:6: run: must not hold NUL characters'],
    ['run: !!python/object:os.system x', 'tags such as'],
    ['a: &a [*a]', '"a" holds itself'],
    ['run: *x', 'no anchor "x" above'],
    ['resources: {infra: aws, region: r}', 'resources.region: cannot be given together with "infra"'],
    ['resources: {infra: a/b/c/d}', 'must be cloud, cloud/region or cloud/region/zone'],
    ['resources: {infra: "aws/a b"}', 'is not a name of a place'],
    ['resources: {infra: awz}', 'resources.infra: "awz" is not a name of a cloud; did you mean "aws"?'],
    [
      'resources: {accelerators: ["A100:8", "H100:4"]}',
      'alternatives with different numbers of accelerators (8, 4) leave open what a job takes: say it by job_demand.gpus',
    ],
    [
      'resources: {accelerators: "apple:80GB+"}',
      'no accelerator of apple that is known has 80 GB or more: see `styx gpus list`',
    ],
    ['resources: {accelerators: "H100:0"}', 'must ask for more than 0 of "H100"'],
    ['resources: {accelerators: "H100:1.5"}', 'must be a whole number of GPUs'],
    ['resources: {accelerators: H100, gpus: H100}', 'resources.gpus: cannot be given together with "accelerators"'],
    ['resources: {use_spot: "yes"}', 'resources.use_spot: must be true or false, not "yes"'],
    ['resources: {priority: 1001}', 'resources.priority: must be a whole number from -1000 to 1000'],
    ['resources: {autostop: -1}', 'resources.autostop: must be minutes from 0'],
    ['resources: {autostop: {wait_for: x}}', 'resources.autostop.wait_for: must be jobs_and_ssh, jobs or none'],
    ['resources: {memory: 4x}', 'resources.memory: must be GiB above 0'],
    ['name: -a', 'task.yaml:1:7: name: "-a" must begin and end with a letter or digit'],
    ['max_duration: 0', 'max_duration: must be seconds above 0'],
    ['max_duration: soon', 'max_duration: must be seconds above 0'],
    ['run: x\nbudget:\n  max_csot: 5', 'task.yaml:3:3: budget.max_csot: unknown field; did you mean "max_cost"?'],
    ['run: x\nbudjet: {max_cost: 5}', 'task.yaml:2:1: budjet: unknown field; did you mean "budget"?'],
    ['ray: yes please', 'task.yaml:1:6: ray: must be true, or a map of fields, not "yes please"'],
    ['ray: {version: 2.6}', 'task.yaml:1:16: ray.version: must be text, not 2.6; put it in quotes'],
    ['ray: {version: nightly}', 'task.yaml:1:16: ray.version: must be a release such as "2.60.0", not "nightly"'],
    [
      'ray: {version: 2.51.0}',
      'task.yaml:1:16: ray.version: must be 2.55.0 or later, not 2.51.0: older ones cannot be kept from strangers on the network',
    ],
    ['ray:\n  extra: [data]', 'task.yaml:2:3: ray.extra: unknown field; did you mean "extras"?'],
    ['ray: {extras: [dta]}', 'client or cgraph, not "dta"; did you mean "data"?'],
    ['ray: {head_resources: {cpu: 0}}', 'task.yaml:1:29: ray.head_resources.cpu: is written CPU'],
    [
      'ray: {head_resources: {CPU: 0.5}}',
      'task.yaml:1:29: ray.head_resources.CPU: must be a whole number from 0, not 0.5',
    ],
    [
      'ray: {head_resources: {memory: 5}}',
      'task.yaml:1:32: ray.head_resources.memory: is given by the size of the node',
    ],
    ['budget: {on_exceed: stop}', 'task.yaml:1:9: budget: must have "max_cost" or "max_duration"'],
    ['budget: {max_cost: 0}', 'task.yaml:1:20: budget.max_cost: must be US dollars above 0, not 0'],
    ['budget: {max_duration: soon}', 'budget.max_duration: must be minutes above 0, or such as "24h"'],
    ['budget: {max_cost: 1, on_exceed: stopp}', 'must be stop, down or notify, not "stopp"; did you mean "stop"?'],
    ['budget: 5', 'task.yaml:1:9: budget: must be a map of fields'],
    ['queue: lifo', 'queue: must be fifo or backfill'],
    ['job_demand: {gpus: -1}', 'job_demand.gpus: must be a whole number of GPUs'],
    ['num_nodes: .inf', 'num_nodes: must be a whole number'],
    ['run: [', 'task.yaml:1:'],
    ['run: x\n\tsetup: y', 'task.yaml:2:'],
  ])('are named: %j', (text, wanted) => {
    expect(errorOf(text).message).toContain(wanted);
  });

  test('of options name the option', () => {
    const overrides = {
      gpus: 'A100:x',
      numNodes: '0',
      cpus: 'many',
      infra: 'a/b/c/d',
      priority: 5000,
      envs: { '1': 'x' },
    };
    const error = errorOf('run: x\nnme: y', overrides);
    const named = error.problems.filter((problem) => problem.line === null).map((problem) => problem.path);
    expect(named.sort()).toEqual(['--cpus', '--env', '--gpus', '--infra', '--num-nodes', '--priority']);
    expect(error.message).toContain('\ntask.yaml:2:1: nme: unknown field; did you mean "name"?');
    expect(error.message).toContain('--gpus: must be such as A100, A100:8');
  });

  test('of a text above 256 kB are its size alone', () => {
    expect(errorOf(`run: ${'é'.repeat(131_072)}`).message).toBe(
      'task.yaml:1:1: the task is 257 kB; at most 256 kB are allowed',
    );
  });

  test('of aliases that unfold to millions of values are an error', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i++)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(errorOf(lines.join('\n')).message).toContain('holds more than 20000 values');
  });

  test('of aliases that unfold to a task above the limit are an error', () => {
    const envs = Array.from({ length: 100 }, (_, i) => `  A${i}: *big`).join('\n');
    expect(errorOf(`run: &big ${'x'.repeat(10_000)}\nenvs:\n${envs}`).message).toContain('at most 256 kB are allowed');
  });
});
