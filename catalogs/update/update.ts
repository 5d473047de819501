/** Fetches the prices of a cloud from itself, and puts them in the place of those known before once they have been checked. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StyxError } from '../../model/errors.ts';
import { homePaths, styxCache, styxHome, writeAtomically } from '../../system/home.ts';
import { lockHolder, spawnLocked } from '../../system/lock.ts';
import {
  type Catalog,
  type CatalogInfo,
  type CatalogRow,
  type CatalogSource,
  catalogOf,
  type Shape,
} from '../catalog.ts';
import { encodeCatalog } from '../format.ts';
import { fetchedFile, type LoadedCatalog, loadCatalog, shippedFile } from '../load.ts';
import { checkRows, type QuarantinedPrice } from './checks.ts';
import { findCredential } from './credentials.ts';
import { RETRY_POLICY, type RetryPolicy } from './http.ts';
import { type PageCounts, walkPages } from './pages.ts';
import type { Known, PriceApi } from './source.ts';
import { findPriceApi } from './sources.ts';
import { type SpotUpdate, withSpotPrices } from './spot.ts';

const LOCK_TRIES = 3;
const LOCK_DELAY_MS = 200;

export interface UpdateOptions {
  /** Data directory; default: that of the environment. */
  readonly home?: string;
  /** Address of the price list; default: `STYX_CATALOG_<CLOUD>_URL`, else the cloud's own. */
  readonly url?: string;
  /** Believe the list even where it differs wildly from what stands. Default false. */
  readonly force?: boolean;
  /** Credentials and addresses are looked for here. Default: that of the process. */
  readonly env?: NodeJS.ProcessEnv;
  readonly retry?: Partial<RetryPolicy>;
  readonly onProgress?: (text: string) => void;
}

export interface CatalogUpdate {
  readonly cloud: string;
  /** The file that holds the fetched catalogue. */
  readonly path: string;
  readonly rows: number;
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  readonly quarantined: readonly QuarantinedPrice[];
  /** Instance types of which nobody says what they have. */
  readonly leftOut: readonly string[];
  /** Instance types that the list says no price of: they stay as they were. */
  readonly carried: readonly string[];
  readonly pages: PageCounts;
  /** null: the price list says spot prices itself, or nobody does. */
  readonly spot: SpotUpdate | null;
}

/**
 * @throws invalid when prices of the cloud cannot be fetched, or what was fetched cannot be believed; auth without
 *   credentials; refused when another process updates the same cloud; throttled, transient, unreachable: run it again
 */
export async function updateCatalog(cloud: string, options: UpdateOptions = {}): Promise<CatalogUpdate> {
  const env = options.env ?? process.env;
  const api = findPriceApi(cloud);
  const base = addressOf(api, options, env);
  const secret = api.credential === null ? null : findCredential(api.cloud, api.credential, env);
  const dir = join(styxCache(env), 'catalogs', 'updates', api.cloud);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const release = await lock(join(dir, 'lock'), api.cloud);
  try {
    return await update(api, base, dir, secret, options, env);
  } finally {
    await release();
  }
}

async function update(
  api: PriceApi<unknown>,
  base: string,
  dir: string,
  secret: string | null,
  options: UpdateOptions,
  env: NodeJS.ProcessEnv,
): Promise<CatalogUpdate> {
  const { cloud, spot } = api;
  const force = options.force === true;
  const say = options.onProgress ?? (() => undefined);
  const home = options.home ?? styxHome(env);
  const shipped = await loadedOf(shippedFile(cloud));
  const last = await loadedOf(fetchedFile(cloud, home));
  const standing = last ?? shipped;
  const http = {
    cloud,
    headers: secret === null ? {} : (api.headers?.(secret) ?? { authorization: `Bearer ${secret}` }),
    policy: { ...RETRY_POLICY, ...options.retry },
    onWait: say,
  };
  const walk = await walkPages(api, base, dir, http, say);
  try {
    const before = standing === null ? null : [...standing.catalog.rows()];
    const { rows: priced, leftOut, carried = [] } = api.rows(walk.items, knownOf([shipped, last], before ?? []));
    // Of a list that says nothing that is known, nothing is kept.
    const rows = priced.length === 0 ? [] : [...priced, ...carried];
    const policy = http.policy;
    const asked = api.spotApi === undefined ? null : await withSpotPrices(api.spotApi, rows, dir, policy, say);
    const isNew = ({ region }: CatalogRow) => asked?.regions.has(region) ?? spot;
    const checked = checkRows(cloud, asked?.rows ?? rows, before, { spot: isNew, force });
    const withSpot = checked.rows.filter(({ spotPrice }) => spotPrice !== null);
    const spotPrices = withSpot.length === 0 ? 'none' : withSpot.every(isNew) ? 'new' : 'older';
    const info = infoOf(api, base, walk.begun, shipped, standing, spotPrices, {
      spotRegions: asked?.update.regions ?? 0,
      carried: carried.length > 0,
    });
    const path = join(homePaths(home).fetchedCatalogs, `${cloud}.json`);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeAtomically(path, encodeCatalog(catalogOf(info, checked.rows)));
    const { added, removed, changed, quarantined } = checked;
    const counts = { rows: checked.rows.length, added, removed, changed };
    const types = [...new Set(carried.map(({ instanceType }) => instanceType))].sort();
    const of = { quarantined, leftOut, carried: types, pages: walk.pages, spot: asked?.update ?? null };
    return { cloud, path, ...counts, ...of };
  } finally {
    // A list that was refused is asked for anew too.
    walk.finish();
  }
}

/** @throws invalid when it is no address */
function addressOf(api: PriceApi<unknown>, options: UpdateOptions, env: NodeJS.ProcessEnv): string {
  const variable = `STYX_CATALOG_${api.cloud.toUpperCase()}_URL`;
  const text = options.url ?? (env[variable] || api.url);
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new StyxError('invalid', `${JSON.stringify(text)} is no address of a price list`, {
    hint: `${variable} must be such as ${api.url}.`,
  });
}

/** One process at a time: the lock is of a child that ends with us, however we end. */
async function lock(file: string, cloud: string): Promise<() => Promise<void>> {
  const take = () => spawnLocked(file, ['cat'], { stdio: ['pipe', 'ignore', 'ignore'] });
  let held = await take();
  // The child of an update that was killed this moment needs a moment too.
  for (let tried = 1; held === null && tried < LOCK_TRIES; tried++) {
    await sleep(LOCK_DELAY_MS);
    held = await take();
  }
  if (held === null) {
    throw new StyxError('refused', `the catalogue of ${cloud} is being updated already`, {
      hint: `Wait for that update to end (its lock is held by process ${lockHolder(file)?.pid ?? 'unknown'}).`,
    });
  }
  // Signals of the terminal reach the child too; what it holds then matters no more.
  held.child.stdin?.on('error', () => undefined);
  const { child } = held;
  return () => ended(child);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.stdin?.end();
  await exit;
}

/** null when there is none that can be read: the next one replaces it. */
async function loadedOf(file: Parameters<typeof loadCatalog>[0] | null): Promise<LoadedCatalog | null> {
  if (file === null) return null;
  return loadCatalog(file).catch((error: unknown) => {
    if (error instanceof StyxError) return null;
    throw error;
  });
}

function knownOf(loaded: readonly (LoadedCatalog | null)[], standing: readonly CatalogRow[]): Known {
  const shapes = new Map<string, readonly Shape[]>();
  const regions = new Map<string, Set<string>>();
  for (const catalog of loaded.flatMap((one): Catalog[] => (one === null ? [] : [one.catalog]))) {
    for (const [type, group] of Map.groupBy(catalog.shapes, ({ instanceType }) => instanceType))
      shapes.set(type, group);
    for (const { instanceType, region } of catalog.rows()) {
      const known = regions.get(instanceType) ?? new Set();
      regions.set(instanceType, known.add(region));
    }
  }
  const all = new Set([...regions.values()].flatMap((set) => [...set]));
  const regionsOf = new Map([...regions].map(([type, set]) => [type, [...set]]));
  return { shapes, regions: regionsOf, allRegions: [...all].sort(), standing };
}

function infoOf(
  { cloud, spot, spotApi }: PriceApi<unknown>,
  base: string,
  begun: number,
  shipped: LoadedCatalog | null,
  standing: LoadedCatalog | null,
  spotPrices: 'new' | 'older' | 'none',
  /** Regions of which spot prices were asked for by themselves; is there any row that stayed as it was? */
  { spotRegions, carried: stayed }: { spotRegions: number; carried: boolean },
): CatalogInfo {
  const date = new Date(begun).toISOString();
  const day = date.slice(0, 10);
  const { host, pathname } = new URL(base);
  const from = `${host}${pathname.replace(/\/$/, '')}`;
  const of = spot ? 'prices on demand and of spot machines' : 'on-demand prices';
  const carried =
    spot || spotPrices === 'new' ? 'vCPUs, memory and accelerators' : 'vCPUs, memory, accelerators and spot prices';
  const apart: CatalogSource[] =
    spotApi === undefined || spotRegions === 0
      ? []
      : [{ of: `spot prices of ${spotRegions} regions`, from: spotApi.from, commit: null, date, license: null }];
  const oldSpot = standing?.catalog.info.spotPrices ?? null;
  const older: CatalogSource[] =
    shipped === null
      ? []
      : [
          {
            of: `${carried} that the list does not say`,
            from: 'Styx',
            commit: null,
            date: shipped.catalog.info.prices,
            license: null,
          },
        ];
  return {
    cloud,
    // The oldest of them, as everywhere.
    prices: stayed ? (standing?.catalog.info.prices ?? day) : day,
    spotPrices: spotPrices === 'none' ? null : spotPrices === 'new' && !stayed ? day : oldSpot,
    undated: false,
    sources: [{ of, from, commit: null, date, license: null }, ...apart, ...older],
  };
}
