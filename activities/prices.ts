/** Updates of catalogues. The files are those of the data directory of this worker, which its clients share. */
import { MissingCredential } from '../catalogs/update/credentials.ts';
import { PRICE_APIS } from '../catalogs/update/sources.ts';
import { updateCatalog } from '../catalogs/update/update.ts';
import type { PricesUpdated } from '../model/catalog-update.ts';
import type { PriceActivities } from './types.ts';
import { whileHeartbeating } from './wrap.ts';

export function priceSteps(home: string): PriceActivities {
  return {
    async pricedClouds(): Promise<string[]> {
      return PRICE_APIS.map(({ cloud }) => cloud);
    },

    async updatePrices({ cloud, named, timing }): Promise<PricesUpdated> {
      const none = { cloud, rows: null, changed: null, quarantined: null };
      return await whileHeartbeating(timing, async () => {
        try {
          // Pages that were read are kept: another try goes on with the one that it lacks. The catalogue is replaced in one step.
          const { rows, changed, quarantined } = await updateCatalog(cloud, { home });
          const counts = { rows, changed, quarantined: quarantined.length };
          return { cloud, outcome: 'updated', ...counts, problem: null };
        } catch (error) {
          if (named || !(error instanceof MissingCredential)) throw error;
          return { ...none, outcome: 'skipped', problem: error.toFailure() };
        }
      });
    },
  };
}
