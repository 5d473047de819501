/** The price lists of each cloud, as its API has them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CatalogRow } from '../../catalogs/catalog.ts';
import { catalog } from '../../catalogs/load.ts';
import { updateCatalog } from '../../catalogs/update/update.ts';
import { withAwsCredentials, withoutAwsCredentials } from './aws-environment.ts';
import { PriceServer, shippedRows } from './price-server.ts';

let home: string;
let server: PriceServer;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'styx-update-clouds-'));
  server = await PriceServer.start();
  withoutAwsCredentials(home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  server.stop();
  rmSync(home, { recursive: true, force: true });
});

const FAST = { tries: 2, firstDelay: 5, maxDelay: 20, idle: 5_000 };
const update = (cloud: string, env: NodeJS.ProcessEnv = {}, url = server.url) =>
  updateCatalog(cloud, {
    home,
    url,
    env: { HOME: home, STYX_CACHE: join(home, 'cache'), ...env },
    retry: FAST,
  });
const rowsOf = async (cloud: string, type: string) =>
  [...(await catalog(cloud, home)).rows((shape) => shape.instanceType === type)].map(({ cloud: _, ...row }) => row);
/** One row of each type. */
const types = (rows: readonly CatalogRow[]) => [...new Map(rows.map((row) => [row.instanceType, row])).values()];

describe('aws', () => {
  const HEADER = [
    ['SKU', 'OfferTermCode', 'RateCode', 'TermType', 'PriceDescription', 'StartingRange', 'EndingRange', 'Unit'],
    ['PricePerUnit', 'Currency', 'Product Family', 'Instance Type', 'Instance Family', 'vCPU', 'Physical Processor'],
    ['Memory', 'Tenancy', 'Operating System', 'CapacityStatus', 'MarketOption', 'Pre Installed S/W', 'Region Code'],
    ['operation', 'GPU'],
  ].flat();
  const USUAL: Record<string, string> = {
    SKU: '2223B6PCG6QAUYY6',
    TermType: 'OnDemand',
    PriceDescription: '$0.1 per "On Demand" Linux Instance Hour, all of it',
    Unit: 'Hrs',
    Currency: 'USD',
    'Product Family': 'Compute Instance',
    'Instance Family': 'General purpose',
    'Physical Processor': 'Intel Xeon Platinum 8175',
    Tenancy: 'Shared',
    'Operating System': 'Linux',
    CapacityStatus: 'Used',
    MarketOption: 'OnDemand',
    'Pre Installed S/W': 'NA',
    operation: 'RunInstances',
    GPU: 'NA',
  };
  type Line = Record<string, string>;
  const csv = (lines: readonly Line[]) =>
    [
      ['FormatVersion', 'v1.0'],
      ['Disclaimer', 'This pricing list is for informational purposes only.'],
      ['Publication Date', '2026-07-20T00:00:00Z'],
      ['Version', '20260720'],
      ['OfferCode', 'AmazonEC2'],
      HEADER,
      ...lines.map((line) => HEADER.map((column) => line[column] ?? USUAL[column] ?? '')),
    ]
      .map((cells) => `${cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(',')}\n`)
      .join('');
  const lineOf = ({ instanceType, region, cpus, memory, price }: CatalogRow): Line => ({
    'Instance Type': instanceType,
    'Region Code': region,
    vCPU: String(cpus),
    Memory: `${memory?.toLocaleString('en-US', { maximumFractionDigits: 3 })} GiB`,
    PricePerUnit: (price ?? 0).toFixed(10),
  });
  let lines: Map<string, Line[]>;
  let versions: Map<string, string>;

  beforeEach(async () => {
    const priced = (await shippedRows('aws')).filter(({ price }) => price !== null);
    lines = new Map(
      [...Map.groupBy(priced, ({ region }) => region)].map(([region, rows]) => [region, rows.map(lineOf)]),
    );
    versions = new Map([...lines.keys()].map((region) => [region, '20260720']));
    server.reply = ({ path }) => {
      if (path === '/offers/v1.0/aws/AmazonEC2/current/region_index.json') {
        const listed = [...versions].map(([regionCode, version]) => {
          const currentVersionUrl = `/offers/v1.0/aws/AmazonEC2/${version}/${regionCode}/index.json`;
          return [regionCode, { regionCode, currentVersionUrl }];
        });
        return { body: { formatVersion: 'v1.0', regions: Object.fromEntries(listed) } };
      }
      const [, region = ''] = /^\/offers\/v1.0\/aws\/AmazonEC2\/\d+\/([a-z0-9-]+)\/index\.csv$/.exec(path) ?? [];
      const found = lines.get(region);
      return found === undefined ? { status: 404 } : { body: csv(found) };
    };
  });

  test('is read region by region: what is sold on demand with Linux, described as before, spot prices as they were', async () => {
    const before = await shippedRows('aws');
    const done = await update('aws');
    expect(done).toMatchObject({ leftOut: [], quarantined: [], changed: 0, added: 0 });
    expect(done.spot?.problem?.message).toContain('there are no credentials of aws');
    const [gpu] = before.filter(({ accelerators, price }) => accelerators?.name === 'A100' && price !== null);
    const { cloud: _, ...expected } = gpu as CatalogRow;
    expect(await rowsOf('aws', expected.instanceType)).toContainEqual(expected);
    const { info } = await catalog('aws', home);
    expect(info.prices).toBe(new Date().toISOString().slice(0, 10));
    expect(info.spotPrices, 'spot prices are as old as they were').toBe('2026-07-05');
  });

  test('has the spot prices of now with credentials, and says so by their date', async () => {
    const list = server.reply;
    server.reply = (asked, base) => {
      if (asked.method !== 'POST') return list(asked, base);
      const item =
        '<item><instanceType>m5.large</instanceType><spotPrice>0.0456</spotPrice>' +
        '<availabilityZone>here-a</availabilityZone><timestamp>2026-07-01T00:00:00Z</timestamp></item>';
      const body = `<R xmlns="x"><spotPriceHistorySet>${item}</spotPriceHistorySet></R>`;
      return { body, headers: { 'content-type': 'text/xml' } };
    };
    withAwsCredentials(server.url);
    const { spot } = await update('aws');
    expect(spot).toMatchObject({ problem: null, kept: [] });
    expect(spot?.regions).toBe(lines.size);
    for (const row of await rowsOf('aws', 'm5.large')) expect(row.spotPrice).toBe(0.0456);
    const { info } = await catalog('aws', home);
    expect(info.spotPrices).toBe(new Date().toISOString().slice(0, 10));
    expect(info.sources.map(({ of }) => of).join()).toContain(`spot prices of ${lines.size} regions`);
  });

  test('does not take what is sold in another way for it', async () => {
    const [row] = types(await shippedRows('aws')).filter(({ price, region }) => price !== null && lines.has(region));
    const { instanceType, region, price } = row as CatalogRow & { price: number };
    const other = { ...lineOf(row as CatalogRow), PricePerUnit: (price * 0.5).toFixed(10) };
    lines
      .get(region)
      ?.push(
        { ...other, TermType: 'Reserved' },
        { ...other, 'Operating System': 'Windows' },
        { ...other, 'Operating System': 'RHEL' },
        { ...other, Tenancy: 'Dedicated' },
        { ...other, CapacityStatus: 'UnusedCapacityReservation' },
        { ...other, 'Pre Installed S/W': 'SQL Web' },
        { ...other, MarketOption: 'CapacityBlock' },
        { ...other, Unit: 'Quantity' },
        { ...other, PricePerUnit: '0.0000000000' },
      );
    expect(await update('aws')).toMatchObject({ changed: 0, quarantined: [] });
    expect((await rowsOf('aws', instanceType)).find((one) => one.region === region)?.price).toBe(price);
  });

  test('has new types as the list describes them, but none whose accelerators it does not name', async () => {
    const rest = { 'Region Code': 'us-east-1', vCPU: '8', PricePerUnit: '0.5000000000' };
    lines
      .get('us-east-1')
      ?.push(
        { ...rest, 'Instance Type': 'm99g.2xlarge', Memory: '32 GiB', 'Physical Processor': 'AWS Graviton9 Processor' },
        { ...rest, 'Instance Type': 'x99.32xlarge', Memory: '1,952 GiB', 'Instance Family': 'Memory optimized' },
        { ...rest, 'Instance Type': 'g99.xlarge', Memory: '32 GiB', 'Instance Family': 'GPU instance', GPU: '1' },
      );
    expect(await update('aws')).toMatchObject({ added: 2, leftOut: ['g99.xlarge'] });
    expect(await rowsOf('aws', 'm99g.2xlarge')).toMatchObject([{ cpus: 8, memory: 32, arch: 'arm64', price: 0.5 }]);
    expect(await rowsOf('aws', 'x99.32xlarge')).toMatchObject([{ memory: 1952, arch: 'x86_64', accelerators: null }]);
  });

  test('reads only regions of which there is a new version, and zones that are no regions never', async () => {
    versions.set('us-west-2-lax-1', '20260720');
    await update('aws');
    server.asked.length = 0;
    versions.set('eu-west-1', '20260801');
    const { pages } = await update('aws');
    expect(pages).toEqual({ fetched: 2, unchanged: lines.size - 1, resumed: 0 });
    expect(server.asked.map(({ path }) => path)).toEqual([
      '/offers/v1.0/aws/AmazonEC2/current/region_index.json',
      '/offers/v1.0/aws/AmazonEC2/20260801/eu-west-1/index.csv',
    ]);
  });

  test('does not believe a file that ends early, lacks a column, or has no figures', async () => {
    const whole = server.reply;
    const withFile = (change: (text: string) => object) => {
      rmSync(join(home, 'cache'), { recursive: true, force: true });
      server.reply = (asked, base) => {
        const reply = whole(asked, base) as { body: string };
        return asked.path.endsWith('eu-west-1/index.csv') ? change(reply.body) : reply;
      };
      return update('aws');
    };
    await expect(withFile((body) => ({ body, cutAfter: body.length / 2 }))).rejects.toMatchObject({
      kind: 'unreachable',
    });
    await expect(withFile((body) => ({ body: body.slice(0, -20) }))).rejects.toThrow('ends within a line');
    await expect(withFile((body) => ({ body: body.replace('"PricePerUnit"', '"Price"') }))).rejects.toThrow(
      'that of eu-west-1 lacks the column PricePerUnit',
    );
    await expect(withFile((body) => ({ body: body.replace(/"[\d.]+ GiB"/, '"NA"') }))).rejects.toThrow('"NA" for ');
    await expect(withFile(() => ({ body: '' }))).rejects.toThrow('has no header');
  });
});

describe('lambda', () => {
  const answer = async () => {
    const data = types(await shippedRows('lambda')).map(({ instanceType: name, cpus, memory, price, accelerators }) => [
      name,
      {
        instance_type: {
          name,
          description: name,
          gpu_description: accelerators?.name ?? 'N/A',
          price_cents_per_hour: Math.round((price ?? 0) * 100),
          specs: { vcpus: cpus, memory_gib: memory, storage_gib: 512, gpus: accelerators?.count ?? 0 },
        },
        regions_with_capacity_available: [] as { name: string; description: string }[],
      },
    ]) as [string, { instance_type: { name: string; price_cents_per_hour: number } }][];
    return Object.fromEntries(data);
  };

  test('has one price everywhere, types that are new, and regions that it names', async () => {
    const data = await answer();
    const type = structuredClone(data.gpu_8x_h100_sxm5);
    Object.assign(type?.instance_type as object, { name: 'gpu_4x_b300_sxm6', price_cents_per_hour: 2396 });
    Object.assign(type as object, { regions_with_capacity_available: [{ name: 'us-north-9', description: 'North' }] });
    Object.assign(data, { gpu_4x_b300_sxm6: type });
    (data.gpu_1x_a10 as { instance_type: { price_cents_per_hour: number } }).instance_type.price_cents_per_hour = 99;
    server.reply = ({ path, headers }) =>
      path !== '/api/v1/instance-types'
        ? { status: 404 }
        : headers.authorization !== 'Bearer sesame'
          ? { status: 401, body: { error: { code: 'global/invalid-api-key', message: 'API key was invalid.' } } }
          : { body: { data } };
    await expect(update('lambda', { LAMBDA_API_KEY: 'wrong' })).rejects.toMatchObject({ kind: 'auth' });
    const done = await update('lambda', { LAMBDA_API_KEY: 'sesame' });
    expect(done).toMatchObject({ removed: 0, leftOut: [] });
    const cheap = await rowsOf('lambda', 'gpu_1x_a10');
    expect(cheap).toHaveLength(18);
    expect(new Set(cheap.map(({ price }) => price))).toEqual(new Set([0.99]));
    expect(await rowsOf('lambda', 'gpu_4x_b300_sxm6')).toContainEqual(
      expect.objectContaining({
        region: 'us-north-9',
        price: 23.96,
        accelerators: { name: 'B300', count: 4 },
        acceleratorMemory: 288,
      }),
    );
  });

  test('is not asked without a key, and every place for one is named', async () => {
    await expect(update('lambda')).rejects.toMatchObject({
      kind: 'auth',
      hint: expect.stringMatching(/LAMBDA_API_KEY.*~\/\.lambda_cloud\/lambda_keys/),
    });
    await expect(update('lambda', { LAMBDA_API_KEY: 'one two' })).rejects.toThrow(/^(?!.*one two).*LAMBDA_API_KEY/);
    expect(server.asked).toEqual([]);
  });
});

test('runpod has secure and community prices, on demand and of spot machines, a GPU times its number', async () => {
  const gpu = (displayName: string, memoryInGb: number, prices: object) => ({
    id: `NVIDIA ${displayName}`,
    displayName,
    memoryInGb,
    maxGpuCount: 8,
    secureCloud: true,
    communityCloud: true,
    securePrice: null,
    communityPrice: null,
    secureSpotPrice: null,
    communitySpotPrice: null,
    ...prices,
  });
  const gpuTypes = [
    gpu('A100 PCIe', 80, { securePrice: 1.64, communityPrice: 1.19, secureSpotPrice: 0.82 }),
    gpu('A100 SXM', 80, { securePrice: 1.89, communityPrice: 1.39 }),
    gpu('H100 PCIe', 80, { securePrice: 2.39, communityPrice: 1.99 }),
    gpu('H100 SXM', 80, { securePrice: 2.99, communityPrice: 2.69 }),
    gpu('H100 NVL', 94, { securePrice: 2.79, communityPrice: 2.59 }),
    gpu('H200 SXM', 141, { securePrice: 3.99, communityPrice: 3.59 }),
    gpu('B200', 180, { securePrice: 5.99, communityPrice: 5.89 }),
    gpu('RTX 4090', 24, { securePrice: 0.69, communityPrice: 0.34 }),
    gpu('RTX PRO 9000', 192, { securePrice: 9, communityCloud: false, communityPrice: 8, maxGpuCount: 2 }),
    gpu('L40S', 48, { communityPrice: 0.79, securePrice: 0 }),
    gpu('unknown', 0, {}),
  ];
  let reply: object = { data: { gpuTypes } };
  server.reply = ({ method, path, headers, body }) => {
    const { query } = JSON.parse(body) as { query: string };
    const right = method === 'POST' && path === '/graphql' && query.includes('gpuTypes');
    return right && headers.authorization === 'Bearer sesame' ? { body: reply } : { status: 401 };
  };
  const run = () => update('runpod', { RUNPOD_API_KEY: 'sesame' }, `${server.url}/graphql`);
  expect(await run()).toMatchObject({ leftOut: [], quarantined: [] });
  expect(await rowsOf('runpod', '8x_A100-80GB_SECURE')).toContainEqual(
    expect.objectContaining({ price: 13.12, spotPrice: 6.56, accelerators: { name: 'A100-80GB', count: 8 }, cpus: 64 }),
  );
  expect((await rowsOf('runpod', '1x_L40S_COMMUNITY')).map(({ price }) => price)).toContain(0.79);
  expect(await rowsOf('runpod', '1x_L40S_SECURE')).toEqual([]);
  expect(await rowsOf('runpod', '2x_RTXPRO9000_SECURE')).toContainEqual(
    expect.objectContaining({ price: 18, acceleratorMemory: 192, cpus: null, memory: null }),
  );
  expect(await rowsOf('runpod', '1x_RTXPRO9000_COMMUNITY')).toEqual([]);
  expect(await rowsOf('runpod', '4x_RTXPRO9000_SECURE')).toEqual([]);
  reply = { errors: [{ message: 'Cannot query field "securePrice"' }] };
  await expect(run()).rejects.toThrow('Cannot query field "securePrice"');
});

test('vast has the cheapest offer of each kind of machine in each country', async () => {
  const offer = (more: object) => ({
    id: 12345678,
    gpu_name: 'RTX 4090',
    num_gpus: 1,
    gpu_ram: 24564,
    cpu_cores_effective: 48,
    cpu_ram: 96_000,
    cpu_arch: 'amd64',
    geolocation: 'Quebec, CA',
    dph_total: 0.4,
    min_bid: 0.2,
    ...more,
  });
  const many = (await shippedRows('vast')).map(({ region }, at) => offer({ geolocation: region, num_gpus: at + 10 }));
  const offers = [
    ...many,
    offer({}),
    offer({ dph_total: 0.3, cpu_cores_effective: 32, cpu_ram: 65_536 }),
    offer({ gpu_name: 'A100 SXM4', gpu_ram: 81_920, num_gpus: 4, dph_total: 4, min_bid: null }),
    offer({ gpu_name: 'A100 SXM4', gpu_ram: 40_960, num_gpus: 2, dph_total: 2 }),
    offer({ gpu_name: 'H100 NVL', gpu_ram: 95_830 }),
    offer({ gpu_name: 'RTX 9999', gpu_ram: 49_140 }),
    offer({ gpu_name: 'L40S', geolocation: null }),
    offer({ gpu_name: 'L40S', cpu_cores_effective: null }),
  ];
  server.reply = ({ method, path, headers, body }) => {
    const { rentable, limit } = JSON.parse(body) as { rentable: object; limit: number };
    expect({ method, path, rentable, limit }).toMatchObject({ method: 'POST', rentable: { eq: true }, limit: 10_000 });
    return headers.authorization === 'Bearer sesame' && path === '/api/v0/bundles/'
      ? { body: { offers } }
      : { status: 401 };
  };
  await update('vast', { VAST_API_KEY: 'sesame' });
  expect(await rowsOf('vast', '1x-RTX_4090-32-65536')).toEqual([
    {
      instanceType: '1x-RTX_4090-32-65536',
      region: 'CA',
      zone: null,
      cpus: 32,
      memory: 64,
      arch: 'x86_64',
      accelerators: { name: 'RTX4090', count: 1 },
      acceleratorMemory: 24,
      price: 0.3,
      spotPrice: 0.2,
    },
  ]);
  const card = async (type: string) => (await rowsOf('vast', type))[0];
  expect(await card('4x-A100_SXM4-32-65536')).toMatchObject({ accelerators: { name: 'A100-80GB' }, spotPrice: null });
  expect(await card('2x-A100_SXM4-32-65536')).toMatchObject({ accelerators: { name: 'A100' }, acceleratorMemory: 40 });
  expect(await card('1x-H100_NVL-32-65536')).toMatchObject({
    accelerators: { name: 'H100-NVL' },
    acceleratorMemory: 94,
  });
  expect(await card('1x-RTX_9999-32-65536')).toMatchObject({
    accelerators: { name: 'RTX-9999' },
    acceleratorMemory: 48,
  });
  expect(await card('1x-L40S-32-65536')).toBeUndefined();
});

test('do has sizes page by page, each in the regions that have it', async () => {
  const regions = ['nyc1', 'nyc2', 'nyc3', 'sfo2', 'sfo3', 'tor1'];
  const sizes: object[] = types(await shippedRows('do')).map(({ instanceType: slug, cpus, memory, price }) => ({
    slug,
    memory: (memory ?? 0) * 1024,
    vcpus: cpus,
    disk: 25,
    transfer: 1,
    price_monthly: 5,
    price_hourly: price,
    regions,
    available: true,
    description: 'Basic',
  }));
  const [first] = sizes;
  sizes.push(
    { ...first, slug: 's-1vcpu-1gb', memory: 1024, vcpus: 1, price_hourly: 0.00743999984115362 },
    { ...first, slug: 's-sold-out', available: false },
    {
      ...first,
      slug: 'gpu-mi300x8-1536gb',
      vcpus: 160,
      memory: 1_966_080,
      price_hourly: 15.92,
      regions: ['atl1'],
      gpu_info: { count: 8, vram: { amount: 1536, unit: 'gib' }, model: 'amd_mi300x' },
    },
    { ...first, slug: 'gpu-riddlex1' },
  );
  const size = 5;
  server.reply = ({ path, headers }, base) => {
    if (headers.authorization !== 'Bearer sesame') return { status: 401 };
    const page = Number(new URL(path, base).searchParams.get('page') ?? 1);
    const next = page * size < sizes.length ? { next: `${base}/v2/sizes?page=${page + 1}&per_page=${size}` } : {};
    const links = Object.keys(next).length === 0 ? {} : { pages: next };
    return { body: { sizes: sizes.slice((page - 1) * size, page * size), links, meta: { total: sizes.length } } };
  };
  const done = await update('do', { DIGITALOCEAN_ACCESS_TOKEN: 'sesame' });
  expect(done).toMatchObject({ leftOut: ['gpu-riddlex1'], removed: 0 });
  expect(done.pages.fetched).toBe(Math.ceil(sizes.length / size));
  expect(await rowsOf('do', 's-1vcpu-1gb')).toMatchObject(
    regions.map((region) => ({ region, cpus: 1, memory: 1, price: 0.00744, accelerators: null })),
  );
  expect(await rowsOf('do', 'gpu-mi300x8-1536gb')).toMatchObject([
    { region: 'atl1', accelerators: { name: 'MI300X', count: 8 }, acceleratorMemory: 192 },
  ]);
  expect(await rowsOf('do', 's-sold-out')).toEqual([]);
});

describe('oci', () => {
  const RATES: Record<string, [string, string, number]> = {
    B93113: ['Compute - Standard - E4 - OCPU', 'OCPU Per Hour', 0.025],
    B93114: ['Compute - Standard - E4 - Memory', 'Gigabyte Per Hour', 0.0015],
    B97384: ['Compute - Standard - E5 - OCPU', 'OCPU Per Hour', 0.03],
    B97385: ['Compute - Standard - E5 - Memory', 'Gigabyte Per Hour', 0.002],
    B88518: ['Compute - GPU Standard - X7', 'GPU Per Hour', 1.275],
    B89734: ['Compute - GPU Standard - V2', 'GPU Per Hour', 2.95],
    B92740: ['Compute - GPU Standard - E4', 'GPU Per Hour', 3.05],
    B95907: ['Compute - GPU - A100 - v2', 'GPU Per Hour', 4],
    B95909: ['Compute - GPU - A10', 'GPU Per Hour', 2],
    B98415: ['Compute - GPU - H100', 'GPU Per Hour', 10],
    B109479: ['Compute - GPU - L40S', 'GPU Per Hour', 3.5],
    B110519: ['Compute - GPU - H200', 'GPU Per Hour', 10],
    B88317: ['Database', 'OCPU Per Month', 7],
  };
  const products = (rates = RATES) =>
    Object.entries(rates).map(([partNumber, [displayName, metricName, value]]) => ({
      partNumber,
      displayName,
      metricName,
      serviceCategory: 'Compute',
      currencyCodeLocalizations: [{ currencyCode: 'USD', prices: [{ model: 'PAY_AS_YOU_GO', value }] }],
    }));

  test('makes the prices of machines of what their parts cost: the same as those that Styx brings', async () => {
    server.reply = ({ path }) => ({
      status: path.startsWith('/cetools/api/v1/products/?') ? 200 : 404,
      body: { items: products() },
    });
    const before = await shippedRows('oci');
    expect(await update('oci', {}, `${server.url}/cetools`)).toMatchObject({
      rows: before.length,
      changed: 0,
      quarantined: [],
      leftOut: [],
    });
    const [flexible] = before.filter(({ instanceType }) => instanceType === 'VM.Standard.E4.Flex$_96_384');
    const { cloud: _, ...expected } = flexible as CatalogRow;
    expect(await rowsOf('oci', 'VM.Standard.E4.Flex$_96_384')).toContainEqual(expected);
  });

  test('names what has no price any more, and does not take a price by the month for one by the hour', async () => {
    const { B95909: _, ...rest } = RATES;
    server.reply = () => ({ body: { items: products(rest) } });
    expect((await update('oci')).leftOut).toEqual(['BM.GPU.A10.4', 'VM.GPU.A10.1', 'VM.GPU.A10.2']);
    server.reply = () => ({
      body: { items: products({ ...RATES, B98415: ['Compute - GPU - H100', 'GPU Per Month', 9] }) },
    });
    await expect(update('oci')).rejects.toThrow('no price by the hour of B98415');
  });
});
