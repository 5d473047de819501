/** `styx optimize`, on catalogues whose figures a test knows. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
const home = mkdtempSync(join(tmpdir(), 'styx-optimize-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const HEADER = 'instance_type,vcpus,memory_gib,accelerator,accelerator_count,region,price_usd_hour,spot_price_usd_hour';
const AWS = [
  'm6i.2xlarge,8,32,,,us-east-1,0.4,0.1',
  'm6i.2xlarge,8,32,,,us-west-2,0.5,0.2',
  'p4d.24xlarge,96,1152,A100,8,us-east-1,22,8',
  'g6.xlarge,4,16,L4,1,us-east-1,0.8,',
];
const LAMBDA = ['gpu_8x_a100,124,1800,A100,8,us-west-1,16,', 'cpu_8,8,32,,,us-west-1,0.45,'];

beforeAll(() => {
  mkdirSync(join(home, 'catalogs'));
  writeFileSync(join(home, 'catalogs', 'aws.csv'), [HEADER, ...AWS, ''].join('\n'));
  writeFileSync(join(home, 'catalogs', 'lambda.csv'), [HEADER, ...LAMBDA, ''].join('\n'));
  writeFileSync(join(home, 'config.yaml'), 'allowed_clouds: [aws, lambda]\n');
});

function styx(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'optimize', ...args], {
    encoding: 'utf8',
    cwd: home,
    env: { PATH: process.env.PATH, HOME: home, STYX_HOME: home, STYX_CACHE: join(home, 'cache') },
  });
  return { code: status, out: stdout, err: stderr };
}

test('shows the best of each cloud, what is chosen, and how old the prices are', () => {
  const { code, out, err } = styx('--gpus', 'A100:8', '--num-nodes', '2');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toBe(`Considered resources (2 nodes):
INFRA               INSTANCE      vCPUs  Mem(GB)  GPUS    COST ($)  CHOSEN
lambda (us-west-1)  gpu_8x_a100   124    1800     A100:8  32.00     ✔
aws (us-east-1)     p4d.24xlarge  96     1152     A100:8  44.00

Estimated cost: $32.00 / hour

Age of prices: aws today, lambda today.
\`styx catalog status\` shows dates and sources.
Of lambda, aws it was never checked whether you can launch there: see \`styx check\`.
`);
});

test('which clouds are enabled is known from the last check, with its age, and once one is, that is all that counts', () => {
  expect(styx('--cpus', '8', '--enabled')).toMatchObject({ code: 2, err: expect.stringContaining('Run `styx check`') });
  const at = Date.now() - 5 * 60_000;
  const checks = (lambda: boolean) => {
    const clouds = {
      aws: { at, enabled: false, reason: 'no credentials' },
      lambda: { at, enabled: lambda, reason: null },
    };
    writeFileSync(join(home, 'checks.json'), JSON.stringify({ version: 1, clouds }));
  };
  checks(true);
  const all = styx('--cpus', '8', '--all-clouds').out;
  expect(all).toContain('Aws is not enabled (checked 5 mins ago); lambda is enabled (checked 5 mins ago): see');
  expect(all).toContain('m6i.2xlarge');
  for (const args of [[], ['--enabled']]) {
    const { out } = styx('--cpus', '8', ...args);
    expect(out).not.toContain('m6i.2xlarge');
    expect(out).toMatch(/lambda \(us-west-1\) +cpu_8 /);
    expect(out).toContain(
      'Only enabled clouds were considered: lambda (checked 5 mins ago); --all-clouds looks at all.',
    );
  }
  expect(styx('--cpus', '8', '--infra', 'aws').out, 'a cloud that is named counts').toContain('m6i.2xlarge');
  const json = JSON.parse(styx('--cpus', '8', '-o', 'json').out);
  expect([json.clouds, json.catalogs.map(({ cloud }: { cloud: string }) => cloud)]).toEqual([['lambda'], ['lambda']]);
  const nothing = styx('--gpus', 'L4:1');
  expect(nothing).toMatchObject({ code: 5, err: expect.stringContaining('--all-clouds looks at all.') });
  expect(styx('--cpus', '8', '--enabled', '--all-clouds').code).toBe(2);
  checks(false);
  expect(styx('--cpus', '8').out, 'none is enabled').toContain('m6i.2xlarge');
  writeFileSync(join(home, 'checks.json'), '{"version": 1, "clo');
  expect(styx('--cpus', '8').out).toContain('it was never checked');
  rmSync(join(home, 'checks.json'));
});

test('as JSON, every place that would do is there, in order, with why the others are not', () => {
  const { code, out } = styx('--cpus', '8', '-o', 'json');
  expect(code).toBe(0);
  const { tasks, plan, catalogs } = JSON.parse(out);
  expect(
    tasks[0].placements.map((one: { region: string; hourlyCost: number }) => [one.region, one.hourlyCost]),
  ).toEqual([
    ['us-east-1', 0.4],
    ['us-west-1', 0.45],
    ['us-west-2', 0.5],
  ]);
  expect(tasks[0].excluded.map(({ constraint }: { constraint: string }) => constraint)).toContain('cpus');
  expect(plan).toMatchObject({ proved: true });
  // A disk of 256 GiB is counted where its price is known.
  expect(plan.cost).toBeCloseTo(0.4 + (256 * 0.08) / 730, 9);
  expect(tasks[0].placements[1]).toMatchObject({ cloud: 'lambda', diskHourly: 0, cost: 0.45 });
  expect(catalogs.map(({ cloud, own }: { cloud: string; own: boolean }) => [cloud, own])).toEqual([
    ['aws', true],
    ['lambda', true],
  ]);
});

test('options of the command line and of the file count, and spot machines have their own prices', () => {
  writeFileSync(join(home, 'task.yaml'), 'resources: {cpus: 8, infra: aws}\nrun: echo\n');
  expect(styx('task.yaml', '--use-spot').out).toMatch(/aws \(us-east-1\) +m6i.2xlarge\[Spot\] .* 0.10 +✔/);
  expect(styx('task.yaml', '--infra', 'aws/us-west-2').out).toMatch(/aws \(us-west-2\) .* 0.50 +✔/);
});

test('a pipeline is placed as a whole: data that would have to move keeps its tasks together', () => {
  const tasks = [
    'name: chain',
    'name: make\nresources: {cpus: 8, infra: aws/us-west-2}\noutputs: {"s3://made": 5000}\nrun: echo',
    'name: use\nresources: {cpus: 8}\nrun: echo',
  ];
  writeFileSync(join(home, 'chain.yaml'), `${tasks.join('\n---\n')}\n`);
  const { code, out, err } = styx('chain.yaml');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toContain('Task use: Considered resources (1 node):');
  // By itself it would be cheaper in us-east-1.
  expect(out.split('Task use')[1]).toMatch(/aws \(us-west-2\) .* 0.50 +✔/);
  expect(out).toContain('Estimated: $1.06;');
});

test('where nothing fits, the reasons and the nearest offer are told', () => {
  const { code, out, err } = styx('--gpus', 'L4:1', '--infra', 'aws/us-west-2');
  expect({ code, out }).toEqual({ code: 5, out: '' });
  expect(err).toContain('region: us-west-2 keeps out 3, 1 of them by itself');
  expect(err).toContain('  without region: g6.xlarge with L4:1 of aws in us-east-1, $0.80 an hour\n');
  expect(err).toContain('  without accelerators: m6i.2xlarge of aws in us-west-2, $0.50 an hour\n');
  const json = styx('--gpus', 'L4:1', '--infra', 'aws/us-west-2', '-o', 'json');
  expect(json.code).toBe(5);
  expect(JSON.parse(json.out)).toMatchObject({ plan: null, tasks: [{ placements: [] }] });
});

test('a cloud that may not be used, or has no catalogue, is refused by name', () => {
  expect(styx('--infra', 'gcp', 'true')).toMatchObject({ code: 2, err: expect.stringContaining('allowed_clouds') });
  expect(styx('--infra', 'kubernetes', '--config', 'allowed_clouds=[kubernetes]', 'true')).toMatchObject({
    code: 2,
    err: expect.stringContaining('no catalogue of kubernetes'),
  });
});
