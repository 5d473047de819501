/** A request for machines of which several kinds would do: `any_of`, `ordered`, and several names of accelerators. */
import type { InstanceTypeOffer, MachineChoice, ResourceRequest } from './machines.ts';

/** More than this are refused: all are asked for at every cloud. */
export const MOST_ALTERNATIVES = 200;

/** The request by each of its alternatives, in their order; by itself when it has one only. */
export function alternativesOf({ others = [], inOrder: _inOrder, ...first }: ResourceRequest): ResourceRequest[] {
  return [first, ...others.map((choice: MachineChoice) => ({ ...first, ...choice }))];
}

export function choiceOf({
  cloud,
  region,
  zone,
  instanceType,
  cpus,
  memory,
  accelerators,
  useSpot,
}: MachineChoice): MachineChoice {
  return { cloud, region, zone, instanceType, cpus, memory, accelerators, useSpot };
}

/** May machines of this cloud come into question? */
export function mayBeOf(cloud: string, request: ResourceRequest): boolean {
  const { clouds } = request;
  const named = alternativesOf(request).some((one) => one.cloud === null || one.cloud === cloud);
  return named && (clouds?.includes(cloud) ?? true);
}

/** @param price by which offers of equal standing are ordered */
export function mergeOffers(
  { inOrder = false }: Pick<ResourceRequest, 'inOrder'>,
  byAlternative: readonly (readonly InstanceTypeOffer[])[],
  price: (offer: InstanceTypeOffer) => number,
): InstanceTypeOffer[] {
  const sorted = (offers: readonly InstanceTypeOffer[]) => offers.toSorted((a, b) => price(a) - price(b));
  const all = inOrder ? byAlternative.flatMap(sorted) : sorted(byAlternative.flat());
  const seen = new Set<string>();
  return all.filter(({ cloud, region, zone, instanceType, useSpot, accelerators }) => {
    const key = JSON.stringify([cloud, region, zone, instanceType, useSpot, accelerators]);
    return !seen.has(key) && seen.add(key);
  });
}
