/** Who we are and what we may do, found out without changing anything: EC2 answers a dry run with what it would have said. */
import { StyxError } from '../../model/errors.ts';
import type { Action, Calls } from './actions.ts';
import type { Api } from './api.ts';
import { causeCode } from './network.ts';

const NO_GROUP = 'sg-00000000000000000';
const NO_INSTANCE = 'i-00000000000000000';
const NO_RULE = { GroupId: NO_GROUP, IpPermissions: [{ IpProtocol: 'tcp', FromPort: 22, ToPort: 22 }] };

/**
 * Input with which every action can be tried without effect: of EC2 as a dry run, of the others since they only read. An answer about
 * what does not exist is as good as a yes.
 */
const DRY: { readonly [A in Action]: Calls[A][0] } = {
  'ec2:AuthorizeSecurityGroupEgress': NO_RULE,
  'ec2:AuthorizeSecurityGroupIngress': NO_RULE,
  'ec2:CancelSpotInstanceRequests': { SpotInstanceRequestIds: ['sir-00000000'] },
  'ec2:CreatePlacementGroup': { GroupName: 'styx-dry-run', Strategy: 'cluster' },
  'ec2:CreateSecurityGroup': { GroupName: 'styx-dry-run', Description: 'never made' },
  'ec2:DeleteNetworkInterface': { NetworkInterfaceId: 'eni-00000000000000000' },
  'ec2:DeletePlacementGroup': { GroupName: 'styx-dry-run' },
  'ec2:DeleteSecurityGroup': { GroupId: NO_GROUP },
  'ec2:DeleteVolume': { VolumeId: 'vol-00000000000000000' },
  'ec2:DescribeCapacityReservations': {},
  'ec2:DescribeImages': { ImageIds: ['ami-00000000000000000'] },
  'ec2:DescribeInstances': {},
  'ec2:DescribeInstanceTypeOfferings': {},
  'ec2:DescribeInstanceTypes': { InstanceTypes: ['m5.large'] },
  'ec2:DescribeNetworkInterfaces': {},
  'ec2:DescribePlacementGroups': {},
  'ec2:DescribeRegions': {},
  'ec2:DescribeSecurityGroups': {},
  'ec2:DescribeSpotInstanceRequests': {},
  'ec2:DescribeSubnets': {},
  'ec2:DescribeVolumes': {},
  'ec2:DescribeVpcs': {},
  'ec2:ModifyInstanceAttribute': { InstanceId: NO_INSTANCE, InstanceInitiatedShutdownBehavior: { Value: 'stop' } },
  'ec2:RevokeSecurityGroupIngress': NO_RULE,
  'ec2:RunInstances': { MinCount: 1, MaxCount: 1, ImageId: 'ami-00000000000000000', InstanceType: 't3.micro' },
  'ec2:StartInstances': { InstanceIds: [NO_INSTANCE] },
  'ec2:StopInstances': { InstanceIds: [NO_INSTANCE] },
  'ec2:TerminateInstances': { InstanceIds: [NO_INSTANCE] },
  'servicequotas:GetServiceQuota': { ServiceCode: 'ec2', QuotaCode: 'L-1216C47A' },
  'ssm:GetParameters': {
    Names: ['/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id'],
  },
  'sts:GetCallerIdentity': {},
};

const REFUSED = /^(UnauthorizedOperation|AccessDenied|AccessDeniedException)$/;

export interface Identity {
  readonly account: string;
  readonly arn: string;
}

/** @throws auth */
export async function identityOf(api: Api): Promise<Identity> {
  const { Account = '', Arn = '' } = await api.call(await api.homeRegion(), 'sts:GetCallerIdentity', {});
  return { account: Account, arn: Arn };
}

/** Actions that are refused. @throws what says that the cloud cannot be asked now */
export async function missingRights(api: Api): Promise<Action[]> {
  const region = await api.homeRegion();
  const tried = Object.entries(DRY) as [Action, Calls[Action][0]][];
  const answers = await Promise.all(
    tried.map(([action, input]) =>
      isRefused(api, region, action, /^ec2:/.test(action) ? { ...input, DryRun: true } : input),
    ),
  );
  return tried.flatMap(([action], index) => (answers[index] ? [action] : []));
}

async function isRefused(api: Api, region: string, action: Action, input: object): Promise<boolean> {
  try {
    await api.call(region, action, input as never);
    return false;
  } catch (error) {
    if (REFUSED.test(causeCode(error))) return true;
    // Anything but a dry run's own answers: the cloud cannot be asked now.
    if (error instanceof StyxError && ['throttled', 'transient', 'auth', 'internal'].includes(error.kind)) throw error;
    return false;
  }
}
