/** What one cloud offers and asks for it: rows in columns, so that tens of thousands of them cost little to load and to walk. */

/** One offer: a machine of a type, in a place, at a price. */
export interface CatalogRow {
  readonly cloud: string;
  readonly instanceType: string;
  readonly region: string;
  /** null: any of the region, or the cloud has none; which ones have it may not be known. */
  readonly zone: string | null;
  /** vCPUs; null when the source does not say. */
  readonly cpus: number | null;
  /** GiB. */
  readonly memory: number | null;
  /** A count below 1 is a share of a card. */
  readonly accelerators: { readonly name: string; readonly count: number } | null;
  /** GiB of one accelerator; of a TPU the whole slice's. */
  readonly acceleratorMemory: number | null;
  /** US dollars an hour on demand; null when it is not sold so. */
  readonly price: number | null;
  /** US dollars an hour; null when it is not sold so, or no figure is known. */
  readonly spotPrice: number | null;
  readonly arch: 'x86_64' | 'arm64' | null;
}

/** What a row says besides place and price. */
export type Shape = Pick<
  CatalogRow,
  'instanceType' | 'cpus' | 'memory' | 'arch' | 'accelerators' | 'acceleratorMemory'
>;
export type Place = Pick<CatalogRow, 'region' | 'zone'>;

/** Where figures are from. */
export interface CatalogSource {
  /** Which figures: "on-demand prices". */
  readonly of: string;
  /** Repository and path, or file. */
  readonly from: string;
  readonly commit: string | null;
  /** ISO 8601, as precise as it is known: `2026-07-20`, `2026-05`, `2023`; null: unknown. */
  readonly date: string | null;
  readonly license: string | null;
}

export interface CatalogInfo {
  readonly cloud: string;
  /** How old the prices are: the oldest known date among their sources, in the form of `CatalogSource.date`. */
  readonly prices: string | null;
  readonly spotPrices: string | null;
  /** Some figures are from a source without a date. */
  readonly undated: boolean;
  readonly sources: readonly CatalogSource[];
}

/** Offers of the shape `n` are the elements `first[n]` to `first[n + 1]` of the columns; a price that is not known is NaN. */
export interface CatalogColumns {
  readonly shapes: readonly Shape[];
  readonly places: readonly Place[];
  readonly first: Uint32Array;
  readonly place: Uint32Array;
  readonly price: Float64Array;
  readonly spotPrice: Float64Array;
}

export class Catalog {
  readonly info: CatalogInfo;
  readonly columns: CatalogColumns;

  constructor(info: CatalogInfo, columns: CatalogColumns) {
    this.info = info;
    this.columns = columns;
  }

  get cloud(): string {
    return this.info.cloud;
  }

  /** Number of rows. */
  get length(): number {
    return this.columns.place.length;
  }

  get shapes(): readonly Shape[] {
    return this.columns.shapes;
  }

  /** Is there any such price? */
  has(kind: 'price' | 'spotPrice'): boolean {
    return this.columns[kind].some((price) => !Number.isNaN(price));
  }

  /** Rows in the order of their types; of shapes that are not wanted none is made. */
  *rows(wanted: (shape: Shape) => boolean = () => true): Generator<CatalogRow> {
    const { shapes, places, first, place, price, spotPrice } = this.columns;
    for (const [index, shape] of shapes.entries()) {
      if (!wanted(shape)) continue;
      for (let row = first[index] ?? 0; row < (first[index + 1] ?? 0); row++) {
        const { region, zone } = places[place[row] ?? 0] as Place;
        yield {
          cloud: this.cloud,
          ...shape,
          region,
          zone,
          price: known(price[row]),
          spotPrice: known(spotPrice[row]),
        };
      }
    }
  }
}

function known(price: number | undefined): number | null {
  return price === undefined || Number.isNaN(price) ? null : price;
}

/** All of a row but its prices: two rows of one key contradict each other. */
export function rowKey({ instanceType, accelerators, memory, region, zone }: CatalogRow): string {
  return JSON.stringify([instanceType, accelerators?.name, accelerators?.count, memory, region, zone]);
}

/** The same catalogue whatever order the rows come in, so that a rebuilt file differs only where figures do. */
export function catalogOf(info: CatalogInfo, rows: readonly CatalogRow[]): Catalog {
  const shapeKey = ({ instanceType, accelerators, cpus, memory, arch, acceleratorMemory }: Shape) =>
    JSON.stringify([instanceType, accelerators?.name, accelerators?.count, cpus, memory, arch, acceleratorMemory]);
  const placeKey = ({ region, zone }: Place) => JSON.stringify([region, zone]);
  const byShape = [...Map.groupBy(rows, shapeKey)].sort(byKey).map(([, group]) => group);
  const places = [...new Map(rows.map((row) => [placeKey(row), row]))].sort(byKey);
  const placeIndex = new Map(places.map(([key], index) => [key, index]));
  const sorted = byShape.map((group) =>
    group.map((row) => ({ row, at: placeIndex.get(placeKey(row)) ?? 0 })).sort((a, b) => a.at - b.at),
  );
  const offers = sorted.flat();
  const first = new Uint32Array(byShape.length + 1);
  for (const [index, group] of sorted.entries()) first[index + 1] = (first[index] ?? 0) + group.length;
  return new Catalog(info, {
    shapes: byShape.map((group) => shapeOf(group[0] as CatalogRow)),
    places: places.map(([, { region, zone }]) => ({ region, zone })),
    first,
    place: Uint32Array.from(offers, ({ at }) => at),
    price: Float64Array.from(offers, ({ row }) => row.price ?? Number.NaN),
    spotPrice: Float64Array.from(offers, ({ row }) => row.spotPrice ?? Number.NaN),
  });
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function shapeOf({ instanceType, cpus, memory, arch, accelerators, acceleratorMemory }: CatalogRow): Shape {
  return { instanceType, cpus, memory, arch, accelerators, acceleratorMemory };
}
