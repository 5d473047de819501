/** RunPod: types of GPUs with the price of one, in its two kinds of clouds. Prices are the same everywhere. */
import { z } from 'zod';
import { StyxError } from '../../../model/errors.ts';
import type { CatalogRow, Shape } from '../../catalog.ts';
import { acceleratorOf, checked, priceOf } from '../reading.ts';
import type { PriceApi } from '../source.ts';

const QUERY = `query {
  gpuTypes {
    id displayName memoryInGb maxGpuCount secureCloud communityCloud
    securePrice communityPrice secureSpotPrice communitySpotPrice
  }
}`;

const price = z.number().nonnegative().nullish();
const GpuType = z.object({
  id: z.string(),
  displayName: z.string(),
  memoryInGb: z.number().nonnegative(),
  maxGpuCount: z.number().nullish(),
  secureCloud: z.boolean().nullish(),
  communityCloud: z.boolean().nullish(),
  securePrice: price,
  communityPrice: price,
  secureSpotPrice: price,
  communitySpotPrice: price,
});
const Answer = z.object({
  data: z.object({ gpuTypes: z.array(GpuType) }).nullish(),
  errors: z.array(z.object({ message: z.string() })).optional(),
});

type GpuTypes = z.infer<typeof GpuType>;

/** Of cards that have one size here and others elsewhere. */
const NAMES: Readonly<Record<string, string>> = {
  'A100 PCIe': 'A100-80GB',
  'A100 SXM': 'A100-80GB-SXM',
  'H100 PCIe': 'H100',
};
/** Numbers of GPUs that are offered, as far as a machine has them. */
const COUNTS = [1, 2, 4, 8];

export const RUNPOD: PriceApi<GpuTypes> = {
  cloud: 'runpod',
  url: 'https://api.runpod.io/graphql',
  version: 1,
  credential: {
    variables: ['RUNPOD_API_KEY'],
    files: [{ path: '.runpod/config.toml', key: /^\s*api_?key\s*=\s*["']?([^"'\s]+)/im }],
    from: 'Keys are made at https://www.runpod.io/console/user/settings.',
  },
  spot: true,

  first: (base) => [{ url: base, body: { query: QUERY }, label: 'types of GPUs' }],

  async read(answer) {
    const { data, errors } = checked(Answer, await answer.json(), 'runpod');
    // GraphQL says errors with status 200.
    const [error] = errors ?? [];
    if (error !== undefined || !data) {
      throw new StyxError('invalid', `runpod refused the query for prices: ${error?.message ?? 'it gave no data'}`, {
        hint: 'Check RUNPOD_API_KEY. If it is right, the API may have changed.',
      });
    }
    return { items: data.gpuTypes, next: [] };
  },

  rows(items, known) {
    const rows = items.flatMap((type): CatalogRow[] => {
      const tiers = [
        ['SECURE', type.secureCloud, type.securePrice, type.secureSpotPrice],
        ['COMMUNITY', type.communityCloud, type.communityPrice, type.communitySpotPrice],
      ] as const;
      const counts = COUNTS.filter((count) => count <= (type.maxGpuCount ?? 1));
      return tiers.flatMap(([tier, offered, onDemand, spot]) => {
        if (offered !== true || (priceOf(onDemand) === null && priceOf(spot) === null)) return [];
        return counts.flatMap((count) => {
          const shape = shapeOf(type, tier, count, known.shapes);
          const prices = { price: priceOf((onDemand ?? 0) * count), spotPrice: priceOf((spot ?? 0) * count) };
          return known.allRegions.map((region) => ({ ...shape, cloud: 'runpod', region, zone: null, ...prices }));
        });
      });
    });
    return { rows, leftOut: [] };
  },
};

function shapeOf(type: GpuTypes, tier: string, count: number, known: ReadonlyMap<string, readonly Shape[]>): Shape {
  const name = nameOf(type.displayName);
  const instanceType = `${count}x_${name}_${tier}`;
  // vCPUs and memory depend on the host; the API says those of the emptiest one at this moment.
  const unknown = { instanceType, cpus: null, memory: null, arch: 'x86_64' as const };
  return known.get(instanceType)?.[0] ?? { ...unknown, ...acceleratorOf(name, count, type.memoryInGb || null) };
}

/** `RTX PRO 6000` is RTXPRO6000, `H200 SXM` is H200-SXM. */
function nameOf(displayName: string): string {
  const own = Object.hasOwn(NAMES, displayName) ? NAMES[displayName] : undefined;
  return (
    own ??
    displayName
      .replace(/^RTX PRO /, 'RTXPRO')
      .replace(/^RTX /, 'RTX')
      .replaceAll(' ', '-')
  );
}
