/** Updates of catalogues, whichever cloud: here the API of Azure, as it has pages, and prices of every kind. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CatalogRow } from '../../catalogs/catalog.ts';
import { catalog, catalogFiles } from '../../catalogs/load.ts';
import { type UpdateOptions, updateCatalog } from '../../catalogs/update/update.ts';
import { azureItems, azureReply, PriceServer, type Reply, shippedRows } from './price-server.ts';

let rows: CatalogRow[];
let items: ReturnType<typeof azureItems>;
let pages: number;
let home: string;
let server: PriceServer;

beforeAll(async () => {
  rows = await shippedRows('azure');
});
beforeEach(async () => {
  items = rows.flatMap(azureItems);
  pages = Math.ceil(items.length / 1_000);
  home = mkdtempSync(join(tmpdir(), 'styx-update-'));
  server = await PriceServer.start();
  server.reply = (asked, base) => azureReply(items, asked, base);
});
afterEach(() => {
  server.stop();
  rmSync(home, { recursive: true, force: true });
});

const FAST = { tries: 4, firstDelay: 5, maxDelay: 20, idle: 20_000 };
const update = (options: UpdateOptions = {}) =>
  updateCatalog('azure', {
    home,
    url: server.url,
    env: { HOME: home, STYX_CACHE: join(home, 'cache') },
    retry: FAST,
    ...options,
  });
const fetched = () => join(home, 'catalogs', 'fetched', 'azure.json');
const priceIn = async (type: string, region: string) =>
  [...(await catalog('azure', home)).rows((shape) => shape.instanceType === type)].find((row) => row.region === region);
/** Serves these replies first, one each, and then what is there. */
function serveFirst(...replies: (Reply | undefined)[]): void {
  const after = server.reply;
  server.reply = (asked, base) => (replies.length > 0 ? replies.shift() : after(asked, base));
}
/** Of the row with this number, on demand. */
function changePrice(index: number, change: (price: number) => number): CatalogRow & { price: number } {
  const row = rows[index] as CatalogRow & { price: number };
  const price = change(row.price);
  items = rows.flatMap((one) => azureItems(one === row ? { ...row, price } : one));
  return row;
}

describe('what is fetched', () => {
  test('takes the place of what Styx brings, with its date and source, and yields to a file of the user', async () => {
    const row = changePrice(100, (price) => price * 1.25);
    const done = await update();
    expect(done).toMatchObject({ rows: rows.length, added: 0, removed: 0, changed: 1, leftOut: [], quarantined: [] });
    expect(done.pages).toEqual({ fetched: pages, unchanged: 0, resumed: 0 });
    expect((await priceIn(row.instanceType, row.region))?.price).toBeCloseTo(row.price * 1.25, 5);
    const { info } = await catalog('azure', home);
    const today = new Date().toISOString().slice(0, 10);
    expect(info).toMatchObject({ prices: today, spotPrices: today, undated: false });
    expect(info.sources[0]).toMatchObject({
      from: new URL(server.url).host,
      date: expect.stringContaining(`${today}T`),
    });
    expect(catalogFiles(home).find(({ cloud }) => cloud === 'azure')).toMatchObject({ own: false, fetched: true });

    writeFileSync(join(home, 'catalogs', 'azure.csv'), 'instance_type,region,price_usd_hour\nmine,here,1\n');
    expect((await catalog('azure', home)).length).toBe(1);
  });

  test('has no row that the cloud no longer sells, and names types of which nobody knows what they have', async () => {
    const [gone, ...others] = rows;
    items = [
      ...others.flatMap(azureItems),
      ...azureItems({ ...(gone as CatalogRow), instanceType: 'Standard_ZZ9_v9' }),
    ];
    expect(await update()).toMatchObject({ removed: 1, leftOut: ['Standard_ZZ9_v9'] });
    expect(await priceIn(gone?.instanceType ?? '', gone?.region ?? '')).toBeUndefined();
  });

  test('leaves out Windows, low priority, prices of the future, and clouds of their own', async () => {
    const row = rows[5] as CatalogRow;
    const [item] = azureItems({ ...row, price: (row.price ?? 1) * 0.9 });
    items = [
      ...items,
      { ...item, productName: 'Virtual Machines Series Windows' },
      { ...item, productName: 'Virtual Machines NCCadsv5 Srs Win' },
      { ...item, productName: 'Cloud Services Series' },
      { ...item, skuName: `${item?.skuName} Low Priority` },
      { ...item, effectiveStartDate: '2199-01-01T00:00:00Z' },
      { ...item, type: 'Reservation' },
      { ...item, unitOfMeasure: '1/Month' },
      { ...item, armRegionName: 'usgovvirginia' },
    ];
    expect(await update()).toMatchObject({ rows: rows.length, changed: 0, quarantined: [] });
    expect(await priceIn(row.instanceType, row.region)).toEqual(row);
  });

  test('is asked for again only where it changed, when the API can say so', async () => {
    server.reply = (asked, base) => {
      const { page, body } = azureReply(items, asked, base);
      const etag = `"${page}-${JSON.stringify(body).length}"`;
      return asked.headers['if-none-match'] === etag ? { status: 304 } : { body, headers: { etag } };
    };
    await update();
    const row = changePrice(1_500, () => 123.456789);
    expect(await update()).toMatchObject({ pages: { fetched: 1, unchanged: pages - 1, resumed: 0 } });
    expect(row.price).not.toBe(123.456789);
    expect((await update()).pages).toEqual({ fetched: 0, unchanged: pages, resumed: 0 });
  });
});

describe('a list that cannot be right', () => {
  test('of a price that moved tenfold the old one stays, until it is forced', async () => {
    const up = changePrice(42, (price) => price * 10);
    const { quarantined } = await update();
    const { instanceType, region, price } = up;
    expect(quarantined).toMatchObject([{ instanceType, region, kind: 'price', before: price }]);
    expect((await priceIn(instanceType, region))?.price).toBe(price);
    changePrice(42, (was) => was / 11);
    expect((await update()).quarantined).toHaveLength(1);
    changePrice(42, (was) => was * 9.9);
    expect((await update()).quarantined).toEqual([]);
    changePrice(42, (was) => was * 100);
    expect(await update({ force: true })).toMatchObject({ quarantined: [], changed: 1 });
    expect((await priceIn(instanceType, region))?.price).toBeCloseTo(price * 100, 4);
  });

  test('with less than half of the rows is refused unless it is forced, and what stood before stays', async () => {
    await update();
    const stood = readFileSync(fetched(), 'utf8');
    items = rows.slice(0, Math.floor(rows.length * 0.45)).flatMap(azureItems);
    await expect(update()).rejects.toMatchObject({ kind: 'invalid', hint: expect.stringContaining('--force') });
    expect(readFileSync(fetched(), 'utf8')).toBe(stood);
    items = rows.flatMap(azureItems);
    expect((await update()).rows, 'a list that was refused is not kept').toBe(rows.length);
    items = rows.slice(0, Math.floor(rows.length * 0.45)).flatMap(azureItems);
    expect((await update({ force: true })).rows).toBeLessThan(rows.length / 2);
    items = [];
    await expect(update({ force: true })).rejects.toThrow('no rows');
  });

  test.each([
    ['a price that is text', { retailPrice: '0.5' }, 'Items.7.retailPrice'],
    ['a price below nothing', { retailPrice: -1 }, 'Items.7.retailPrice'],
    ['no instance type', { armSkuName: undefined }, 'Items.7.armSkuName'],
    ['a price that no machine has', { retailPrice: 2e6 }, 'price of '],
    ['another currency', { currencyCode: 'EUR' }, 'USD'],
    ['a region that would move the cursor', { armRegionName: 'east\u001b[2Jus' }, 'is no name'],
  ])('with %s is refused by name, and nothing is changed', async (_, wrong, says) => {
    items[7] = { ...items[7], ...(wrong as object) };
    await expect(update()).rejects.toMatchObject({ kind: 'invalid', message: expect.stringContaining(says) });
    expect(existsSync(fetched())).toBe(false);
  });
});

describe('a service in trouble', () => {
  test('that throttles is asked again when it says, by seconds or by date', async () => {
    serveFirst({ status: 429, headers: { 'retry-after': '1' } });
    await update();
    expect((server.asked[1]?.at ?? 0) - (server.asked[0]?.at ?? 0)).toBeGreaterThanOrEqual(990);
    server.asked.length = 0;
    serveFirst({ status: 503, headers: { 'retry-after': new Date(Date.now() + 2_000).toUTCString() } });
    await update();
    expect((server.asked[1]?.at ?? 0) - (server.asked[0]?.at ?? 0)).toBeGreaterThanOrEqual(900);
  });

  test('is asked so often and no more, and not at all when it wants us to wait for an hour', async () => {
    server.reply = () => ({ status: 429 });
    await expect(update()).rejects.toMatchObject({ kind: 'throttled', message: expect.stringContaining('4 times') });
    expect(server.asked).toHaveLength(FAST.tries);
    server.reply = () => ({ status: 503, headers: { 'retry-after': '3600' } });
    await expect(update()).rejects.toMatchObject({ message: expect.stringContaining('3600 s') });
    expect(server.asked).toHaveLength(FAST.tries + 1);
    server.reply = () => ({ status: 500, body: 'no luck' });
    await expect(update()).rejects.toMatchObject({ kind: 'transient', message: expect.stringContaining('no luck') });
    server.reply = () => ({ status: 404 });
    server.asked.length = 0;
    await expect(update()).rejects.toMatchObject({ kind: 'invalid' });
    expect(server.asked, 'what is not there is not asked for again').toHaveLength(1);
  });

  test('that ends an answer early, in any way, is not believed', async () => {
    const half = JSON.stringify(azureReply(items, { path: '/' } as never, server.url).body).slice(0, 100_000);
    serveFirst({ body: azureReply(items, { path: '/' } as never, server.url).body, cutAfter: 5_000 }, { body: half });
    expect(await update()).toMatchObject({ rows: rows.length, changed: 0 });
    server.reply = () => ({ body: half });
    await expect(update()).rejects.toMatchObject({ kind: 'transient', message: expect.stringContaining('ends early') });
  });

  test('that says nothing any more is given up on', async () => {
    serveFirst(undefined);
    expect((await update({ retry: { ...FAST, idle: 200 } })).rows).toBe(rows.length);
    server.stop();
    await expect(update()).rejects.toMatchObject({ kind: 'unreachable' });
  });

  test('is asked at its address and nowhere else, whatever it answers', async () => {
    const other = await PriceServer.start();
    try {
      serveFirst({ body: { BillingCurrency: 'USD', Items: [], NextPageLink: `${other.url}/api/retail/prices` } });
      await expect(update()).rejects.toThrow(other.url);
      rmSync(join(home, 'cache'), { recursive: true });
      serveFirst({ status: 302, headers: { location: other.url } });
      await expect(update()).rejects.toThrow('302');
      expect(other.asked).toEqual([]);
    } finally {
      other.stop();
    }
  });
});

test('an update that failed goes on with the page that it lacked, and one of other prices does not', async () => {
  const whole = server.reply;
  server.reply = (asked, base) => (server.asked.length > 3 ? { status: 500 } : whole(asked, base));
  await expect(update()).rejects.toMatchObject({ hint: expect.stringContaining('goes on where it was') });
  expect(existsSync(fetched())).toBe(false);
  server.reply = whole;
  expect((await update()).pages).toEqual({ fetched: pages - 3, unchanged: 0, resumed: 3 });
  expect((await update()).pages, 'a finished update is not gone on with').toMatchObject({ fetched: pages });
});

test('of updates at once one works and the others say so, and the catalogue is whole', async () => {
  const whole = server.reply;
  const failures: unknown[] = [];
  let others: () => void = () => undefined;
  const refused = new Promise<void>((resolve) => {
    others = resolve;
  });
  // The one that works is held until the others have given up.
  server.reply = async (asked, base) => {
    await refused;
    return whole(asked, base);
  };
  const failed = (error: unknown) => {
    failures.push(error);
    if (failures.length === 2) others();
  };
  await Promise.all([update().catch(failed), update().catch(failed), update().catch(failed)]);
  expect(failures).toMatchObject([{ kind: 'refused' }, { kind: 'refused' }]);
  expect((await catalog('azure', home)).length).toBe(rows.length);
  expect(readdirSync(join(home, 'catalogs', 'fetched'))).toEqual(['azure.json']);
  expect((await update()).rows, 'the lock is given back').toBe(rows.length);
});

test('a fetched catalogue that is broken is said to be, with what to do, and the next update replaces it', async () => {
  mkdirSync(join(home, 'catalogs', 'fetched'), { recursive: true });
  writeFileSync(fetched(), '{"format":');
  await expect(catalog('azure', home)).rejects.toMatchObject({ hint: expect.stringContaining('catalog update azure') });
  await update();
  expect((await catalog('azure', home)).length).toBe(rows.length);
});

test('a cloud without a price list, and an address that is none, are refused by name', async () => {
  await expect(updateCatalog('azur', { home })).rejects.toMatchObject({ hint: 'Did you mean azure?' });
  await expect(updateCatalog('hetzner', { home })).rejects.toMatchObject({ hint: expect.stringContaining('runpod') });
  await expect(update({ url: 'prices' })).rejects.toMatchObject({
    hint: expect.stringContaining('STYX_CATALOG_AZURE_URL'),
  });
});
