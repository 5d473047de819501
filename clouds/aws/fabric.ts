/** `network_tier: best`: interfaces that bypass the kernel (EFA) where a type has them, and nodes near each other (a cluster placement group). */
import type { InstanceNetworkInterfaceSpecification, Tag } from '@aws-sdk/client-ec2';
import { StyxError } from '../../model/errors.ts';
import { MADE_TAG } from './actions.ts';
import type { Api } from './api.ts';
import { causeCode, groupName, isOf } from './network.ts';

export interface Fabric {
  /** Cards that can have an EFA interface each; 0: the type has none. */
  readonly efa: number;
  /** Machines of the type can be placed near each other. */
  readonly near: boolean;
}

export async function fabricOf(api: Api, region: string, instanceType: string): Promise<Fabric> {
  const { InstanceTypes } = await api.call(region, 'ec2:DescribeInstanceTypes', {
    InstanceTypes: [instanceType as 'm5.large'],
  });
  const { NetworkInfo, PlacementGroupInfo } = InstanceTypes?.[0] ?? {};
  const interfaces = NetworkInfo?.EfaSupported === true ? (NetworkInfo.EfaInfo?.MaximumEfaInterfaces ?? 1) : 0;
  return {
    efa: Math.min(interfaces, NetworkInfo?.MaximumNetworkCards ?? 1),
    near: PlacementGroupInfo?.SupportedStrategies?.includes('cluster') ?? false,
  };
}

/**
 * The first carries the machine's addresses; the others, one a card, none at all. EC2 gives no public address to a machine that is made
 * with several.
 */
export function interfacesOf(
  first: InstanceNetworkInterfaceSpecification,
  efa: number,
): InstanceNetworkInterfaceSpecification[] {
  if (efa === 0) return [first];
  const { SubnetId, Groups } = first;
  const others = Array.from({ length: efa - 1 }, (_, at) => ({
    NetworkCardIndex: at + 1,
    DeviceIndex: 1,
    InterfaceType: 'efa-only',
    SubnetId,
    Groups,
    DeleteOnTermination: true,
  }));
  return [{ ...first, InterfaceType: 'efa' }, ...others];
}

/** Made once, however often it is asked for, and named as the placement's security group is. */
export async function ensurePlacementGroup(
  api: Api,
  region: string,
  placementKey: string,
  tags: readonly Tag[],
): Promise<string> {
  const GroupName = groupName(placementKey);
  try {
    await api.call(region, 'ec2:CreatePlacementGroup', {
      GroupName,
      Strategy: 'cluster',
      TagSpecifications: [
        { ResourceType: 'placement-group', Tags: [...tags, { Key: MADE_TAG, Value: String(Date.now()) }] },
      ],
    });
  } catch (error) {
    if (causeCode(error) !== 'InvalidPlacementGroup.Duplicate') throw error;
    const [there] = await placementGroups(api, region, placementKey);
    if (there !== undefined && !isOf(there, placementKey))
      throw new StyxError('invalid', `the placement group ${GroupName} is there and is not Styx's`);
  }
  return GroupName;
}

/** EFA needs a rule for what goes out to its own group, beside the one that lets all out. */
export async function allowAmongNodes(api: Api, region: string, group: string): Promise<void> {
  const rule = { IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: group }] };
  try {
    await api.call(region, 'ec2:AuthorizeSecurityGroupEgress', { GroupId: group, IpPermissions: [rule] });
  } catch (error) {
    if (!/\.Duplicate$/.test(causeCode(error))) throw error;
  }
}

async function placementGroups(api: Api, region: string, placementKey: string) {
  const Filters = [{ Name: 'group-name', Values: [groupName(placementKey)] }];
  return (await api.call(region, 'ec2:DescribePlacementGroups', { Filters })).PlacementGroups ?? [];
}

/** What is left of it, for people. */
export async function removePlacementGroup(
  api: Api,
  region: string,
  placementKey: string,
): Promise<{ seen: number; left: string[] }> {
  const groups = (await placementGroups(api, region, placementKey)).filter((group) => isOf(group, placementKey));
  const left: string[] = [];
  for (const { GroupName = '', State } of groups) {
    if (State === 'deleted') continue;
    if (State === 'deleting' || !(await deletePlacementGroup(api, region, GroupName)))
      left.push(`placement group ${GroupName}`);
  }
  return { seen: groups.length, left };
}

/** False: machines are still in it. */
export async function deletePlacementGroup(api: Api, region: string, GroupName: string): Promise<boolean> {
  try {
    await api.call(region, 'ec2:DeletePlacementGroup', { GroupName });
    return true;
  } catch (error) {
    const code = causeCode(error);
    if (code === 'InvalidPlacementGroup.Unknown') return true;
    if (code === 'InvalidPlacementGroup.InUse') return false;
    throw error;
  }
}
