/** Instances of EC2 as the rest of Styx sees machines, and the request that makes them. */
import type { Instance as Ec2Instance, Filter, RunInstancesRequest, Tag } from '@aws-sdk/client-ec2';
import { z } from 'zod';
import { StyxError } from '../../model/errors.ts';
import type { Instance, InstanceState } from '../../model/machines.ts';
import type { CreateRequest, InstanceFilter } from '../cloud.ts';
import { MADE_TAG, PLACEMENT_TAG } from './actions.ts';
import type { Api } from './api.ts';
import { ebsOf, speedSchema } from './disks.ts';
import { interfacesOf } from './fabric.ts';
import { LOGIN_USER } from './images.ts';

/** What of a placement the cloud itself does not tell, as JSON in a tag: EC2 takes 256 characters. */
const MACHINE_TAG = 'styx-machine';
const SSH_PORT = 22;

const machineSchema = z.object({
  cpus: z.number(),
  memory: z.number(),
  accelerators: z.object({ name: z.string(), count: z.number() }).nullable(),
  internal: z.boolean(),
  /** Who logs in; absent: the user that Ubuntu's images have. */
  user: z.string().exactOptional(),
});

/** What `prepare` resolves. Plain JSON: it is recorded and given to `create` again and again. */
export const resolvedSchema = z.object({
  image: z.string(),
  rootDevice: z.string(),
  /** GiB. */
  diskSize: z.number(),
  diskEncrypted: z.boolean(),
  /** Absent: as EBS gives it. */
  diskSpeed: speedSchema.exactOptional(),
  subnet: z.string(),
  group: z.string(),
  /** Security group of the machines that they work with. */
  joined: z.string().exactOptional(),
  internal: z.boolean(),
  /** Instance profile: its name, or its ARN. */
  profile: z.string().exactOptional(),
  /** Cards with an EFA interface each; absent: none. */
  efa: z.number().exactOptional(),
  placementGroup: z.string().exactOptional(),
  reservation: z.object({ id: z.string(), block: z.boolean() }).exactOptional(),
  /** Milliseconds since the epoch: of what EC2 does not tell the age. */
  madeAt: z.number().exactOptional(),
  user: z.string().exactOptional(),
});
export type Resolved = z.infer<typeof resolvedSchema>;

export function tagList(tags: Readonly<Record<string, string>>, placementKey: string): Tag[] {
  const all = { ...tags, [PLACEMENT_TAG]: placementKey };
  return Object.entries(all).map(([Key, Value]) => ({ Key, Value }));
}

/** The same call for the same request and keys: AWS compares all of it when the token comes again. */
export function runRequest(
  { placement, tags }: CreateRequest,
  resolved: Resolved,
  userData: string,
): RunInstancesRequest {
  const { key, numNodes, instanceType, useSpot, cpus, memory, accelerators } = placement;
  const {
    image,
    rootDevice,
    diskSize,
    diskEncrypted,
    diskSpeed = { type: 'gp3' },
    subnet,
    group,
    joined,
    internal,
    user,
  } = resolved;
  const machine = JSON.stringify({ cpus, memory, accelerators, internal, ...(user === undefined ? {} : { user }) });
  const Tags = tagList({ Name: tags['styx-cluster'] ?? `styx-${key}`, ...tags, [MACHINE_TAG]: machine }, key);
  const { efa = 0, placementGroup, reservation, madeAt } = resolved;
  const made = madeAt === undefined ? [] : [{ Key: MADE_TAG, Value: String(madeAt) }];
  const common = ['instance', 'volume', 'network-interface'] as const;
  const tagged = useSpot ? ([...common, 'spot-instances-request'] as const) : common;
  return {
    ClientToken: key,
    // All nodes or none.
    MinCount: numNodes,
    MaxCount: numNodes,
    ImageId: image,
    InstanceType: instanceType as NonNullable<RunInstancesRequest['InstanceType']>,
    UserData: Buffer.from(userData).toString('base64'),
    NetworkInterfaces: interfacesOf(
      {
        DeviceIndex: 0,
        SubnetId: subnet,
        Groups: joined === undefined ? [group] : [group, joined],
        AssociatePublicIpAddress: !internal,
        DeleteOnTermination: true,
      },
      efa,
    ),
    ...(placementGroup === undefined ? {} : { Placement: { GroupName: placementGroup } }),
    ...(reservation === undefined
      ? {}
      : { CapacityReservationSpecification: { CapacityReservationTarget: { CapacityReservationId: reservation.id } } }),
    BlockDeviceMappings: [{ DeviceName: rootDevice, Ebs: ebsOf(diskSize, diskSpeed, diskEncrypted) }],
    ...(resolved.profile === undefined ? {} : { IamInstanceProfile: profileOf(resolved.profile) }),
    // Tokens only, and one hop more for what runs in containers.
    MetadataOptions: { HttpTokens: 'required', HttpEndpoint: 'enabled', HttpPutResponseHopLimit: 2 },
    ...(useSpot
      ? {
          InstanceMarketOptions: {
            MarketType: 'spot',
            SpotOptions: { SpotInstanceType: 'one-time', InstanceInterruptionBehavior: 'terminate' },
          },
          InstanceInitiatedShutdownBehavior: 'terminate',
        }
      : {
          InstanceInitiatedShutdownBehavior: 'stop',
          ...(reservation?.block === true ? { InstanceMarketOptions: { MarketType: 'capacity-block' } } : {}),
        }),
    TagSpecifications: tagged.map((ResourceType) => ({
      ResourceType,
      Tags: ResourceType === 'network-interface' ? [...Tags, ...made] : Tags,
    })),
  };
}

function profileOf(profile: string): { Arn: string } | { Name: string } {
  return profile.startsWith('arn:') ? { Arn: profile } : { Name: profile };
}

export function resolvedOf({ resolved }: CreateRequest): Resolved {
  const read = resolvedSchema.safeParse(resolved);
  if (!read.success) throw new StyxError('invalid', `not a request that AWS's \`prepare\` made: ${read.error.message}`);
  return read.data;
}

export function filtersOf({ placementKey, ids, tags }: InstanceFilter): Filter[] {
  return [
    placementKey === undefined
      ? { Name: 'tag-key', Values: [PLACEMENT_TAG] }
      : { Name: `tag:${PLACEMENT_TAG}`, Values: [placementKey] },
    ...(ids === undefined ? [] : [{ Name: 'instance-id', Values: [...ids] }]),
    ...Object.entries(tags ?? {}).map(([name, value]) => ({ Name: `tag:${name}`, Values: [value] })),
  ];
}

/** All that match, in any state that EC2 still knows of. */
export async function describeInstances(api: Api, region: string, Filters: Filter[]): Promise<Ec2Instance[]> {
  return await api.all(region, 'ec2:DescribeInstances', { Filters }, (answer) =>
    answer.Reservations?.flatMap(({ Instances }) => Instances ?? []),
  );
}

const STATES: ReadonlySet<string> = new Set<InstanceState>([
  'pending',
  'running',
  'stopping',
  'stopped',
  'shutting-down',
  'terminated',
]);

export function tagOf({ Tags }: { readonly Tags?: readonly Tag[] | undefined }, name: string): string | undefined {
  return Tags?.find(({ Key }) => Key === name)?.Value;
}

/** `hostKeyOf`: the public key that the machines of a placement were given. */
export function viewOf(one: Ec2Instance, hostKeyOf: (placementKey: string) => string): Instance {
  const name = one.State?.Name ?? 'pending';
  const state = STATES.has(name) ? (name as InstanceState) : 'pending';
  const placementKey = tagOf(one, PLACEMENT_TAG) ?? '';
  const { cpus, memory, accelerators, internal, user = LOGIN_USER } = machineOf(one);
  const running = state === 'running';
  const internalAddress = running ? (one.PrivateIpAddress ?? null) : null;
  const reason = one.StateReason?.Message ?? one.StateTransitionReason;
  return {
    id: one.InstanceId ?? '',
    placementKey,
    index: one.AmiLaunchIndex ?? 0,
    state,
    instanceType: one.InstanceType ?? '',
    address: internal ? internalAddress : running ? one.PublicIpAddress || null : null,
    sshPort: SSH_PORT,
    user,
    internalAddress,
    hostKey: hostKeyOf(placementKey),
    cpus,
    memory,
    accelerators,
    createdAt: one.LaunchTime?.getTime() ?? 0,
    stateReason: state === 'running' || state === 'pending' ? null : (reason ?? null) || null,
  };
}

function machineOf(one: Ec2Instance): z.infer<typeof machineSchema> {
  try {
    return machineSchema.parse(JSON.parse(tagOf(one, MACHINE_TAG) ?? ''));
  } catch {
    // Somebody has changed the tag.
    return { cpus: one.CpuOptions?.CoreCount ?? 0, memory: 0, accelerators: null, internal: false };
  }
}
