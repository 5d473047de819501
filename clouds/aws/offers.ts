/** What AWS can give for a request: the catalogue's types and prices, in the zones in which this account's regions have them. */
import type { CatalogRow, Shape } from '../../catalogs/catalog.ts';
import { catalog } from '../../catalogs/load.ts';
import { LAUNCH_OFFERS } from '../../model/budgets.ts';
import { StyxError } from '../../model/errors.ts';
import type { Disk, InstanceTypeOffer, ResourceRequest } from '../../model/machines.ts';
import { nearestWord } from '../../model/spelling.ts';
import { launchRequest, type Ranked, rank } from '../../optimizer/index.ts';
import type { Api } from './api.ts';
import { CAPABILITIES } from './capabilities.ts';
import { diskFor, mustHaveSize } from './disks.ts';
import type { Images } from './images.ts';
import { mustBeTags } from './labels.ts';
import { Remembered } from './remembered.ts';
import { fitting, type Reservation, type Reservations } from './reservations.ts';
import { awsSettings } from './settings.ts';

const HOUR_MS = 60 * 60_000;
/** Regions asked at a time, the cheapest first, until a launch has enough places. */
const REGIONS_AT_ONCE = 4;

export class Offers {
  readonly #api: Api;
  readonly #images: Images;
  readonly #reservations: Reservations;
  readonly #home: string;
  readonly #regions: Remembered<ReadonlySet<string>>;
  readonly #zones: Remembered<ReadonlyMap<string, readonly string[]>>;

  constructor(api: Api, images: Images, reservations: Reservations, home: string) {
    this.#api = api;
    this.#reservations = reservations;
    this.#images = images;
    this.#home = home;
    this.#regions = new Remembered(HOUR_MS);
    this.#zones = new Remembered(HOUR_MS);
  }

  /** Best first, ≤ LAUNCH_OFFERS. @throws invalid for a region or a type that there is not, auth */
  async find(request: ResourceRequest): Promise<InstanceTypeOffer[]> {
    const { region, zone, instanceType, wants = {} } = request;
    mustBeTags(wants.labels ?? {});
    mustHaveSize(wants);
    const { rows, types, regions } = await this.#catalog();
    mustKnow('region', region, regions);
    mustKnow('instance type', instanceType, types);
    if (zone !== null && region !== null && !zone.toLowerCase().startsWith(region.toLowerCase())) {
      throw new StyxError('invalid', `zone "${zone}" is not in the region "${region}"`);
    }
    const images = await this.#images.places(wants, region, regions);
    const ranked = rankedFor(request, rows, images).filter(
      (one) => zone === null || zone.toLowerCase().startsWith(one.region),
    );
    if (ranked.length === 0) return [];
    const enabled = await this.regions();
    const { reachable, reservations } = await awsSettings(this.#home);
    const groups = [...Map.groupBy(ranked, (one) => one.region)].filter(
      ([name]) => enabled.has(name) && (reachable?.includes(name) ?? true),
    );
    if (groups.length === 0 && reachable !== null) {
      const where = region === null ? 'none of them has what was asked for' : `none leads to ${region}`;
      throw new StyxError('invalid', `aws.ssh_proxy_command has commands for ${reachable.join(', ')}, and ${where}`);
    }
    if (groups.length === 0 && region !== null) {
      throw new StyxError('invalid', `the region "${region}" is not switched on for this account`, {
        hint: 'Switch it on in the account settings of AWS, or use another region.',
      });
    }
    const held = new Map(
      await Promise.all(groups.map(async ([name]) => [name, await this.#reservations.in(name, reservations)] as const)),
    );
    // What is paid for comes first.
    groups.sort(([a], [b]) => Number(held.get(a)?.length === 0) - Number(held.get(b)?.length === 0));
    const offers: InstanceTypeOffer[] = [];
    const disk = diskFor(wants);
    for (let at = 0; at < groups.length && offers.length < LAUNCH_OFFERS; at += REGIONS_AT_ONCE) {
      const some = groups.slice(at, at + REGIONS_AT_ONCE);
      const found = await Promise.all(some.map(([name, places]) => this.#inZones(name, places, zone, disk)));
      offers.push(...found.flat().map((offer) => reserved(offer, held.get(offer.region) ?? [], request.numNodes)));
    }
    return offers.sort((a, b) => a.hourlyCost - b.hourlyCost).slice(0, LAUNCH_OFFERS);
  }

  async #catalog(): Promise<{ rows: CatalogRow[]; types: string[]; regions: string[] }> {
    const prices = await catalog('aws', this.#home);
    const places = prices.columns.places.map(({ region }) => region);
    return {
      rows: [...prices.rows()],
      types: prices.shapes.map((one) => one.instanceType),
      regions: [...new Set(places)],
    };
  }

  /** Those that are switched on for this account. */
  async regions(): Promise<ReadonlySet<string>> {
    return await this.#regions.get('', async () => {
      const { Regions } = await this.#api.call(await this.#api.homeRegion(), 'ec2:DescribeRegions', {});
      return new Set((Regions ?? []).flatMap(({ RegionName }) => RegionName ?? []));
    });
  }

  async #inZones(
    region: string,
    places: readonly Ranked[],
    zone: string | null,
    disk: Disk,
  ): Promise<InstanceTypeOffer[]> {
    const types = [...new Set(places.map(({ instanceType }) => instanceType))].slice(0, LAUNCH_OFFERS);
    const zones = await this.#zonesOf(region, types);
    return places.flatMap((place) =>
      (zones.get(place.instanceType) ?? [])
        .filter(
          (name) => (place.zone === null || place.zone === name) && (zone === null || zone.toLowerCase() === name),
        )
        .map((name) => offerIn(place, name, disk)),
    );
  }

  /** By type the zones of a region that have it. */
  async #zonesOf(region: string, types: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    return await this.#zones.get(JSON.stringify([region, types]), async () => {
      const found = await this.#api.all(
        region,
        'ec2:DescribeInstanceTypeOfferings',
        { LocationType: 'availability-zone', Filters: [{ Name: 'instance-type', Values: [...types] }] },
        (answer) => answer.InstanceTypeOfferings,
      );
      const pairs = found.flatMap(({ InstanceType, Location }) =>
        InstanceType !== undefined && Location !== undefined ? [[InstanceType as string, Location] as const] : [],
      );
      const byType = Map.groupBy(pairs, ([type]) => type);
      return new Map([...byType].map(([type, all]) => [type, all.map(([, location]) => location).sort()]));
    });
  }
}

/** What the catalogue says of a type; undefined for one that it does not have. */
export async function shapeOf(instanceType: string, home: string): Promise<Shape | undefined> {
  return (await catalog('aws', home)).shapes.find((one) => one.instanceType === instanceType);
}

/** What the catalogue says that a machine costs while it runs, US dollars an hour; null for what it does not have. */
export async function pricesOf(
  home: string,
): Promise<
  (
    region: string,
    machine: { InstanceType?: string | undefined; InstanceLifecycle?: string | undefined },
  ) => number | null
> {
  const prices = new Map<string, CatalogRow>();
  for (const row of (await catalog('aws', home)).rows()) prices.set(`${row.region} ${row.instanceType}`, row);
  return (region, { InstanceType, InstanceLifecycle }) => {
    const row = prices.get(`${region} ${InstanceType}`);
    return (InstanceLifecycle === 'spot' ? row?.spotPrice : row?.price) ?? null;
  };
}

/** The reservation is charged whether it is used or not: a machine in it costs nothing more. */
function reserved(offer: InstanceTypeOffer, held: readonly Reservation[], numNodes: number): InstanceTypeOffer {
  return fitting(held, { ...offer, numNodes }) === undefined ? offer : { ...offer, hourlyCost: 0 };
}

function offerIn(place: Ranked, zone: string, disk: Disk): InstanceTypeOffer {
  const { region, instanceType, cpus, memory, accelerators, useSpot, hourlyCost } = place;
  const { stopSpot } = CAPABILITIES;
  return {
    cloud: 'aws',
    region,
    zone,
    instanceType,
    cpus: cpus ?? 0,
    memory: memory ?? 0,
    accelerators,
    useSpot,
    hourlyCost,
    disk,
    ...(useSpot && stopSpot !== true ? { noStop: stopSpot } : {}),
  };
}

/** `images`: regions in which the image that is asked for is, and the architecture that it needs. */
function rankedFor(
  request: ResourceRequest,
  rows: readonly CatalogRow[],
  images: ReadonlyMap<string, string | null> | null,
): readonly Ranked[] {
  // The catalogue knows regions; zones are asked for.
  const asked = launchRequest({ ...request, cloud: 'aws', zone: null });
  if (images === null) return rank(asked, rows).placements;
  const byArch = Map.groupBy(images, ([, arch]) => arch);
  const found = [...byArch].flatMap(([arch, places]) => {
    const here = new Set(places.map(([region]) => region));
    const within = rows.filter(({ region }) => here.has(region));
    const able = arch === null ? within : within.filter((row) => row.arch === null || row.arch === arch);
    const { placements } = rank({ ...asked, arch: arch === 'arm64' ? arch : null }, able);
    if (placements.length === 0 && rank(asked, within).placements.length > 0) {
      const [region = ''] = here;
      throw new StyxError(
        'invalid',
        `the image for ${region} is for ${arch}, and ${request.instanceType ?? 'what fits the request'} has other processors`,
      );
    }
    return placements;
  });
  return found.sort((a, b) => a.cost - b.cost);
}

function mustKnow(what: string, name: string | null, known: readonly string[]): void {
  if (name === null || known.includes(name.toLowerCase())) return;
  const near = nearestWord(name, [...known]);
  const options = near === null ? {} : { hint: `Did you mean ${near}?` };
  throw new StyxError('invalid', `AWS has no ${what} "${name.slice(0, 64)}" in the catalogue`, options);
}
