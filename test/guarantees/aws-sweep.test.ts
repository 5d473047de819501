/** What is nobody's at AWS is found and removed, of every kind that is made there, and nothing else is. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateNetworkInterfaceCommand,
  CreatePlacementGroupCommand,
  CreateSecurityGroupCommand,
  CreateVolumeCommand,
  DescribeImagesCommand,
  DescribeNetworkInterfacesCommand,
  DescribePlacementGroupsCommand,
  DescribeSecurityGroupsCommand,
  DescribeSpotInstanceRequestsCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  EC2Client,
  RequestSpotInstancesCommand,
  type ResourceType,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { formatMoney } from '../../cli/format.ts';
import { MADE_TAG } from '../../clouds/aws/actions.ts';
import { tagList } from '../../clouds/aws/instances.ts';
import { TAGS } from '../../model/cloud-resource.ts';
import type { SweepReport } from '../../model/sweep.ts';
import { TEST } from '../../model/timing.ts';
import { startSweep } from '../../workers/sweeps.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { runStyx } from '../harness/command-line.ts';
import { World } from '../harness/world.ts';
import { Account, motoPython } from '../stand-ins/aws/account.ts';
import { Story, until } from './story.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/guarantees/aws-sweep: ${python.reason}`);

const FOR_EVER = 100_000;
const FOREIGN = '00000000-0000-0000-0000-000000000000';
const ZONE = 'us-east-1a';
/** A machine has a disk, so that there are two of them. */
const KINDS = [
  'instance',
  'network-interface',
  'placement-group',
  'security-group',
  'spot-request',
  'volume',
  'volume',
];

let account: Account;
let world: World;
let story: Story;
let installation: string;
let ec2: EC2Client;

/** Ids of all that stands in the account, whoever made it, but for what is there of itself. */
async function standing(): Promise<string[]> {
  const open = [{ Name: 'state', Values: ['open'] }];
  const loose = [{ Name: 'status', Values: ['available'] }];
  const [{ instances }, groups, near, volumes, interfaces, requests] = await Promise.all([
    account.ledger(),
    ec2.send(new DescribeSecurityGroupsCommand({})),
    ec2.send(new DescribePlacementGroupsCommand({})),
    ec2.send(new DescribeVolumesCommand({})),
    ec2.send(new DescribeNetworkInterfacesCommand({ Filters: loose })),
    ec2.send(new DescribeSpotInstanceRequestsCommand({ Filters: open })),
  ]);
  return [
    ...instances,
    ...(groups.SecurityGroups ?? []).flatMap(({ GroupName, GroupId }) => (GroupName === 'default' ? [] : GroupId)),
    ...(near.PlacementGroups ?? []).map(({ GroupName }) => GroupName),
    ...(volumes.Volumes ?? []).map(({ VolumeId }) => VolumeId),
    ...(interfaces.NetworkInterfaces ?? []).map(({ NetworkInterfaceId }) => NetworkInterfaceId),
    ...(requests.SpotInstanceRequests ?? []).map(({ SpotInstanceRequestId }) => SpotInstanceRequestId),
  ]
    .map(String)
    .toSorted();
}

let planted = 0;
/** One of every kind, with such tags; their ids. Old enough to be judged. */
async function plant(tags: Readonly<Record<string, string>>): Promise<string[]> {
  const before = await standing();
  planted += 1;
  const key = `planted-${planted}`;
  const made = { ...tags, [MADE_TAG]: String(Date.now()) };
  const Tags = Object.keys(tags).length === 0 ? [{ Key: 'Name', Value: 'theirs' }] : tagList(made, key);
  const tagged = (...types: ResourceType[]) => ({
    TagSpecifications: types.map((ResourceType) => ({ ResourceType, Tags })),
  });
  const { Subnets } = await ec2.send(
    new DescribeSubnetsCommand({ Filters: [{ Name: 'availability-zone', Values: [ZONE] }] }),
  );
  const [{ SubnetId, VpcId } = {}] = Subnets ?? [];
  const { Images } = await ec2.send(new DescribeImagesCommand({}));
  const ImageId = Images?.[0]?.ImageId;
  const { GroupId = '' } = await ec2.send(
    new CreateSecurityGroupCommand({ GroupName: key, Description: 'x', VpcId, ...tagged('security-group') }),
  );
  const near = { GroupName: key, Strategy: 'cluster' as const, ...tagged('placement-group') };
  const disk = { AvailabilityZone: ZONE, Size: 100, ...tagged('volume') };
  const machine = {
    ...{ MinCount: 1, MaxCount: 1, ImageId, InstanceType: 'm5.large' as const, ...tagged('instance', 'volume') },
    NetworkInterfaces: [{ DeviceIndex: 0, SubnetId, Groups: [GroupId], DeleteOnTermination: true }],
  };
  await Promise.all([
    ec2.send(new CreatePlacementGroupCommand(near)),
    ec2.send(new CreateNetworkInterfaceCommand({ SubnetId, Groups: [GroupId], ...tagged('network-interface') })),
    ec2.send(new CreateVolumeCommand(disk)),
    ec2.send(new RunInstancesCommand(machine)),
  ]);
  await account.order('capacity', { '*': { '*': 0 } });
  await ec2.send(
    new RequestSpotInstancesCommand({
      LaunchSpecification: { ImageId, InstanceType: 'm5.large', SubnetId, Placement: { AvailabilityZone: ZONE } },
      ...tagged('spot-instances-request'),
    }),
  );
  await account.order('capacity');
  await sleep(TEST.sweepMinAge + 100);
  return (await standing()).filter((id) => !before.includes(id));
}

const ours = (name: string) => ({
  [TAGS.installation]: installation,
  [TAGS.workflow]: `cluster/default/${name}`,
  [TAGS.generation]: `${name}-1`,
});

const styx = (...args: string[]) => runStyx(args);

async function sweep(...args: string[]): Promise<SweepReport> {
  const { out, err } = await styx('sweep', '-o', 'json', ...args);
  expect(out, err).not.toBe('');
  return JSON.parse(out);
}

describe.skipIf('reason' in python)('a sweep of AWS', () => {
  beforeAll(async () => {
    account = await Account.start();
    account.enter();
    ec2 = new EC2Client({ region: 'us-east-1', endpoint: account.direct });
    await account.order('regions', { 'us-east-1': true, 'us-west-2': true });
    world = await World.start();
    story = new Story(world, world.styx.clusters);
    installation = await world.styx.installation();
    await account.order('timing', { pending: FOR_EVER });
  });

  afterEach(() => {
    account.proxy.faults = [];
    account.renew();
  });

  afterAll(async () => {
    ec2?.destroy();
    await world?.end();
    await account?.end();
  });

  test('shows what is nobody’s of every kind, with age and price, and removes that when told to and nothing else', {
    timeout: 240_000,
  }, async () => {
    // Its machine never answers, and must not be given up meanwhile.
    const patient = await Story.timed(world, { ...TEST, createBudget: 600_000 });
    await patient.launch('kept', 'resources: {infra: aws/us-east-1, instance_type: m5.large}\n');
    await until('its machine is made', async () => (await account.ledger()).instances.length === 1);
    // Of which nothing says what it was made for.
    const { VolumeId: bare = '' } = await ec2.send(
      new CreateVolumeCommand({
        ...{ AvailabilityZone: ZONE, Size: 1 },
        TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: TAGS.installation, Value: installation }] }],
      }),
    );
    const lost = [...(await plant(ours('lost'))), bare].toSorted();
    const theirs = await plant({ ...ours('lost'), [TAGS.installation]: FOREIGN });
    await plant({});
    const all = await standing();

    const look = await world.styx.sweep();
    expect(look).toMatchObject({ looked: ['local', 'aws'], seen: 11, young: 0, unknown: [], orphans: null });
    expect(idsOf(look.unclaimed)).toEqual(lost);
    expect(look.unclaimed.map(({ kind }) => kind).toSorted()).toEqual([...KINDS, 'volume']);
    for (const { kind, createdAt, hourlyCost } of look.unclaimed) {
      expect(Date.now() - (createdAt ?? 0)).toBeLessThan(300_000);
      expect((hourlyCost ?? -1) > 0).toBe(kind === 'instance' || kind === 'volume');
    }
    const { code, out } = await styx('sweep');
    expect(code).toBe(1);
    const rows = out.split('\n').filter((line) => line.includes('aws/us-east-1'));
    expect(rows.map((row) => row.split(/ +/)[1]).toSorted()).toEqual(lost);
    for (const row of rows)
      expect(row).toMatch(/ (sec|min)s? ago +\$ \d+\.\d+ +(there is no such|it names no) workflow$/);
    const machine = look.unclaimed.find(({ kind }) => kind === 'instance');
    expect(rows.find((row) => row.startsWith('instance '))).toContain(` ${formatMoney(machine?.hourlyCost ?? 0)} `);

    const few = await world.styx.sweep({ fix: true, max: 7 });
    expect(few).toMatchObject({ removed: [], refusal: expect.stringContaining('8 would be removed, and at most 7') });
    expect(await standing()).toEqual(all);

    const { removed, left } = await sweep('--fix', '--max', '8', '-y');
    expect([removed.toSorted(), left]).toEqual([lost, []]);
    const rest = all.filter((id) => !lost.includes(id));
    expect(await standing()).toEqual(rest);

    const other = await world.styx.sweep({ installation: FOREIGN, fix: true, max: 7 });
    expect([other.removed.toSorted(), other.left]).toEqual([theirs, []]);
    expect(await standing()).toEqual(rest.filter((id) => !theirs.includes(id)));
    await patient.close();
    await story.down('kept');
  });

  test('takes nothing for nobody’s, and says why, while AWS refuses a question of it or there are no credentials', async () => {
    const lost = await plant(ours('refused'));
    const all = await standing();
    const asked = { fix: true, max: 100 };
    const expired = { error: 'ExpiredToken', message: 'The security token is expired' };
    const unauthorized = { error: 'UnauthorizedOperation', status: 403, message: 'You are not authorized' };
    for (const fault of [
      { do: expired },
      { action: 'DescribeSpotInstanceRequests', do: unauthorized },
      // Of two regions at each look: the first one is answered.
      { action: 'DescribeVolumes', after: 2, do: expired },
    ]) {
      account.proxy.faults = [fault];
      const report = await world.styx.sweep(asked);
      expect(report).toMatchObject({ looked: ['local'], seen: 0, unclaimed: [], orphans: [], removed: [] });
      expect(report.unknown).toEqual([{ subject: 'aws', why: expect.stringContaining(fault.do.message) }]);
      account.proxy.faults = [];
      account.renew(`AKIARENEWED${account.proxy.log.length}`);
    }
    account.proxy.faults = [
      ...['TerminateInstances', 'CancelSpotInstanceRequests', 'DeleteVolume', 'DeleteNetworkInterface'],
      ...['DeleteSecurityGroup', 'DeletePlacementGroup'],
    ].map((action) => ({ action, do: unauthorized }));
    await expect(world.styx.sweep(asked)).rejects.toMatchObject({ kind: 'auth' });
    account.proxy.faults = [];
    account.leave();
    const none = await styx('sweep', '--fix', '-y');
    expect(none.code).toBe(0);
    expect(none.out).toMatch(
      /^Not looked at: aws: the worker has no credentials of it\.\nNothing is nobody's: 0 things/,
    );
    account.renew();
    expect(await standing()).toEqual(all);
    expect((await world.styx.sweep(asked)).removed.toSorted()).toEqual(lost);
  });

  test.skipIf(process.env.STYX_TEST_SERVER === 'postgres')(
    'of a new, empty Temporal server removes nothing of what the old one made, until it is named',
    async () => {
      const lost = await plant(ours('before'));
      const all = await standing();
      await world.stopServer();
      for (const name of readdirSync(world.server.directory)) {
        if (name.startsWith('styx.db')) rmSync(join(world.server.directory, name));
      }
      await world.killServer();
      const client = await sealedTemporalClient(world.home);
      // The worker and this client have lived through it, and know the old one.
      await expect(startSweep(client.workflow, installation, Date.now(), TEST)).rejects.toThrow('another database');
      await expect(client.workflow.getHandle('sweep').describe()).rejects.toThrow();
      await client.connection.close();
      const nothing = { seen: 0, unclaimed: [], orphans: [], removed: [] };
      expect(await world.styx.sweep({ fix: true, max: 100 })).toMatchObject(nothing);
      await world.killWorker();
      await world.startWorker();
      expect(await sweep('--fix', '--max', '100', '-y')).toMatchObject({ ...nothing, orphans: null });
      expect(await standing()).toEqual(all);
      const told = await world.styx.sweep({ installation, fix: true, max: 100 });
      expect(told.removed.toSorted()).toEqual(lost);
    },
  );
});

function idsOf(all: readonly { readonly id: string }[]): string[] {
  return all.map(({ id }) => id).toSorted();
}
