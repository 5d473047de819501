/**
 * Catalogues of the user's own as they were read last, in the cache directory: SkyPilot's largest CSVs take half a second.
 * A kept one holds only for the very bytes of the CSV, so it is never out of date.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { styxCache, writeAtomically } from '../system/home.ts';
import { Catalog, type CatalogInfo } from './catalog.ts';
import { decodeCatalog, encodeCatalog } from './format.ts';

/** Raised when the same CSV would be understood differently. */
const READER_VERSION = 1;

/** @throws invalid, with file and line, when the file is no catalogue */
export async function importOnce(bytes: Uint8Array, path: string, info: CatalogInfo): Promise<Catalog> {
  const content = createHash('sha256').update(`${READER_VERSION} ${info.cloud}\n`).update(bytes).digest('hex');
  const file = join(styxCache(), 'catalogs', `${createHash('sha256').update(path).digest('hex')}.json`);
  const before = await kept(file, content);
  if (before !== null) return new Catalog(info, before.columns);
  const { importCatalog } = await import('./import.ts');
  const catalog = importCatalog(bytes, path, info);
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeAtomically(file, `${content}\n${encodeCatalog(catalog)}`);
  } catch {
    // Without a cache it is read again next time.
  }
  return catalog;
}

async function kept(file: string, content: string): Promise<Catalog | null> {
  try {
    const text = await readFile(file, 'utf8');
    return text.startsWith(`${content}\n`) ? decodeCatalog(text.slice(content.length + 1), file) : null;
  } catch {
    return null;
  }
}
