/** Errors of AWS by their codes. What happens next is decided by the kind alone; messages are for people. */
import { type ErrorKind, StyxError } from '../../model/errors.ts';

const EC2 = 'docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html';
const COMMON = 'docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonErrors.html';
const STS = 'docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html';
const SDK = 'the SDK for JavaScript, before it asks anybody';

interface Meaning {
  readonly kind: ErrorKind;
  readonly source: string;
  readonly hint?: string;
}

function meanings(kind: ErrorKind, source: string, codes: string, hint?: string): [string, Meaning][] {
  return codes.split(' ').map((code) => [code, hint === undefined ? { kind, source } : { kind, source, hint }]);
}

const QUOTA_HINT =
  'Ask for more at https://console.aws.amazon.com/servicequotas/home/services/ec2/quotas, or use another region.';
const EXPIRED_HINT = 'Renew the credentials (for single sign-on: `aws sso login`); what waits goes on by itself.';
const CLOCK_HINT = "Set this machine's clock: AWS refuses requests whose time is more than 5 minutes off.";

/** Every code that Styx expects, with where its meaning is told. A code that is not here is judged by its HTTP status. */
export const CODES: ReadonlyMap<string, Meaning> = new Map([
  ...meanings(
    'capacity',
    EC2,
    'InsufficientInstanceCapacity InsufficientHostCapacity InsufficientReservedInstanceCapacity',
  ),
  ...meanings('capacity', EC2, 'InsufficientCapacity InsufficientCapacityOnHost ReservationCapacityExceeded'),
  ...meanings('capacity', EC2, 'SpotMaxPriceTooLow InsufficientVolumeCapacity'),
  ...meanings(
    'capacity',
    EC2,
    'InsufficientFreeAddressesInSubnet InsufficientAddressCapacity Server.InsufficientInstanceCapacity',
  ),
  // The type is not there in this zone: another zone may have it.
  ...meanings('capacity', EC2, 'Unsupported UnsupportedHibernationConfiguration'),
  ...meanings('quota', EC2, 'VcpuLimitExceeded InstanceLimitExceeded MaxSpotInstanceCountExceeded', QUOTA_HINT),
  ...meanings('quota', EC2, 'VolumeLimitExceeded MaxIOPSLimitExceeded AddressLimitExceeded', QUOTA_HINT),
  ...meanings('quota', EC2, 'SecurityGroupLimitExceeded RulesPerSecurityGroupLimitExceeded', QUOTA_HINT),
  ...meanings('quota', EC2, 'NetworkInterfaceLimitExceeded PrivateIpAddressLimitExceeded', QUOTA_HINT),
  ...meanings('quota', EC2, 'SecurityGroupsPerInterfaceLimitExceeded ResourceLimitExceeded', QUOTA_HINT),
  ...meanings('quota', EC2, 'PendingVerification', 'AWS is checking your account; it takes minutes, at times hours.'),
  // Of a region that was not switched on: the others work.
  ...meanings('quota', EC2, 'OptInRequired', 'Switch the region on in the account settings, or use another region.'),
  ...meanings(
    'auth',
    COMMON,
    'UnauthorizedOperation AccessDenied AccessDeniedException',
    '`styx check aws --policy` prints the rights that Styx needs.',
  ),
  ...meanings(
    'auth',
    COMMON,
    'AuthFailure InvalidClientTokenId UnrecognizedClientException MissingAuthenticationToken',
  ),
  ...meanings('auth', COMMON, 'SignatureDoesNotMatch InvalidSignatureException IncompleteSignature InvalidAccessKeyId'),
  ...meanings('auth', EC2, 'Blocked ValidationError.AccountBlocked OperationNotPermitted.Account'),
  ...meanings('auth', STS, 'ExpiredToken ExpiredTokenException TokenRefreshRequired', EXPIRED_HINT),
  ...meanings(
    'auth',
    SDK,
    'CredentialsProviderError TokenProviderError',
    'Run `aws configure` or `aws sso login`, or set AWS_PROFILE.',
  ),
  ...meanings('auth', COMMON, 'RequestExpired RequestTimeTooSkewed RequestInTheFuture', CLOCK_HINT),
  ...meanings(
    'not-found',
    EC2,
    'InvalidInstanceID.NotFound InvalidInstanceID.Malformed InvalidGroup.NotFound InvalidGroupId.Malformed',
  ),
  ...meanings(
    'not-found',
    EC2,
    'InvalidVolume.NotFound InvalidSpotInstanceRequestID.NotFound IdempotentInstanceTerminated InvalidPlacementGroup.Unknown',
  ),
  ...meanings(
    'invalid',
    EC2,
    'InvalidAMIID.NotFound InvalidAMIID.Malformed InvalidAMIID.Unavailable InvalidAMIID.NotAvailable',
  ),
  ...meanings('invalid', EC2, 'InvalidSubnetID.NotFound InvalidSubnet.NotFound InvalidVpcID.NotFound InvalidParameter'),
  ...meanings('invalid', EC2, 'InvalidParameterValue InvalidParameterCombination MissingParameter UnknownParameter'),
  ...meanings('invalid', EC2, 'IdempotentParameterMismatch InvalidBlockDeviceMapping InvalidUserData.Malformed'),
  ...meanings('invalid', EC2, 'UnsupportedOperation OperationNotPermitted InvalidIamInstanceProfile.NotFound'),
  ...meanings('invalid', EC2, 'InvalidKeyPair.NotFound VPCIdNotSpecified DefaultVpcDoesNotExist ValidationError'),
  ...meanings('invalid', EC2, 'ParameterNotFound NoSuchResourceException DryRunOperation InvalidInstanceType'),
  ...meanings('throttled', COMMON, 'RequestLimitExceeded Throttling ThrottlingException RequestThrottled'),
  ...meanings('throttled', COMMON, 'ThrottledException TooManyRequestsException EC2ThrottledException SlowDown'),
  ...meanings('throttled', COMMON, 'BandwidthLimitExceeded RequestThrottledException Client.RequestLimitExceeded'),
  ...meanings(
    'transient',
    EC2,
    'DependencyViolation InvalidGroup.InUse InvalidPlacementGroup.InUse InvalidNetworkInterface.InUse IncorrectInstanceState IncorrectState VolumeInUse',
  ),
  ...meanings(
    'transient',
    EC2,
    'InvalidGroup.Duplicate InvalidPlacementGroup.Duplicate InvalidPermission.Duplicate ResourceCountExceeded',
  ),
  ...meanings(
    'transient',
    COMMON,
    'InternalError InternalFailure ServiceUnavailable Unavailable ServerInternal InternalServerError',
  ),
  ...meanings('transient', COMMON, 'RequestTimeout RequestTimeoutException TimeoutError PriorRequestNotComplete'),
  ...meanings(
    'transient',
    SDK,
    'ECONNRESET ECONNREFUSED ECONNABORTED EPIPE ETIMEDOUT ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH',
  ),
]);

/** The provider's code: of an answer its name, of a broken connection Node's code. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { Code, name, code } = error as { Code?: unknown; name?: unknown; code?: unknown };
  const given = [Code, name, code].filter((one): one is string => typeof one === 'string');
  return given.find((one) => CODES.has(one)) ?? given.find((one) => one !== 'Error') ?? '';
}

/** What has no text of its own, such as an object without prototype, is told as such. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'an error without any words';
  }
}

interface Answered {
  readonly message?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly clockSkewCorrected?: boolean };
  readonly $response?: unknown;
}

export function classify(error: unknown): StyxError {
  if (error instanceof StyxError) return error;
  const { message, $metadata, $response } = (error ?? {}) as Answered;
  const code = codeOf(error);
  const said = typeof message === 'string' && message !== '' ? message : textOf(error);
  const text = code === '' || said.startsWith(code) ? `AWS: ${said}` : `AWS: ${code}: ${said}`;
  const meaning = CODES.get(code);
  if (meaning !== undefined) {
    const { kind, hint } = isClock(code, said) ? { kind: 'auth' as const, hint: CLOCK_HINT } : meaning;
    return new StyxError(kind, readable(text), hint === undefined ? { cause: error } : { cause: error, hint });
  }
  return new StyxError(kindByStatus($metadata?.httpStatusCode, code, $response), readable(text), { cause: error });
}

function kindByStatus(status: number | undefined, code: string, response: unknown): ErrorKind {
  if (/\.NotFound$/.test(code)) return 'not-found';
  if (/LimitExceeded$/.test(code)) return 'quota';
  if (/^Insufficient/.test(code)) return 'capacity';
  if (/Thrott/.test(code)) return 'throttled';
  if (status === undefined) return response === undefined ? 'internal' : 'transient';
  if (status === 429) return 'throttled';
  if (status >= 500) return 'transient';
  if (status === 401 || status === 403) return 'auth';
  // An answer that began well and cannot be read was cut off on its way.
  return status < 400 ? 'transient' : 'invalid';
}

/** Services that sign with the time say so under the name of a signature that does not fit. */
function isClock(code: string, message: string): boolean {
  return (
    /^(InvalidSignatureException|SignatureDoesNotMatch|AuthFailure)$/.test(code) &&
    /expired|not yet current/i.test(message)
  );
}

/** The message of a refusal ends with a blob that only AWS can read: told apart, so that people see the sentence. */
function readable(text: string): string {
  return text.replace(/\s*Encoded authorization failure message: \S+/, '').slice(0, 1_000);
}
