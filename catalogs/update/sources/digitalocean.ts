/** DigitalOcean: sizes of Droplets, page by page, each with the regions that have it. */
import { z } from 'zod';
import type { CatalogRow, Shape } from '../../catalog.ts';
import { acceleratorOf, checked, NO_ACCELERATORS, priceOf } from '../reading.ts';
import { at, type Known, type PriceApi } from '../source.ts';

const Size = z.object({
  slug: z.string().min(1),
  /** MiB. */
  memory: z.number().positive(),
  vcpus: z.number().positive(),
  price_hourly: z.number().nonnegative(),
  regions: z.array(z.string()),
  available: z.boolean(),
  gpu_info: z.object({ count: z.number().positive(), model: z.string().min(1) }).nullish(),
});
const Answer = z.object({
  sizes: z.array(Size),
  links: z.object({ pages: z.object({ next: z.string().optional() }).optional() }).optional(),
});

type DropletSize = z.infer<typeof Size>;

export const DIGITALOCEAN: PriceApi<DropletSize> = {
  cloud: 'do',
  url: 'https://api.digitalocean.com',
  version: 1,
  credential: {
    variables: ['DIGITALOCEAN_ACCESS_TOKEN', 'DIGITALOCEAN_TOKEN'],
    files: [{ path: '.config/doctl/config.yaml', key: /^access-token:\s*["']?([^"'\s]+)/m }],
    from: 'Tokens are made at https://cloud.digitalocean.com/account/api/tokens.',
  },
  spot: false,

  first: (base) => [{ url: `${at(base, '/v2/sizes')}?per_page=200`, label: 'sizes' }],

  async read(answer) {
    const { sizes, links } = checked(Answer, await answer.json(), 'do');
    const next = links?.pages?.next;
    return { items: sizes, next: next === undefined ? [] : [{ url: next, label: 'sizes' }] };
  },

  rows(items, known) {
    const leftOut: string[] = [];
    const rows = items.flatMap((size): CatalogRow[] => {
      const price = priceOf(size.price_hourly);
      if (!size.available || price === null) return [];
      const shape = shapeOf(size, known);
      if (shape === null) leftOut.push(size.slug);
      if (shape === null) return [];
      return size.regions.map((region) => ({ ...shape, cloud: 'do', region, zone: null, price, spotPrice: null }));
    });
    return { rows, leftOut: leftOut.sort() };
  },
};

function shapeOf({ slug, vcpus, memory, gpu_info: gpu }: DropletSize, known: Known): Shape | null {
  const before = known.shapes.get(slug)?.[0];
  if (before !== undefined) return before;
  const plain = { instanceType: slug, cpus: vcpus, memory: memory / 1024, arch: 'x86_64' as const };
  // `nvidia_h100`
  if (gpu) return { ...plain, ...acceleratorOf(cardOf(gpu.model), gpu.count, null) };
  return slug.startsWith('gpu-') ? null : { ...plain, ...NO_ACCELERATORS };
}

function cardOf(model: string): string {
  const card = model.replace(/^(nvidia|amd)[_ -]/i, '').replace(/_/g, '-');
  return card === card.toLowerCase() ? card.toUpperCase() : card;
}
