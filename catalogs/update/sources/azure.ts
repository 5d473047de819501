/** Azure: the retail prices API, page by page. It says prices and nothing of what a type has. */
import { z } from 'zod';
import { StyxError } from '../../../model/errors.ts';
import type { CatalogRow } from '../../catalog.ts';
import { checked, rounded } from '../reading.ts';
import { at, type PriceApi } from '../source.ts';

const Answer = z.object({
  BillingCurrency: z.string(),
  Items: z.array(
    z.object({
      currencyCode: z.string(),
      tierMinimumUnits: z.number(),
      retailPrice: z.number().nonnegative(),
      armRegionName: z.string(),
      armSkuName: z.string(),
      productName: z.string(),
      skuName: z.string(),
      unitOfMeasure: z.string(),
      type: z.string(),
      effectiveStartDate: z.string(),
    }),
  ),
  NextPageLink: z.string().nullish(),
});

interface Price {
  readonly type: string;
  readonly region: string;
  readonly spot: boolean;
  readonly price: number;
  /** ISO 8601. */
  readonly since: string;
}

const FILTER = "serviceName eq 'Virtual Machines' and priceType eq 'Consumption'";
/** Windows, and the machines of a service that is no more. */
const OTHER_PRODUCT = / Win(dows)?\b|Cloud ?Services/;
/** Clouds of their own, which an account of the public one cannot use. */
const OTHER_CLOUD = /^us(gov|dod)/;

export const AZURE: PriceApi<Price> = {
  cloud: 'azure',
  url: 'https://prices.azure.com',
  version: 1,
  credential: null,
  spot: true,

  first: (base) => [
    {
      url: `${at(base, '/api/retail/prices')}?api-version=2023-01-01-preview&$filter=${encodeURIComponent(FILTER)}`,
      label: 'retail prices',
    },
  ],

  async read(answer) {
    const { BillingCurrency, Items, NextPageLink } = checked(Answer, await answer.json(), 'azure');
    if (BillingCurrency !== 'USD' || Items.some(({ currencyCode }) => currencyCode !== 'USD')) {
      throw new StyxError('invalid', `the price list of azure is in ${BillingCurrency}, not in USD`);
    }
    const now = new Date().toISOString();
    const sold = Items.filter(
      (item) =>
        item.type === 'Consumption' &&
        item.unitOfMeasure === '1 Hour' &&
        item.tierMinimumUnits === 0 &&
        item.retailPrice > 0 &&
        item.armSkuName !== '' &&
        item.armRegionName !== '' &&
        // Prices of the future are listed beside those of today.
        item.effectiveStartDate <= now &&
        !OTHER_CLOUD.test(item.armRegionName) &&
        !OTHER_PRODUCT.test(item.productName) &&
        // What spot machines were called before; nobody can have new ones.
        !item.skuName.endsWith(' Low Priority'),
    );
    const items = sold.map((item) => ({
      type: item.armSkuName,
      region: item.armRegionName.toLowerCase(),
      spot: item.skuName.endsWith(' Spot'),
      price: rounded(item.retailPrice),
      since: item.effectiveStartDate,
    }));
    return { items, next: NextPageLink ? [{ url: NextPageLink, label: 'retail prices' }] : [] };
  },

  rows(items, known) {
    const leftOut = new Set<string>();
    const offers = Map.groupBy(items, ({ type, region }) => JSON.stringify([type, region]));
    const rows = [...offers.values()].flatMap((prices): CatalogRow[] => {
      const { type, region } = prices[0] as Price;
      const shape = known.shapes.get(type)?.[0];
      if (shape === undefined) {
        leftOut.add(type);
        return [];
      }
      const price = latest(prices.filter(({ spot }) => !spot));
      const spotPrice = latest(prices.filter(({ spot }) => spot));
      return [{ ...shape, cloud: 'azure', region, zone: null, price, spotPrice }];
    });
    return { rows, leftOut: [...leftOut].sort() };
  },
};

/** Of those that hold since the same day the lowest. */
function latest(prices: readonly Price[]): number | null {
  const days = prices.map(({ since }) => since).sort();
  const valid = prices.filter(({ since }) => since === days.at(-1)).map(({ price }) => price);
  return valid.length === 0 ? null : Math.min(...valid);
}
