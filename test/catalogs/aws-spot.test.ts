/** Spot prices of AWS by the real SDK, from a server that speaks EC2's query protocol. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AWS_SPOT } from '../../catalogs/update/sources/aws-spot.ts';
import { withSpotPrices } from '../../catalogs/update/spot.ts';
import { withAwsCredentials, withoutAwsCredentials } from './aws-environment.ts';
import { type Asked, PriceServer, type Reply } from './price-server.ts';

let dir: string;
let server: PriceServer;
/** By region: type, zone, price. */
let prices: Record<string, (readonly [type: string, zone: string, price: string, at?: string])[]>;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'styx-spot-'));
  server = await PriceServer.start();
  withoutAwsCredentials(dir);
  withAwsCredentials(server.url);
  prices = {
    'us-east-1': [
      ['m5.large', 'us-east-1a', '0.0300'],
      ['m5.large', 'us-east-1b', '0.0500'],
      ['p4d.24xlarge', 'us-east-1a', '11.1234567'],
    ],
    'eu-west-1': [['m5.large', 'eu-west-1a', '0.0600']],
  };
  server.reply = (asked) => ec2(asked);
});
afterEach(() => {
  vi.unstubAllEnvs();
  server.stop();
  rmSync(dir, { recursive: true, force: true });
});

const XML = { 'content-type': 'text/xml;charset=UTF-8' };

function regionOf({ headers }: Asked): string {
  return /Credential=[^/]+\/\d+\/([a-z0-9-]+)\/ec2\/aws4_request/.exec(headers.authorization ?? '')?.[1] ?? '';
}

function ec2(asked: Asked, page = 2): Reply {
  const form = new URLSearchParams(asked.body);
  if (asked.method !== 'POST' || form.get('Action') !== 'DescribeSpotPriceHistory')
    return failure(400, 'InvalidAction');
  expect(form.get('ProductDescription.1')).toBe('Linux/UNIX');
  expect(form.get('StartTime')).toBe(form.get('EndTime'));
  const all = prices[regionOf(asked)] ?? [];
  const from = Number(form.get('NextToken') ?? 0);
  const items = all
    .slice(from, from + page)
    .map(
      ([type, zone, price, at = '2026-07-01T00:00:00.000Z']) =>
        `<item><instanceType>${type}</instanceType><productDescription>Linux/UNIX</productDescription>` +
        `<spotPrice>${price}</spotPrice><timestamp>${at}</timestamp><availabilityZone>${zone}</availabilityZone></item>`,
    );
  const next = from + page < all.length ? String(from + page) : '';
  return {
    headers: XML,
    body:
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId>' +
      `<spotPriceHistorySet>${items.join('')}</spotPriceHistorySet><nextToken>${next}</nextToken>` +
      '</DescribeSpotPriceHistoryResponse>',
  };
}

function failure(status: number, code: string): Reply {
  const error = `<Error><Code>${code}</Code><Message>no: ${code}</Message></Error>`;
  return { status, headers: XML, body: `<Response><Errors>${error}</Errors><RequestID>r-2</RequestID></Response>` };
}

const row = (instanceType: string, region: string, spotPrice: number | null) => ({
  cloud: 'aws',
  instanceType,
  region,
  zone: null,
  cpus: 2,
  memory: 8,
  accelerators: null,
  acceleratorMemory: null,
  price: 0.1,
  spotPrice,
  arch: 'x86_64' as const,
});
const ROWS = [
  row('m5.large', 'us-east-1', 0.01),
  row('p4d.24xlarge', 'us-east-1', null),
  row('gone.large', 'us-east-1', 0.5),
  row('m5.large', 'eu-west-1', 0.02),
];
const fetchSpot = (now?: number) => withSpotPrices(AWS_SPOT, ROWS, dir, { tries: 3 }, () => undefined, now);

test('are those of now of every region, over pages, the mean of the zones; what is no longer sold as spot has none', async () => {
  const { rows, regions, update } = await fetchSpot();
  expect(rows.map(({ spotPrice }) => spotPrice)).toEqual([0.04, 11.123457, null, 0.06]);
  expect([...regions]).toEqual(['eu-west-1', 'us-east-1']);
  expect(update).toEqual({ regions: 2, fetched: 2, kept: [], problem: null });
  expect(server.asked.map(regionOf)).toEqual(['eu-west-1', 'us-east-1', 'us-east-1']);
});

test('of a zone the newest price holds, in whatever order they come', async () => {
  prices['eu-west-1'] = [
    ['m5.large', 'eu-west-1a', '0.0700', '2026-07-02T00:00:00.000Z'],
    ['m5.large', 'eu-west-1a', '0.0600', '2026-07-01T00:00:00.000Z'],
  ];
  expect((await fetchSpot()).rows[3]?.spotPrice).toBe(0.07);
});

test('a region that was read is not asked again within the hour, so that what was broken off goes on', async () => {
  const now = Date.now();
  server.reply = (asked) => (regionOf(asked) === 'us-east-1' ? failure(500, 'InternalError') : ec2(asked));
  const broken = await fetchSpot(now);
  expect(broken.rows.map(({ spotPrice }) => spotPrice)).toEqual([0.01, null, 0.5, 0.06]);
  expect(broken.update).toMatchObject({ regions: 1, fetched: 1, problem: null });
  expect(broken.update.kept).toEqual([{ region: 'us-east-1', why: expect.stringContaining('InternalError') }]);
  server.asked.length = 0;
  server.reply = (asked) => ec2(asked);
  expect((await fetchSpot(now + 60_000)).update).toMatchObject({ regions: 2, fetched: 1, kept: [] });
  expect(new Set(server.asked.map(regionOf))).toEqual(new Set(['us-east-1']));
  server.asked.length = 0;
  expect((await fetchSpot(now + 2 * 3_600_000)).update).toMatchObject({ regions: 2, fetched: 2 });
});

test('who is told to slow down asks again', async () => {
  let refusals = 2;
  server.reply = (asked) => (refusals-- > 0 ? failure(503, 'RequestLimitExceeded') : ec2(asked));
  expect((await fetchSpot()).update).toEqual({ regions: 2, fetched: 2, kept: [], problem: null });
});

test('a region that the account has not switched on keeps its prices, and the others go on', async () => {
  server.reply = (asked) => (regionOf(asked) === 'eu-west-1' ? failure(401, 'AuthFailure') : ec2(asked));
  const { rows, update } = await fetchSpot();
  expect(rows[3]?.spotPrice).toBe(0.02);
  expect(rows[0]?.spotPrice).toBe(0.04);
  expect(update.kept).toEqual([{ region: 'eu-west-1', why: expect.stringMatching(/AuthFailure.*switched on/) }]);
});

test('who may not ask is told once, and prices stay', async () => {
  server.reply = () => failure(403, 'UnauthorizedOperation');
  const { rows, regions, update } = await fetchSpot();
  expect(rows).toEqual(ROWS);
  expect(regions.size).toBe(0);
  expect(update.problem?.message).toContain('UnauthorizedOperation');
  expect(server.asked).toHaveLength(1);
});

test('a price that is none is refused, not taken', async () => {
  prices['us-east-1']?.push(['m5.large', 'us-east-1c', 'free']);
  const { rows, update } = await fetchSpot();
  expect(rows[0]?.spotPrice).toBe(0.01);
  expect(update.kept[0]?.why).toContain('free');
});

test('without credentials nothing is asked, and it is said what would do', async () => {
  vi.unstubAllEnvs();
  withoutAwsCredentials(dir);
  writeFileSync(join(dir, 'no-aws-config'), '');
  const { rows, update } = await fetchSpot();
  expect(rows).toEqual(ROWS);
  expect(update.problem).toEqual({
    message: expect.stringContaining('there are no credentials of aws'),
    hint: expect.stringContaining('AWS_ACCESS_KEY_ID'),
  });
  expect(server.asked).toEqual([]);
});
