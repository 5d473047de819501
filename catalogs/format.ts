/**
 * The files of catalogs/data: JSON with one line a shape, so that a new price changes one line.
 * A line is `[instanceType, cpus, memory, arch, accelerator, count, acceleratorMemory, offers]`; offers is flat, three
 * numbers each: the index of the place, the price, the spot price.
 */
import { StyxError } from '../model/errors.ts';
import { Catalog, type CatalogInfo, type Place, type Shape } from './catalog.ts';

export const FORMAT = 'styx-catalog/1';

type ShapeLine = readonly [
  instanceType: string,
  cpus: number | null,
  memory: number | null,
  arch: Shape['arch'],
  accelerator: string | null,
  count: number | null,
  acceleratorMemory: number | null,
  offers: readonly (number | null)[],
];

interface CatalogFile extends CatalogInfo {
  readonly format: typeof FORMAT;
  readonly rows: number;
  readonly places: readonly (readonly [region: string, zone: string | null])[];
  readonly shapes: readonly ShapeLine[];
}

export function encodeCatalog({ info, columns }: Catalog): string {
  const { shapes, places, first, place, price, spotPrice } = columns;
  const lines = shapes.map((shape, index) => {
    const offers: (number | null)[] = [];
    for (let row = first[index] ?? 0; row < (first[index + 1] ?? 0); row++) {
      // NaN becomes null in JSON.
      offers.push(place[row] ?? 0, price[row] ?? null, spotPrice[row] ?? null);
    }
    const { instanceType, cpus, memory, arch, accelerators, acceleratorMemory } = shape;
    return JSON.stringify([
      instanceType,
      cpus,
      memory,
      arch,
      accelerators?.name ?? null,
      accelerators?.count ?? null,
      acceleratorMemory,
      offers,
    ]);
  });
  const { cloud, prices, spotPrices, undated, sources } = info;
  const head = { format: FORMAT, cloud, prices, spotPrices, undated, sources, rows: place.length };
  const begun = JSON.stringify(head, null, 1).replace(/\n}$/, '');
  const placeLines = places.map(({ region, zone }) => JSON.stringify([region, zone]));
  return `${begun},\n "places": [\n${placeLines.join(',\n')}\n ],\n "shapes": [\n${lines.join(',\n')}\n ]\n}\n`;
}

/** @throws invalid, by the file's name, when this is not the whole text of a catalogue */
export function decodeCatalog(
  text: string,
  file: string,
  hint = 'Install Styx again, or take the file from its repository.',
): Catalog {
  try {
    return decoded(JSON.parse(text) as CatalogFile);
  } catch (error) {
    throw new StyxError('invalid', `${file} is not a catalogue of the form ${FORMAT}: ${(error as Error).message}`, {
      hint,
      cause: error,
    });
  }
}

function decoded(file: CatalogFile): Catalog {
  if (file.format !== FORMAT) throw new Error(`its format is ${JSON.stringify(file.format)}`);
  const shapes: Shape[] = [];
  const places = file.places.map(([region, zone]): Place => ({ region, zone }));
  const first = new Uint32Array(file.shapes.length + 1);
  const place = new Uint32Array(file.rows);
  const price = new Float64Array(file.rows);
  const spotPrice = new Float64Array(file.rows);
  let row = 0;
  for (const [instanceType, cpus, memory, arch, name, count, acceleratorMemory, offers] of file.shapes) {
    const accelerators = name === null || count === null ? null : { name, count };
    shapes.push({ instanceType, cpus, memory, arch, accelerators, acceleratorMemory });
    for (let at = 0; at < offers.length; at += 3, row++) {
      const index = offers[at] ?? -1;
      if (places[index] === undefined)
        throw new Error(`${instanceType} is offered in place ${index}, which is not listed`);
      place[row] = index;
      price[row] = offers[at + 1] ?? Number.NaN;
      spotPrice[row] = offers[at + 2] ?? Number.NaN;
    }
    first[shapes.length] = row;
  }
  if (row !== file.rows) throw new Error(`it has ${row} rows in place of ${file.rows}`);
  const { cloud, prices, spotPrices, undated, sources } = file;
  return new Catalog(
    { cloud, prices, spotPrices, undated, sources },
    { shapes, places, first, place, price, spotPrice },
  );
}
