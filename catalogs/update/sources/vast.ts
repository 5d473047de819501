/**
 * Vast: a market. Offers that differ little are one type here, at the price of the cheapest: machines are counted by the
 * powers of two that their vCPUs and memory reach. A region is a country.
 */
import { z } from 'zod';
import { findAccelerator } from '../../../model/accelerators.ts';
import type { CatalogRow } from '../../catalog.ts';
import { acceleratorOf, checked, priceOf } from '../reading.ts';
import { at, type PriceApi } from '../source.ts';

const Offer = z.object({
  gpu_name: z.string().min(1),
  num_gpus: z.number().positive(),
  /** MiB of one. */
  gpu_ram: z.number().nonnegative(),
  cpu_cores_effective: z.number().nonnegative().nullish(),
  cpu_arch: z.string().nullish(),
  /** MiB. */
  cpu_ram: z.number().nonnegative().nullish(),
  geolocation: z.string().nullish(),
  dph_total: z.number().nonnegative(),
  min_bid: z.number().nonnegative().nullish(),
});
const Answer = z.object({ offers: z.array(Offer) });

type VastOffer = z.infer<typeof Offer>;

const LIMIT = 10_000;

export const VAST: PriceApi<VastOffer> = {
  cloud: 'vast',
  url: 'https://console.vast.ai',
  version: 1,
  credential: {
    variables: ['VAST_API_KEY'],
    files: [
      { path: '.config/vastai/vast_api_key', key: /(\S+)/ },
      { path: '.vast_api_key', key: /(\S+)/ },
    ],
    from: 'Keys are made at https://cloud.vast.ai/manage-keys/.',
  },
  spot: true,

  first: (base) => [
    {
      url: at(base, '/api/v0/bundles/'),
      body: {
        limit: LIMIT,
        type: 'on-demand',
        verified: { eq: true },
        rentable: { eq: true },
        rented: { eq: false },
        order: [['dph_total', 'asc']],
      },
      label: 'offers',
    },
  ],

  async read(answer) {
    return { items: checked(Answer, await answer.json(), 'vast').offers, next: [] };
  },

  rows(items) {
    const offers = items.flatMap((offer): CatalogRow[] => {
      // Of some hosts the country is not known.
      const region = /(?:^|,\s*)([A-Z]{2})$/.exec(offer.geolocation?.trim() ?? '')?.[1];
      const [cpus, ram] = [reached(offer.cpu_cores_effective ?? 0), reached(offer.cpu_ram ?? 0)];
      if (region === undefined || cpus === 0 || ram < 1024 || priceOf(offer.dph_total) === null) return [];
      const type = `${offer.num_gpus}x-${offer.gpu_name.trim().replace(/\s+/g, '_')}-${cpus}-${ram}`;
      const gib = offer.gpu_ram === 0 ? null : Math.round(offer.gpu_ram / 1024);
      return [
        {
          cloud: 'vast',
          instanceType: type,
          region,
          zone: null,
          cpus,
          memory: ram / 1024,
          ...acceleratorOf(cardOf(offer.gpu_name, gib), offer.num_gpus, gib),
          price: priceOf(offer.dph_total),
          spotPrice: priceOf(offer.min_bid),
          arch: archOf(offer.cpu_arch),
        },
      ];
    });
    return { rows: offers, leftOut: [] };
  },
};

/** The largest power of two that is not above it. */
function reached(value: number): number {
  return value < 1 ? 0 : 2 ** Math.floor(Math.log2(value));
}

function archOf(name: string | null | undefined): CatalogRow['arch'] {
  if (name === 'arm64' || name === 'aarch64') return 'arm64';
  return name === null || name === undefined || name === 'amd64' ? 'x86_64' : null;
}

/** `A100 SXM4` of 80 GB is A100-80GB: here cards of two sizes have one name. */
function cardOf(name: string, gib: number | null): string {
  const card = name
    .trim()
    .replace(/\s+(PCIE|SXM\d?)$/i, '')
    .replace(/^Q RTX/, 'Quadro RTX');
  const larger = gib === null ? null : findAccelerator(`${card}-${gib}GB`);
  const known = larger ?? findAccelerator(card);
  return known?.name ?? card.replaceAll(' ', '-');
}
