import { describe, expect, it, test } from 'vitest';
import { commandTask, parseTask, parseTaskFile } from '../../model/parse-task.ts';
import { resourcesText } from '../../model/resources-text.ts';
import type { TaskOverrides } from '../../model/spec/overrides.ts';
import { printTaskFile } from '../../model/spec/print.ts';
import { validateTask } from '../../model/task-schema.ts';

function parse(text: string, overrides: TaskOverrides = {}) {
  return parseTask(text, { file: 'task.yaml', overrides });
}

function resources(yaml: string) {
  return parse(`resources: ${yaml}`).resources;
}

describe('a task', () => {
  test('of one line gets the documented defaults', () => {
    expect(parse('run: echo hello')).toEqual({
      name: null,
      resources: {
        cloud: null,
        region: null,
        zone: null,
        instanceType: null,
        cpus: null,
        memory: null,
        accelerators: null,
        useSpot: false,
        numNodes: 1,
      },
      numNodes: 1,
      envs: {},
      secrets: {},
      setup: null,
      run: 'echo hello',
      autostop: null,
      priority: 0,
      demand: { cpus: 0.5, gpus: 0, memory: 0 },
      maxDuration: null,
      queue: null,
    });
  });

  test('may use every field of this version', () => {
    const task = parse(`
name: train
num_nodes: 2
resources:
  infra: local/here/*
  cpus: 4+
  memory: 32GB+
  accelerators: {A100: 8}
  instance_type: local-2x
  use_spot: yes
  autostop: {idle_minutes: 600, down: true, wait_for: jobs}
  priority: -3
envs: {A: 1}
setup: pip install x
run: |
  python train.py
max_duration: 1h 30m
job_demand: {cpus: 2, memory: '4', gpus: 0.5}
queue: fifo
budget: {max_cost: 12.5, max_duration: 1d, on_exceed: down}
`);
    expect(task).toMatchObject({
      name: 'train',
      numNodes: 2,
      resources: {
        cloud: 'local',
        region: 'here',
        zone: null,
        cpus: { count: 4, atLeast: true },
        memory: { count: 32, atLeast: true },
        accelerators: { name: 'A100', count: 8 },
        instanceType: 'local-2x',
        useSpot: true,
        numNodes: 2,
      },
      autostop: { idleMinutes: 600, down: true, waitFor: 'jobs' },
      priority: -3,
      maxDuration: 5400,
      demand: { cpus: 2, memory: 4, gpus: 0.5 },
      queue: 'fifo',
      budget: { maxCost: 12.5, maxDuration: 86_400, onExceed: 'down' },
      run: 'python train.py\n',
    });
    expect(validateTask(JSON.parse(JSON.stringify(task)))).toEqual(task);
    expect(resourcesText(task)).toBe('2x[A100:8][Spot]');
  });

  it.each([
    ['{max_cost: 10}', { maxCost: 10, maxDuration: null, onExceed: 'stop' }],
    ["{max_cost: '0.5', on_exceed: NOTIFY}", { maxCost: 0.5, maxDuration: null, onExceed: 'notify' }],
    ['{max_duration: 90}', { maxCost: null, maxDuration: 5_400, onExceed: 'stop' }],
    ["{max_duration: '90', max_cost: }", { maxCost: null, maxDuration: 5_400, onExceed: 'stop' }],
    ['{max_duration: 1h 30m, on_exceed: down}', { maxCost: null, maxDuration: 5_400, onExceed: 'down' }],
  ])('has a budget of %s', (text, budget) => {
    const file = parseTaskFile(`run: x\nbudget: ${text}`, { file: 'task.yaml' });
    expect(parse(`run: x\nbudget: ${text}`).budget).toEqual(budget);
    expect(parse(printTaskFile(file)).budget).toEqual(budget);
    expect(Object.keys(parse('run: x'))).not.toContain('budget');
  });

  it.each([
    ['true', {}],
    ['{}', {}],
    ['{version: 2.60.0}', { version: '2.60.0' }],
    ['{extras: [serve, DATA, serve], restart_head: false}', { extras: ['data', 'serve'], restartHead: false }],
    ['{head_resources: {CPU: 0, GPU: 1, license: 0.5}}', { headResources: { CPU: 0, GPU: 1, license: 0.5 } }],
  ])('has Ray of %s', (text, asked) => {
    const ray = { version: null, extras: [], headResources: null, restartHead: null, ...asked };
    const file = parseTaskFile(`run: x\nray: ${text}`, { file: 'task.yaml' });
    expect(parse(`run: x\nray: ${text}`).ray).toEqual(ray);
    expect(parse(printTaskFile(file)).ray).toEqual(ray);
    for (const none of ['run: x', 'run: x\nray: false', 'run: x\nray:']) {
      expect(Object.keys(parse(none))).not.toContain('ray');
    }
  });

  test('with nothing in a field is as without it', () => {
    expect(parse('name:\nresources:\nworkdir: null\nrun: x')).toEqual(parse('run: x'));
    expect(resources('{cpus: , ports: ~}').cpus).toBeNull();
  });

  it.each([
    ['accelerators: A100', { name: 'A100', count: 1 }],
    ['accelerators: A100:8', { name: 'A100', count: 8 }],
    ['accelerators: "A100:0.5"', { name: 'A100', count: 0.5 }],
    ['accelerators: {A100: 2}', { name: 'A100', count: 2 }],
    ['accelerators: {A100:2}', { name: 'A100', count: 2 }],
    ['gpus: T4', { name: 'T4', count: 1 }],
  ])('reads %s', (yaml, wanted) => {
    const task = parse(`resources: {${yaml}}`);
    expect(task.resources.accelerators).toEqual(wanted);
    expect(task.demand.gpus).toBe(wanted.count);
  });

  it.each([
    ['cpus: 4', 4, false],
    ["cpus: '4'", 4, false],
    ['cpus: 4+', 4, true],
    ['cpus: 0.5', 0.5, false],
    ['memory: 16', 16, false],
    ['memory: 1TB', 1024, false],
    ['memory: 512mb+', 0.5, true],
    ['memory: 8 GB', 8, false],
    ['memory: 8Gi', 8, false],
  ])('reads %s', (yaml, count, atLeast) => {
    const read = resources(`{${yaml}}`);
    expect(read.cpus ?? read.memory).toEqual({ count, atLeast });
  });

  it.each([
    ['true', { idleMinutes: 5, down: false, waitFor: 'jobs_and_ssh' }],
    ['false', null],
    ['0', { idleMinutes: 1, down: false, waitFor: 'jobs_and_ssh' }],
    ['7', { idleMinutes: 7, down: false, waitFor: 'jobs_and_ssh' }],
    ["'7'", { idleMinutes: 7, down: false, waitFor: 'jobs_and_ssh' }],
    ['10h', { idleMinutes: 600, down: false, waitFor: 'jobs_and_ssh' }],
    ['90m', { idleMinutes: 90, down: false, waitFor: 'jobs_and_ssh' }],
    ['2D', { idleMinutes: 2880, down: false, waitFor: 'jobs_and_ssh' }],
    ['{down: true}', { idleMinutes: 5, down: true, waitFor: 'jobs_and_ssh' }],
    ['{idle_minutes: 3, wait_for: none}', { idleMinutes: 3, down: false, waitFor: 'none' }],
  ])('reads autostop: %s', (yaml, wanted) => {
    expect(parse(`resources: {autostop: ${yaml}}`).autostop).toEqual(wanted);
  });

  it.each([
    ['local', ['local', null, null]],
    ['AWS/us-east-1', ['aws', 'us-east-1', null]],
    ['aws/*/us-east-1a', ['aws', null, 'us-east-1a']],
    ["'*'", [null, null, null]],
    ["'*/us-east-1'", [null, 'us-east-1', null]],
  ])('reads infra: %s', (yaml, wanted) => {
    const { cloud, region, zone } = resources(`{infra: ${yaml}}`);
    expect([cloud, region, zone]).toEqual(wanted);
  });

  test('reads cloud, region and zone where there is no infra', () => {
    expect(resources('{cloud: AWS, region: r, zone: z}')).toMatchObject({ cloud: 'aws', region: 'r', zone: 'z' });
  });

  test('has variables as PyYAML and str() give them', () => {
    const { envs } = parse(`
envs:
  WORD: plain
  QUOTED: "1.10"
  INT: 1_000
  FLOAT: 1.10
  WHOLE: 2.0
  SMALL: 0.00001
  LARGE: 1.0e+20
  YES: yes
  OFF: off
  Y: y
  EMPTY: ""
  HEX: 0x10
  OCTAL: 010
  BIG: 123456789012345678901234567890
  DATE: 2024-01-01
  LINES: "a\\nb"
  SHELL: $(rm -rf /) 'x' \`y\`
`);
    expect(envs).toEqual({
      WORD: 'plain',
      QUOTED: '1.10',
      INT: '1000',
      FLOAT: '1.1',
      WHOLE: '2.0',
      SMALL: '1e-05',
      LARGE: '1e+20',
      YES: 'True',
      OFF: 'False',
      Y: 'y',
      EMPTY: '',
      HEX: '16',
      OCTAL: '8',
      BIG: '123456789012345678901234567890',
      DATE: '2024-01-01',
      LINES: 'a\nb',
      SHELL: "$(rm -rf /) 'x' `y`",
    });
  });

  test('may share parts by anchor, alias and merge key', () => {
    expect(parse('envs: &e {A: x}\nrun: &r echo\nsetup: *r').setup).toBe('echo');
    expect(parse('resources: &r {cpus: 2}\njob_demand: {<<: *r, memory: 1}').demand).toMatchObject({
      cpus: 2,
      memory: 1,
    });
  });
});

describe('options', () => {
  test('replace what the file says', () => {
    const task = parse('name: a\nresources: {infra: aws/r/z, cpus: 8, accelerators: T4}\nenvs: {A: 1, B: 2}\nrun: x', {
      name: 'b',
      infra: 'local',
      numNodes: '3',
      cpus: '2+',
      memory: 4,
      gpus: 'A100:2',
      instanceType: 'local-1x',
      useSpot: true,
      envs: { B: 'two', C: '' },
      priority: '7',
    });
    expect(task).toMatchObject({
      name: 'b',
      numNodes: 3,
      priority: 7,
      envs: { A: '1', B: 'two', C: '' },
      demand: { gpus: 2 },
      resources: {
        cloud: 'local',
        region: null,
        zone: null,
        numNodes: 3,
        cpus: { count: 2, atLeast: true },
        memory: { count: 4, atLeast: false },
        accelerators: { name: 'A100', count: 2 },
        instanceType: 'local-1x',
        useSpot: true,
      },
    });
  });

  test('"none" unsets a resource', () => {
    const yaml = 'resources: {infra: aws/r, cpus: 8, accelerators: T4, instance_type: t, priority: 4}\nrun: x';
    const none = { infra: 'none', cpus: 'none', gpus: 'none', instanceType: 'none', priority: 'none' };
    expect(parse(yaml, none)).toEqual(parse('run: x'));
  });

  test('give the value that a variable without one asks for', () => {
    expect(parse('envs: {A: }\nrun: x', { envs: { A: 'v' } }).envs).toEqual({ A: 'v' });
  });

  test('apply to a command', () => {
    expect(commandTask('nvidia-smi', { gpus: 'A100' })).toMatchObject({ run: 'nvidia-smi', demand: { gpus: 1 } });
    expect(() => commandTask(' ')).toThrow('command: is empty');
    expect(() => commandTask('x'.repeat(300_000))).toThrow('at most 256 kB');
  });
});

test('resources are shown as in SkyPilot', () => {
  expect(resourcesText(parse('run: x'))).toBe('1x[CPU:0.5]');
  expect(resourcesText(parse('resources: {cpus: 1+}'))).toBe('1x[CPU:1+]');
  expect(resourcesText(parse('num_nodes: 2\nresources: {accelerators: A100:8}'))).toBe('2x[A100:8]');
});

describe('validateTask', () => {
  const task = parse('run: x');
  it.each([
    [null],
    ['run: x'],
    [{ ...task, numNodes: 0 }],
    [{ ...task, numNodes: 2 }],
    [{ ...task, envs: { 'A;rm': 'x' } }],
    [{ ...task, run: 'a\0b' }],
    [{ ...task, priority: 1.5 }],
    [{ ...task, name: '../x' }],
    [{ ...task, demand: { cpus: Number.NaN, gpus: 0, memory: 0 } }],
    [{ ...task, autostop: { idleMinutes: 0, down: false, waitFor: 'jobs' } }],
  ])('refuses what no parser makes (case %#)', (value) => {
    expect(() => validateTask(value)).toThrow('not a task');
  });
});
