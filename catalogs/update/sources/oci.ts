/**
 * OCI: the list of products. Machines are not in it: it has the price of an OCPU, of a gigabyte and of a GPU of each
 * family, the same in every commercial region, and a machine is the sum of what it has. Preemptible is half of that.
 */
import { z } from 'zod';
import { StyxError } from '../../../model/errors.ts';
import type { CatalogRow, Shape } from '../../catalog.ts';
import { checked, rounded } from '../reading.ts';
import { at, type PriceApi } from '../source.ts';

const Product = z.object({
  partNumber: z.string(),
  displayName: z.string(),
  metricName: z.string(),
  currencyCodeLocalizations: z.array(
    z.object({
      currencyCode: z.string(),
      prices: z.array(z.object({ model: z.string(), value: z.number().nonnegative() })),
    }),
  ),
});
const Answer = z.object({ items: z.array(Product) });

interface Rate {
  readonly part: string;
  /** US dollars an hour. */
  readonly price: number;
}

/** Part numbers of an OCPU and a gigabyte; an OCPU of these is two vCPUs. */
const FLEXIBLE: Readonly<Record<string, { readonly ocpu: string; readonly gigabyte: string }>> = {
  'VM.Standard3.Flex': { ocpu: 'B94176', gigabyte: 'B94177' },
  'VM.Standard.E3.Flex': { ocpu: 'B92306', gigabyte: 'B92307' },
  'VM.Standard.E4.Flex': { ocpu: 'B93113', gigabyte: 'B93114' },
  'VM.Standard.E5.Flex': { ocpu: 'B97384', gigabyte: 'B97385' },
};

/** Part numbers of a GPU, with its machine. */
const GPUS: readonly (readonly [shapes: RegExp, part: string])[] = [
  [/^(VM|BM)\.GPU2\./, 'B88518'],
  [/^(VM|BM)\.GPU3\./, 'B89734'],
  [/^BM\.GPU4\./, 'B92740'],
  [/^(VM|BM)\.GPU\.A10\./, 'B95909'],
  [/^BM\.GPU\.A100-v2\./, 'B95907'],
  [/^BM\.GPU\.L40S\./, 'B109479'],
  [/^BM\.GPU\.H100\./, 'B98415'],
  [/^BM\.GPU\.H200\./, 'B110519'],
];
const PARTS = new Set([
  ...Object.values(FLEXIBLE).flatMap(({ ocpu, gigabyte }) => [ocpu, gigabyte]),
  ...GPUS.map(([, part]) => part),
]);

export const OCI: PriceApi<Rate> = {
  cloud: 'oci',
  url: 'https://apexapps.oracle.com/pls/apex/cetools',
  version: 1,
  credential: null,
  spot: true,

  first: (base) => [{ url: `${at(base, '/api/v1/products/')}?currencyCode=USD`, label: 'products' }],

  async read(answer) {
    const { items } = checked(Answer, await answer.json(), 'oci');
    return { items: items.filter(({ partNumber }) => PARTS.has(partNumber)).map(rateOf), next: [] };
  },

  rows(items, known) {
    const rates = new Map(items.map(({ part, price }) => [part, price]));
    const leftOut: string[] = [];
    const rows = [...known.shapes].flatMap(([type, shapes]) =>
      shapes.flatMap((shape): CatalogRow[] => {
        const price = priceOf(shape, rates);
        if (price === null) {
          leftOut.push(type);
          return [];
        }
        const spotPrice = shape.accelerators === null ? rounded(price / 2) : null;
        const regions = known.regions.get(type) ?? [];
        return regions.map((region) => ({ ...shape, cloud: 'oci', region, zone: null, price, spotPrice }));
      }),
    );
    return { rows, leftOut: leftOut.sort() };
  },
};

function rateOf({ partNumber, displayName, metricName, currencyCodeLocalizations }: z.infer<typeof Product>): Rate {
  const dollars = currencyCodeLocalizations.find(({ currencyCode }) => currencyCode === 'USD');
  const prices = dollars?.prices.filter(({ model }) => model === 'PAY_AS_YOU_GO').map(({ value }) => value) ?? [];
  if (prices.length === 0 || !/\bhour\b/i.test(metricName)) {
    throw new StyxError('invalid', `the price list of oci has no price by the hour of ${partNumber} (${displayName})`, {
      hint: 'Nothing was changed. Oracle may have given its products other numbers.',
    });
  }
  // The first units of some products are free.
  return { part: partNumber, price: Math.max(...prices) };
}

function priceOf(
  { instanceType, cpus, memory, accelerators }: Shape,
  rates: ReadonlyMap<string, number>,
): number | null {
  if (accelerators !== null) {
    const part = GPUS.find(([shapes]) => shapes.test(instanceType))?.[1];
    const rate = part === undefined ? undefined : rates.get(part);
    return rate === undefined ? null : rounded(rate * accelerators.count);
  }
  const family = instanceType.split('$')[0] ?? '';
  const parts = Object.hasOwn(FLEXIBLE, family) ? FLEXIBLE[family] : undefined;
  const [ocpu, gigabyte] = parts === undefined ? [] : [rates.get(parts.ocpu), rates.get(parts.gigabyte)];
  if (ocpu === undefined || gigabyte === undefined || cpus === null || memory === null) return null;
  return rounded((cpus / 2) * ocpu + memory * gigabyte);
}
