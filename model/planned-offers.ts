/** Offers of a plan against those of now. */
import { canonicalJson } from './canonical-json.ts';
import type { InstanceTypeOffer } from './machines.ts';

export interface OfferChange {
  /** Null: it is offered now and was not planned. */
  readonly planned: InstanceTypeOffer | null;
  /** Null: it is offered no more. */
  readonly now: InstanceTypeOffer | null;
}

function placeKey({ cloud, region, zone, instanceType, useSpot }: InstanceTypeOffer): string {
  return JSON.stringify([cloud, region, zone, instanceType, useSpot]);
}

function byPlace(offers: readonly InstanceTypeOffer[]): Map<string, InstanceTypeOffer> {
  return new Map(offers.map((offer) => [placeKey(offer), offer]));
}

/** The same machine in the same place, whatever it costs. */
function isSameMachine(a: InstanceTypeOffer, b: InstanceTypeOffer): boolean {
  return canonicalJson({ ...a, hourlyCost: 0 }) === canonicalJson({ ...b, hourlyCost: 0 });
}

/** What can still be had as planned, or for less; in the plan's order, at the prices of now. */
export function leftOf(planned: readonly InstanceTypeOffer[], now: readonly InstanceTypeOffer[]): InstanceTypeOffer[] {
  const offered = byPlace(now);
  return planned.flatMap((one) => {
    const found = offered.get(placeKey(one));
    return found !== undefined && isSameMachine(one, found) && found.hourlyCost <= one.hourlyCost ? [found] : [];
  });
}

/** Planned offers that are gone or are not as they were, in the plan's order. */
export function changesOf(planned: readonly InstanceTypeOffer[], now: readonly InstanceTypeOffer[]): OfferChange[] {
  const offered = byPlace(now);
  return planned
    .map((one) => ({ planned: one, now: offered.get(placeKey(one)) ?? null }))
    .filter((one) => canonicalJson(one.planned) !== canonicalJson(one.now));
}

/** Offers of now that are not planned. */
export function additionsTo(planned: readonly InstanceTypeOffer[], now: readonly InstanceTypeOffer[]): OfferChange[] {
  const known = byPlace(planned);
  return now.filter((one) => !known.has(placeKey(one))).map((one) => ({ planned: null, now: one }));
}
