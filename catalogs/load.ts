/** Catalogues by cloud: the user's own file, or else the one fetched last, or else the one that Styx brings. Read on first use, and again when it changed. */
import { existsSync, readdirSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StyxError } from '../model/errors.ts';
import { nearestWord } from '../model/spelling.ts';
import { homePaths, styxHome } from '../system/home.ts';
import type { Catalog } from './catalog.ts';
import { decodeCatalog } from './format.ts';

const SHIPPED = join(import.meta.dirname, 'data');

const fetchAgain = (cloud: string) => `Run \`styx catalog update ${cloud}\` again, or remove the file.`;

export interface CatalogFile {
  readonly cloud: string;
  readonly path: string;
  /** The user's, in the data directory. */
  readonly own: boolean;
  /** By `styx catalog update`, in the data directory. */
  readonly fetched: boolean;
}

export interface LoadedCatalog extends CatalogFile {
  readonly catalog: Catalog;
  readonly bytes: number;
}

/** One file a cloud, by cloud; the user's own win, and what was fetched wins over what Styx brings. */
export function catalogFiles(home = styxHome()): CatalogFile[] {
  const { catalogs, fetchedCatalogs } = homePaths(home);
  const files = [
    ...named(SHIPPED, '.json').map((file) => ({ ...file, own: false, fetched: false })),
    ...named(fetchedCatalogs, '.json').map((file) => ({ ...file, own: false, fetched: true })),
    ...named(catalogs, '.csv').map((file) => ({ ...file, own: true, fetched: false })),
  ];
  const winners = new Map(files.map((file) => [file.cloud, file]));
  return [...winners.values()].sort((a, b) => (a.cloud < b.cloud ? -1 : 1));
}

function named(dir: string, extension: string): { cloud: string; path: string }[] {
  if (!existsSync(dir)) return [];
  const names = readdirSync(dir).filter((name) => name.toLowerCase().endsWith(extension));
  return names.map((name) => ({ cloud: name.slice(0, -extension.length).toLowerCase(), path: join(dir, name) }));
}

/** The one that Styx brings; null when it brings none of this cloud. */
export function shippedFile(cloud: string): CatalogFile | null {
  return existing({ cloud, path: join(SHIPPED, `${cloud}.json`), own: false, fetched: false });
}

/** The one fetched last; null before that. */
export function fetchedFile(cloud: string, home = styxHome()): CatalogFile | null {
  const path = join(homePaths(home).fetchedCatalogs, `${cloud}.json`);
  return existing({ cloud, path, own: false, fetched: true });
}

function existing(file: CatalogFile): CatalogFile | null {
  return existsSync(file.path) ? file : null;
}

/** @throws invalid when there is no catalogue of the cloud, or its file is broken */
export async function catalog(cloud: string, home = styxHome()): Promise<Catalog> {
  return (await loadCatalog(findCatalog(cloud, home))).catalog;
}

/** @throws invalid, with the nearest name, when there is no catalogue of the cloud */
export function findCatalog(cloud: string, home = styxHome()): CatalogFile {
  const files = catalogFiles(home);
  const found = files.find((file) => file.cloud === cloud.toLowerCase());
  if (found !== undefined) return found;
  const clouds = files.map((file) => file.cloud);
  const near = nearestWord(cloud, clouds);
  throw new StyxError('invalid', `there is no catalogue of ${JSON.stringify(cloud.slice(0, 64))}`, {
    hint: near === null ? `There are catalogues of ${clouds.join(', ')}.` : `Did you mean ${near}?`,
  });
}

interface Kept {
  readonly changed: number;
  readonly bytes: number;
  readonly catalog: Promise<Catalog>;
}

const kept = new Map<string, Kept>();

/** @throws invalid when the file is broken */
export async function loadCatalog(file: CatalogFile): Promise<LoadedCatalog> {
  const { mtimeMs, size, isFile } = await about(file.path);
  if (!isFile) throw new StyxError('invalid', `${file.path} is not a file`);
  const before = kept.get(file.path);
  if (before !== undefined && before.changed === mtimeMs && before.bytes === size) {
    return { ...file, bytes: size, catalog: await before.catalog };
  }
  const loading = read(file, mtimeMs);
  kept.set(file.path, { changed: mtimeMs, bytes: size, catalog: loading });
  // What failed is tried again: the user may have corrected it without a change of time and size.
  loading.catch(() => kept.delete(file.path));
  return { ...file, bytes: size, catalog: await loading };
}

async function about(path: string): Promise<{ mtimeMs: number; size: number; isFile: boolean }> {
  try {
    const stats = await stat(path);
    return { mtimeMs: stats.mtimeMs, size: stats.size, isFile: stats.isFile() };
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function read({ cloud, path, own, fetched }: CatalogFile, changed: number): Promise<Catalog> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (!own) return decodeCatalog(bytes.toString('utf8'), path, fetched ? fetchAgain(cloud) : undefined);
  const date = new Date(changed).toISOString().slice(0, 10);
  const sources = [{ of: 'all figures', from: path, commit: null, date, license: null }];
  const { importOnce } = await import('./compiled.ts');
  return importOnce(bytes, path, { cloud, prices: date, spotPrices: date, undated: false, sources });
}

function unreadable(path: string, error: unknown): StyxError {
  return new StyxError('invalid', `cannot read ${path}: ${(error as Error).message}`, { cause: error });
}
