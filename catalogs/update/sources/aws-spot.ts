/** EC2's spot prices of now: DescribeSpotPriceHistory from now on answers the price that holds in each zone. */
import { StyxError } from '../../../model/errors.ts';
import { rounded } from '../reading.ts';
import type { SpotApi, SpotReader } from '../spot.ts';

/** Some thousand prices a region, a thousand a page; a list that goes round in circles ends here. */
const MAX_PAGES = 200;
const PAGE = 1_000;
const TIMEOUT_MS = 60_000;

/** A region that the account has not switched on answers as if the credentials were wrong. */
const NOT_THIS_REGION = new Set(['AuthFailure', 'OptInRequired', 'InvalidClientTokenId']);
const REFUSED = new Set([
  'UnauthorizedOperation',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'RequestExpired',
  'UnrecognizedClientException',
]);

export const AWS_SPOT: SpotApi = {
  from: 'EC2 DescribeSpotPriceHistory, the mean of the zones',

  async open({ tries }) {
    const { EC2Client, paginateDescribeSpotPriceHistory } = await import('@aws-sdk/client-ec2');
    const client = (region: string) => new EC2Client({ region, maxAttempts: tries });
    // The chain of the SDK: environment, files, SSO, roles of machines.
    const probe = client('us-east-1');
    try {
      await probe.config.credentials();
    } catch (error) {
      throw new StyxError('auth', `there are no credentials of aws: ${(error as Error).message}`, {
        hint: 'Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of whoever may call ec2:DescribeSpotPriceHistory.',
        cause: error,
      });
    } finally {
      probe.destroy();
    }
    const reader: SpotReader = {
      source: process.env.AWS_ENDPOINT_URL_EC2 || process.env.AWS_ENDPOINT_URL || 'ec2.amazonaws.com',
      async read(region) {
        const ec2 = client(region);
        try {
          const zones = new Map<string, Map<string, { price: number; at: number }>>();
          const now = new Date();
          const pages = paginateDescribeSpotPriceHistory(
            { client: ec2, pageSize: PAGE, stopOnSameToken: true },
            { StartTime: now, EndTime: now, ProductDescriptions: ['Linux/UNIX'] },
            { abortSignal: AbortSignal.timeout(TIMEOUT_MS * tries) },
          );
          let count = 0;
          for await (const { SpotPriceHistory = [] } of pages) {
            if (++count > MAX_PAGES) throw new StyxError('invalid', `spot prices of ${region} do not end`);
            for (const { InstanceType, AvailabilityZone, SpotPrice, Timestamp } of SpotPriceHistory) {
              const price = Number(SpotPrice);
              if (InstanceType === undefined || AvailabilityZone === undefined || !(price > 0)) {
                throw new StyxError('invalid', `${region} has the spot price ${SpotPrice} of ${InstanceType}`);
              }
              const byZone = zones.get(InstanceType) ?? new Map<string, { price: number; at: number }>();
              const at = Timestamp?.getTime() ?? 0;
              // An answer may have older prices of a zone too: the newest holds.
              if (at >= (byZone.get(AvailabilityZone)?.at ?? -1)) byZone.set(AvailabilityZone, { price, at });
              zones.set(InstanceType, byZone);
            }
          }
          return Object.fromEntries([...zones].map(([type, byZone]) => [type, mean([...byZone.values()])]));
        } catch (error) {
          throw asStyxError(error, region);
        } finally {
          ec2.destroy();
        }
      },
      close: () => undefined,
    };
    return reader;
  },
};

function mean(zones: readonly { readonly price: number }[]): number {
  return rounded(zones.reduce((sum, { price }) => sum + price, 0) / zones.length);
}

function asStyxError(error: unknown, region: string): StyxError {
  if (error instanceof StyxError) return error;
  const { name = 'Error', message = String(error) } = error as Partial<Error>;
  const text = `EC2 of ${region} answered ${name}: ${message}`;
  if (REFUSED.has(name)) return new StyxError('auth', text, { cause: error });
  if (NOT_THIS_REGION.has(name)) {
    return new StyxError('invalid', `${text} (is the region switched on for this account?)`, { cause: error });
  }
  const throttled = /Throttl|RequestLimitExceeded|TooManyRequests/.test(name);
  return new StyxError(throttled ? 'throttled' : 'transient', text, { cause: error });
}
