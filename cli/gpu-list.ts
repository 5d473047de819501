/** `styx gpus list` and `styx show-gpus`: the same options, the same tables. */
import type { Command } from 'commander';
import type { CatalogInfo } from '../catalogs/catalog.ts';
import { type GpuOffers, type GpuQuery, gpuOffers } from '../catalogs/gpus.ts';
import { catalogFiles, findCatalog, type LoadedCatalog, loadCatalog } from '../catalogs/load.ts';
import { isGlob, matchesGlob, nearest } from '../client/names.ts';
import { nearestAccelerator } from '../model/accelerators.ts';
import { StyxError } from '../model/errors.ts';
import { accelerator } from '../model/spec/accelerators.ts';
import { FieldError } from '../model/spec/field.ts';
import { ageLines, offerTables, quantityTables } from './gpu-tables.ts';
import { debugOption, outputOption } from './options.ts';
import { type CommonOptions, runCommand } from './run.ts';

interface ListOptions extends CommonOptions {
  readonly all?: boolean;
  readonly infra?: string;
  readonly cloud?: string;
  readonly region?: string;
  readonly allRegions?: boolean;
}

export function configureGpuList(command: Command): void {
  command
    .argument('[accelerator]', 'part of a name (A100), with a number (A100:8), or memory (80GB+, nvidia:24GB)')
    .option('-a, --all', 'show all accelerators and their prices')
    .option('--infra <cloud[/region[/zone]]>', 'only what is offered there; * stands for any')
    .option('--cloud <cloud>', 'only this cloud')
    .option('--region <region>', 'only this region, or a glob of them; with --cloud')
    .option('--all-regions', 'show the price of each region, in place of the cheapest');
  outputOption(debugOption(command)).action((wanted: string | undefined, options: ListOptions) =>
    runCommand(options, async () => {
      await list(wanted ?? null, options);
      return 0;
    }),
  );
}

async function list(wanted: string | null, options: ListOptions): Promise<void> {
  const place = placeOf(options);
  checkOptions(wanted, options, place);
  const files = place.cloud === null ? catalogFiles() : [findCatalog(place.cloud)];
  const loaded = await Promise.all(files.map((file) => loadCatalog(file)));
  const query: GpuQuery = {
    ...requestOf(wanted),
    region: place.region === null ? null : regionOf(place.region, loaded),
    zone: place.zone,
    allRegions: options.allRegions === true,
  };
  const found = gpuOffers(
    loaded.map(({ catalog }) => catalog),
    query,
  );
  if (found.length === 0) throw notOffered(wanted, query, place, loaded);
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(asJson(found, loaded), null, 2)}\n`);
  else process.stdout.write(`${asText(found, wanted, options, loaded)}\n`);
}

function asText(
  found: readonly GpuOffers[],
  wanted: string | null,
  options: ListOptions,
  loaded: readonly LoadedCatalog[],
): string {
  const all = options.all === true;
  const hint = 'Hint: -a shows all accelerators and prices; `styx gpus list A100` those of one.';
  const sections =
    wanted !== null
      ? offerTables(found, true)
      : [...quantityTables(found, all), ...(all ? offerTables(found, false) : [hint])];
  const priced = wanted !== null || all ? ageLines(catalogsOf(found, loaded)).join('\n') : '';
  return [...sections, ...(priced === '' ? [] : [priced])].join('\n\n');
}

/** docs/cli.md describes this shape. */
function asJson(found: readonly GpuOffers[], loaded: readonly LoadedCatalog[]) {
  return {
    accelerators: found.map(({ name, vendor, counts, offers }) => ({
      name,
      vendor,
      counts,
      offers: offers.map((offer) => ({
        cloud: offer.cloud,
        instanceType: offer.instanceType,
        count: offer.accelerators.count,
        acceleratorMemory: offer.acceleratorMemory,
        cpus: offer.cpus,
        memory: offer.memory,
        arch: offer.arch,
        price: offer.price,
        spotPrice: offer.spotPrice,
        region: offer.region,
        zone: offer.zone,
      })),
    })),
    catalogs: catalogsOf(found, loaded).map(({ cloud, prices, spotPrices, undated }) => ({
      cloud,
      prices,
      spotPrices,
      undated,
      own: loaded.some((one) => one.cloud === cloud && one.own),
    })),
  };
}

/** Of the clouds that are shown. */
function catalogsOf(found: readonly GpuOffers[], loaded: readonly LoadedCatalog[]): CatalogInfo[] {
  const shown = new Set(found.flatMap(({ offers }) => offers.map(({ cloud }) => cloud)));
  return loaded.filter(({ cloud }) => shown.has(cloud)).map(({ catalog }) => catalog.info);
}

interface WantedPlace {
  readonly cloud: string | null;
  readonly region: string | null;
  readonly zone: string | null;
}

function placeOf({ infra, cloud, region }: ListOptions): WantedPlace {
  if (infra !== undefined && (cloud !== undefined || region !== undefined)) {
    throw new StyxError('invalid', '--infra cannot be given together with --cloud or --region');
  }
  const parts = infra === undefined ? [cloud, region] : infra.split('/');
  if (parts.length > 3 || parts.some((part) => part === '')) {
    throw new StyxError(
      'invalid',
      `--infra must be such as aws, aws/us-east-1 or aws/us-east-1/us-east-1a, not ${JSON.stringify(infra ?? cloud ?? region)}`,
    );
  }
  const [wantedCloud = null, wantedRegion = null, zone = null] = parts.map((part) => (part === '*' ? null : part));
  return { cloud: wantedCloud, region: wantedRegion, zone };
}

function checkOptions(wanted: string | null, { all, allRegions }: ListOptions, place: WantedPlace): void {
  const problem =
    all === true && wanted !== null
      ? '--all shows all accelerators; leave out the name or --all'
      : allRegions === true && wanted === null
        ? '--all-regions needs the name of an accelerator'
        : allRegions === true && place.region !== null
          ? '--all-regions cannot be given together with a region'
          : place.region !== null && place.cloud === null
            ? 'a region needs its cloud: pass --infra CLOUD/REGION'
            : null;
  if (problem !== null) throw new StyxError('invalid', problem);
}

/** A number that is not said is any. */
function requestOf(wanted: string | null): Pick<GpuQuery, 'name' | 'memory' | 'count'> {
  if (wanted === null) return { name: null, memory: null, count: null };
  try {
    const [request] = accelerator(wanted).options;
    if (request?.kind === 'memory')
      return { name: null, memory: request, count: /:\d+$/.test(wanted) ? request.count : null };
    return {
      name: request?.name ?? wanted,
      memory: null,
      count: wanted.includes(':') ? (request?.count ?? null) : null,
    };
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    throw new StyxError('invalid', `the accelerator ${error.message}`, { cause: error });
  }
}

function regionOf(wanted: string, loaded: readonly LoadedCatalog[]): (region: string) => boolean {
  const plain = wanted.toLowerCase();
  const matches = isGlob(wanted)
    ? (region: string) => matchesGlob(plain, region.toLowerCase())
    : (region: string) => region.toLowerCase() === plain;
  const regions = [...new Set(loaded.flatMap(({ catalog }) => catalog.columns.places.map(({ region }) => region)))];
  if (regions.some(matches)) return matches;
  const near = nearest(wanted, regions);
  throw new StyxError('invalid', `the catalogue of ${loaded[0]?.cloud} has no region ${JSON.stringify(wanted)}`, {
    hint: near.length === 0 ? `There are ${regions.slice(0, 40).join(', ')}.` : `Did you mean ${near.join(' or ')}?`,
  });
}

function notOffered(
  wanted: string | null,
  query: GpuQuery,
  place: WantedPlace,
  loaded: readonly LoadedCatalog[],
): StyxError {
  const catalogs = loaded.map(({ catalog }) => catalog);
  const where = [place.cloud, place.region, place.zone].filter((part) => part !== null).join('/');
  const on = where === '' ? '' : ` on ${where}`;
  const asked = wanted ?? 'accelerators';
  const anyNumber = query.count === null ? [] : gpuOffers(catalogs, { ...query, count: null });
  if (anyNumber.length > 0) {
    const hint = anyNumber.map(({ name, counts }) => `${name}: ${counts.join(', ')}`).join('; ');
    return new StyxError('invalid', `nobody offers ${asked}${on}`, { hint: `There are these numbers: ${hint}.` });
  }
  const names = [
    ...new Set(catalogs.flatMap(({ shapes }) => shapes.flatMap((shape) => shape.accelerators?.name ?? []))),
  ];
  const near = query.name === null || names.includes(query.name) ? null : nearestAccelerator(query.name, names);
  const meant = near === null || near.toLowerCase() === query.name?.toLowerCase() ? '' : `Did you mean ${near}? `;
  return new StyxError('invalid', `no accelerator ${JSON.stringify(asked)} is offered${on}`, {
    hint: `${meant}\`styx gpus list --all\` shows all of them.`,
  });
}
