/** Prices of GCP, from a server that speaks the Cloud Billing Catalog API. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CatalogRow } from '../../catalogs/catalog.ts';
import { catalog } from '../../catalogs/load.ts';
import { updateCatalog } from '../../catalogs/update/update.ts';
import { type Asked, PriceServer, type Reply, shippedRows } from './price-server.ts';

type Sku = ReturnType<typeof sku>;
let home: string;
let server: PriceServer;
let standing: CatalogRow[];
let skus: Sku[];

/** US dollars as the API has them: whole ones as text, and billionths. */
const money = (price: number) => ({
  currencyCode: 'USD',
  units: String(Math.floor(price)),
  nanos: Math.round((price % 1) * 1e9),
});
function sku(description: string, usageType: string, regions: readonly string[], price: number, usageUnit = 'h') {
  const pricingExpression = {
    usageUnit,
    displayQuantity: 1,
    tieredRates: [{ startUsageAmount: 0, unitPrice: money(price) }],
  };
  return {
    name: 'services/6F81-5844-456A/skus/0000-0000-0000',
    skuId: '0000-0000-0000',
    description,
    category: {
      serviceDisplayName: 'Compute Engine',
      resourceFamily: 'Compute',
      resourceGroup: 'CPU',
      usageType: usageType as string,
    },
    serviceRegions: [...regions],
    pricingInfo: [{ summary: '', pricingExpression, currencyConversionRate: 1, effectiveTime: '2026-07-01T00:00:00Z' }],
    serviceProviderName: 'Google',
  };
}

/** Of each family by its name in the list, core and gigabyte. */
const FAMILIES: Record<string, readonly [name: string, core: number, gigabyte: number]> = {
  n1: ['N1 Predefined Instance', 0.031611, 0.004237],
  n2: ['N2 Instance', 0.031611, 0.004237],
  n2d: ['N2D AMD Instance', 0.027502, 0.003686],
  n4: ['N4 Instance', 0.0325, 0.0037],
  e2: ['E2 Instance', 0.021811, 0.002923],
  c2: ['Compute optimized', 0.03398, 0.00455],
  c2d: ['C2D AMD Instance', 0.029563, 0.003959],
  c3: ['C3 Instance', 0.03465, 0.003938],
  c3d: ['C3D Instance', 0.029563, 0.003959],
  c4: ['C4 Instance', 0.03465, 0.003938],
  c4a: ['C4A Arm Instance', 0.03086, 0.003507],
  c4d: ['C4D Instance', 0.033, 0.0039],
  t2a: ['T2A Arm Instance', 0.0278, 0.0031],
  t2d: ['T2D AMD Instance', 0.027502, 0.003686],
  a2: ['A2 Instance', 0.031611, 0.004237],
  a3: ['A3 Instance', 0.029, 0.0025],
  g2: ['G2 Instance', 0.024988, 0.002927],
};
const CARDS: Record<string, number> = {
  'Tesla T4': 0.35,
  'Tesla V100': 2.48,
  'Tesla P100': 1.46,
  'Tesla P4': 0.6,
  'Tesla A100': 2.933908,
  'Tesla A100 80GB': 3.93,
  L4: 0.56,
  'H100 80GB': 9.79655057,
};
const SPOT = 0.3;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'styx-gcp-'));
  server = await PriceServer.start();
  standing = await shippedRows('gcp');
  const regions = [...new Set(standing.map(({ region }) => region))];
  skus = [
    ...Object.values(FAMILIES).flatMap(([name, core, gigabyte]) => [
      sku(`${name} Core running in Americas`, 'OnDemand', regions, core),
      sku(`${name} Ram running in Americas`, 'OnDemand', regions, gigabyte, 'GiBy.h'),
      sku(`Spot Preemptible ${name} Core running in Americas`, 'Preemptible', regions, core * SPOT),
      sku(`Spot Preemptible ${name} Ram running in Americas`, 'Preemptible', regions, gigabyte * SPOT, 'GiBy.h'),
    ]),
    ...Object.entries(CARDS).flatMap(([name, price]) => [
      sku(`Nvidia ${name} GPU running in Americas`, 'OnDemand', regions, price),
      sku(
        `Nvidia ${name} GPU attached to Spot Preemptible VMs running in Americas`,
        'Preemptible',
        regions,
        price * SPOT,
      ),
    ]),
  ];
  server.reply = billing;
});
afterEach(() => {
  server.stop();
  rmSync(home, { recursive: true, force: true });
});

/** Thirty a page: the tokens are the server's business. */
function billing({ path, headers }: Asked, base: string): Reply {
  const url = new URL(path, base);
  const isKey = headers['x-goog-api-key'] === 'AIzaSesame';
  if (!isKey && headers.authorization !== 'Bearer ya29.sesame') return { status: 403, body: { error: { code: 403 } } };
  if (url.pathname !== '/v1/services/6F81-5844-456A/skus') return { status: 404 };
  expect(url.searchParams.get('currencyCode')).toBe('USD');
  const from = Number(/^page-(\d+)$/.exec(url.searchParams.get('pageToken') ?? 'page-0')?.[1]);
  const next = from + 30 < skus.length ? `page-${from + 30}` : '';
  return { body: { skus: skus.slice(from, from + 30), nextPageToken: next } };
}

const update = (env: NodeJS.ProcessEnv = { GCP_API_KEY: 'AIzaSesame' }, force = true) =>
  updateCatalog('gcp', {
    home,
    url: server.url,
    force,
    env: { HOME: home, STYX_CACHE: join(home, 'cache'), ...env },
    retry: { tries: 3, firstDelay: 5, maxDelay: 20, idle: 5_000 },
  });
const rowsOf = async (type: string) =>
  [...(await catalog('gcp', home)).rows()].filter((row) => row.instanceType === type);

test('a machine is the sum of its cores, gigabytes and cards, in the regions where it stood, on demand and as spot', async () => {
  const { rows, pages, carried } = await update();
  expect(rows).toBe(standing.length);
  expect(pages.fetched).toBe(Math.ceil(skus.length / 30));
  const n2 = (await rowsOf('n2-standard-8'))[0];
  expect(n2?.price).toBeCloseTo(8 * 0.031611 + 32 * 0.004237, 5);
  expect(n2?.spotPrice).toBeCloseTo((8 * 0.031611 + 32 * 0.004237) * SPOT, 5);
  expect((await rowsOf('c2-standard-4'))[0]?.price).toBeCloseTo(4 * 0.03398 + 16 * 0.00455, 5);
  expect((await rowsOf('e2-small'))[0]?.price, 'half a core is billed').toBeCloseTo(0.5 * 0.021811 + 2 * 0.002923, 5);
  expect((await rowsOf('a2-ultragpu-8g'))[0]?.price).toBeCloseTo(96 * 0.031611 + 1360 * 0.004237 + 8 * 3.93, 4);
  expect((await rowsOf('a3-highgpu-8g'))[0]?.price).toBeCloseTo(208 * 0.029 + 1872 * 0.0025 + 8 * 9.79655057, 4);
  const t4 = (await rowsOf('n1-standard-8')).find(({ accelerators }) => accelerators?.name === 'T4');
  expect(t4?.price).toBeCloseTo(8 * 0.031611 + 30 * 0.004237 + (t4?.accelerators?.count ?? 0) * 0.35, 5);
  expect(carried).toContain('TPU-VM');
  expect(carried.filter((type) => /^(n|e|c|t)/.test(type))).toEqual([]);
});

test('what the list says nothing about stays as it was, and the date is that of the oldest price', async () => {
  skus = skus.filter(({ description }) => !description.includes('N4 Instance'));
  const { carried } = await update();
  expect(carried).toContain('n4-standard-8');
  expect(await rowsOf('n4-standard-8')).toEqual(
    standing.filter(({ instanceType }) => instanceType === 'n4-standard-8'),
  );
  const { info } = await catalog('gcp', home);
  expect(info.sources[0]?.date).toContain(new Date().toISOString().slice(0, 10));
  expect(info.prices).not.toBe(new Date().toISOString().slice(0, 10));
});

test('what is sold in another way is not taken for it', async () => {
  const [one] = skus.filter(({ description }) => description.startsWith('N2 Instance Core'));
  const other = (description: string, more: Partial<Sku> = {}): Sku => ({
    ...(one as Sku),
    description,
    pricingInfo: sku('', '', [], 77).pricingInfo,
    ...more,
  });
  const category = (one as Sku).category;
  skus.push(
    other('N2 Custom Instance Core running in Americas'),
    other('N2 Sole Tenancy Instance Core running in Americas'),
    other('Reserved N2 Instance Core in Americas'),
    other('N2 Instance Core running in Americas', { category: { ...category, usageType: 'Commit1Yr' } }),
    other('N2 Instance Core running in Americas', { category: { ...category, resourceFamily: 'License' } }),
    other('N2 Instance Core running in Mars', { serviceRegions: ['mars-north1'] }),
    other('A3Ultra Instance Core running in Americas'),
    other('Network Internet Egress', { category: { ...category, resourceFamily: 'Network' } }),
  );
  await update();
  for (const { price } of await rowsOf('n2-standard-8')) expect(price).toBeCloseTo(8 * 0.031611 + 32 * 0.004237, 5);
});

test('a page that is cut or refused is asked again, and the update that gave up goes on with the page that it lacks', async () => {
  let troubles: Reply[] = [{ status: 429 }, { body: { skus: [] }, cutAfter: 4 }];
  server.reply = (asked, base) => troubles.shift() ?? billing(asked, base);
  expect((await update()).rows).toBe(standing.length);
  rmSync(join(home, 'cache'), { recursive: true });
  troubles = [];
  server.asked.length = 0;
  server.reply = (asked, base) => (server.asked.length > 1 ? { status: 500 } : billing(asked, base));
  await expect(update()).rejects.toMatchObject({ kind: 'transient' });
  server.reply = billing;
  expect((await update()).pages).toMatchObject({ resumed: 1, fetched: Math.ceil(skus.length / 30) - 1 });
});

test('a price by another unit, and a list that is none, change nothing', async () => {
  const [first, ...rest] = skus;
  skus = [sku((first as Sku).description, 'OnDemand', ['us-central1'], 1, 'mo'), ...rest];
  await expect(update()).rejects.toMatchObject({ kind: 'invalid', message: expect.stringContaining('no price by h') });
  skus = [];
  await expect(update()).rejects.toMatchObject({ kind: 'invalid', message: expect.stringContaining('no rows') });
  expect((await catalog('gcp', home)).length).toBe(standing.length);
});

test('takes an API key or an access token, and says which without one', async () => {
  expect((await update({ CLOUDSDK_AUTH_ACCESS_TOKEN: 'ya29.sesame' })).rows).toBe(standing.length);
  await expect(update({ GCP_API_KEY: 'AIzaWrong' })).rejects.toMatchObject({ kind: 'auth' });
  await expect(update({})).rejects.toMatchObject({ kind: 'auth', hint: expect.stringContaining('GCP_API_KEY') });
});

test('a rate that moved tenfold is not believed', async () => {
  skus = skus.map((one) =>
    one.description.startsWith('N2 Instance Core') ? sku(one.description, 'OnDemand', one.serviceRegions, 5) : one,
  );
  const { quarantined } = await update(undefined, false);
  expect(quarantined.some(({ instanceType }) => instanceType === 'n2-standard-8')).toBe(true);
  const [before] = standing.filter(({ instanceType }) => instanceType === 'n2-standard-8');
  expect((await rowsOf('n2-standard-8'))[0]?.price).toBe(before?.price);
});
