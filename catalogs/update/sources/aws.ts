/**
 * AWS: the bulk price list. An index names the file of each region with its version, so regions without new prices are
 * not read again. Files are CSV of up to some hundred megabytes, read as they come. Spot prices are not in it: EC2 is asked for them.
 */
import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { StyxError } from '../../../model/errors.ts';
import type { CatalogRow, Shape } from '../../catalog.ts';
import type { Answer } from '../http.ts';
import { checked, NO_ACCELERATORS, rounded } from '../reading.ts';
import { at, type Known, type Page, type PageRequest, type PriceApi } from '../source.ts';
import { AWS_SPOT } from './aws-spot.ts';

const Index = z.object({
  regions: z.record(z.string(), z.object({ regionCode: z.string(), currentVersionUrl: z.string() })),
});

interface Offer {
  readonly type: string;
  readonly region: string;
  readonly family: string;
  readonly cpus: number;
  /** GiB. */
  readonly memory: number;
  readonly arm: boolean;
  readonly price: number;
}

/** Regions, not the local and wavelength zones that hang on them: `us-west-2-lax-1`. */
const REGION = /^[a-z]+(-[a-z]+)+-\d+$/;
/** Families of machines that are all said by vCPUs and memory. */
const PLAIN_FAMILIES = new Set(['General purpose', 'Compute optimized', 'Memory optimized', 'Storage optimized']);

export const AWS: PriceApi<Offer> = {
  cloud: 'aws',
  url: 'https://pricing.us-east-1.amazonaws.com',
  version: 1,
  credential: null,
  spot: false,
  spotApi: AWS_SPOT,

  first: (base) => [
    { url: at(base, '/offers/v1.0/aws/AmazonEC2/current/region_index.json'), label: 'the index of regions' },
  ],

  async read(answer, request, base) {
    return request.immutable === true ? regionPage(answer, request) : indexPage(await answer.json(), base);
  },

  rows(items, known) {
    const leftOut = new Set<string>();
    const rows = items.flatMap((offer): CatalogRow[] => {
      const shape = shapeOf(offer, known);
      if (shape === null) {
        leftOut.add(offer.type);
        return [];
      }
      const { region, price } = offer;
      return [{ ...shape, cloud: 'aws', region, zone: null, price, spotPrice: null }];
    });
    return { rows, leftOut: [...leftOut].sort() };
  },
};

function indexPage(answer: unknown, base: string): Page<Offer> {
  const { regions } = checked(Index, answer, 'aws');
  const wanted = Object.values(regions).filter(({ regionCode }) => REGION.test(regionCode));
  const next = wanted.map(({ regionCode, currentVersionUrl }): PageRequest => {
    // The same list is there as CSV, which can be read line by line.
    return { url: at(base, currentVersionUrl.replace(/\.json$/, '.csv')), immutable: true, label: regionCode };
  });
  return { items: [], next };
}

const COLUMNS = {
  term: 'TermType',
  unit: 'Unit',
  price: 'PricePerUnit',
  currency: 'Currency',
  type: 'Instance Type',
  family: 'Instance Family',
  cpus: 'vCPU',
  memory: 'Memory',
  processor: 'Physical Processor',
  system: 'Operating System',
  tenancy: 'Tenancy',
  software: 'Pre Installed S/W',
  capacity: 'CapacityStatus',
  region: 'Region Code',
} as const;
type Column = keyof typeof COLUMNS;
/** Not in every version of the list. */
const OPTIONAL_COLUMNS = { market: 'MarketOption', operation: 'operation' } as const;

async function regionPage(answer: Answer, request: PageRequest): Promise<Page<Offer>> {
  const items: Offer[] = [];
  let columns: ((cells: readonly string[], column: Column | keyof typeof OPTIONAL_COLUMNS) => string) | null = null;
  for await (const line of answer.lines()) {
    if (columns === null) {
      // Some lines about the list come before the header.
      if (line.startsWith('"SKU"') || line.startsWith('SKU,')) columns = columnsOf(cellsOf(line), request);
      continue;
    }
    // Parsing all of the lines would take minutes; one in some hundred is about what is wanted.
    if (!line.includes('OnDemand') || !line.includes('Linux') || !line.includes('Shared')) continue;
    const cells = cellsOf(line);
    const read = columns;
    const offer = offerOf((column) => read(cells, column), request);
    if (offer !== null) items.push(offer);
  }
  if (columns === null) throw broken(request, 'has no header of columns');
  return { items, next: [] };
}

function cellsOf(line: string): string[] {
  return (parse(line, { relax_column_count: true }) as string[][])[0] ?? [];
}

function columnsOf(header: readonly string[], request: PageRequest) {
  for (const name of Object.values(COLUMNS)) {
    if (!header.includes(name)) throw broken(request, `lacks the column ${name}`);
  }
  const names: Readonly<Record<string, string>> = { ...COLUMNS, ...OPTIONAL_COLUMNS };
  const places = new Map(Object.entries(names).map(([column, name]) => [column, header.indexOf(name)]));
  return (cells: readonly string[], column: string) => cells[places.get(column) ?? -1] ?? '';
}

/** null: another product, or sold in another way. */
function offerOf(cell: (column: Column | keyof typeof OPTIONAL_COLUMNS) => string, request: PageRequest): Offer | null {
  const wanted =
    cell('term') === 'OnDemand' &&
    cell('system') === 'Linux' &&
    cell('tenancy') === 'Shared' &&
    cell('capacity') === 'Used' &&
    cell('unit') === 'Hrs' &&
    ['NA', ''].includes(cell('software')) &&
    ['OnDemand', ''].includes(cell('market')) &&
    ['RunInstances', ''].includes(cell('operation'));
  if (!wanted || cell('currency') !== 'USD') return null;
  const type = cell('type');
  const price = Number(cell('price'));
  if (cell('price') === '' || !Number.isFinite(price)) {
    throw broken(request, `has the price ${JSON.stringify(cell('price'))} for ${type}`);
  }
  const cpus = Number(cell('cpus'));
  const memory = Number(/^([\d.,]+) GiB$/.exec(cell('memory'))?.[1]?.replaceAll(',', ''));
  if (!(cpus > 0) || !(memory > 0)) {
    throw broken(
      request,
      `has ${JSON.stringify(cell('cpus'))} vCPUs and ${JSON.stringify(cell('memory'))} for ${type}`,
    );
  }
  // Such as types that are sold by reservation alone.
  if (price === 0) return null;
  const arm = /Graviton/i.test(cell('processor'));
  return { type, region: cell('region'), family: cell('family'), cpus, memory, arm, price: rounded(price) };
}

/** As the catalogue has it, since the list does not name accelerators; of plain types as the list says. */
function shapeOf({ type, family, cpus, memory, arm }: Offer, known: Known): Shape | null {
  const shape = known.shapes.get(type)?.[0];
  if (shape !== undefined) return shape;
  if (!PLAIN_FAMILIES.has(family)) return null;
  return { instanceType: type, cpus, memory, arch: arm ? 'arm64' : 'x86_64', ...NO_ACCELERATORS };
}

function broken(request: PageRequest, why: string): StyxError {
  return new StyxError('invalid', `the price list of aws is not as expected: that of ${request.label} ${why}`, {
    hint: 'Nothing was changed. Its form may have changed; `styx catalog status` shows how old the prices are that stand.',
  });
}
