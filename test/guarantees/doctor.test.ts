import { readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Check, diskFinding, type Finding } from '../../client/doctor.ts';
import { examineClusters } from '../../client/doctor-clusters.ts';
import { endMachines } from '../../client/doctor-machines.ts';
import { Link } from '../../client/link.ts';
import { askHost, type HostRequest } from '../../clouds/local/control.ts';
import { localPaths } from '../../clouds/local/paths.ts';
import type { InstanceState } from '../../model/machines.ts';
import { Keyring } from '../../system/keyring.ts';
import { connectConfig } from '../../workers/connection.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { runStyx } from '../harness/command-line.ts';
import { World } from '../harness/world.ts';
import { breakPlacements } from './broken-cloud.ts';
import { Story, until } from './story.ts';

const TASK = 'resources: {cpus: 1}\n';

let world: World;
let story: Story;
let client: Client;
beforeAll(async () => {
  world = await World.start();
  await world.cloud.host();
  story = new Story(world, world.styx.clusters);
  client = await sealedTemporalClient(world.home);
});
afterAll(async () => {
  await client.connection.close();
  await story.nothingLeft();
  await world.end();
});

const styx = (...args: string[]) => runStyx(args);

async function findings(): Promise<readonly Finding[]> {
  return (await world.styx.doctor()).findings;
}

async function found(check: Check, subject: RegExp): Promise<Finding> {
  return await until(`a finding of ${check}`, async () =>
    (await findings()).find((one) => one.check === check && subject.test(one.subject)),
  );
}

async function healthy(): Promise<void> {
  await until('nothing is wrong', async () => (await findings()).length === 0);
}

test('of a world in which all goes on nothing is found, and the exit code is 0', async () => {
  await story.up('well', `${TASK}run: sleep 1000\n`);
  await healthy();
  const { code, out } = await styx('doctor');
  expect(code).toBe(0);
  expect(out).toMatch(/^Nothing is wrong: looked at Temporal \d\S+ at /);
  expect(out).toContain(` at ${world.server.address}, 1 cluster, 3 running workflows and 1 machine.\n`);
  await story.down('well');
});

test('a worker that was killed is found at once, by all its queues', async () => {
  await world.killWorker();
  const { problem, severity } = await found('workers', /worker/);
  expect(severity).toBe('error');
  for (const queue of ['styx ', 'styx-work', 'styx-act', 'styx-watch', 'styx-notices'])
    expect(problem).toContain(queue);
  await world.startWorker();
  await healthy();
});

test('a step that is tried again and again is found with its error', async () => {
  await story.up('tries', TASK);
  const repair = breakPlacements(world.home);
  const down = await story.clusters.down('tries');
  const finding = await found('activities', /^cluster\/default\/tries\/.*\/down-\d+$/);
  expect(finding.problem).toMatch(/step terminateMachines is at attempt \d+; the last one failed: \S/);
  expect(finding.next).toContain('styx history tries');
  repair();
  await story.succeeds('tries', down);
  await healthy();
});

test('a workflow whose code fails is found with the reason', async () => {
  const workflowId = 'cluster/default/stuck/0-1/strange-1';
  const handle = await client.workflow.start('strange', { workflowId, taskQueue: 'styx-work', args: [{}] });
  const { problem, severity } = await found('workflow-tasks', /stuck/);
  expect(severity).toBe('error');
  expect(problem).toMatch(/attempt \d+: .*strange/);
  await handle.terminate();
  await healthy();
});

test('what was sealed with a key that is gone is found with its machines, and nothing else is', async () => {
  await story.up('old', TASK);
  const keys = join(world.home, 'keys');
  const [old] = readdirSync(keys).filter((name) => name.startsWith('payload.'));
  if (old === undefined) throw new Error('no key');
  new Keyring(world.home).rotate('payload');
  await story.up('new', TASK);
  renameSync(join(keys, old), join(world.home, 'kept'));
  const { next } = await found('keys', /^cluster\/default\/old$/);
  expect(next).toContain('styx keys import');
  const all = await findings();
  expect(all.map(({ check, subject }) => `${check} ${subject}`)).toEqual(all.map(() => 'keys cluster/default/old'));
  const [machine] = (await world.machinesLeft()).toSorted((a, b) => a.createdAt - b.createdAt);
  expect(all.some(({ problem }) => problem.includes(machine?.id ?? 'none'))).toBe(true);
  renameSync(join(world.home, 'kept'), join(keys, old));
  await healthy();
  await story.down('old');
  await story.down('new');
});

test('the machines of a cluster that was closed from outside are found, told in its history, and ended when that is confirmed', async () => {
  await story.up('lost', TASK);
  await story.up('kept', TASK);
  const [lost, kept] = (await world.machinesLeft()).toSorted((a, b) => a.createdAt - b.createdAt);
  await client.workflow.getHandle('cluster/default/lost').terminate('planted');
  const finding = await until('the machine', async () => (await findings()).find(({ machines }) => machines));
  expect(finding).toMatchObject({ severity: 'error', check: 'machines', subject: 'cluster/default/lost' });
  expect(finding.machines).toEqual([expect.objectContaining({ cloud: 'local', id: lost?.id })]);
  expect(await found('machines', /lost$/)).toBeDefined();
  const running = (await findings()).find(({ problem }) => problem.includes('still runs'));
  expect(running?.problem).toMatch(/cluster\/default\/lost\/\S+\/watch-1/);
  const told = await story.clusters.history('lost');
  expect(told.at(-1)).toMatchObject({ kind: 'ended', status: 'LOST' });
  expect(told.some(({ text }) => /was terminated from outside.*planted/.test(text))).toBe(true);

  // A name that is used again has machines of its own, which are no finding.
  await story.up('lost', TASK);
  const { code, out } = await styx('doctor', '--end-machines', '-y');
  expect(code).toBe(1);
  expect(out).toMatch(new RegExp(`^ERROR +cluster/default/lost: .*${lost?.id}.*--end-machines`, 'm'));
  const left = await world.machinesLeft();
  expect(left.map(({ id }) => id)).not.toContain(lost?.id);
  expect(left.map(({ id }) => id)).toContain(kept?.id);
  expect(left).toHaveLength(2);
  const watch = /cluster\/default\/lost\/[\w-]+\/watch-1/.exec(running?.problem ?? '')?.[0] ?? '';
  const [, query = ''] = /--query "(.*)"/.exec(running?.next ?? '') ?? [];
  const matched = [];
  for await (const { workflowId } of client.workflow.list({ query })) matched.push(workflowId);
  expect(matched.filter((id) => !id.startsWith(watch.replace(/watch-1$/, '')))).toEqual([]);
  await client.workflow
    .getHandle(watch)
    .terminate()
    .catch(() => undefined);
  await healthy();
  await story.down('lost');
  await story.down('kept');
});

describe('a cluster whose machines are not as its status says', () => {
  const PAIR = `${TASK}num_nodes: 2\n`;
  const of = (name: string) => new RegExp(`^cluster/default/${name}$`);
  const place = { region: 'local', zone: 'local-a' };
  const machinesOf = async (name: string) => (await story.look(name)).nodes.map(({ instanceId }) => instanceId);
  const order = (request: HostRequest) => askHost(localPaths(world.home), request, process.env);
  const are = (ids: readonly string[], wanted: InstanceState) =>
    until(wanted, async () => (await world.cloud.list(place, { ids })).every(({ state }) => state === wanted));
  const told = async () => {
    const all = (await findings()).filter(({ check }) => check === 'machines');
    return Object.fromEntries(all.map((one) => [one.subject.split('/').at(-1), one]));
  };

  test('is found without a worker, and when it says itself what it lost, until what is said to do is done', {
    timeout: 300_000,
  }, async () => {
    await Promise.all([story.up('pair', PAIR), ...['one', 'off', 'well'].map((name) => story.up(name, TASK))]);
    const [[, lost = ''], [one = ''], off] = [
      await machinesOf('pair'),
      await machinesOf('one'),
      await machinesOf('off'),
    ];
    await world.killWorker();
    for (const id of [lost, one]) await order({ op: 'preempt', id });
    await world.cloud.stop(place, off);
    await are([lost, one], 'terminated');
    await are(off, 'stopped');
    const { pair, one: gone, off: stopped, ...others } = await told();
    expect(others).toEqual({});
    expect(pair).toMatchObject({
      severity: 'error',
      problem: 'it is UP, and at local 1 of its 2 machines is gone',
      next: expect.stringMatching(/watch .*styx server logs --part worker.*Then `styx start pair` .*`styx down pair`/),
    });
    expect(gone).toMatchObject({
      problem: 'it is UP, and at local its machine is gone',
      next: expect.stringMatching(/launch it again/),
    });
    expect(stopped).toMatchObject({
      problem: `it is UP, and at local ${off[0]} is stopped`,
      next: expect.stringMatching(/`styx start off`/),
    });
    // A cluster's own machines are nothing to be ended by the way.
    expect([pair, gone, stopped].map((finding) => finding?.machines)).toEqual([undefined, undefined, undefined]);

    await world.startWorker();
    await story.status('pair', 'UNHEALTHY');
    const { severity, problem, next } = await found('machines', of('pair'));
    expect([severity, problem]).toEqual(['warning', 'it is UNHEALTHY, and at local 1 of its 2 machines is gone']);
    expect(next).toMatch(/^`styx start pair` /);
    await story.succeeds('pair', await story.clusters.start('pair'));
    await healthy();
    await Promise.all(['pair', 'off', 'well'].map((name) => story.down(name)));
  });

  test('is found when it is STOPPED and costs, or has lost its disks', async () => {
    await Promise.all([story.up('pair', PAIR), story.up('one', TASK)]);
    const [[lost = ''], one] = [await machinesOf('pair'), await machinesOf('one')];
    for (const name of ['pair', 'one']) await story.succeeds(name, await story.clusters.stop(name));
    await healthy();
    await world.cloud.start(place, one);
    await order({ op: 'preempt', id: lost });
    await are([lost], 'terminated');
    expect(await told()).toMatchObject({
      one: {
        severity: 'error',
        problem: `it is STOPPED, and at local ${one[0]} runs`,
        next: 'It costs: `styx start one` takes it, and `styx stop one` stops it then; `styx down one` ends it.',
      },
      pair: {
        severity: 'warning',
        problem: 'it is STOPPED, and at local 1 of its 2 machines is gone',
        next: expect.stringMatching(/^`styx start pair` .*makes anew what is gone, empty/),
      },
    });
    await Promise.all(['pair', 'one'].map(async (name) => story.succeeds(name, await story.clusters.start(name))));
    await story.succeeds('one', await story.clusters.stop('one'));
    await healthy();
    await Promise.all([story.down('pair'), story.down('one')]);
  });

  test('is no finding when a list lacks it once, while an operation is at work on it, or when it has changed since', async () => {
    await story.up('works', TASK);
    const ids = await machinesOf('works');
    const link = await Link.open(() => connectConfig(world.home), world.home);
    const before = await story.clusters.list();
    const lately = await world.cloud.owned(await world.styx.installation());
    expect(await examineClusters(link, world.cloud, before, [])).toEqual([]);
    world.arm('stopMachines.called');
    const stop = await story.clusters.stop('works');
    expect(await world.hit('stopMachines.called', 60_000)).toBe(true);
    await are(ids, 'stopped');
    expect(await told()).toEqual({});
    world.go('stopMachines.called');
    await story.succeeds('works', stop);
    expect(await examineClusters(link, world.cloud, before, [])).toEqual([]);
    const [works] = await story.clusters.list();
    expect(works?.status).toBe('STOPPED');
    expect(await examineClusters(link, world.cloud, works === undefined ? [] : [works], lately)).toEqual([]);
    await link.close();
    await story.down('works');
  });
});

test('a machine of no cluster at all is found when it is old enough for its cluster to be known', async () => {
  const [offer] = await world.cloud.offers({ ...world.task(TASK).task.resources, numNodes: 1 });
  if (offer === undefined) throw new Error('no offer');
  const placement = { ...offer, key: 'nobodys', attempt: 1, numNodes: 1 };
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA8o4wSpAZFqz2rOH7vm6vS1XqkxHn5hcBwQq0E8Fq5b';
  const tags = { 'styx-installation': await world.styx.installation(), 'styx-workflow': 'cluster/default/forgotten' };
  const [made] = await world.cloud.create(await world.cloud.prepare(placement, key, tags));
  const finding = await found('machines', /^local$/);
  expect(finding.machines?.map(({ id }) => id)).toEqual([made?.id]);
  expect(Date.now() - (made?.createdAt ?? 0)).toBeGreaterThan(15_000);
  expect(await endMachines(finding.machines ?? [])).toEqual([]);
  await healthy();
});

test('without a server that is the finding, and what could not be looked at says so', async () => {
  await world.stopServer();
  const { code, out } = await styx('doctor', '-o', 'json');
  expect(code).toBe(1);
  const all: Finding[] = JSON.parse(out).findings;
  expect(all[0]).toMatchObject({ severity: 'error', check: 'server' });
  expect(all.slice(1).map(({ severity }) => severity)).toEqual(all.slice(1).map(() => 'unchecked'));
  await world.killServer();
  await healthy();
});

test('a disk is a finding before it is full', () => {
  const GB = 2 ** 30;
  expect(diskFinding('/d', { free: 50 * GB, total: 100 * GB })).toBeNull();
  expect(diskFinding('/d', { free: 1.5 * GB, total: 100 * GB })?.severity).toBe('warning');
  expect(diskFinding('/d', { free: 0.1 * GB, total: 100 * GB })).toMatchObject({ severity: 'error', subject: '/d' });
});
