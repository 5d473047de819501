/**
 * Machines of other clusters that a cluster's machines let in, for the host names of a job group: a rule for each address in the group of
 * their placement. Rules that name the others' security groups would keep these from being deleted; so they go with the cluster's own.
 */
import type { Instance as Ec2Instance, IpPermission } from '@aws-sdk/client-ec2';
import { StyxError } from '../../model/errors.ts';
import { PLACEMENT_TAG } from './actions.ts';
import type { Api } from './api.ts';
import { describeInstances, filtersOf } from './instances.ts';
import { allow, causeCode } from './network.ts';

/** The file of host names of a machine, and of a container on it. */
export const HOSTS_FILE = '/etc/hosts';
/** On each rule, by which it is known again. */
const DESCRIPTION = 'A machine of the same job group';

/**
 * Afterwards these machines, which are of one cluster, are reached on all ports from `addresses` (IPv4) and from each other, and by no
 * address that an earlier call let in and this one does not name.
 * @throws transient while one of them does not run; quota when EC2 takes no more rules
 */
export async function letIn(
  api: Api,
  region: string,
  ids: readonly string[],
  addresses: readonly string[],
): Promise<void> {
  const machines = await describeInstances(api, region, filtersOf({ ids }));
  if (machines.length < ids.length || machines.some(({ State }) => State?.Name !== 'running'))
    throw new StyxError('transient', `not all of ${ids.join(', ')} run`);
  const own = new Set(machines.map(({ PrivateIpAddress }) => PrivateIpAddress));
  const wanted = new Set(addresses.filter((address) => !own.has(address)).map((address) => `${address}/32`));
  const Filters = [
    { Name: 'group-id', Values: sharedGroups(machines) },
    { Name: 'tag-key', Values: [PLACEMENT_TAG] },
  ];
  const groups = await api.all(region, 'ec2:DescribeSecurityGroups', { Filters }, (answer) => answer.SecurityGroups);
  if (groups.length === 0) throw new StyxError('transient', `no security group of ${ids.join(', ')} is listed`);
  for (const { GroupId = '', IpPermissions = [] } of groups) {
    const there = new Set(IpPermissions.flatMap(letInBy));
    await allow(api, region, GroupId, [...wanted].filter((range) => !there.has(range)).map(rule));
    for (const range of there) if (!wanted.has(range)) await revoke(api, region, GroupId, rule(range));
  }
}

/** Of a cluster that was repaired the group of its first placement, which all are in; where there is none such, the groups of all. */
function sharedGroups(machines: readonly Ec2Instance[]): string[] {
  const groups = machines.map(({ NetworkInterfaces = [] }) =>
    NetworkInterfaces.flatMap(({ Groups = [] }) => Groups.flatMap(({ GroupId }) => GroupId ?? [])),
  );
  const all = [...new Set(groups.flat())];
  const shared = all.filter((group) => groups.every((some) => some.includes(group)));
  return shared.length > 0 ? shared : all;
}

/** Ranges of a rule of ours. */
function letInBy({ IpProtocol, IpRanges = [] }: IpPermission): string[] {
  if (IpProtocol !== '-1') return [];
  return IpRanges.filter(({ Description }) => Description === DESCRIPTION).flatMap(({ CidrIp }) => CidrIp ?? []);
}

function rule(CidrIp: string): IpPermission {
  return { IpProtocol: '-1', IpRanges: [{ CidrIp, Description: DESCRIPTION }] };
}

async function revoke(api: Api, region: string, GroupId: string, permission: IpPermission): Promise<void> {
  try {
    await api.call(region, 'ec2:RevokeSecurityGroupIngress', { GroupId, IpPermissions: [permission] });
  } catch (error) {
    if (causeCode(error) !== 'InvalidPermission.NotFound') throw error;
  }
}
