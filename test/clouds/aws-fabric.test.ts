/** Fast networks, capacity that is paid for, and what of all that is made can be lost: found again, and only what is ours. */
import {
  CreateNetworkInterfaceCommand,
  CreatePlacementGroupCommand,
  CreateSecurityGroupCommand,
  DescribeNetworkInterfacesCommand,
  DescribePlacementGroupsCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
} from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { TAGS } from '../../model/cloud-resource.ts';
import { motoPython } from '../stand-ins/aws/account.ts';
import { AwsLab, asked } from './aws-lab.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/clouds/aws-fabric: ${python.reason}`);
vi.setConfig({ testTimeout: 90_000, hookTimeout: 120_000 });

const OWN = { [TAGS.cluster]: 'near', [TAGS.installation]: 'ours', [TAGS.workflow]: 'cluster/default/near' };
const interfaces = (call: URLSearchParams, field: string) =>
  [...call].flatMap(([name, value]) => (new RegExp(`^NetworkInterface\\.\\d+\\.${field}$`).test(name) ? [value] : []));

let lab: AwsLab;

describe.skipIf('reason' in python)('networks, reservations and what is lost on AWS', () => {
  beforeAll(async () => {
    lab = await AwsLab.start(OWN);
  });
  afterEach(async () => {
    await lab.account.order('reservations');
    await lab.clear();
  });
  afterAll(async () => await lab?.end());

  test('the best network is a cluster placement group, and an EFA interface where the type has one', async () => {
    const request = await lab.prepared(
      asked('infra: aws/us-east-1, instance_type: p4d.24xlarge, network_tier: best', 'num_nodes: 2\n'),
    );
    const name = `styx-${request.placement.key}`;
    const call = await lab.form(request);
    expect(call.get('Placement.GroupName')).toBe(name);
    expect(interfaces(call, 'InterfaceType')).toEqual(['efa']);
    expect(interfaces(call, 'AssociatePublicIpAddress')).toEqual(['true']);
    const { PlacementGroups } = await lab.ec2.send(new DescribePlacementGroupsCommand({}));
    expect(PlacementGroups?.map(({ GroupName, Strategy }) => [GroupName, Strategy])).toEqual([[name, 'cluster']]);
    const { SecurityGroups } = await lab.ec2.send(
      new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-name', Values: [name] }] }),
    );
    const [group] = SecurityGroups ?? [];
    expect(
      group?.IpPermissionsEgress?.some(({ UserIdGroupPairs }) => UserIdGroupPairs?.[0]?.GroupId === group.GroupId),
    ).toBe(true);
    await lab.endWhole(request.placement);
    expect(await lab.refusal(lab.cloud.create(request))).toMatch(/^not-found: /);
  });

  test('machines of a repair are in the network of those that they join, near them, and come to nothing once their own group is gone', async () => {
    const near = asked('infra: aws/us-east-1, instance_type: m5.large, network_tier: best', 'num_nodes: 3\n');
    const first = await lab.prepared(near);
    await lab.cloud.create(first);
    const { key, attempt: _, numNodes: __, ...offer } = first.placement;
    const prepared = async () => {
      const placement = { ...lab.placement(offer), fills: [1], joins: key };
      return await lab.cloud.prepare(placement, lab.authorizedKey, lab.tags, near.wants);
    };
    const request = await prepared();
    const call = await lab.form(request);
    const names = async (ids: string[]) => {
      const { SecurityGroups = [] } = await lab.ec2.send(new DescribeSecurityGroupsCommand({ GroupIds: ids }));
      return SecurityGroups.map(({ GroupName }) => GroupName).toSorted();
    };
    const groups = [...call].flatMap(([name, value]) => (/SecurityGroupId/.test(name) ? [value] : []));
    expect(await names(groups)).toEqual([`styx-${key}`, `styx-${request.placement.key}`].toSorted());
    expect(call.get('Placement.GroupName')).toBe(`styx-${key}`);
    const late = await prepared();
    await lab.endWhole(late.placement);
    expect(await lab.refusal(lab.cloud.create(late))).toMatch(/^not-found: /);
    // What they share goes last, whoever is asked first.
    expect(await lab.cloud.terminate(first.placement, key)).not.toEqual([]);
    await lab.endWhole(request.placement);
    await lab.endWhole(first.placement);
    expect(await lab.refusal(prepared())).toMatch(/^not-found: the security group/);
  });

  test('machines without public addresses have an EFA interface on each card, and those without EFA are near each other all the same', async () => {
    lab.configure('aws: {use_internal_ips: true}\n');
    const call = await lab.form(
      await lab.prepared(asked('infra: aws/us-east-1, instance_type: p4d.24xlarge, network_tier: best')),
    );
    expect(interfaces(call, 'InterfaceType')).toEqual(['efa', 'efa-only', 'efa-only', 'efa-only']);
    expect(interfaces(call, 'NetworkCardIndex')).toEqual(['1', '2', '3']);
    // One node is near itself.
    expect(call.get('Placement.GroupName')).toBeNull();
    const plain = await lab.form(
      await lab.prepared(asked('infra: aws/us-east-1, instance_type: m5.large, network_tier: best', 'num_nodes: 2\n')),
    );
    expect(interfaces(plain, 'InterfaceType')).toEqual([]);
    expect(plain.get('Placement.GroupName')).toMatch(/^styx-/);
  });

  test.each(['drop-before', 'drop-after', { error: 'InternalError', status: 500 }] as const)(
    'a placement group is made once though its call fails: %j',
    async (fault) => {
      lab.account.proxy.faults = [{ action: 'CreatePlacementGroup', times: 1, do: fault }];
      const request = await lab.prepared(
        asked('infra: aws/us-east-1, instance_type: m5.large, network_tier: best', 'num_nodes: 2\n'),
      );
      expect((await lab.form(request)).get('Placement.GroupName')).toBe(`styx-${request.placement.key}`);
      expect((await lab.account.ledger()).groups).toHaveLength(2);
    },
  );

  test('a reservation or a block that is named is used where it has room, and costs nothing more', async () => {
    const held = (id: string, zone: string, room: number, type = 'default') => ({
      CapacityReservationId: id,
      InstanceType: 'm5.large',
      AvailabilityZone: zone,
      AvailableInstanceCount: room,
      ReservationType: type,
      State: 'active',
    });
    await lab.account.order('reservations', {
      'us-east-1': [
        held('cr-small', 'us-east-1a', 1),
        held('cr-1', 'us-east-1c', 4),
        held('cr-other', 'us-east-1d', 9),
      ],
      'us-west-2': [held('cr-block', 'us-west-2b', 4, 'capacity-block')],
    });
    lab.configure('aws: {specific_reservations: [cr-small, cr-1, cr-block]}\n');
    const call = await lab.form(
      await lab.prepared(asked('infra: aws/us-east-1, instance_type: m5.large', 'num_nodes: 2\n')),
    );
    expect(call.get('CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId')).toBe('cr-1');
    expect(call.get('InstanceMarketOptions.MarketType')).toBeNull();
    const west = asked('infra: aws/us-west-2, instance_type: m5.large', 'num_nodes: 2\n');
    const [offer, next] = await lab.cloud.offers(west);
    expect(offer).toMatchObject({ zone: 'us-west-2b', hourlyCost: 0 });
    expect(next?.hourlyCost).toBeGreaterThan(0);
    expect((await lab.form(await lab.prepared(west))).get('InstanceMarketOptions.MarketType')).toBe('capacity-block');
    const spot = await lab.cloud.offers(asked('infra: aws/us-west-2, instance_type: m5.large, use_spot: true'));
    expect(spot.every(({ hourlyCost }) => hourlyCost > 0)).toBe(true);
    // Nothing is bought in place of what was promised for nothing.
    const { room: _, ...gone } = { ...lab.placement(offer as never, 9), room: 0 };
    expect(await lab.refusal(lab.cloud.prepare(gone, lab.authorizedKey, OWN))).toMatch(
      /^capacity: no reservation has room any more/,
    );
  });

  test('groups and interfaces that lost their machines are found and removed, and those of others are not touched', async () => {
    const { Subnets } = await lab.ec2.send(new DescribeSubnetsCommand({}));
    const [{ SubnetId, VpcId } = {}] = Subnets ?? [];
    const plant = async (installation: string | null, key: string) => {
      const all = { [TAGS.installation]: installation ?? '', 'styx-placement': key, 'styx-made-at': '1700000000000' };
      const Tags = installation === null ? [] : Object.entries(all).map(([Key, Value]) => ({ Key, Value }));
      const tagged = (ResourceType: 'placement-group' | 'network-interface' | 'security-group') =>
        Tags.length === 0 ? {} : { TagSpecifications: [{ ResourceType, Tags }] };
      await lab.ec2.send(
        new CreatePlacementGroupCommand({ GroupName: `x-${key}`, Strategy: 'cluster', ...tagged('placement-group') }),
      );
      const { GroupId = '' } = await lab.ec2.send(
        new CreateSecurityGroupCommand({ GroupName: `x-${key}`, Description: 'x', VpcId, ...tagged('security-group') }),
      );
      await lab.ec2.send(
        new CreateNetworkInterfaceCommand({ SubnetId, Groups: [GroupId], ...tagged('network-interface') }),
      );
    };
    const interfaces = async () => {
      const { NetworkInterfaces = [] } = await lab.ec2.send(new DescribeNetworkInterfacesCommand({}));
      return NetworkInterfaces.map(({ NetworkInterfaceId }) => NetworkInterfaceId);
    };
    // The stand-in keeps those of machines that have ended.
    const before = await interfaces();
    await plant('ours', 'lost');
    await plant('theirs', 'foreign');
    await plant(null, 'nobodys');
    const owned = await lab.cloud.owned('ours');
    expect(owned.map(({ kind }) => kind).sort()).toEqual(['network-interface', 'placement-group', 'security-group']);
    for (const one of owned) expect(one).toMatchObject({ placementKey: 'lost', createdAt: 1_700_000_000_000 });
    expect(await lab.cloud.existing(owned)).toEqual(owned);
    for (let left = owned; left.length > 0; left = await lab.cloud.existing(left)) {
      for (const one of left)
        await lab.cloud.remove(one).catch((error) => expect(lab.cloud.classify(error).kind).toBe('transient'));
    }
    for (const one of owned) await lab.cloud.remove(one);
    const { PlacementGroups } = await lab.ec2.send(new DescribePlacementGroupsCommand({}));
    expect(PlacementGroups?.map(({ GroupName }) => GroupName).sort()).toEqual(['x-foreign', 'x-nobodys']);
    expect((await interfaces()).filter((id) => !before.includes(id))).toHaveLength(2);
  });
});
