/** What the clouds say, read in this process: credentials, and what they could give now. Changes nothing. */
import type { CloudCheck } from '../clouds/cloud.ts';
import { StyxError } from '../model/errors.ts';
import type { InstanceTypeOffer, ResourceRequest } from '../model/machines.ts';

export interface CloudReport {
  readonly cloud: string;
  /** Null when the cloud could not be asked. */
  readonly check: CloudCheck | null;
  readonly error: string | null;
}

/** Looks at the credentials of these clouds; none named: all. @throws invalid for a name that is no cloud's */
export async function checkClouds(names: readonly string[] = []): Promise<CloudReport[]> {
  const { cloudNamed, cloudNames } = await import('../clouds/registry.ts');
  const clouds = await Promise.all((names.length === 0 ? cloudNames() : [...new Set(names)]).map(cloudNamed));
  return await Promise.all(
    clouds.map(async (cloud): Promise<CloudReport> => {
      try {
        return { cloud: cloud.name, check: await cloud.check(), error: null };
      } catch (error) {
        return { cloud: cloud.name, check: null, error: cloud.classify(error).message };
      }
    }),
  );
}

/**
 * A preview of what a launch would try, best first: what the clouds offer as seen from here. The launch itself asks again,
 * from the worker.
 * @throws invalid when the request can never be met
 */
export async function previewOffers(request: ResourceRequest): Promise<InstanceTypeOffer[]> {
  const { cloudNamed, cloudNames } = await import('../clouds/registry.ts');
  const clouds = await Promise.all((request.cloud === null ? cloudNames() : [request.cloud]).map(cloudNamed));
  const answers = await Promise.allSettled(clouds.map((cloud) => cloud.offers(request)));
  const offers = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const failed = answers.find((answer) => answer.status === 'rejected');
  if (offers.length === 0 && failed !== undefined) {
    const { reason } = failed;
    throw reason instanceof StyxError ? reason : new StyxError('internal', String(reason), { cause: reason });
  }
  return offers.sort((a, b) => a.hourlyCost - b.hourlyCost);
}
