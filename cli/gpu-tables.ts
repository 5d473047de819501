/** What `styx gpus list` shows, in the columns that SkyPilot's users know. */

import type { CatalogInfo } from '../catalogs/catalog.ts';
import type { GpuOffers } from '../catalogs/gpus.ts';
import { COMMON_GPUS, COMMON_TPUS } from '../model/accelerators.ts';
import { formatAge } from './format.ts';
import { formatTable } from './table.ts';

export function quantityTables(found: readonly GpuOffers[], all: boolean): string[] {
  const common = new Set([...COMMON_GPUS, ...COMMON_TPUS]);
  const others = found.map(({ name }) => name).filter((name) => !common.has(name));
  const tables: [string, readonly string[]][] = [
    ['COMMON_GPU', COMMON_GPUS],
    ['GOOGLE_TPU', COMMON_TPUS],
    ['OTHER_GPU', all ? others : []],
  ];
  const counts = new Map(found.map((one) => [one.name, one.counts.map(formatCount).join(', ')]));
  return tables
    .map(([title, names]): [string, string[][]] => [
      title,
      names.filter((name) => counts.has(name)).map((name) => [name, counts.get(name) ?? '']),
    ])
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => formatTable([title, 'AVAILABLE_QUANTITIES'], rows));
}

const OFFER_COLUMNS = [
  'GPU',
  'QTY',
  'CLOUD',
  'INSTANCE_TYPE',
  'DEVICE_MEM',
  'vCPUs',
  'HOST_MEM',
  'HOURLY_PRICE',
  'HOURLY_SPOT_PRICE',
];

/** One table for each accelerator. */
export function offerTables(found: readonly GpuOffers[], withRegion: boolean): string[] {
  return found.map(({ offers }) =>
    formatTable(
      [...OFFER_COLUMNS, ...(withRegion ? ['REGION'] : [])],
      offers.map((offer) => [
        offer.accelerators.name,
        formatCount(offer.accelerators.count),
        offer.cloud,
        offer.instanceType,
        gigabytes(offer.acceleratorMemory),
        offer.cpus === null ? '-' : formatCount(offer.cpus),
        gigabytes(offer.memory),
        hourly(offer.price),
        hourly(offer.spotPrice),
        offer.region,
      ]),
    ),
  );
}

/** How old the prices of each cloud are: the reader decides whether to believe them. */
export function ageLines(catalogs: readonly CatalogInfo[], now = Date.now()): string[] {
  if (catalogs.length === 0) return [];
  const dated = catalogs.filter(({ prices, spotPrices }) => (prices ?? spotPrices) !== null);
  const unknown = catalogs.filter((one) => !dated.includes(one)).map(({ cloud }) => cloud);
  const ages = dated.map(({ cloud, prices, spotPrices, undated }) => {
    const spot = spotPrices === null || spotPrices === prices ? '' : ` (spot ${ageOf(spotPrices, now)})`;
    return `${cloud} ${ageOf(prices ?? spotPrices, now)}${undated ? '*' : ''}${spot}`;
  });
  const parts = [ages.join(', '), unknown.length === 0 ? '' : `unknown: ${unknown.join(', ')}`];
  const inPart = dated.some(({ undated }) => undated) ? '* Of part of them the age is unknown. ' : '';
  return [
    `Age of prices: ${parts.filter((part) => part !== '').join('; ')}.`,
    `${inPart}\`styx catalog status\` shows dates and sources.`,
  ];
}

/** `4 mos`, from a date of any precision. */
export function ageOf(date: string | null, now = Date.now()): string {
  const age = formatAge(date === null ? null : Date.parse(date), now);
  return age === 'just now' || /^\d+ (sec|min|hr)s? ago$/.test(age) ? 'today' : age.replace(/ ago$/, '');
}

/** Of shares of a card two digits. */
function formatCount(count: number): string {
  return String(Math.round(count * 1000) / 1000);
}

function gigabytes(gib: number | null): string {
  return gib === null ? '-' : `${Math.round(gib)}GB`;
}

function hourly(price: number | null): string {
  return price === null ? '-' : `$ ${price.toFixed(3)}`;
}
