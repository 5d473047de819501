/** What a launch would try, before anything is made: the clouds are asked; when none has a place, catalogues tell why. */
import type { CatalogInfo, CatalogRow } from '../catalogs/catalog.ts';
import type { StyxError } from '../model/errors.ts';
import { ANY_MACHINE, type InstanceTypeOffer, type ResourceRequest } from '../model/machines.ts';
import type { Ranking } from '../optimizer/index.ts';
import { askForOffers, candidates, noOffers } from './clouds.ts';

export interface LaunchPreview {
  /** Best first; empty when nothing fits. */
  readonly offers: readonly InstanceTypeOffer[];
  /** Whose catalogues the prices are from, with their age. A cloud that has none was asked now. */
  readonly catalogs: readonly CatalogInfo[];
  /** Why other machines of these clouds are left out, and without offers what would fit; null when it was not asked for. */
  readonly ranking: Ranking | null;
}

/**
 * `reasons`: tell why others are left out when something fits, too.
 * @throws what the clouds say: invalid for names that they do not know; and why one could not be asked, when no other has a place
 */
export async function previewLaunch(request: ResourceRequest, reasons = false): Promise<LaunchPreview> {
  const { offers, problems } = await askForOffers(request);
  if (offers.length > 0 && !reasons) {
    return { offers, catalogs: await catalogsOf(offers.map(({ cloud }) => cloud)), ranking: null };
  }
  // Without credentials a cloud is not considered; what was refused as invalid is explained below.
  const open = problems.find(({ kind }) => kind !== 'invalid' && kind !== 'auth');
  if (offers.length === 0 && open !== undefined) throw open;
  const { rows, catalogs } = await machinesFor(request);
  if (offers.length === 0) refuseUnknownNames(request, rows, problems);
  const { launchRequest, rank } = await import('../optimizer/index.ts');
  return { offers, catalogs, ranking: rank(launchRequest(request), rows) };
}

/** None for what clouds without a catalogue say. */
export async function catalogsOf(clouds: readonly string[]): Promise<CatalogInfo[]> {
  const { catalogFiles, loadCatalog } = await import('../catalogs/load.ts');
  const files = catalogFiles().filter(({ cloud }) => clouds.includes(cloud));
  return await Promise.all(files.map(async (file) => (await loadCatalog(file)).catalog.info));
}

/** All machines of the clouds that a launch may use and has credentials for. */
export async function machinesFor(request: ResourceRequest): Promise<{ rows: CatalogRow[]; catalogs: CatalogInfo[] }> {
  const { catalogFiles, loadCatalog } = await import('../catalogs/load.ts');
  const clouds = await candidates(request);
  const reachable = await Promise.all(
    clouds.map(async (cloud) => {
      try {
        return (await cloud.places()).length > 0;
      } catch (error) {
        if (cloud.classify(error).kind === 'auth') return false;
        throw error;
      }
    }),
  );
  const names = clouds.filter((_, index) => reachable[index]).map(({ name }) => name);
  const files = catalogFiles().filter(({ cloud }) => names.includes(cloud));
  const loaded = await Promise.all(files.map(async (file) => (await loadCatalog(file)).catalog));
  const others = names.filter((name) => !files.some(({ cloud }) => cloud === name));
  const asked = await Promise.all(others.map((cloud) => offeredRows(cloud)));
  return {
    rows: [...loaded.flatMap((one) => [...one.rows()]), ...asked.flat()],
    catalogs: loaded.map(({ info }) => info),
  };
}

/** A cloud without a catalogue is asked what it has. */
export async function offeredRows(cloud: string): Promise<CatalogRow[]> {
  const { offers } = await askForOffers({ ...ANY_MACHINE, cloud });
  return offers.map(({ cloud, region, zone, instanceType, cpus, memory, accelerators, hourlyCost }) => ({
    cloud,
    region,
    zone,
    instanceType,
    cpus,
    memory,
    accelerators,
    acceleratorMemory: null,
    price: hourlyCost,
    spotPrice: hourlyCost,
    arch: null,
  }));
}

/** A name that no machine has is misspelt rather than too much asked for, and its cloud says so better. */
function refuseUnknownNames(
  { region, zone, instanceType, others }: ResourceRequest,
  rows: readonly CatalogRow[],
  problems: readonly StyxError[],
): void {
  if (rows.length === 0) throw noOffers(problems);
  if (others !== undefined) return;
  const isUnknown = (asked: string | null, of: (row: CatalogRow) => string | null) =>
    asked !== null && !rows.some((row) => (of(row) ?? asked).toLowerCase() === asked.toLowerCase());
  const unknown =
    isUnknown(region, (row) => row.region) ||
    isUnknown(zone, (row) => row.zone) ||
    isUnknown(instanceType, (row) => row.instanceType);
  if (unknown && problems.length > 0) throw noOffers(problems);
}
