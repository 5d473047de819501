/** `styx catalog update` as a process: killed, beside others, and with some of its clouds in trouble. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { azureItems, azureReply, PriceServer, shippedRows } from './price-server.ts';

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
// Each starts several processes, one after the other.
vi.setConfig({ testTimeout: 90_000 });

let home: string;
let server: PriceServer;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'styx-update-cli-'));
  server = await PriceServer.start();
});
afterEach(() => {
  server.stop();
  rmSync(home, { recursive: true, force: true });
});

/** Every cloud's address is that of the test's server: nothing is asked elsewhere. */
function start(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const clouds = ['AWS', 'AZURE', 'DO', 'GCP', 'LAMBDA', 'OCI', 'RUNPOD', 'VAST'];
  const addresses = Object.fromEntries(clouds.map((cloud) => [`STYX_CATALOG_${cloud}_URL`, server.url]));
  // Nor is the service that tells machines of AWS and GCP who they are.
  const nowhere = { AWS_EC2_METADATA_DISABLED: 'true' };
  const dirs = { HOME: home, STYX_HOME: home, STYX_CACHE: join(home, 'cache') };
  const base = { PATH: process.env.PATH, ...dirs, ...addresses, ...nowhere };
  const child = spawn(process.execPath, [main, 'catalog', ...args], { env: { ...base, ...env } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (out += data));
  child.stderr.on('data', (data: Buffer) => (err += data));
  const done = once(child, 'close').then(([code]: (number | null)[]) => ({ code, out, err }));
  return { child, done };
}
const styx = (...args: string[]) => start(args).done;

test('an update that is killed goes on where it was, with the very catalogue that was there before', async () => {
  const items = (await shippedRows('azure')).flatMap(azureItems);
  const pages = Math.ceil(items.length / 1_000);
  let hold = 5;
  const held = new Promise<void>((resolve) => {
    server.reply = (asked, base) => {
      if (server.asked.length < hold) return azureReply(items, asked, base);
      resolve();
      return undefined;
    };
  });
  const first = start(['update', 'azure']);
  await held;
  const beside = await styx('update', 'azure');
  expect(beside.code, 'another update at the same time').toBe(1);
  expect(beside.out).toContain(`is being updated already`);
  first.child.kill('SIGKILL');
  await first.done;
  expect((await styx('status')).out).not.toContain('fetched');

  hold = Infinity;
  server.asked.length = 0;
  const second = await styx('update', 'azure', '-o', 'json');
  expect(second.code).toBe(0);
  const [result] = JSON.parse(second.out) as { outcome: string; update: object }[];
  expect(result).toMatchObject({
    outcome: 'updated',
    update: { pages: { resumed: 4, fetched: pages - 4 }, changed: 0, added: 0, removed: 0 },
  });
  expect(server.asked).toHaveLength(pages - 4);
  expect(second.err).toContain('azure: retail prices (page 5');
});

test('a cloud in trouble does not keep the others from being updated, and is told of by the exit code', async () => {
  const items = (await shippedRows('azure')).flatMap(azureItems);
  server.reply = (asked, base) =>
    asked.path.startsWith('/api/retail/prices') ? azureReply(items, asked, base) : { status: 404 };
  const { code, out, err } = await styx('update', 'azure', 'lambda', 'oci');
  expect(code).toBe(1);
  expect(out).toMatch(/^azure: 7\d\d\d rows; 0 with new prices/m);
  expect(out).toMatch(/^lambda: failed: there is no API key of lambda.*LAMBDA_API_KEY/m);
  expect(out).toMatch(/^oci: failed: .* answered 404/m);
  expect(err).toContain('azure: ');
  expect((await styx('status')).out).toMatch(/^azure +7\d+ +20\d\d-\d\d-\d\d \(today\) .*fetched: 127\.0\.0\.1:/m);
});

test('without names those that need a key and have none are skipped, and keys are found in the files of their tools', async () => {
  mkdirSync(join(home, '.lambda_cloud'));
  writeFileSync(join(home, '.lambda_cloud', 'lambda_keys'), 'api_key = sesame\n');
  server.reply = () => ({ status: 404 });
  const { code, out } = await styx('update');
  expect(code).toBe(1);
  expect(out).toMatch(/^vast: skipped: there is no API key/m);
  expect(out).toMatch(/^lambda: failed: .*404/m);
  const asked = server.asked.find(({ path }) => path === '/api/v1/instance-types');
  expect(asked?.headers.authorization).toBe('Bearer sesame');
});

test('a price that moved tenfold is named, and an unknown cloud is refused before anything is asked', async () => {
  const rows = await shippedRows('azure');
  const [first, ...rest] = rows;
  const items = [first, ...rest].flatMap((row) =>
    azureItems(
      row === first && row !== undefined ? { ...row, price: (row.price ?? 1) * 20 } : (row as (typeof rest)[0]),
    ),
  );
  server.reply = (asked, base) => azureReply(items, asked, base);
  const { code, out } = await styx('update', 'azure');
  expect(code).toBe(0);
  expect(out).toContain(`1 not believed, and left as before (--force takes them): ${first?.instanceType} in`);
  server.asked.length = 0;
  const { code: refused, err } = await styx('update', 'azure', 'hetzner');
  expect({ refused, err }).toEqual({
    refused: 2,
    err: expect.stringContaining('Prices of "hetzner" cannot be fetched'),
  });
  expect(server.asked).toEqual([]);
});
