/** All that Styx ever asks of AWS. What is not in this list cannot be called, and the policy is made of it. */
import type * as Ec2 from '@aws-sdk/client-ec2';
import type * as Quotas from '@aws-sdk/client-service-quotas';
import type * as Ssm from '@aws-sdk/client-ssm';
import type * as Sts from '@aws-sdk/client-sts';

export interface Calls {
  'ec2:AuthorizeSecurityGroupEgress': [Ec2.AuthorizeSecurityGroupEgressRequest, Ec2.AuthorizeSecurityGroupEgressResult];
  'ec2:AuthorizeSecurityGroupIngress': [
    Ec2.AuthorizeSecurityGroupIngressRequest,
    Ec2.AuthorizeSecurityGroupIngressResult,
  ];
  'ec2:CancelSpotInstanceRequests': [Ec2.CancelSpotInstanceRequestsRequest, Ec2.CancelSpotInstanceRequestsResult];
  'ec2:CreatePlacementGroup': [Ec2.CreatePlacementGroupRequest, Ec2.CreatePlacementGroupResult];
  'ec2:CreateSecurityGroup': [Ec2.CreateSecurityGroupRequest, Ec2.CreateSecurityGroupResult];
  'ec2:DeleteNetworkInterface': [Ec2.DeleteNetworkInterfaceRequest, object];
  'ec2:DeletePlacementGroup': [Ec2.DeletePlacementGroupRequest, object];
  'ec2:DeleteSecurityGroup': [Ec2.DeleteSecurityGroupRequest, object];
  'ec2:DeleteVolume': [Ec2.DeleteVolumeRequest, object];
  'ec2:DescribeCapacityReservations': [Ec2.DescribeCapacityReservationsRequest, Ec2.DescribeCapacityReservationsResult];
  'ec2:DescribeImages': [Ec2.DescribeImagesRequest, Ec2.DescribeImagesResult];
  'ec2:DescribeInstances': [Ec2.DescribeInstancesRequest, Ec2.DescribeInstancesResult];
  'ec2:DescribeInstanceTypeOfferings': [
    Ec2.DescribeInstanceTypeOfferingsRequest,
    Ec2.DescribeInstanceTypeOfferingsResult,
  ];
  'ec2:DescribeInstanceTypes': [Ec2.DescribeInstanceTypesRequest, Ec2.DescribeInstanceTypesResult];
  'ec2:DescribeNetworkInterfaces': [Ec2.DescribeNetworkInterfacesRequest, Ec2.DescribeNetworkInterfacesResult];
  'ec2:DescribePlacementGroups': [Ec2.DescribePlacementGroupsRequest, Ec2.DescribePlacementGroupsResult];
  'ec2:DescribeRegions': [Ec2.DescribeRegionsRequest, Ec2.DescribeRegionsResult];
  'ec2:DescribeSecurityGroups': [Ec2.DescribeSecurityGroupsRequest, Ec2.DescribeSecurityGroupsResult];
  'ec2:DescribeSpotInstanceRequests': [Ec2.DescribeSpotInstanceRequestsRequest, Ec2.DescribeSpotInstanceRequestsResult];
  'ec2:DescribeSubnets': [Ec2.DescribeSubnetsRequest, Ec2.DescribeSubnetsResult];
  'ec2:DescribeVolumes': [Ec2.DescribeVolumesRequest, Ec2.DescribeVolumesResult];
  'ec2:DescribeVpcs': [Ec2.DescribeVpcsRequest, Ec2.DescribeVpcsResult];
  'ec2:ModifyInstanceAttribute': [Ec2.ModifyInstanceAttributeRequest, object];
  'ec2:RevokeSecurityGroupIngress': [Ec2.RevokeSecurityGroupIngressRequest, Ec2.RevokeSecurityGroupIngressResult];
  'ec2:RunInstances': [Ec2.RunInstancesRequest, Ec2.Reservation];
  'ec2:StartInstances': [Ec2.StartInstancesRequest, Ec2.StartInstancesResult];
  'ec2:StopInstances': [Ec2.StopInstancesRequest, Ec2.StopInstancesResult];
  'ec2:TerminateInstances': [Ec2.TerminateInstancesRequest, Ec2.TerminateInstancesResult];
  'servicequotas:GetServiceQuota': [Quotas.GetServiceQuotaRequest, Quotas.GetServiceQuotaResponse];
  'ssm:GetParameters': [Ssm.GetParametersRequest, Ssm.GetParametersResult];
  'sts:GetCallerIdentity': [Sts.GetCallerIdentityRequest, Sts.GetCallerIdentityResponse];
}

export type Action = keyof Calls;

/** What an action does to an account: reading is free of harm; `make` only adds what is ours; `own` touches only what carries our tag. */
type Reach = 'read' | 'make' | 'own';

export const ACTIONS: Readonly<Record<Action, Reach>> = {
  'ec2:AuthorizeSecurityGroupEgress': 'own',
  'ec2:AuthorizeSecurityGroupIngress': 'own',
  'ec2:CancelSpotInstanceRequests': 'own',
  'ec2:CreatePlacementGroup': 'make',
  'ec2:CreateSecurityGroup': 'make',
  'ec2:DeleteNetworkInterface': 'own',
  'ec2:DeletePlacementGroup': 'own',
  'ec2:DeleteSecurityGroup': 'own',
  'ec2:DeleteVolume': 'own',
  'ec2:DescribeCapacityReservations': 'read',
  'ec2:DescribeImages': 'read',
  'ec2:DescribeInstances': 'read',
  'ec2:DescribeInstanceTypeOfferings': 'read',
  'ec2:DescribeInstanceTypes': 'read',
  'ec2:DescribeNetworkInterfaces': 'read',
  'ec2:DescribePlacementGroups': 'read',
  'ec2:DescribeRegions': 'read',
  'ec2:DescribeSecurityGroups': 'read',
  'ec2:DescribeSpotInstanceRequests': 'read',
  'ec2:DescribeSubnets': 'read',
  'ec2:DescribeVolumes': 'read',
  'ec2:DescribeVpcs': 'read',
  'ec2:ModifyInstanceAttribute': 'own',
  'ec2:RevokeSecurityGroupIngress': 'own',
  'ec2:RunInstances': 'make',
  'ec2:StartInstances': 'own',
  'ec2:StopInstances': 'own',
  'ec2:TerminateInstances': 'own',
  'servicequotas:GetServiceQuota': 'read',
  'ssm:GetParameters': 'read',
  'sts:GetCallerIdentity': 'read',
};

/** On everything that Styx makes; the policy allows changes of nothing else. */
export const PLACEMENT_TAG = 'styx-placement';
/** On a security group, of which EC2 does not tell the age: milliseconds since the epoch. */
export const MADE_TAG = 'styx-made-at';

export function isAction(name: string): name is Action {
  return Object.hasOwn(ACTIONS, name);
}

/**
 * The least rights, as an IAM policy document. `profiles`: instance profiles that machines may be given, by name or ARN; the role in one
 * is taken to have its name, as the console makes them.
 */
export function policyDocument(profiles: readonly string[] = []): object {
  const of = (reach: Reach): string[] =>
    (Object.keys(ACTIONS) as Action[]).filter((action) => ACTIONS[action] === reach);
  return {
    Version: '2012-10-17',
    Statement: [
      { Sid: 'StyxReads', Effect: 'Allow', Action: of('read'), Resource: '*' },
      { Sid: 'StyxMakes', Effect: 'Allow', Action: of('make'), Resource: '*' },
      {
        // Tags are given by the calls that make things, and cannot be put on what others made.
        Sid: 'StyxTagsWhatItMakes',
        Effect: 'Allow',
        Action: 'ec2:CreateTags',
        Resource: '*',
        Condition: { StringEquals: { 'ec2:CreateAction': of('make').map((action) => action.split(':')[1]) } },
      },
      {
        Sid: 'StyxChangesWhatItMade',
        Effect: 'Allow',
        Action: of('own'),
        Resource: '*',
        Condition: { Null: { [`aws:ResourceTag/${PLACEMENT_TAG}`]: 'false' } },
      },
      {
        // The first spot machine of an account makes this role.
        Sid: 'StyxSpot',
        Effect: 'Allow',
        Action: 'iam:CreateServiceLinkedRole',
        Resource: '*',
        Condition: { StringEquals: { 'iam:AWSServiceName': 'spot.amazonaws.com' } },
      },
      ...(profiles.length === 0
        ? []
        : [
            {
              Sid: 'StyxGivesProfiles',
              Effect: 'Allow',
              Action: 'iam:PassRole',
              Resource: profiles.map((profile) => `arn:aws:iam::*:role/${profile.split('/').at(-1)}`),
              Condition: { StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
            },
          ]),
    ],
  };
}
