/** Everything at AWS that carries an installation's tag: machines, their volumes, interfaces that lost them, open spot requests, and the groups of placements. */
import type {
  Instance as Ec2Instance,
  Filter,
  NetworkInterface,
  PlacementGroup,
  SecurityGroup,
  SpotInstanceRequest,
  Tag,
  Volume,
} from '@aws-sdk/client-ec2';
import { type CloudResource, TAGS } from '../../model/cloud-resource.ts';
import { StyxError } from '../../model/errors.ts';
import { DISK_PRICES, diskCost } from '../../optimizer/disk.ts';
import { MADE_TAG, PLACEMENT_TAG } from './actions.ts';
import type { Api } from './api.ts';
import { deletePlacementGroup } from './fabric.ts';
import { describeInstances, tagOf } from './instances.ts';
import { causeCode } from './network.ts';
import { end, looseInterfaces, unlessGone } from './removal.ts';

type Found = Pick<CloudResource, 'kind' | 'id' | 'state' | 'zone' | 'createdAt' | 'hourlyCost'> & {
  readonly Tags: readonly Tag[] | undefined;
};

/** Of one region; what is gone is not shown. `priceOf`: US dollars an hour of a running machine, null where it is not known. */
export async function ownedIn(
  api: Api,
  region: string,
  filter: Filter,
  priceOf: (instance: Ec2Instance) => number | null,
): Promise<CloudResource[]> {
  const Filters = [filter];
  const [machines, volumes, groups, near, interfaces, requests] = await Promise.all([
    describeInstances(api, region, Filters),
    api.all(region, 'ec2:DescribeVolumes', { Filters }, (answer) => answer.Volumes),
    api.all(region, 'ec2:DescribeSecurityGroups', { Filters }, (answer) => answer.SecurityGroups),
    api.call(region, 'ec2:DescribePlacementGroups', { Filters }).then((answer) => answer.PlacementGroups ?? []),
    looseInterfaces(api, region, filter),
    openRequests(api, region, filter),
  ]);
  const found: Found[] = [
    ...machines.filter(({ State }) => State?.Name !== 'terminated').map((one) => machine(one, priceOf)),
    ...volumes.filter(({ State }) => State !== 'deleted').map(volume),
    ...groups.map(group),
    ...near.filter(({ State }) => State !== 'deleted').map(placementGroup),
    ...interfaces.map(networkInterface),
    ...requests.map(spotRequest),
  ];
  return found.map(({ Tags, ...one }) => ({
    cloud: 'aws',
    region,
    ...one,
    placementKey: tagOf({ Tags }, PLACEMENT_TAG) ?? null,
    workflowId: tagOf({ Tags }, TAGS.workflow) ?? null,
    generation: tagOf({ Tags }, TAGS.generation) ?? null,
  }));
}

/** @throws transient while something else has to go first */
export async function removeOwned(api: Api, { region, kind, id }: CloudResource): Promise<void> {
  if (kind === 'instance') {
    await end(api, region, await describeInstances(api, region, [{ Name: 'instance-id', Values: [id] }]));
  } else if (kind === 'volume') {
    await unlessInUse(api.call(region, 'ec2:DeleteVolume', { VolumeId: id }), `volume ${id}`);
  } else if (kind === 'security-group') {
    await unlessInUse(api.call(region, 'ec2:DeleteSecurityGroup', { GroupId: id }), `security group ${id}`);
  } else if (kind === 'network-interface') {
    await unlessInUse(api.call(region, 'ec2:DeleteNetworkInterface', { NetworkInterfaceId: id }), `interface ${id}`);
  } else if (kind === 'placement-group') {
    if (!(await deletePlacementGroup(api, region, id)))
      throw new StyxError('transient', `placement group ${id} is still in use`);
  } else if (kind === 'spot-request') {
    await unlessGone(api.call(region, 'ec2:CancelSpotInstanceRequests', { SpotInstanceRequestIds: [id] }));
  } else {
    throw new StyxError('internal', `Styx makes no ${kind} at AWS`);
  }
}

async function unlessInUse(call: Promise<unknown>, what: string): Promise<void> {
  try {
    await unlessGone(call);
  } catch (error) {
    if (
      !/^(DependencyViolation|VolumeInUse|Invalid(Group|NetworkInterface)\.InUse|IncorrectState)$/.test(
        causeCode(error),
      )
    )
      throw error;
    throw new StyxError('transient', `${what} is still in use`, { cause: error });
  }
}

function machine(one: Ec2Instance, priceOf: (instance: Ec2Instance) => number | null): Found {
  const state = one.State?.Name ?? 'pending';
  return {
    kind: 'instance',
    id: one.InstanceId ?? '',
    state,
    zone: one.Placement?.AvailabilityZone ?? '',
    createdAt: one.LaunchTime?.getTime() ?? null,
    hourlyCost: state === 'running' || state === 'pending' ? priceOf(one) : 0,
    Tags: one.Tags,
  };
}

function volume(one: Volume): Found {
  return {
    kind: 'volume',
    id: one.VolumeId ?? '',
    state: one.State ?? '',
    zone: one.AvailabilityZone ?? '',
    createdAt: one.CreateTime?.getTime() ?? null,
    hourlyCost: one.Size === undefined ? null : diskCost(DISK_PRICES, 'aws', one.Size),
    Tags: one.Tags,
  };
}

/** Requests that got no machine: one that did goes with that. */
async function openRequests(api: Api, region: string, filter: Filter): Promise<SpotInstanceRequest[]> {
  const Filters = [filter, { Name: 'state', Values: ['open', 'active'] }];
  const found = await api.all(
    region,
    'ec2:DescribeSpotInstanceRequests',
    { Filters },
    (answer) => answer.SpotInstanceRequests,
  );
  return found.filter(({ InstanceId }) => InstanceId === undefined);
}

/** It costs nothing, and may become a machine at any time. */
function spotRequest(one: SpotInstanceRequest): Found {
  return {
    kind: 'spot-request',
    id: one.SpotInstanceRequestId ?? '',
    state: one.State ?? '',
    zone: one.LaunchSpecification?.Placement?.AvailabilityZone ?? '',
    createdAt: one.CreateTime?.getTime() ?? null,
    hourlyCost: 0,
    Tags: one.Tags,
  };
}

/** EC2 does not say how old it is. */
function madeAt(one: { readonly Tags?: readonly Tag[] | undefined }): number | null {
  const made = Number(tagOf(one, MADE_TAG) ?? Number.NaN);
  return Number.isFinite(made) ? made : null;
}

/** Known by its name, which is what takes it away. */
function placementGroup(one: PlacementGroup): Found {
  return {
    kind: 'placement-group',
    id: one.GroupName ?? '',
    state: one.State ?? '',
    zone: '',
    createdAt: madeAt(one),
    hourlyCost: 0,
    Tags: one.Tags,
  };
}

function networkInterface(one: NetworkInterface): Found {
  return {
    kind: 'network-interface',
    id: one.NetworkInterfaceId ?? '',
    state: one.Status ?? '',
    zone: one.AvailabilityZone ?? '',
    createdAt: madeAt({ Tags: one.TagSet }),
    hourlyCost: 0,
    Tags: one.TagSet,
  };
}

function group(one: SecurityGroup): Found {
  return {
    kind: 'security-group',
    id: one.GroupId ?? '',
    state: 'available',
    zone: '',
    createdAt: madeAt(one),
    hourlyCost: 0,
    Tags: one.Tags,
  };
}
