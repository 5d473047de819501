/** What clouds can give for a request now. */
import { alternativesOf, mayBeOf, mergeOffers } from '../model/alternatives.ts';
import { StyxError } from '../model/errors.ts';
import { affordable } from '../model/machine-wants.ts';
import { type InstanceTypeOffer, nodeHourly, type ResourceRequest } from '../model/machines.ts';
import type { Cloud } from './cloud.ts';

/** By all alternatives of the request, best first; and why some clouds could not answer. */
export async function offersOf(
  clouds: readonly Cloud[],
  request: ResourceRequest,
): Promise<{ offers: InstanceTypeOffer[]; reasons: unknown[] }> {
  const reasons: unknown[] = [];
  const ask = async (one: ResourceRequest): Promise<InstanceTypeOffer[]> => {
    const asked = clouds.filter(({ name }) => mayBeOf(name, one));
    const answers = await Promise.allSettled(asked.map((cloud) => offersFrom(cloud, one)));
    for (const answer of answers) if (answer.status === 'rejected') reasons.push(answer.reason);
    const all = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    return affordable(all, one.wants);
  };
  const byAlternative = await Promise.all(alternativesOf(request).map(ask));
  return { offers: mergeOffers(request, byAlternative, nodeHourly), reasons };
}

async function offersFrom(cloud: Cloud, request: ResourceRequest): Promise<InstanceTypeOffer[]> {
  const { container } = request.wants ?? {};
  if (container === undefined) return await cloud.offers(request);
  const { wholeMachines } = await cloud.capabilities();
  if (wholeMachines === true) return await cloud.offers(request);
  throw new StyxError('invalid', `image_id names the container ${container.image.slice(0, 200)}: ${wholeMachines}`);
}
