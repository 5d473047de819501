/**
 * GCP: the products of Compute Engine in the Cloud Billing catalogue. Machines are not in it: it has the price of a core, of a
 * gigabyte and of a GPU of each family by region, on demand and for spot machines, and a machine is the sum of what it has.
 * Which machines there are, and where, is as the catalogue that stands has it.
 */
import { z } from 'zod';
import { StyxError } from '../../../model/errors.ts';
import type { CatalogRow } from '../../catalog.ts';
import { checked, rounded } from '../reading.ts';
import { at, type PageRequest, type PriceApi } from '../source.ts';

const Money = z.object({ units: z.string().optional(), nanos: z.number().optional() });
const Sku = z.object({
  description: z.string(),
  category: z.object({ resourceFamily: z.string(), usageType: z.string() }),
  serviceRegions: z.array(z.string()),
  pricingInfo: z
    .array(
      z.object({
        pricingExpression: z.object({
          usageUnit: z.string(),
          tieredRates: z.array(z.object({ startUsageAmount: z.number().optional(), unitPrice: Money })),
        }),
      }),
    )
    .optional(),
});
type SkuText = z.infer<typeof Sku>;
const Answer = z.object({ skus: z.array(Sku), nextPageToken: z.string().optional() });

/** A core, a gigabyte or a card, for an hour. */
interface Rate {
  /** `n1 core`, `n1 ram`, `A100`. */
  readonly part: string;
  readonly regions: readonly string[];
  readonly spot: boolean;
  readonly price: number;
}

const COMPUTE_ENGINE = '6F81-5844-456A';
const PAGE = 5_000;

/** "N1 Predefined Instance Core running in Americas"; those of custom machines, reservations and sole tenants read otherwise. */
const MACHINE = /^([a-z]\d[a-z]?)(?: predefined| amd| arm)? instance (core|ram) running in /i;
/** What C2 is called. */
const COMPUTE_OPTIMIZED = /^compute optimized (?:instance )?(core|ram) running in /i;
const GPU = /^nvidia (?:tesla )?(.+?) gpu (?:attached to spot preemptible vms )?running in /i;
const PREEMPTIBLE = /^(?:spot )?preemptible /i;

const CARDS: Readonly<Record<string, string>> = {
  k80: 'K80',
  p4: 'P4',
  p100: 'P100',
  v100: 'V100',
  t4: 'T4',
  a100: 'A100',
  'a100 80gb': 'A100-80GB',
  l4: 'L4',
  'h100 80gb': 'H100',
};

/** Cores that are billed of types whose vCPUs share them. */
const SHARED_CORES: Readonly<Record<string, number>> = { 'e2-micro': 0.25, 'e2-small': 0.5, 'e2-medium': 1 };

export const GCP: PriceApi<Rate> = {
  cloud: 'gcp',
  url: 'https://cloudbilling.googleapis.com',
  version: 1,
  credential: {
    variables: ['GCP_API_KEY', 'GOOGLE_API_KEY', 'CLOUDSDK_AUTH_ACCESS_TOKEN', 'GOOGLE_OAUTH_ACCESS_TOKEN'],
    files: [],
    from: 'An API key of a project with the Cloud Billing API does, and so does what `gcloud auth print-access-token` says.',
  },
  spot: true,

  headers: (secret) => (isApiKey(secret) ? { 'x-goog-api-key': secret } : { authorization: `Bearer ${secret}` }),

  first: (base) => [pageOf(base, null)],

  async read(answer, _request, base) {
    const { skus, nextPageToken = '' } = checked(Answer, await answer.json(), 'gcp');
    const items = skus.map(rateOf).filter((rate) => rate !== null);
    return { items, next: nextPageToken === '' ? [] : [pageOf(base, nextPageToken)] };
  },

  rows(items, known) {
    const rates = new Map<string, number>();
    for (const { part, regions, spot, price } of items) {
      for (const region of regions) rates.set(key(part, region, spot), price);
    }
    const carried: CatalogRow[] = [];
    const rows = known.standing.flatMap((row): CatalogRow[] => {
      const price = priceOf(row, false, rates);
      if (price !== null) return [{ ...row, price, spotPrice: priceOf(row, true, rates) }];
      carried.push(row);
      return [];
    });
    return { rows, leftOut: [], carried };
  },
};

function isApiKey(secret: string): boolean {
  return /^(AIza|AQ\.)/.test(secret);
}

function pageOf(base: string, token: string | null): PageRequest {
  const query = new URLSearchParams({ currencyCode: 'USD', pageSize: String(PAGE) });
  if (token !== null) query.set('pageToken', token);
  return { url: `${at(base, `/v1/services/${COMPUTE_ENGINE}/skus`)}?${query}`, label: 'products of Compute Engine' };
}

/** null: another product, or sold in another way. */
function rateOf({ description, category, serviceRegions, pricingInfo = [] }: SkuText): Rate | null {
  const { resourceFamily, usageType } = category;
  if (resourceFamily !== 'Compute' || !['OnDemand', 'Preemptible'].includes(usageType)) return null;
  const part = partOf(description.replace(PREEMPTIBLE, ''));
  if (part === null) return null;
  // The newest comes first.
  const expression = pricingInfo[0]?.pricingExpression;
  const first = expression?.tieredRates.find(({ startUsageAmount = 0 }) => startUsageAmount === 0);
  if (expression === undefined || first === undefined || expression.usageUnit !== part.unit) {
    throw new StyxError('invalid', `the price list of gcp has no price by ${part.unit} of ${description}`, {
      hint: 'Nothing was changed. Its form may have changed; `styx catalog status` shows how old the prices are that stand.',
    });
  }
  const price = Number(first.unitPrice.units ?? 0) + (first.unitPrice.nanos ?? 0) / 1e9;
  if (!(price > 0)) return null;
  return { part: part.name, regions: serviceRegions, spot: usageType === 'Preemptible', price };
}

function partOf(description: string): { name: string; unit: string } | null {
  const machine = MACHINE.exec(description);
  const [family, kind] =
    machine === null ? ['c2', COMPUTE_OPTIMIZED.exec(description)?.[1]] : [machine[1] ?? '', machine[2]];
  if (kind !== undefined) {
    const isCore = kind.toLowerCase() === 'core';
    return { name: `${family.toLowerCase()} ${kind.toLowerCase()}`, unit: isCore ? 'h' : 'GiBy.h' };
  }
  const card = GPU.exec(description)?.[1]?.toLowerCase();
  if (card === undefined || !Object.hasOwn(CARDS, card)) return null;
  return { name: CARDS[card] as string, unit: 'h' };
}

function key(part: string, region: string, spot: boolean): string {
  return `${part}/${region}/${spot}`;
}

/** null: a part of it has no price there. */
function priceOf(row: CatalogRow, spot: boolean, rates: ReadonlyMap<string, number>): number | null {
  const { instanceType, region, cpus, memory, accelerators } = row;
  const family = instanceType.split('-')[0] ?? '';
  const core = rates.get(key(`${family} core`, region, spot));
  const gigabyte = rates.get(key(`${family} ram`, region, spot));
  const card = accelerators === null ? 0 : rates.get(key(accelerators.name, region, spot));
  if (core === undefined || gigabyte === undefined || card === undefined || cpus === null || memory === null)
    return null;
  const cores = Object.hasOwn(SHARED_CORES, instanceType) ? (SHARED_CORES[instanceType] as number) : cpus;
  return rounded(cores * core + memory * gigabyte + (accelerators?.count ?? 0) * card);
}
