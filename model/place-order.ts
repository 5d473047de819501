/** In which order the places of a launch are tried, where more than their cost decides: how a strategy of recovery says where to go. */

export interface RegionRef {
  readonly cloud: string;
  readonly region: string;
}

export interface PlaceOrder {
  /** Tried before all others. */
  readonly prefer: readonly RegionRef[];
  /** Tried after all others; the last of them at the very end. None is left out: a bad place is better than none. */
  readonly avoid: readonly RegionRef[];
}

export function sameRegion(a: RegionRef, b: RegionRef): boolean {
  return a.cloud === b.cloud && a.region === b.region;
}

/** The order with this place as its first, where it prefers none itself: advice, which what is to be avoided goes before. */
export function advised(order: PlaceOrder | undefined, place: RegionRef | undefined): PlaceOrder | undefined {
  if (place === undefined || (order?.prefer.length ?? 0) > 0) return order;
  return { prefer: [place], avoid: order?.avoid ?? [] };
}

/** The same offers; those of equal standing stay in their order. */
export function inPlaceOrder<T extends RegionRef>(offers: readonly T[], order: PlaceOrder | undefined): T[] {
  if (order === undefined) return [...offers];
  const standing = (offer: T): number => {
    const avoided = order.avoid.findLastIndex((place) => sameRegion(place, offer));
    if (avoided >= 0) return avoided + 1;
    return order.prefer.some((place) => sameRegion(place, offer)) ? -1 : 0;
  };
  return offers.toSorted((a, b) => standing(a) - standing(b));
}
