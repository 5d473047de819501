/**
 * Launches on AWS through the real workflows. The stand-in has no machines that answer, so that its instances stay pending: what is
 * shown is that what was asked for is there once, and that nothing is left of it.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { onStoppable, previewOffers } from '../../client/clouds.ts';
import { comparePlan, planFrom } from '../../client/plan.ts';
import type { ClusterView } from '../../model/commands.ts';
import { parseTask } from '../../model/parse-task.ts';
import { World } from '../harness/world.ts';
import { Account, motoPython } from '../stand-ins/aws/account.ts';
import { Story, until } from './story.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/guarantees/aws-launch: ${python.reason}`);

const FOR_EVER = 100_000;
const TASK = 'resources: {infra: aws/us-east-1, instance_type: m5.large}\nnum_nodes: 2\nrun: echo hi\n';

let account: Account;
let world: World;
let story: Story;

async function left(): Promise<object> {
  const { created: _, ...rest } = await account.ledger();
  return rest;
}

const NOTHING = { instances: [], groups: [], volumes: [] };

describe.skipIf('reason' in python)('a launch on AWS', () => {
  beforeAll(async () => {
    account = await Account.start();
    account.enter();
    world = await World.start();
    story = new Story(world, world.styx.clusters);
    await account.order('timing', { pending: FOR_EVER });
  });

  afterEach(async () => {
    account.proxy.faults = [];
    account.renew('AKIARENEWED');
    await account.order('capacity');
    // Of a test that failed, so that its next try finds the account as it was.
    for (const { name } of await story.clusters.list()) await story.down(name);
  });

  afterAll(async () => {
    await world?.end();
    await account?.end();
  });

  const EXPIRED = { error: 'ExpiredToken', message: 'The security token is expired' };

  // First of all: nothing is remembered of the account, so that not even its places can be asked for.
  test('that is to be tried until it is up waits for expired credentials, says so, and goes on when they are back', async () => {
    const before = (await account.ledger()).created.length;
    account.proxy.faults = [{ do: EXPIRED }];
    await story.launch('waits', TASK, { retryUntilUp: true });
    const waits = (view: ClusterView) =>
      /^round ([2-9]|\d\d+) found .*ExpiredToken.*; next in/.test(view.operation?.progress ?? '');
    const { status, tries } = await story.view('waits', 'waits', waits);
    expect([status, tries]).toEqual(['INIT', []]);
    account.renew('AKIARENEWED');
    account.proxy.faults = [];
    await until('machines are made', async () => (await account.ledger()).created.length === before + 2);
    await story.down('waits');
    expect(await left()).toEqual(NOTHING);
  });

  test('goes on in another zone, makes its machines once though its worker is killed, and leaves nothing', async () => {
    await account.order('capacity', { 'm5.large': { 'us-east-1a': 0, 'us-east-1b': 1 } });
    const before = (await account.ledger()).created.length;
    const asked = account.proxy.count('RunInstances');
    world.arm('createMachines.called');
    await story.launch('gang', TASK);
    expect(await world.hit('createMachines.called', 60_000)).toBe(true);
    const { created } = await account.ledger();
    expect(created).toHaveLength(before + 2);
    await world.killAt('createMachines.called', 'worker');
    await until('the new worker asks for the same machines', () => account.proxy.count('RunInstances') >= asked + 4);
    expect((await account.ledger()).created).toEqual(created);
    await story.down('gang');
    expect(await left()).toEqual(NOTHING);
    expect((await account.ledger()).created).toEqual(created);
  });

  test('goes on in another region when one has no capacity left', async () => {
    await account.order('regions', { 'us-east-1': true, 'us-east-2': true });
    const empty = Object.fromEntries([...'abcdef'].map((zone) => [`us-east-1${zone}`, 0]));
    await account.order('capacity', { 'm5.large': empty });
    await story.launch('elsewhere', TASK.replace('aws/us-east-1', 'aws'));
    const instances = () => account.order('machines') as Promise<{ region: string; state: string }[]>;
    const made = await until('machines are made', async () => {
      const there = (await instances()).filter(({ state }) => state === 'pending');
      return there.length > 0 ? there : null;
    });
    expect(made.map(({ region }) => region)).toEqual(['us-east-2', 'us-east-2']);
    const { tries } = await story.look('elsewhere');
    expect(tries.length).toBeGreaterThan(2);
    for (const { region, failure } of tries) expect([region, failure.kind]).toEqual(['us-east-1', 'capacity']);
    await story.down('elsewhere');
    expect(await left()).toEqual(NOTHING);
    await account.order('capacity');
    await account.order('regions');
  });

  test('goes on in another zone when its token was used for machines that nobody has, and makes none twice', async () => {
    const before = (await account.ledger()).created.length;
    const used = { error: 'IdempotentParameterMismatch', message: 'another request had this token' };
    account.proxy.faults = [{ action: 'RunInstances', do: used }];
    await story.launch('token', TASK);
    const { tries } = await story.view('token', 'gave its first place up', (view) => view.tries.length > 0);
    expect(tries[0]?.failure).toMatchObject({ kind: 'not-found', message: expect.stringContaining('is over') });
    expect((await account.ledger()).created).toHaveLength(before);
    account.proxy.faults = [];
    await until('machines are made', async () => (await account.ledger()).created.length === before + 2);
    const machines = (await account.order('machines')) as { zone: string; state: string }[];
    const zones = new Set(machines.filter(({ state }) => state === 'pending').map(({ zone }) => zone));
    expect(zones).toEqual(new Set([expect.not.stringContaining(tries[0]?.zone ?? '')]));
    await story.down('token');
    expect(await left()).toEqual(NOTHING);
    expect((await account.ledger()).created).toHaveLength(before + 2);
  });

  test('that is to be tried for a while ends with the reasons when that is over, after a last round', async () => {
    await account.order('capacity', { '*': { '*': 0 } });
    const before = (await account.ledger()).created.length;
    // The deadline comes when the first place has failed and is still being cleared.
    account.proxy.faults = [{ action: 'DeleteSecurityGroup', times: 1, do: { delay: 9_000 } }];
    const [retryFor, from] = [8_000, Date.now()];
    const oneZone = TASK.replace('us-east-1', 'us-east-1/us-east-1a');
    const answer = await story.launch('for-a-while', oneZone, { retryFor });
    const { operation, view } = await story.clusters.waitOperation('for-a-while', answer);
    expect(operation?.failure).toMatchObject({ kind: 'capacity', message: expect.stringContaining('us-east-1a') });
    expect(Math.max(...view.tries.map(({ at }) => at))).toBeGreaterThan(from + retryFor);
    await until('no group is left', async () => (await account.ledger()).groups.length === 0);
    expect(await left()).toEqual(NOTHING);
    expect((await account.ledger()).created).toHaveLength(before);
  });

  test('of spot machines with an autostop that does not end them is refused with what to do, and nothing is made', async () => {
    const before = (await account.ledger()).created.length;
    const spot = TASK.replace('m5.large}', 'm5.large, use_spot: true}');
    const stops = { idleMinutes: 10, down: false, waitFor: 'jobs_and_ssh' } as const;
    const error = await story.launch('spot', spot, { autostop: stops }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: 'invalid', hint: expect.stringContaining('--down') });
    expect(String(error)).toContain('autostop: spot machines of AWS cannot be stopped, only ended');
    const inFile = spot.replace('use_spot: true', 'use_spot: true, autostop: 10');
    await expect(story.launch('spot', inFile)).rejects.toMatchObject({ kind: 'invalid' });
    expect(await story.clusters.summary('spot')).toBeNull();
    expect((await account.ledger()).created).toHaveLength(before);

    // Others than spot machines are taken where they would do too, though they cost more.
    const either = TASK.replace('m5.large}', 'm5.large, any_of: [{use_spot: true}, {use_spot: false}], autostop: 10}');
    await story.launch('either', either);
    const other = await story.view('either', 'has a place', ({ intents }) => intents.length > 0);
    expect(other.intents.map(({ useSpot }) => useSpot)).toEqual([false]);
    await story.down('either');
    // A plan that is held against the offers of now hears of no others.
    const task = parseTask(either, { file: 'test.yaml' });
    const plan = planFrom(task, await previewOffers((await onStoppable(task, task.autostop)).resources));
    const { changes, additions, placements } = await comparePlan(plan, task);
    expect([changes, additions]).toEqual([[], []]);
    expect(placements.filter(({ useSpot }) => useSpot)).toEqual([]);

    // One that ends them is taken, and the cluster knows that its machines cannot be stopped.
    await story.launch('spot', spot, { autostop: { ...stops, down: true } });
    const { intents } = await story.view('spot', 'has a place', (view) => view.intents.length > 0);
    expect(intents[0]).toMatchObject({ useSpot: true, noStop: expect.stringContaining('cannot be stopped') });
    await story.down('spot');
    expect(await left()).toEqual(NOTHING);
  });

  test('tries no other zone of a region in which the account has no quota, and goes on in the next region', async () => {
    await account.order('regions', { 'us-east-1': true, 'us-east-2': true });
    const before = (await account.ledger()).created.length;
    const message = 'You have requested more vCPU capacity than your current vCPU limit';
    account.proxy.faults = [{ action: 'RunInstances', times: 1, do: { error: 'VcpuLimitExceeded', message } }];
    await story.launch('quota', TASK.replace('aws/us-east-1', 'aws'));
    await until('machines are made', async () => (await account.ledger()).created.length === before + 2);
    const { tries } = await story.look('quota');
    expect(tries.map(({ region, failure }) => [region, failure.kind])).toEqual([['us-east-1', 'quota']]);
    const machines = (await account.order('machines')) as { region: string; state: string }[];
    const regions = new Set(machines.filter(({ state }) => state === 'pending').map(({ region }) => region));
    expect(regions).toEqual(new Set(['us-east-2']));
    await story.down('quota');
    expect(await left()).toEqual(NOTHING);
    await account.order('regions');
  });

  test('refused by AWS since credentials are expired tries no other place of AWS, and goes on in the next cloud', async () => {
    account.proxy.faults = [{ action: 'RunInstances', do: EXPIRED }];
    const asked = account.proxy.count('RunInstances');
    await story.up(
      'clouds',
      'resources: {ordered: [{infra: aws, instance_type: m5.large}, {infra: local}]}\nrun: echo hi\n',
    );
    const { tries, placement } = await story.look('clouds');
    expect(tries.map(({ cloud, failure }) => [cloud, failure.kind])).toEqual([['aws', 'auth']]);
    expect(placement?.cloud).toBe('local');
    expect(account.proxy.count('RunInstances')).toBe(asked + 1);
    account.proxy.faults = [];
    await story.down('clouds');
    expect(await left()).toEqual(NOTHING);
  });

  test('says where there was no capacity, and what would have to change, when no zone has any, and leaves nothing', async () => {
    await account.order('capacity', { '*': { '*': 0 } });
    const before = (await account.ledger()).created.length;
    const answer = await story.launch('nowhere', TASK);
    const end = await story.clusters.waitOperation('nowhere', answer);
    const { kind, message = '', hint } = end.operation?.failure ?? {};
    expect(kind).toBe('capacity');
    for (const zone of 'abcdf') expect(message).toContain(`(us-east-1${zone})`);
    expect(hint).toBe(
      'To have more places, name no region, or name sizes in place of the instance type, or ask for fewer than 2 nodes. ' +
        'With --retry-until-up it is tried until there is room.',
    );
    await until('no group is left', async () => (await account.ledger()).groups.length === 0);
    expect(await left()).toEqual(NOTHING);
    expect((await account.ledger()).created).toHaveLength(before);
    await account.order('capacity');
  });

  test.each([
    ['at once', undefined],
    ['when it asks for machines', 'RunInstances'],
    ['when it looks at what it has made', 'DescribeInstances'],
  ])(
    'refused %s since credentials are expired says so, and leaves nothing when they are back',
    async (when, action) => {
      const name = `refused-${when.split(' ').at(-1)}`;
      const before = (await account.ledger()).created.length;
      account.proxy.faults = [{ ...(action === undefined ? {} : { action }), do: EXPIRED }];
      const answer = await story.launch(name, TASK);
      await story.view(name, 'was refused', ({ tries, operation }) => tries.length > 0 || operation === null);
      // What was made stays the cluster's duty.
      const made = action === 'DescribeInstances' ? 2 : 0;
      expect((await account.ledger()).created.length - before).toBe(made);
      account.renew('AKIARENEWED');
      account.proxy.faults = [];
      const { operation } = await story.clusters.waitOperation(name, answer);
      expect(operation?.failure).toMatchObject({
        kind: 'auth',
        hint: expect.stringContaining('Renew the credentials'),
      });
      expect(operation?.failure?.message).toContain('The security token is expired');
      await until('nothing is left', async () => (await account.ledger()).groups.length === 0);
      expect(await left()).toEqual(NOTHING);
      expect((await account.ledger()).created.length - before).toBe(made);
    },
  );

  test('whose credentials expire is taken down by itself when they are back', async () => {
    world.arm('createMachines.called');
    await story.launch('expired', TASK);
    expect(await world.hit('createMachines.called', 60_000)).toBe(true);
    account.proxy.faults = [{ do: EXPIRED }];
    await world.killAt('createMachines.called', 'worker');
    account.proxy.log.length = 0;
    const going = story.clusters.down('expired', { budget: 300_000 });
    await until('the teardown was refused three times', () => account.proxy.log.length >= 3);
    expect((await account.ledger()).instances).toHaveLength(2);
    await story.view('expired', 'says why it waits', ({ operation }) =>
      /ExpiredToken: The security token is expired.*tried until it works/.test(operation?.progress ?? ''),
    );
    account.renew('AKIARENEWED');
    account.proxy.faults = [];
    await story.succeeds('expired', await going);
    expect(await left()).toEqual(NOTHING);
  });
});
