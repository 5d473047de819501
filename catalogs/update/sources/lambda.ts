/** Lambda: types with their prices, which are the same everywhere. Regions are named only while they have machines. */
import { z } from 'zod';
import { canonicalName } from '../../../model/accelerators.ts';
import type { CatalogRow, Shape } from '../../catalog.ts';
import { acceleratorOf, checked, NO_ACCELERATORS, rounded } from '../reading.ts';
import { at, type Known, type PriceApi } from '../source.ts';

const Type = z.object({
  instance_type: z.object({
    name: z.string(),
    price_cents_per_hour: z.number().nonnegative(),
    specs: z.object({ vcpus: z.number().positive(), memory_gib: z.number().positive(), gpus: z.number().optional() }),
  }),
  regions_with_capacity_available: z.array(z.object({ name: z.string() })),
});
const Answer = z.object({ data: z.record(z.string(), Type) });

type InstanceType = z.infer<typeof Type>;

/** `gpu_8x_a100_80gb_sxm4`: number, card, and how it is built. */
const GPU_NAME = /^gpu_(\d+)x_([a-z0-9]+)(_\d+gb)?(_[a-z0-9]+)?$/;

export const LAMBDA: PriceApi<InstanceType> = {
  cloud: 'lambda',
  url: 'https://cloud.lambda.ai',
  version: 1,
  credential: {
    variables: ['LAMBDA_API_KEY'],
    files: [{ path: '.lambda_cloud/lambda_keys', key: /^\s*api_key\s*=\s*(\S+)/m }],
    from: 'Keys are made at https://cloud.lambda.ai/api-keys.',
  },
  spot: false,

  first: (base) => [{ url: at(base, '/api/v1/instance-types'), label: 'instance types' }],

  async read(answer) {
    return { items: Object.values(checked(Answer, await answer.json(), 'lambda').data), next: [] };
  },

  rows(items, known) {
    const now = items.flatMap((one) => one.regions_with_capacity_available.map(({ name }) => name));
    const regions = [...new Set([...known.allRegions, ...now])].sort();
    const leftOut: string[] = [];
    const rows = items.flatMap(({ instance_type: type }): CatalogRow[] => {
      const shape = shapeOf(type, known);
      if (shape === null) leftOut.push(type.name);
      if (shape === null || type.price_cents_per_hour === 0) return [];
      const price = rounded(type.price_cents_per_hour / 100);
      return regions.map((region) => ({ ...shape, cloud: 'lambda', region, zone: null, price, spotPrice: null }));
    });
    return { rows, leftOut: leftOut.sort() };
  },
};

function shapeOf({ name, specs }: InstanceType['instance_type'], known: Known): Shape | null {
  const before = known.shapes.get(name)?.[0];
  if (before !== undefined) return before;
  const plain = { instanceType: name, cpus: specs.vcpus, memory: specs.memory_gib, arch: null };
  if (!name.startsWith('gpu_')) return specs.gpus ? null : { ...plain, ...NO_ACCELERATORS };
  const [, count = '', card = '', size = ''] = GPU_NAME.exec(name) ?? [];
  if (count === '') return null;
  const written = canonicalName(`${card}${size.replace('_', '-')}`);
  return { ...plain, ...acceleratorOf(written === card ? card.toUpperCase() : written, Number(count), null) };
}
