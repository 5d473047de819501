/**
 * Spot prices that a cloud does not say in its price list but to its customers, region by region. A region that was read is
 * kept: an update that was broken off goes on with the next one, and one that follows within the hour does not ask again.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { StyxError } from '../../model/errors.ts';
import { readJson, writeAtomically } from '../../system/home.ts';
import type { CatalogRow } from '../catalog.ts';

/** So long prices of a region count as those of now. */
const FRESH_MS = 3_600_000;

export interface SpotApi {
  /** Which figures, and where they are from: "EC2 DescribeSpotPriceHistory, the mean of the zones". */
  readonly from: string;
  /**
   * A reader of regions with the credentials of the environment.
   * @throws auth when there are none
   */
  open(options: SpotOptions): Promise<SpotReader>;
}

export interface SpotOptions {
  /** Requests for one page, the first included. */
  readonly tries: number;
}

export interface SpotReader {
  /** Whose prices they are: the address that is asked. */
  readonly source: string;
  /** US dollars an hour by instance type. @throws StyxError */
  read(region: string): Promise<Readonly<Record<string, number>>>;
  close(): void;
}

export interface SpotUpdate {
  /** Regions whose prices are of now. */
  readonly regions: number;
  /** Of them those that were asked now; the others were within the hour. */
  readonly fetched: number;
  /** Regions whose prices stay as they were, by why. */
  readonly kept: readonly { readonly region: string; readonly why: string }[];
  /** Why no spot price is new; null: some are. */
  readonly problem: { readonly message: string; readonly hint: string | null } | null;
}

interface KeptRegion {
  readonly at: number;
  readonly prices: Readonly<Record<string, number>>;
}

export interface SpotRows {
  readonly rows: readonly CatalogRow[];
  /** Regions whose spot prices are new. */
  readonly regions: ReadonlySet<string>;
  readonly update: SpotUpdate;
}

/** The rows with the spot prices of now where they can be had; whatever goes wrong, the others stay. */
export async function withSpotPrices(
  api: SpotApi,
  rows: readonly CatalogRow[],
  dir: string,
  options: SpotOptions,
  onProgress: (text: string) => void,
  now = Date.now(),
): Promise<SpotRows> {
  const wanted = [...new Set(rows.map(({ region }) => region))].sort();
  let reader: SpotReader;
  try {
    reader = await api.open(options);
  } catch (error) {
    if (!(error instanceof StyxError)) throw error;
    const problem = { message: error.message, hint: error.hint ?? null };
    return { rows, regions: new Set(), update: { regions: 0, fetched: 0, kept: [], problem } };
  }
  const prices = new Map<string, Readonly<Record<string, number>>>();
  const kept: { region: string; why: string }[] = [];
  let fetched = 0;
  try {
    const spotDir = join(dir, 'spot');
    mkdirSync(spotDir, { recursive: true, mode: 0o700 });
    for (const [index, region] of wanted.entries()) {
      const id = createHash('sha256').update(`${reader.source}\n${region}`).digest('hex').slice(0, 32);
      const file = join(spotDir, `${id}.json`);
      const before = readJson(file) as KeptRegion | undefined;
      if (before !== undefined && before.at <= now && now - before.at < FRESH_MS) {
        prices.set(region, before.prices);
        continue;
      }
      onProgress(`spot prices of ${region} (${index + 1} of ${wanted.length})`);
      try {
        const read = await reader.read(region);
        writeAtomically(file, JSON.stringify({ at: now, prices: read } satisfies KeptRegion));
        prices.set(region, read);
        fetched++;
      } catch (error) {
        if (!(error instanceof StyxError)) throw error;
        // What is refused here is refused in every region.
        if (error.kind === 'auth') {
          const rest = wanted.slice(index);
          kept.push(...rest.map((one) => ({ region: one, why: error.message })));
          break;
        }
        kept.push({ region, why: error.message });
      }
    }
  } finally {
    reader.close();
  }
  const problem = prices.size === 0 ? { message: kept[0]?.why ?? 'there are no regions', hint: null } : null;
  return {
    rows: rows.map((row) => {
      const found = prices.get(row.region);
      return found === undefined ? row : { ...row, spotPrice: found[row.instanceType] ?? null };
    }),
    regions: new Set(prices.keys()),
    update: { regions: prices.size, fetched, kept, problem },
  };
}
