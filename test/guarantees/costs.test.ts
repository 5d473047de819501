/** What clusters cost, as lists tell it: of machines with a price, over stops and starts, and when they are gone. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../client/connect.ts';
import type { ClusterCost } from '../../client/costs.ts';
import type { ClusterView } from '../../model/commands.ts';
import { connectConfig } from '../../workers/connection.ts';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

const HOUR = 3_600_000;
/** Two vCPUs a cluster: a cent a second. */
const VCPU_PRICE = 18;
const TASK = 'num_nodes: 2\nresources: {cpus: 1}\n';
const PRICE = 2 * VCPU_PRICE;

let world: World;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  world.price(VCPU_PRICE);
  story = new Story(world, world.styx.clusters);
});
afterAll(() => world.end());

async function run(...args: string[]): Promise<{ out: string; err: string }> {
  const program = join(import.meta.dirname, '..', '..', 'bin', 'styx');
  const env = { ...process.env, NO_COLOR: '1', STYX_SSH_CONFIG: join(world.home, 'ssh-config') };
  const { stdout: out, stderr: err } = await promisify(execFile)(program, args, { env });
  return { out, err };
}

async function styx(...args: string[]): Promise<string> {
  return (await run(...args)).out;
}

/** From each launch or start that came to its end until the next stop or down did. */
function upMs({ operations }: ClusterView): number {
  let [up, since]: [number, number | null] = [0, null];
  for (const { kind, endedAt, outcome } of operations) {
    if (outcome !== 'succeeded' || endedAt === null) continue;
    if (kind === 'launch' || kind === 'start') since ??= endedAt;
    else {
      up += since === null ? 0 : endedAt - since;
      since = null;
    }
  }
  return up;
}

async function reported(name: string): Promise<ClusterCost> {
  return await until(`${name} is reported as ended`, async () => {
    const { clusters } = await world.styx.costs();
    return clusters.find((one) => one.name === name && one.endedAt !== null);
  });
}

test('a cluster that is gone has the cost of the time that its machines were up, and of no other', async () => {
  await story.up('gone', TASK);
  await sleep(1_500);
  await story.succeeds('gone', await story.clusters.stop('gone'));
  await sleep(3_000);
  await story.succeeds('gone', await story.clusters.start('gone'));
  await sleep(1_000);
  await story.down('gone');
  const expected = upMs(await story.look('gone'));
  expect(expected).toBeGreaterThan(2_400);
  const row = await reported('gone');
  expect(row).toMatchObject({
    status: 'TERMINATED',
    workspace: 'default',
    user: world.styx.user,
    numNodes: 2,
    infra: 'local/local/local-a',
    resources: expect.stringMatching(/^2x\(cpus=1, mem=.*, local-1x\)$/),
    hourlyPrice: PRICE,
    costPerHour: 0,
    upMs: expected,
  });
  expect(row.cost).toBeCloseTo((expected / HOUR) * PRICE, 9);
  await sleep(500);
  expect((await reported('gone')).cost).toBe(row.cost);
});

test('of a cluster that is up the cost grows, without a word from its workflow', async () => {
  await story.up('up', TASK);
  await world.killWorker();
  const cost = async () => {
    const { clusters } = await world.styx.costs({ days: 1 });
    const row = clusters.find((one) => one.name === 'up');
    expect(row).toMatchObject({ status: 'UP', endedAt: null, costPerHour: PRICE, hourlyPrice: PRICE });
    const listed = await story.clusters.summary('up');
    return [row?.cost ?? 0, listed?.costSoFar ?? 0] as const;
  };
  const before = await cost();
  await sleep(1_000);
  const after = await cost();
  for (const index of [0, 1] as const) {
    const cents = (after[index] - before[index]) * 100;
    expect(cents).toBeGreaterThanOrEqual(0.99);
    expect(cents).toBeLessThan(30);
  }
  await world.startWorker();
  expect(await styx('status')).toMatch(/^Total: \$ 36\.00\/hr, \$ \d+\.\d+ so far$/m);
  await story.succeeds('up', await story.clusters.stop('up'));
  expect(await styx('status')).toMatch(/^Total: \$ 0\.00\/hr, \$ \d+\.\d+ so far$/m);
});

test('the report has SkyPilot’s columns, all workspaces, and totals of users and workspaces', async () => {
  const other = await connect({ home: world.home, startServer: false, workspace: 'other', user: 'ada' });
  const launched = await other.clusters.launch({ name: 'theirs', ...world.task(TASK) });
  await other.clusters.waitOperation('theirs', launched);
  await other.clusters.waitOperation('theirs', await other.clusters.down('theirs'));
  const theirs = await reported('theirs');
  const report = await world.styx.costs();
  expect(report.clusters.map(({ name }) => name)).toEqual(['up', 'theirs', 'gone']);
  expect(report.users.ada).toEqual({ clusters: 1, cost: theirs.cost, costPerHour: 0 });
  expect(Object.keys(report.users)).toEqual(['ada', world.styx.user].toSorted());
  expect(Object.keys(report.workspaces)).toEqual(['default', 'other']);
  const sum = report.clusters.reduce((total, { cost }) => total + cost, 0);
  expect(report.total.cost).toBeCloseTo(sum, 9);
  expect((report.workspaces.default?.cost ?? 0) + theirs.cost).toBeCloseTo(sum, 9);

  const later = Date.now() + 2 * 24 * HOUR;
  const names = async (days: number) => (await world.styx.costs({ days, now: later })).clusters.map(({ name }) => name);
  expect([await names(1), await names(3)]).toEqual([['up'], ['up', 'theirs', 'gone']]);

  const lines = (await styx('cost-report', '--days', '7')).split('\n');
  expect(lines[0]).toBe('Clusters (last 7 days)');
  expect(lines[1]?.split(/ {2,}/)).toEqual([
    ...['NAME', 'WORKSPACE', 'LAUNCHED', 'DURATION', 'RESOURCES', 'STATUS', 'COST/hr', 'COST (est.)'],
  ]);
  expect(lines[2]).toMatch(/^up +default +.* STOPPED +\$ 36\.00 +\$ \d/);
  expect(lines[4]).toMatch(/^gone +default +.* TERMINATED +\$ 36\.00 +\$ \d/);
  expect(lines.at(-2)).toBe(`Total Cost: $ ${sum.toFixed(sum < 0.1 ? 4 : 2)}`);
  const json = JSON.parse(await styx('cost-report', '-o', 'json'));
  expect(json.clusters.map(({ name }: ClusterCost) => name)).toEqual(['up', 'theirs', 'gone']);
  expect(json.clusters[2]).toMatchObject({
    endedAt: expect.stringMatching(/Z$/),
    durationSeconds: Math.round(((await reported('gone')).upMs ?? 0) / 1_000),
  });
  expect(json).toMatchObject({ total: report.total, users: report.users, workspaces: report.workspaces });
  await other.close();
});

test('a budget is foreseen by the launch, and ends the cluster when it is spent', async () => {
  const file = join(world.home, 'spends.yaml');
  writeFileSync(file, `${TASK}run: sleep 307\nbudget: {max_cost: 0.08, on_exceed: down}\n`);
  const { err } = await run('launch', '-y', '-d', '-c', 'spends', file);
  expect(err).toContain('At $36.00/h this budget of $0.0800 lasts 8s; then the cluster is ended.');
  expect(err).toMatch(/The cluster's budget lasts [0-8]s from now\./);
  const { budget } = JSON.parse(await styx('launch', '--dryrun', '-o', 'json', file));
  expect(budget).toEqual({ maxCost: 0.08, maxDuration: null, onExceed: 'down', lastsSeconds: 8 });
  const view = await story.status('spends', 'TERMINATED');
  expect(view.statusReason).toBe('ended: its budget of $0.0800 is spent');
  await story.jobEnds('spends', 1, 'CANCELLED');
  const row = await reported('spends');
  expect(row.cost).toBeGreaterThanOrEqual(0.08);
  const down = view.operations.at(-1);
  const started = view.operations[0]?.endedAt ?? 0;
  expect(down).toMatchObject({ kind: 'down', auto: true });
  expect((down?.since ?? 0) - started).toBeGreaterThanOrEqual(8_000);
});

test('a budget that only tells is told by status, and a stop is not undone past one that stops', async () => {
  await story.up('told', `${TASK}budget: {max_cost: 0.01, on_exceed: notify}\n`);
  await story.view('told', 'is over its budget', ({ budget }) => budget?.exceeded != null);
  expect(await styx('status', 'told')).toMatch(/^Cluster told: its budget of \$0\.0100 is spent, /m);
  const [told] = JSON.parse(await styx('status', 'told', '-o', 'json'));
  expect(told).toMatchObject({
    status: 'UP',
    statusReason: 'its budget of $0.0100 is spent',
    budget: { maxCost: 0.01, maxDuration: null, onExceed: 'notify', exceededAt: expect.stringMatching(/Z$/) },
  });
  await story.launch('told', `${TASK}budget: {max_duration: 12s}\n`);
  await story.status('told', 'STOPPED');
  await expect(story.clusters.start('told')).rejects.toMatchObject({
    kind: 'refused',
    message: expect.stringContaining('is spent'),
    hint: expect.stringContaining('styx down told'),
  });
  await story.down('told');
});

test('a cluster whose workflow was ended from outside is LOST, and its cost ends there', async () => {
  await story.up('lost', TASK);
  const { Client, Connection } = await import('@temporalio/client');
  const { connectionOptions, namespace } = await connectConfig(world.home);
  const connection = await Connection.connect(connectionOptions);
  const handle = new Client({ connection, namespace }).workflow.getHandle('cluster/default/lost');
  await handle.terminate('by hand');
  const row = await reported('lost');
  expect(row).toMatchObject({ status: 'LOST', costPerHour: 0, hourlyPrice: PRICE });
  await sleep(500);
  expect((await reported('lost')).cost).toBe(row.cost);
  await connection.close();
});
