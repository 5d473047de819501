/** Takes away all that a placement had: machines, spot requests, volumes, and when no machine is left its security group. */
import type { Instance as Ec2Instance, Filter, NetworkInterface } from '@aws-sdk/client-ec2';
import { PLACEMENT_TAG } from './actions.ts';
import type { Api } from './api.ts';
import { removePlacementGroup } from './fabric.ts';
import { describeInstances, filtersOf } from './instances.ts';
import { causeCode, removeGroups } from './network.ts';

export interface Removed {
  /** Something of it was there at this look. */
  readonly seen: boolean;
  /** What is still there besides machines, for people. */
  readonly left: readonly string[];
}

export async function removeAll(api: Api, region: string, placementKey: string): Promise<Removed> {
  const machines = await describeInstances(api, region, filtersOf({ placementKey }));
  await end(api, region, machines);
  if (machines.some(({ State }) => State?.Name !== 'terminated')) {
    return { seen: true, left: ['the security group of machines that are ending'] };
  }
  const volumes = await removeVolumes(api, region, placementKey);
  const near = await removePlacementGroup(api, region, placementKey);
  // Also when no machine is listed: the group knows better.
  const groups = await removeGroups(api, region, placementKey);
  // What holds it, when no machine does.
  if (groups.left.length > 0) await removeInterfaces(api, region, placementKey);
  return {
    seen: machines.length > 0 || groups.seen > 0 || volumes.seen > 0 || near.seen > 0,
    left: [...volumes.left, ...near.left, ...groups.left],
  };
}

/** Asks for the end of those that are not on their way out. */
export async function end(api: Api, region: string, all: readonly Ec2Instance[]): Promise<void> {
  const machines = all.filter(({ State }) => State?.Name !== 'terminated' && State?.Name !== 'shutting-down');
  const requests = machines.flatMap(({ SpotInstanceRequestId }) => SpotInstanceRequestId ?? []);
  if (requests.length > 0) {
    await unlessGone(api.call(region, 'ec2:CancelSpotInstanceRequests', { SpotInstanceRequestIds: requests }));
  }
  const ids = machines.flatMap(({ InstanceId }) => InstanceId ?? []);
  if (ids.length > 0) await unlessGone(api.call(region, 'ec2:TerminateInstances', { InstanceIds: ids }));
}

/** They end with their machines; one whose machine ended while it was made may stay. */
async function removeVolumes(
  api: Api,
  region: string,
  placementKey: string,
): Promise<{ seen: number; left: string[] }> {
  const Filters = [{ Name: `tag:${PLACEMENT_TAG}`, Values: [placementKey] }];
  const volumes = await api.all(region, 'ec2:DescribeVolumes', { Filters }, (answer) => answer.Volumes);
  const left: string[] = [];
  for (const { VolumeId = '', State } of volumes) {
    if (State === 'available') await unlessGone(api.call(region, 'ec2:DeleteVolume', { VolumeId }));
    else if (State !== 'deleted') left.push(`volume ${VolumeId}`);
  }
  return { seen: volumes.length, left };
}

/** They end with their machines; those of a machine that was never whole may stay. */
async function removeInterfaces(api: Api, region: string, placementKey: string): Promise<void> {
  for (const { NetworkInterfaceId } of await looseInterfaces(api, region, {
    Name: `tag:${PLACEMENT_TAG}`,
    Values: [placementKey],
  })) {
    await unlessGone(api.call(region, 'ec2:DeleteNetworkInterface', { NetworkInterfaceId }));
  }
}

/** Interfaces that no machine has. */
export async function looseInterfaces(api: Api, region: string, filter: Filter): Promise<NetworkInterface[]> {
  const Filters = [filter, { Name: 'status', Values: ['available'] }];
  return await api.all(region, 'ec2:DescribeNetworkInterfaces', { Filters }, (answer) => answer.NetworkInterfaces);
}

export async function unlessGone(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!/\.NotFound$/.test(causeCode(error))) throw error;
  }
}
