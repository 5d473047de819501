/** What a task asks of machines of AWS besides their size, as it comes to EC2: image, disk, tags, ports, instance profile. */
import {
  AuthorizeSecurityGroupIngressCommand,
  DescribeImagesCommand,
  DescribeSecurityGroupsCommand,
} from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AwsCloud } from '../../clouds/aws/aws.ts';
import type { CreateRequest } from '../../clouds/cloud.ts';
import { TAGS } from '../../model/cloud-resource.ts';
import type { MachineWants } from '../../model/machine-wants.ts';
import { ANY_MACHINE, type Placement } from '../../model/machines.ts';
import { type Account, motoPython } from '../stand-ins/aws/account.ts';
import { AwsLab, asked } from './aws-lab.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/clouds/aws-wants: ${python.reason}`);
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const OWN = { [TAGS.cluster]: 'train-1', [TAGS.installation]: 'i' };

const SMALL = 'infra: aws/us-east-1, instance_type: m5.large';

let lab: AwsLab;
let account: Account;
let cloud: AwsCloud;
const images: Record<string, string> = {};

async function groupOf({ placement }: CreateRequest) {
  const Filters = [{ Name: 'group-name', Values: [`styx-${placement.key}`] }];
  return (await lab.ec2.send(new DescribeSecurityGroupsCommand({ Filters }))).SecurityGroups?.[0];
}

/** What the group of a placement lets in from anywhere. */
async function openPorts(request: CreateRequest): Promise<string[]> {
  const all = (await groupOf(request))?.IpPermissions ?? [];
  const rules = all.filter(({ IpRanges }) => IpRanges?.[0]?.CidrIp === '0.0.0.0/0');
  return rules.map(({ FromPort, ToPort }) => (FromPort === ToPort ? `${FromPort}` : `${FromPort}-${ToPort}`)).sort();
}

describe.skipIf('reason' in python)('what a task asks of machines of AWS', () => {
  beforeAll(async () => {
    lab = await AwsLab.start(OWN);
    ({ account, cloud } = lab);
    const { Images } = await lab.ec2.send(new DescribeImagesCommand({}));
    const of = (arch: string, platform?: string) =>
      Images?.filter((one) => one.Architecture === arch && one.Platform?.toLowerCase() === platform)
        .map((one) => one.ImageId ?? '')
        .sort();
    images.x86 = of('x86_64')?.at(-1) ?? '';
    images.arm = of('arm64')?.at(-1) ?? '';
    images.windows = of('x86_64', 'windows')?.[0] ?? '';
  });

  afterEach(async () => await lab.clear());
  afterAll(async () => await lab?.end());

  test('an image by its id, by region, by a parameter or by the name of one of SkyPilot is what the machine starts from', async () => {
    for (const image of [images.x86, `{us-east-1: ${images.x86}, eu-west-1: ami-0123456789abcdef0}`]) {
      const call = await lab.form(await lab.prepared(asked(`${SMALL}, image_id: ${image}`)));
      expect(call.get('ImageId')).toBe(images.x86);
      expect(call.get('BlockDeviceMapping.1.DeviceName')).toMatch(/^\/dev\//);
    }
    account.proxy.log.length = 0;
    for (const [image, name] of [
      [
        'skypilot:cpu-ubuntu-2404',
        '/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id',
      ],
      [
        'skypilot:gpu-ubuntu-2204',
        '/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id',
      ],
      [
        'resolve:ssm:/aws/service/canonical/ubuntu/server/20.04/stable/current/amd64/hvm/ebs-gp2/ami-id',
        'server/20.04',
      ],
    ]) {
      const { resolved } = await lab.prepared(asked(`${SMALL}, image_id: '${image}'`));
      expect(resolved.image).toMatch(/^ami-/);
      expect(account.proxy.log.filter(({ action }) => action === 'GetParameters').at(-1)?.body).toContain(name);
    }
  });

  test('an image for other processors chooses machines that have them, or is refused for those that do not', async () => {
    const here = 'infra: aws/us-east-1';
    const [offer] = await cloud.offers(asked(`${here}, cpus: 2+, image_id: ${images.arm}`));
    expect(offer?.instanceType).toMatch(/^[a-z]+\d+g[a-z]*\./);
    expect(await lab.refusal(cloud.offers(asked(`${SMALL}, image_id: ${images.arm}`)))).toMatch(
      /^invalid: .*is for arm64, and m5.large has other processors/,
    );
    const graviton = { ...ANY_MACHINE, cloud: 'aws', region: 'us-east-1', instanceType: 'm6g.large' };
    const [placed] = await cloud.offers(graviton);
    const one = lab.placement(placed as Placement);
    const wants: MachineWants = { images: [{ region: null, image: images.x86 ?? '' }] };
    expect(await lab.refusal(cloud.prepare(one, lab.authorizedKey, OWN, wants))).toMatch(
      /^invalid: the image .* is for x86_64, and m6g.large has processors of arm64/,
    );
  });

  test.each([
    ['ami-0123456789abcdef0', /^invalid: the image ami-0123456789abcdef0 is not in us-east-1/],
    ['my-image', /^invalid: image_id "my-image" names no image of AWS/],
    ['{eu-west-1: ami-0123456789abcdef0}', /^invalid: image_id names images for eu-west-1, and none for us-east-1/],
    ['resolve:ssm:/nobody/made/this', /^invalid: us-east-1 has no image at \/nobody\/made\/this/],
  ])('image_id %s is refused before anything is made, with the reason', async (image, reason) => {
    expect(
      await lab.refusal(cloud.offers(asked(`${SMALL}, image_id: '${image}'`.replace(/'(\{.*\})'/, '$1')))),
    ).toMatch(reason);
    expect((await account.ledger()).groups).toEqual([]);
  });

  test('an image without a region is refused where none is named, and one of Windows everywhere', async () => {
    expect(await lab.refusal(cloud.offers(asked(`infra: aws, image_id: ${images.x86}`)))).toMatch(
      /image of one region/,
    );
    expect(images.windows).not.toBe('');
    expect(await lab.refusal(cloud.offers(asked(`${SMALL}, image_id: ${images.windows}`)))).toMatch(/Windows/);
  });

  test('the size and the tier of the disk are those of the volume, and what they cost is counted', async () => {
    const price = async (more: string) => (await cloud.offers(asked(SMALL + more)))[0]?.disk?.hourlyCost ?? 0;
    const plain = await price('');
    expect(await price(', disk_size: 512')).toBeCloseTo(2 * plain, 6);
    expect(await price(', disk_tier: low')).toBeLessThan(plain);
    expect(await price(', disk_tier: high')).toBeGreaterThan(plain);
    // 20,000 operations of io2 cost about 1,300 dollars a month.
    expect(await price(', disk_tier: ultra')).toBeGreaterThan(1.5);
    for (const [more, ebs] of [
      ['disk_size: 300', { VolumeSize: '300', VolumeType: 'gp3' }],
      ['disk_tier: low', { VolumeSize: '256', VolumeType: 'standard' }],
      ['disk_tier: medium', { VolumeType: 'gp3', Iops: '3500', Throughput: '218' }],
      ['disk_tier: high', { VolumeType: 'gp3', Iops: '7000', Throughput: '437' }],
      ['disk_size: 15, disk_tier: best', { VolumeSize: '15', VolumeType: 'io2', Iops: '15000' }],
    ] as const) {
      const call = await lab.form(await lab.prepared(asked(`${SMALL}, ${more}`)));
      const fields = Object.keys(ebs).map((name) => [name, call.get(`BlockDeviceMapping.1.Ebs.${name}`)]);
      expect(Object.fromEntries(fields)).toEqual(ebs);
    }
    expect(await lab.refusal(cloud.offers(asked(`${SMALL}, disk_size: 2000, disk_tier: low`)))).toMatch(
      /^invalid: disk_size is 2000 GiB, and disks of AWS \(standard\) have 1024 at most/,
    );
    expect(await lab.refusal(lab.prepared(asked(`${SMALL}, disk_size: 1, image_id: ${images.x86}`)))).toMatch(
      /^invalid: disk_size is 1 GiB, and the image ami-\w+ needs \d+/,
    );
  });

  test('labels of the task and of the configuration are tags of all that is made, and never in place of our own', async () => {
    lab.configure('aws: {labels: {team: core, cost: "7"}}\n');
    const request = await lab.prepared(asked(`${SMALL}, labels: {team: other, "my key": "a/b=c"}`));
    const call = await lab.form(request);
    const [machine] = await cloud.list(request.placement, { tags: { team: 'other', cost: '7', 'my key': 'a/b=c' } });
    expect(machine?.placementKey).toBe(request.placement.key);
    expect([...call].filter(([name, value]) => /\.Key$/.test(name) && value === 'team')).toHaveLength(3);
    const owned = await cloud.owned('i');
    expect(owned.map(({ kind }) => kind).sort()).toEqual(expect.arrayContaining(['instance', 'security-group']));
    for (const [label, reason] of [
      ['"aws:x": y', /begin with aws:/],
      ['"Styx-Placement": y', /begin with styx-/],
      ['"a*b": y', /a name has letters/],
      [`x: "${'v'.repeat(257)}"`, /at most 256 characters/],
    ] as const) {
      expect(await lab.refusal(cloud.offers(asked(`${SMALL}, labels: {${label}}`)))).toMatch(reason);
    }
  });

  test('only the ports that are asked for are open, and others are opened and closed on machines that stand', async () => {
    expect(await openPorts(await lab.prepared(asked(SMALL)))).toEqual(['22']);
    const request = await lab.prepared(asked(`${SMALL}, ports: [8080, 9000-9010]`));
    expect(await openPorts(request)).toEqual(['22', '8080', '9000-9010']);
    await cloud.create(request);
    const { placement } = request;
    account.proxy.faults = [{ action: 'AuthorizeSecurityGroupIngress', times: 1, do: 'drop-after' }];
    await Promise.all([1, 2].map(() => cloud.setPorts(placement, placement.key, ['8080', '9000-9010', '50051'])));
    expect(await openPorts(request)).toEqual(['22', '50051', '8080', '9000-9010']);
    account.proxy.log.length = 0;
    await cloud.setPorts(placement, placement.key, ['8080', '50051']);
    expect(account.proxy.count('AuthorizeSecurityGroupIngress')).toBe(0);
    expect(await openPorts(request)).toEqual(['22', '50051', '8080']);
    const mine = { IpProtocol: 'tcp', FromPort: 5432, ToPort: 5432, IpRanges: [{ CidrIp: '203.0.113.0/24' }] };
    const GroupId = (await groupOf(request))?.GroupId;
    await lab.ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [mine] }));
    account.proxy.faults = [{ action: 'RevokeSecurityGroupIngress', times: 1, do: 'drop-after' }];
    await Promise.all([1, 2].map(() => cloud.setPorts(placement, placement.key, [])));
    expect(await openPorts(request)).toEqual(['22']);
    const rules = ((await groupOf(request))?.IpPermissions ?? []).map(
      ({ IpProtocol, FromPort }) => `${IpProtocol} ${FromPort ?? ''}`,
    );
    // Its nodes reach each other, and what somebody let in from elsewhere comes in.
    expect(rules.toSorted()).toEqual(['-1 ', 'tcp 22', 'tcp 5432']);
    await lab.endWhole(placement);
    expect(await lab.refusal(cloud.setPorts(placement, placement.key, ['1']))).toMatch(/^not-found: /);
  });

  test('machines get the instance profile that the configuration names for their cluster, and the user of their image', async () => {
    const role = { Action: 'CreateInstanceProfile', InstanceProfileName: 'trainers', Version: '2010-05-08' };
    const authorization = 'AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request';
    await fetch(account.direct, { method: 'POST', body: new URLSearchParams(role), headers: { authorization } });
    lab.configure('aws: {remote_identity: [{"train-*": trainers}, {"*": nobody}], ssh_user: ec2-user}\n');
    const request = await lab.prepared(asked(SMALL));
    const call = await lab.form(request);
    expect(call.get('IamInstanceProfile.Name')).toBe('trainers');
    const [machine] = await cloud.list(request.placement, { placementKey: request.placement.key });
    expect(machine?.user).toBe('ec2-user');
    const policy = JSON.parse(await cloud.policy()) as { Statement: { Sid: string; Resource: unknown }[] };
    expect(policy.Statement.find(({ Sid }) => Sid === 'StyxGivesProfiles')?.Resource).toEqual([
      'arn:aws:iam::*:role/trainers',
      'arn:aws:iam::*:role/nobody',
    ]);
    lab.configure('aws: {remote_identity: LOCAL_CREDENTIALS}\n');
    expect(await lab.refusal(lab.prepared(asked(SMALL)))).toMatch(
      /^invalid: aws.remote_identity is LOCAL_CREDENTIALS, and Styx puts no/,
    );
  });
});
