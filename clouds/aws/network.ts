/** Where machines are in the network: the VPC and the subnet of a zone, and the security group of a placement. */
import type { IpPermission, SecurityGroup, Tag } from '@aws-sdk/client-ec2';
import { StyxError } from '../../model/errors.ts';
import { portRanges } from '../../model/machine-wants.ts';
import { MADE_TAG, PLACEMENT_TAG } from './actions.ts';
import type { Api } from './api.ts';
import { codeOf } from './errors.ts';
import type { Settings } from './settings.ts';

const SSH_PORT = '22';
const ANYWHERE = { v4: '0.0.0.0/0', v6: '::/0' };

export interface Subnet {
  readonly vpc: string;
  readonly id: string;
}

/** @throws invalid when there is no VPC or no subnet to use, capacity when its addresses do not suffice */
export async function findSubnet(
  api: Api,
  place: { region: string; zone: string },
  settings: Settings,
  nodes: number,
): Promise<Subnet> {
  const { region, zone } = place;
  const vpc = await findVpc(api, region, settings.vpcName);
  const subnets = await api.all(
    region,
    'ec2:DescribeSubnets',
    {
      Filters: [
        { Name: 'vpc-id', Values: [vpc] },
        { Name: 'availability-zone', Values: [zone] },
        { Name: 'state', Values: ['available'] },
      ],
    },
    (answer) => answer.Subnets,
  );
  const isPrivate = (one: (typeof subnets)[number]) => one.MapPublicIpOnLaunch !== true;
  const wanted = settings.useInternalIps ? subnets : subnets.filter((one) => !isPrivate(one));
  const roomy = wanted.filter(({ AvailableIpAddressCount }) => (AvailableIpAddressCount ?? 0) >= nodes);
  // Private ones first where no public address is wanted; then the one with most room.
  roomy.sort(
    (a, b) =>
      (settings.useInternalIps ? Number(isPrivate(b)) - Number(isPrivate(a)) : 0) ||
      (b.AvailableIpAddressCount ?? 0) - (a.AvailableIpAddressCount ?? 0) ||
      ((a.SubnetId ?? '') < (b.SubnetId ?? '') ? -1 : 1),
  );
  const [best] = roomy;
  if (best?.SubnetId !== undefined) return { vpc, id: best.SubnetId };
  if (wanted.length > 0) throw new StyxError('capacity', `no subnet of ${vpc} in ${zone} has ${nodes} free addresses`);
  throw new StyxError('invalid', `${vpc} has no ${settings.useInternalIps ? '' : 'public '}subnet in ${zone}`, {
    hint: 'Make one, name another VPC by aws.vpc_name, or set aws.use_internal_ips for private subnets.',
  });
}

async function findVpc(api: Api, region: string, name: string | null): Promise<string> {
  const filter = name === null ? { Name: 'is-default', Values: ['true'] } : { Name: 'tag:Name', Values: [name] };
  const found = await api.all(region, 'ec2:DescribeVpcs', { Filters: [filter] }, (answer) => answer.Vpcs);
  const ids = found.flatMap(({ VpcId }) => VpcId ?? []);
  if (ids.length === 1) return ids[0] as string;
  if (name === null) {
    throw new StyxError('invalid', `${region} has no default VPC`, {
      hint: 'Make one (`aws ec2 create-default-vpc`), or name one by aws.vpc_name in the configuration.',
    });
  }
  const many = ids.length > 1 ? `${ids.length} VPCs` : 'no VPC';
  throw new StyxError('invalid', `aws.vpc_name is ${JSON.stringify(name)}, and ${region} has ${many} of that name`);
}

export function groupName(placementKey: string): string {
  return `styx-${placementKey}`;
}

/**
 * The placement's own group: nobody else's machines can be in it, so that it cannot be deleted while one of the placement lives, and
 * once it is deleted a create call that comes late fails. Made once, however often it is asked for.
 */
export async function ensureGroup(
  api: Api,
  region: string,
  vpc: string,
  placementKey: string,
  tags: readonly Tag[],
  ports: readonly string[],
): Promise<string> {
  const id = await made(api, region, vpc, placementKey, tags);
  await allow(api, region, id, [
    fromAnywhere(SSH_PORT),
    { IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: id }] },
    ...ports.map(fromAnywhere),
  ]);
  return id;
}

/** The group that a placement has. @throws not-found when it has none any more */
export async function groupOf(
  api: Api,
  region: string,
  placementKey: string,
): Promise<SecurityGroup & { GroupId: string }> {
  const [group] = (await groupsOf(api, region, placementKey)).filter((one) => isOf(one, placementKey));
  const GroupId = group?.GroupId;
  if (GroupId !== undefined) return { ...group, GroupId };
  throw new StyxError(
    'not-found',
    `the security group ${groupName(placementKey)} is gone, which its machines share and ports are opened in`,
  );
}

/** Rules for everybody in the placement's group are these and that of SSH afterwards. @throws not-found when it has no group any more */
export async function setPorts(
  api: Api,
  region: string,
  placementKey: string,
  ports: readonly string[],
): Promise<void> {
  const { GroupId, IpPermissions = [] } = await groupOf(api, region, placementKey);
  const rules = IpPermissions.flatMap((rule) => forEverybody(rule) ?? []);
  const open = new Set(rules.map(rangeOf));
  const wanted = ports.map(fromAnywhere);
  await allow(
    api,
    region,
    GroupId,
    wanted.filter((rule) => !open.has(rangeOf(rule))),
  );
  const stays = new Set([fromAnywhere(SSH_PORT), ...wanted].map(rangeOf));
  for (const rule of rules.filter((one) => !stays.has(rangeOf(one)))) {
    const revoked = api.call(region, 'ec2:RevokeSecurityGroupIngress', { GroupId, IpPermissions: [rule] });
    await revoked.catch((error: unknown) => {
      if (causeCode(error) !== 'InvalidPermission.NotFound') throw error;
    });
  }
}

/** What of a rule lets everybody in by TCP; null when it does not. */
function forEverybody({
  IpProtocol,
  FromPort,
  ToPort,
  IpRanges = [],
  Ipv6Ranges = [],
}: IpPermission): IpPermission | null {
  const v4 = IpRanges.filter(({ CidrIp }) => CidrIp === ANYWHERE.v4).map(({ CidrIp }) => ({ CidrIp }));
  const v6 = Ipv6Ranges.filter(({ CidrIpv6 }) => CidrIpv6 === ANYWHERE.v6).map(({ CidrIpv6 }) => ({ CidrIpv6 }));
  if (IpProtocol !== 'tcp' || v4.length + v6.length === 0) return null;
  const ranges = { ...(v4.length === 0 ? {} : { IpRanges: v4 }), ...(v6.length === 0 ? {} : { Ipv6Ranges: v6 }) };
  return { IpProtocol, FromPort, ToPort, ...ranges };
}

function rangeOf({ FromPort, ToPort }: IpPermission): string {
  return `${FromPort}-${ToPort}`;
}

function fromAnywhere(ports: string): IpPermission {
  const [[FromPort, ToPort] = [0, 0]] = portRanges([ports]);
  return {
    IpProtocol: 'tcp',
    FromPort,
    ToPort,
    IpRanges: [{ CidrIp: ANYWHERE.v4 }],
    Ipv6Ranges: [{ CidrIpv6: ANYWHERE.v6 }],
  };
}

/** A call for each: one that is there already would refuse all of them. */
export async function allow(api: Api, region: string, GroupId: string, rules: readonly IpPermission[]): Promise<void> {
  for (const rule of rules) {
    try {
      await api.call(region, 'ec2:AuthorizeSecurityGroupIngress', { GroupId, IpPermissions: [rule] });
    } catch (error) {
      if (!saysDuplicate(error)) throw error;
    }
  }
}

async function made(
  api: Api,
  region: string,
  vpc: string,
  placementKey: string,
  tags: readonly Tag[],
): Promise<string> {
  try {
    const { GroupId } = await api.call(region, 'ec2:CreateSecurityGroup', {
      GroupName: groupName(placementKey),
      Description: 'Machines of one placement of Styx',
      VpcId: vpc,
      TagSpecifications: [
        { ResourceType: 'security-group', Tags: [...tags, { Key: MADE_TAG, Value: String(Date.now()) }] },
      ],
    });
    if (GroupId !== undefined) return GroupId;
  } catch (error) {
    if (!saysDuplicate(error)) throw error;
  }
  const groups = await groupsOf(api, region, placementKey);
  const mine = groups.find(({ VpcId }) => VpcId === vpc);
  // It exists, and the list does not show it yet.
  if (mine?.GroupId === undefined)
    throw new StyxError('transient', `the group ${groupName(placementKey)} is not listed yet`);
  if (!isOf(mine, placementKey)) {
    throw new StyxError('invalid', `the security group ${groupName(placementKey)} is there and is not Styx's`);
  }
  return mine.GroupId;
}

/** Does it say that it was made for this placement? */
export function isOf({ Tags }: { readonly Tags?: readonly Tag[] | undefined }, placementKey: string): boolean {
  return Tags?.some(({ Key, Value }) => Key === PLACEMENT_TAG && Value === placementKey) ?? false;
}

async function groupsOf(api: Api, region: string, placementKey: string) {
  const filter = { Name: 'group-name', Values: [groupName(placementKey)] };
  return await api.all(region, 'ec2:DescribeSecurityGroups', { Filters: [filter] }, (answer) => answer.SecurityGroups);
}

export interface GroupsRemoved {
  /** Groups that were seen. */
  readonly seen: number;
  /** Those that machines still hold. */
  readonly left: readonly string[];
}

/** Deletes what can be deleted. That a group is gone proves that no machine of its placement lives. */
export async function removeGroups(api: Api, region: string, placementKey: string): Promise<GroupsRemoved> {
  const groups = (await groupsOf(api, region, placementKey)).filter((group) => isOf(group, placementKey));
  const left: string[] = [];
  for (const { GroupId = '' } of groups) {
    try {
      await api.call(region, 'ec2:DeleteSecurityGroup', { GroupId });
    } catch (error) {
      const code = causeCode(error);
      if (code === 'InvalidGroup.NotFound') continue;
      if (code !== 'DependencyViolation' && code !== 'InvalidGroup.InUse') throw error;
      left.push(`security group ${GroupId}`);
    }
  }
  return { seen: groups.length, left };
}

/** AWS's code of a failure that `Api` has classified. */
export function causeCode(error: unknown): string {
  return codeOf(error instanceof StyxError ? error.cause : error);
}

function saysDuplicate(error: unknown): boolean {
  return /\.Duplicate$/.test(causeCode(error));
}
