/**
 * The pages of one update, each kept in the cache directory as soon as it is read: an update that was killed goes on with
 * the page that it lacks, and the next one asks only for pages that changed, where the API can say so.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { StyxError } from '../../model/errors.ts';
import { readJson, writeAtomically } from '../../system/home.ts';
import { fetchPage, type HttpOptions, type Validators } from './http.ts';
import type { Page, PageRequest, PriceApi } from './source.ts';

/** An update that was broken off longer ago begins anew: its prices would be of two days. */
const RESUME_MS = 24 * 3_600_000;
/** More than any price list has; a list that goes round in circles ends here. */
const MAX_PAGES = 20_000;

interface Run {
  readonly id: string;
  readonly version: number;
  readonly base: string;
  readonly begun: number;
  readonly finished: boolean;
}

interface KeptPage extends Page<unknown>, Validators {
  readonly run: string;
  readonly version: number;
  readonly immutable: boolean;
}

export interface PageCounts {
  /** Read from the API. */
  readonly fetched: number;
  /** The API says that they are as before, or their address does. */
  readonly unchanged: number;
  /** Read by this update before it was broken off. */
  readonly resumed: number;
}

export interface Walk<Item> {
  readonly items: Item[];
  readonly pages: PageCounts;
  /** When the update began, that of a resumed one too: no price is older. Milliseconds. */
  readonly begun: number;
  /** The update is done, and the next one begins anew. */
  finish(): void;
}

/** All pages of a price list. Whoever calls this holds the lock of the cloud. */
export async function walkPages<Item>(
  api: PriceApi<Item>,
  base: string,
  dir: string,
  http: HttpOptions,
  onProgress: (text: string) => void,
): Promise<Walk<Item>> {
  const pagesDir = join(dir, 'pages');
  mkdirSync(pagesDir, { recursive: true, mode: 0o700 });
  const run = begin(join(dir, 'run.json'), api.version, base);
  const origin = new URL(base).origin;
  const queue = [...api.first(base)];
  const items: Item[] = [];
  const seen = new Set<string>();
  const count = { fetched: 0, unchanged: 0, resumed: 0 };
  for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
    const name = `${pageId(request)}.json`;
    if (seen.has(name)) continue;
    seen.add(name);
    if (seen.size > MAX_PAGES) throw endless(api.cloud);
    if (new URL(request.url).origin !== origin) throw elsewhere(api.cloud, request.url, origin);
    const file = join(pagesDir, name);
    const kept = keptPage(file, api.version);
    const { page, how } = await get(api, request, base, kept, run.id, http, () =>
      onProgress(`${request.label} (page ${seen.size}${queue.length === 0 ? '' : ` of ${seen.size + queue.length}`})`),
    );
    if (how !== 'resumed') writeAtomically(file, JSON.stringify(page));
    count[how]++;
    for (const item of page.items) items.push(item as Item);
    queue.push(...page.next);
  }
  const finish = () => {
    writeAtomically(join(dir, 'run.json'), JSON.stringify({ ...run, finished: true }));
    for (const name of readdirSync(pagesDir)) if (!seen.has(name)) rmSync(join(pagesDir, name), { force: true });
  };
  return { items, pages: count, begun: run.begun, finish };
}

async function get(
  api: PriceApi<unknown>,
  request: PageRequest,
  base: string,
  kept: KeptPage | null,
  run: string,
  http: HttpOptions,
  onRequest: () => void,
): Promise<{ page: KeptPage; how: keyof PageCounts }> {
  if (kept?.run === run) return { page: kept, how: 'resumed' };
  if (kept?.immutable) return { page: { ...kept, run }, how: 'unchanged' };
  onRequest();
  const before = kept !== null && (kept.etag ?? kept.modified) !== null ? kept : null;
  const answer = await fetchPage(request, before, http, (body) => api.read(body, request, base));
  if (answer.status === 'unchanged') return { page: { ...(kept as KeptPage), run }, how: 'unchanged' };
  const { items, next } = answer.value;
  const immutable = request.immutable === true;
  return { page: { run, version: api.version, immutable, ...answer.validators, items, next }, how: 'fetched' };
}

/** The update that was broken off, or a new one. */
function begin(file: string, version: number, base: string, now = Date.now()): Run {
  const before = readJson(file) as Run | undefined;
  if (before !== undefined && !before.finished && before.version === version && before.base === base) {
    if (now - before.begun < RESUME_MS) return before;
  }
  const run = { id: randomUUID(), version, base, begun: now, finished: false };
  writeAtomically(file, JSON.stringify(run));
  return run;
}

function keptPage(file: string, version: number): KeptPage | null {
  const page = readJson(file) as KeptPage | undefined;
  return page !== undefined && page.version === version && Array.isArray(page.items) ? page : null;
}

function pageId({ url, body }: PageRequest): string {
  return createHash('sha256')
    .update(`${url}\n${JSON.stringify(body ?? null)}`)
    .digest('hex')
    .slice(0, 32);
}

function endless(cloud: string): StyxError {
  return new StyxError('invalid', `the price list of ${cloud} has more than ${MAX_PAGES} pages: it does not end`);
}

/** Credentials go with every request. */
function elsewhere(cloud: string, url: string, origin: string): StyxError {
  return new StyxError('invalid', `the price list of ${cloud} goes on at ${new URL(url).origin}, not at ${origin}`, {
    hint: 'Nothing is asked elsewhere than at the address of the list; `STYX_CATALOG_<CLOUD>_URL` changes that.',
  });
}
