/** In which network machines of AWS are: a VPC by its name, its public subnets or its private ones. */
import {
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeInstancesCommand,
  ModifySubnetAttributeCommand,
} from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { CreateRequest } from '../../clouds/cloud.ts';
import { TAGS } from '../../model/cloud-resource.ts';
import { motoPython } from '../stand-ins/aws/account.ts';
import { AwsLab, asked } from './aws-lab.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/clouds/aws-network: ${python.reason}`);
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const SMALL = 'infra: aws/us-east-1/us-east-1b, instance_type: m5.large';

interface Network {
  readonly vpc: string;
  /** By their names. */
  readonly subnets: Readonly<Record<string, string>>;
}

let lab: AwsLab;
let team: Network;

/** A VPC with these subnets: whether each is public, where it is, and its /24 or /28 of 10.9.0.0/16. */
async function network(name: string, subnets: Record<string, [isPublic: boolean, zone: string, block: string]>) {
  const Tags = [{ Key: 'Name', Value: name }];
  const vpc = new CreateVpcCommand({
    CidrBlock: '10.9.0.0/16',
    TagSpecifications: [{ ResourceType: 'vpc', Tags }],
  });
  const VpcId = (await lab.ec2.send(vpc)).Vpc?.VpcId ?? '';
  const made: Record<string, string> = {};
  for (const [title, [isPublic, AvailabilityZone, CidrBlock]] of Object.entries(subnets)) {
    const { Subnet } = await lab.ec2.send(new CreateSubnetCommand({ VpcId, CidrBlock, AvailabilityZone }));
    const SubnetId = Subnet?.SubnetId ?? '';
    const MapPublicIpOnLaunch = { Value: isPublic };
    await lab.ec2.send(new ModifySubnetAttributeCommand({ SubnetId, MapPublicIpOnLaunch }));
    made[title] = SubnetId;
  }
  return { vpc: VpcId, subnets: made };
}

/** The machine of a placement as EC2 tells it, running. */
async function machineOf({ placement }: CreateRequest) {
  const Filters = [{ Name: 'tag:styx-placement', Values: [placement.key] }];
  return (await lab.ec2.send(new DescribeInstancesCommand({ Filters }))).Reservations?.[0]?.Instances?.[0];
}

/** That nothing was made by what was refused. */
function nothingMade(): void {
  for (const action of ['CreateSecurityGroup', 'CreatePlacementGroup', 'RunInstances']) {
    expect(lab.account.proxy.count(action)).toBe(0);
  }
}

describe.skipIf('reason' in python)('the network of machines of AWS', () => {
  beforeAll(async () => {
    lab = await AwsLab.start({ [TAGS.cluster]: 'net', [TAGS.installation]: 'i' });
    team = await network('team', {
      elsewhere: [true, 'us-east-1a', '10.9.0.0/24'],
      public: [true, 'us-east-1b', '10.9.1.0/28'],
      hidden: [false, 'us-east-1b', '10.9.2.0/24'],
    });
    await network('twice', {});
    await network('twice', {});
    await network('closed', { hidden: [false, 'us-east-1b', '10.9.2.0/24'] });
  });

  afterEach(async () => await lab.clear());
  afterAll(async () => await lab?.end());

  test('aws.vpc_name: a machine is in a public subnet of that VPC in its zone, with a public address', async () => {
    lab.configure('aws: {vpc_name: team}\n');
    const request = await lab.prepared(asked(SMALL));
    const form = await lab.form(request);
    expect(form.get('NetworkInterface.1.SubnetId')).toBe(team.subnets.public);
    expect(form.get('NetworkInterface.1.AssociatePublicIpAddress')).toBe('true');
    const machine = await machineOf(request);
    expect(machine).toMatchObject({ VpcId: team.vpc, SubnetId: team.subnets.public });
    expect(machine?.NetworkInterfaces?.[0]?.Groups?.map(({ GroupName }) => GroupName)).toEqual([
      `styx-${request.placement.key}`,
    ]);
    const [seen] = await lab.cloud.list(request.placement, { placementKey: request.placement.key });
    expect(seen?.address).toBe(machine?.PublicIpAddress);
  });

  test('aws.use_internal_ips: a machine is in a private subnet, has no public address, and is reached by its own', async () => {
    lab.configure('aws: {vpc_name: team, use_internal_ips: true}\n');
    const request = await lab.prepared(asked(SMALL));
    const form = await lab.form(request);
    expect(form.get('NetworkInterface.1.SubnetId')).toBe(team.subnets.hidden);
    expect(form.get('NetworkInterface.1.AssociatePublicIpAddress')).toBe('false');
    const machine = await machineOf(request);
    expect(machine).toMatchObject({ VpcId: team.vpc, SubnetId: team.subnets.hidden });
    expect(machine?.PublicIpAddress).toBeUndefined();
    const [seen] = await lab.cloud.list(request.placement, { placementKey: request.placement.key });
    expect(seen?.address).toMatch(/^10\.9\.2\./);
    expect(seen?.address).toBe(machine?.PrivateIpAddress);
  });

  test('aws.use_internal_ips in a VPC of public subnets alone: there, and without a public address', async () => {
    lab.configure('aws: {use_internal_ips: true}\n');
    const request = await lab.prepared(asked(SMALL));
    expect((await lab.form(request)).get('NetworkInterface.1.AssociatePublicIpAddress')).toBe('false');
    expect((await machineOf(request))?.VpcId).not.toBe(team.vpc);
  });

  test.each([
    ['no such VPC', 'typo', SMALL, 'invalid: aws.vpc_name is "typo", and us-east-1 has no VPC of that name'],
    ['two of one name', 'twice', SMALL, 'invalid: aws.vpc_name is "twice", and us-east-1 has 2 VPCs of that name'],
    ['no public subnet', 'closed', SMALL, 'has no public subnet in us-east-1b'],
    ['no subnet in the zone', 'team', SMALL.replace('1b', '1c'), 'has no public subnet in us-east-1c'],
  ])('%s: the launch is refused with what is wrong, before anything is made', async (_, name, resources, said) => {
    lab.configure(`aws: {vpc_name: ${name}}\n`);
    lab.account.proxy.log.length = 0;
    expect(await lab.refusal(lab.prepared(asked(resources)))).toContain(said);
    nothingMade();
  });

  test('a subnet without enough addresses is a zone without capacity, before anything is made', async () => {
    lab.configure('aws: {vpc_name: team}\n');
    lab.account.proxy.log.length = 0;
    const many = { ...asked(SMALL), numNodes: 12 };
    const said = `capacity: no subnet of ${team.vpc} in us-east-1b has 12 free addresses`;
    expect(await lab.refusal(lab.prepared(many))).toContain(said);
    nothingMade();
  });
});
