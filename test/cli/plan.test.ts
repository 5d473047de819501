/** `styx plan`, and `styx launch --plan` up to the point where a server is needed. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { localPaths } from '../../clouds/local/paths.ts';
import { homePaths } from '../../system/home.ts';

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
const home = mkdtempSync(join(tmpdir(), 'styx-plan-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const TASK = 'num_nodes: 2\nresources: {cpus: 1+}\nenvs: {A: private-1}\nsecrets: {TOKEN: hunter2}\nrun: echo\n';

function styx(args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    ...{ encoding: 'utf8', cwd: home, input },
    env: { PATH: process.env.PATH, HOME: home, STYX_HOME: home, STYX_CACHE: join(home, 'cache') },
  });
  return { code: status, out: stdout, err: stderr };
}

function price(vcpuHourlyCost: number): void {
  const { limits } = localPaths(home);
  mkdirSync(dirname(limits), { recursive: true });
  writeFileSync(limits, JSON.stringify({ vcpuHourlyCost }));
}

const dryrun = (...args: string[]) => styx(['launch', '--dryrun', '--plan', 'plan.json', ...args]);
const edit = (change: (plan: { placements: object[] }) => void) => {
  const plan = JSON.parse(readFileSync(join(home, 'plan.json'), 'utf8'));
  change(plan);
  writeFileSync(join(home, 'plan.json'), JSON.stringify(plan));
};

beforeEach(() => {
  price(0.5);
  writeFileSync(join(home, 'task.yaml'), TASK);
  const made = styx(['plan', 'task.yaml', '-o', 'plan.json']);
  expect(made, made.err).toMatchObject({ code: 0, out: '' });
});

test('a plan is a file of yours with the task, the places and where prices are from, and without secret values', () => {
  const text = readFileSync(join(home, 'plan.json'), 'utf8');
  expect(statSync(join(home, 'plan.json')).mode & 0o777).toBe(0o600);
  expect(text).not.toContain('hunter2');
  const plan = JSON.parse(text);
  expect(plan).toMatchObject({
    kind: 'styx-plan',
    version: 1,
    task: { numNodes: 2, run: 'echo', secrets: ['TOKEN'], resources: { cpus: { count: 1, atLeast: true } } },
    sources: [{ cloud: 'local', from: 'cloud', prices: plan.made, own: false }],
    hash: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
  });
  expect(Math.abs(Date.now() - Date.parse(plan.made))).toBeLessThan(60_000);
  const offers = JSON.parse(styx(['launch', '--dryrun', 'task.yaml', '-o', 'json']).out).offers;
  expect(plan.placements).toEqual(offers);
  expect(plan.placements[0]).toMatchObject({ cloud: 'local', instanceType: 'local-1x', hourlyCost: 0.5 });
});

test('it goes to stdout by default, what people want to see of it to stderr, and a launch reads it from stdin', () => {
  const { out, err } = styx(['plan', 'task.yaml']);
  expect(err).toContain('Considered resources (2 nodes):');
  expect(JSON.parse(out)).toMatchObject({ kind: 'styx-plan' });
  expect(styx(['launch', '--dryrun', '--plan', '-', 'task.yaml'], out)).toMatchObject({ code: 0 });
  const both = styx(['launch', '--dryrun', '--plan', '-', '-'], out);
  expect(both).toMatchObject({ code: 2, err: expect.stringContaining('both the plan and the task file') });
});

test('machines that are dearer than max_hourly_cost are left out, and when none is left it is said what one would cost', () => {
  const task = (most: number) =>
    writeFileSync(join(home, 'cheap.yaml'), `resources: {infra: local, max_hourly_cost: ${most}}\nrun: echo\n`);
  task(1);
  const { placements } = JSON.parse(styx(['plan', 'cheap.yaml']).out);
  expect(placements.map(({ hourlyCost }: { hourlyCost: number }) => hourlyCost)).toEqual([0.5, 1]);
  task(0.25);
  const none = styx(['plan', 'cheap.yaml']);
  expect(none).toMatchObject({ code: 5, out: '' });
  expect(none.err).toContain('max_hourly_cost');
});

test('a launch by a plan shows the places of the plan', () => {
  const { code, out } = dryrun('task.yaml', '-o', 'json');
  expect(code).toBe(0);
  expect(JSON.parse(out).offers).toEqual(JSON.parse(readFileSync(join(home, 'plan.json'), 'utf8')).placements);
});

test('an edited plan is refused', () => {
  edit(({ placements: [first] }) => Object.assign(first ?? {}, { hourlyCost: 1 }));
  const { code, out, err } = dryrun('task.yaml', '--replan');
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(
    /^Error: plan\.json was edited: its hash says sha256:\w+…, its content has sha256:\w+…\nMake it anew/,
  );
});

test('a plan of another task is refused with the fields that differ, even with --replan', () => {
  writeFileSync(join(home, 'task.yaml'), TASK.replace('run: echo', 'run: date').replace('private-1', 'private-2'));
  const { code, err } = dryrun('task.yaml', '--cpus', '2', '--replan');
  expect(code).toBe(2);
  expect(err).toContain('The plan is of another task:\n');
  expect(err).toContain('  run: "echo" in the plan, "date" now\n');
  expect(err).toContain('  envs.A: another value\n');
  expect(err).toContain('  resources.cpus.count: 1 in the plan, 2 now\n');
  expect(err).not.toMatch(/private-|hunter2/);
});

test('other values of secrets make no other task', () => {
  expect(dryrun('task.yaml', '--secret', 'TOKEN=other')).toMatchObject({ code: 0 });
  expect(dryrun('task.yaml', '--secret', 'MORE=other')).toMatchObject({
    code: 2,
    err: expect.stringContaining('secrets: ["TOKEN"] in the plan, ["MORE","TOKEN"] now'),
  });
});

test('changed prices are refused with both prices, and taken with --replan', () => {
  price(0.75);
  const { code, out, err } = dryrun('task.yaml');
  expect({ code, out }).toEqual({ code: 3, out: '' });
  expect(err).toMatch(
    /^Error: Prices or offers have changed since plan\.json was made \(.*Z\):\nINFRA +INSTANCE +PLAN \(\$\/hr\) +NOW \(\$\/hr\)\nlocal \(local-a\) +local-1x +0\.5 +0\.75\n/,
  );
  expect(err).toContain('Pass --replan');
  const again = dryrun('task.yaml', '--replan', '-o', 'json');
  expect(again.code).toBe(0);
  expect(again.err).toMatch(/Planned anew; .* this has changed:\nINFRA.*\nlocal \(local-a\) +local-1x +0\.5 +0\.75\n/);
  expect(JSON.parse(again.out).offers[0].hourlyCost).toBe(0.75);
});

test('--replan alone, and a plan that is not there, are refused by name', () => {
  expect(styx(['launch', '--dryrun', '--replan', 'task.yaml'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('--replan needs --plan'),
  });
  expect(styx(['launch', '--dryrun', '--plan', 'none.json', 'task.yaml'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('Plan none.json does not exist'),
  });
});

test('what cannot be placed is not planned, and a cloud that may not be used is not in a plan', () => {
  const out = join(home, 'never.json');
  expect(styx(['plan', '--cpus', '100000', 'true', '-o', out])).toMatchObject({ code: 5, out: '' });
  expect(styx(['plan', '--config', 'allowed_clouds=[gcp]', 'true', '-o', out]).code).toBe(2);
  expect(existsSync(out)).toBe(false);
  expect(
    styx(['launch', '--dryrun', '--config', 'allowed_clouds=[gcp]', '--plan', 'plan.json', 'task.yaml']).code,
  ).toBe(2);
});

test('of what nothing can meet, a launch tells the constraint and the nearest that would do, and exits with 5', () => {
  const { code, out, err } = styx(['launch', '--dryrun', '--cpus', '100000', '--num-nodes', '2', 'true']);
  expect({ code, out }).toEqual({ code: 5, out: '' });
  expect(err).toMatch(/cpus: 100000 keeps out \d+, \d+ of them by itself/);
  expect(err).toMatch(/ {2}without cpus: local-\d+x of local in local, \$/);
  const misspelt = styx(['launch', '--dryrun', '--infra', 'local/mars', 'true']);
  expect(misspelt).toMatchObject({ code: 2, err: expect.stringContaining('no region "mars"') });
});

test('-v tells why other machines were left out; one table serves launch and plan', () => {
  const { out } = styx(['launch', '--dryrun', '-v', '--cpus', '1', 'true']);
  expect(out).toMatch(
    /^Considered resources \(1 node\):\nINFRA +INSTANCE +vCPUs +Mem\(GB\) +GPUS +COST \(\$\) +CHOSEN\n/,
  );
  expect(out).toMatch(/\nOf \d+ offers:\n/);
  expect(styx(['launch', '--dryrun', '--cpus', '1', 'true']).out).not.toContain('offers:');
  expect(styx(['plan', '-v', '--cpus', '1', 'true']).err).toBe(out);
});

test('a launch leaves out a cloud that was not enabled when it was checked last, and says so', () => {
  const at = Date.now() - 5 * 60_000;
  const found = (local: boolean) => ({
    local: { at, enabled: local, reason: local ? null : 'sshd is missing' },
    aws: { at, enabled: false, reason: 'no credentials' },
  });
  const file = join(home, 'checks.json');
  const remember = (local: boolean) => writeFileSync(file, JSON.stringify({ version: 1, clouds: found(local) }));
  remember(true);
  const { out } = styx(['launch', '--dryrun', 'true']);
  expect(out).toContain('Not enabled and not considered: aws (no credentials; checked 5 mins ago). `styx check` looks');
  const named = styx(['launch', '--dryrun', '--infra', 'local', 'true']);
  expect(named.out).not.toContain('Not enabled');
  remember(false);
  expect(styx(['launch', '--dryrun', 'true']).out, 'with none enabled, all are asked').toContain('local-1x');
  rmSync(file);
});

test('a launch on a new cluster that nothing can meet is refused with what would fit, and starts no server', () => {
  const { code, out, err } = styx(['launch', '-y', '--cpus', '100000', 'true']);
  expect([code, out]).toEqual([5, '']);
  expect(err).toContain('cpus: 100000 keeps out');
  expect(err).not.toContain('server');
  expect(existsSync(homePaths(home).server)).toBe(false);
});
