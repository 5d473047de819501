/**
 * Launches on AWS through the real workflows. The stand-in has no machines that answer, so that its instances stay pending: what is
 * shown is that what was asked for is there once, and that nothing is left of it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

  afterAll(async () => {
    await world?.end();
    await account?.end();
  });

  test('goes on in another zone, makes its machines once though its worker is killed, and leaves nothing', async () => {
    await account.order('capacity', { 'm5.large': { 'us-east-1a': 0, 'us-east-1b': 1 } });
    world.arm('createMachines.called');
    await story.launch('gang', TASK);
    expect(await world.hit('createMachines.called', 60_000)).toBe(true);
    const { created } = await account.ledger();
    expect(created).toHaveLength(2);
    await world.killAt('createMachines.called', 'worker');
    await until('the new worker asks for the same machines', () => account.proxy.count('RunInstances') >= 4);
    expect((await account.ledger()).created).toEqual(created);
    await story.down('gang');
    expect(await left()).toEqual(NOTHING);
    expect((await account.ledger()).created).toEqual(created);
  });

  test('says that there is no capacity when no zone has any, and leaves nothing', async () => {
    await account.order('capacity', { '*': { '*': 0 } });
    const before = (await account.ledger()).created.length;
    const answer = await story.launch('nowhere', TASK);
    const end = await story.clusters.waitOperation('nowhere', answer);
    expect(end.operation?.failure).toMatchObject({ kind: 'capacity' });
    await until('no group is left', async () => (await account.ledger()).groups.length === 0);
    expect(await left()).toEqual(NOTHING);
    expect((await account.ledger()).created).toHaveLength(before);
    await account.order('capacity');
  });

  test('whose credentials expire is taken down by itself when they are back', async () => {
    world.arm('createMachines.called');
    await story.launch('expired', TASK);
    expect(await world.hit('createMachines.called', 60_000)).toBe(true);
    account.proxy.faults = [{ do: { error: 'ExpiredToken', message: 'The security token is expired' } }];
    await world.killAt('createMachines.called', 'worker');
    account.proxy.log.length = 0;
    const going = story.clusters.down('expired', { budget: 300_000 });
    await until('the teardown was refused three times', () => account.proxy.log.length >= 3);
    expect((await account.ledger()).instances).toHaveLength(2);
    account.renew('AKIARENEWED');
    account.proxy.faults = [];
    await story.succeeds('expired', await going);
    expect(await left()).toEqual(NOTHING);
  });
});
