/** Offers of a plan against those of now. */
import { canonicalJson } from './canonical-json.ts';
import { type InstanceTypeOffer, nodeHourly } from './machines.ts';

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
  const bare = (one: InstanceTypeOffer) => {
    const { disk, noStop: _, ...rest } = one;
    return canonicalJson({ ...rest, hourlyCost: 0, diskSize: disk?.size ?? null });
  };
  return bare(a) === bare(b);
}

/** A plan of a version that did not know disks says nothing of them, and is held against offers without theirs. */
function asPlanned(planned: InstanceTypeOffer, now: InstanceTypeOffer): InstanceTypeOffer {
  if (planned.disk !== undefined) return now;
  const { disk: _, ...rest } = now;
  return rest;
}

/** What can still be had as planned, or for less; in the plan's order, at the prices of now. */
export function leftOf(planned: readonly InstanceTypeOffer[], now: readonly InstanceTypeOffer[]): InstanceTypeOffer[] {
  const offered = byPlace(now);
  return planned.flatMap((one) => {
    const found = offered.get(placeKey(one));
    if (found === undefined) return [];
    const alike = asPlanned(one, found);
    return isSameMachine(one, alike) && nodeHourly(alike) <= nodeHourly(one) ? [found] : [];
  });
}

/** Planned offers that are gone or are not as they were, in the plan's order. */
export function changesOf(planned: readonly InstanceTypeOffer[], now: readonly InstanceTypeOffer[]): OfferChange[] {
  const offered = byPlace(now);
  return planned
    .map((one) => {
      const found = offered.get(placeKey(one));
      return { planned: one, now: found === undefined ? null : asPlanned(one, found) };
    })
    .filter((one) => canonicalJson(one.planned) !== canonicalJson(one.now));
}

/** Offers of now that are not planned. */
export function additionsTo(planned: readonly InstanceTypeOffer[], now: readonly InstanceTypeOffer[]): OfferChange[] {
  const known = byPlace(planned);
  return now.filter((one) => !known.has(placeKey(one))).map((one) => ({ planned: null, now: one }));
}
