/** The clouds that say their prices by an API. */
import { StyxError } from '../../model/errors.ts';
import { nearestWord } from '../../model/spelling.ts';
import type { PriceApi } from './source.ts';
import { AWS } from './sources/aws.ts';
import { AZURE } from './sources/azure.ts';
import { DIGITALOCEAN } from './sources/digitalocean.ts';
import { GCP } from './sources/gcp.ts';
import { LAMBDA } from './sources/lambda.ts';
import { OCI } from './sources/oci.ts';
import { RUNPOD } from './sources/runpod.ts';
import { VAST } from './sources/vast.ts';

export const PRICE_APIS: readonly PriceApi<unknown>[] = [AWS, AZURE, DIGITALOCEAN, GCP, LAMBDA, OCI, RUNPOD, VAST];

/** @throws invalid, with those that can be fetched */
export function findPriceApi(cloud: string): PriceApi<unknown> {
  const found = PRICE_APIS.find((api) => api.cloud === cloud.toLowerCase());
  if (found !== undefined) return found;
  const clouds = PRICE_APIS.map((api) => api.cloud);
  const near = nearestWord(cloud, clouds);
  throw new StyxError('invalid', `prices of ${JSON.stringify(cloud.slice(0, 64))} cannot be fetched`, {
    hint: near === null ? `Those of ${clouds.join(', ')} can.` : `Did you mean ${near}?`,
  });
}
