/** Which accelerators are offered where: what `styx gpus list` shows. */
import { canonicalName, findAccelerator, hasMemory, type MemoryRequest } from '../model/accelerators.ts';
import type { Catalog, CatalogRow, Shape } from './catalog.ts';

export interface GpuQuery {
  /** Part of a name or alias, in any case; null: any. */
  readonly name: string | null;
  readonly memory: MemoryRequest | null;
  /** Of one machine; null: any. */
  readonly count: number | null;
  readonly region: ((region: string) => boolean) | null;
  readonly zone: string | null;
  /** One offer for each region, in place of the cheapest of all. */
  readonly allRegions: boolean;
}

export interface GpuOffer extends CatalogRow {
  readonly accelerators: { readonly name: string; readonly count: number };
}

export interface GpuOffers {
  /** Canonical. */
  readonly name: string;
  /** null: not in the table of accelerators. */
  readonly vendor: string | null;
  /** How many one machine can have, ascending. */
  readonly counts: readonly number[];
  /** Of the cheapest cloud first, and in each the cheapest first. */
  readonly offers: readonly GpuOffer[];
}

/** By accelerator: that of the very name asked for first, then in the order of names. */
export function gpuOffers(catalogs: readonly Catalog[], query: GpuQuery): GpuOffers[] {
  const offers = catalogs.flatMap((catalog) => cheapest(catalog, query));
  const exact = query.name === null ? null : canonicalName(query.name).toLowerCase();
  const rank = (name: string) => (name.toLowerCase() === exact ? 0 : 1);
  return [...Map.groupBy(offers, ({ accelerators }) => accelerators.name)]
    .sort(([a], [b]) => rank(a) - rank(b) || naturally(a, b))
    .map(([name, group]) => ({
      name,
      vendor: findAccelerator(name)?.vendor ?? null,
      counts: [...new Set(group.map(({ accelerators }) => accelerators.count))].sort((a, b) => a - b),
      offers: ranked(group),
    }));
}

/** Of each shape the cheapest offer, or that of each region. */
function cheapest(catalog: Catalog, query: GpuQuery): GpuOffer[] {
  const best = new Map<string, GpuOffer>();
  for (const row of catalog.rows((shape) => isWanted(shape, query))) {
    if (query.region?.(row.region) === false) continue;
    if (query.zone !== null && row.zone !== null && row.zone !== query.zone) continue;
    const { instanceType, accelerators, cpus, memory } = row;
    const place = query.allRegions ? row.region : null;
    const key = JSON.stringify([instanceType, accelerators?.name, accelerators?.count, cpus, memory, place]);
    const before = best.get(key);
    if (before === undefined || byPrice(row, before) < 0) best.set(key, row as GpuOffer);
  }
  return [...best.values()];
}

function isWanted({ accelerators, acceleratorMemory }: Shape, { name, memory, count }: GpuQuery): boolean {
  if (accelerators === null) return false;
  if (count !== null && count !== accelerators.count) return false;
  if (memory !== null && !hasMemory(accelerators.name, acceleratorMemory, memory)) return false;
  if (name === null) return true;
  const part = name.toLowerCase();
  return (
    accelerators.name.toLowerCase().includes(part) ||
    accelerators.name.toLowerCase() === canonicalName(name).toLowerCase()
  );
}

function ranked(offers: readonly GpuOffer[]): GpuOffer[] {
  const clouds = [...Map.groupBy(offers, ({ cloud }) => cloud).values()];
  for (const group of clouds) group.sort(byPrice);
  const least = (group: readonly GpuOffer[]) => ({
    price: lowest(group.map(({ price }) => price)),
    spotPrice: lowest(group.map(({ spotPrice }) => spotPrice)),
  });
  const costs = new Map(clouds.map((group) => [group, least(group)]));
  const costOf = (group: GpuOffer[]) => costs.get(group) ?? least(group);
  return clouds.sort((a, b) => byCost(costOf(a), costOf(b)) || naturally(a[0]?.cloud, b[0]?.cloud)).flat();
}

type Cost = Pick<CatalogRow, 'price' | 'spotPrice'>;

function byPrice(a: CatalogRow, b: CatalogRow): number {
  return byCost(a, b) || naturally(a.instanceType, b.instanceType) || naturally(a.region, b.region);
}

/** What has no price comes last. */
function byCost(a: Cost, b: Cost): number {
  return compare(a.price, b.price) || compare(a.spotPrice, b.spotPrice);
}

function compare(a: number | null, b: number | null): number {
  return a === b ? 0 : (a ?? Infinity) - (b ?? Infinity);
}

function lowest(prices: readonly (number | null)[]): number | null {
  return prices.reduce((least, price) => (compare(price, least) < 0 ? price : least), null);
}

const order = new Intl.Collator('en', { numeric: true });

/** `tpu-v2-8` before `tpu-v2-32`. */
function naturally(a = '', b = ''): number {
  return order.compare(a, b);
}
