/** Catalogues that are updated by themselves: on the real server, with the worker killed in the middle. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { catalog, catalogFiles } from '../../catalogs/load.ts';
import { CATALOG_UPDATE_SCHEDULE } from '../../model/catalog-update.ts';
import { azureItems, azureReply, PriceServer, shippedRows } from '../catalogs/price-server.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { World } from '../harness/world.ts';
import { until } from './story.ts';

let world: World;
let server: PriceServer;
beforeAll(async () => {
  server = await PriceServer.start();
  world = await World.start();
  // A cache of its own, and no address but ours; the Temporal server was found before.
  process.env.STYX_CACHE = join(world.home, 'cache');
  process.env.HOME = join(world.home, 'nobody');
  mkdirSync(process.env.HOME);
  process.env.AWS_EC2_METADATA_DISABLED = 'true';
  for (const cloud of ['AWS', 'AZURE', 'DO', 'GCP', 'LAMBDA', 'OCI', 'RUNPOD', 'VAST']) {
    process.env[`STYX_CATALOG_${cloud}_URL`] = server.url;
  }
  await world.killWorker();
  await world.startWorker();
});
afterAll(async () => {
  await world.end();
  server.stop();
});

async function styx(...args: string[]): Promise<string> {
  const program = join(import.meta.dirname, '..', '..', 'bin', 'styx');
  return (await promisify(execFile)(program, args, { env: { ...process.env, NO_COLOR: '1' } })).stdout;
}

const ended = (what: string) =>
  until(what, async () => {
    const last = (await world.styx.catalogSchedule.view())?.last ?? null;
    return last?.clouds == null ? undefined : last;
  });

test('an update whose worker is killed goes on where it was, and replaces the catalogue once it is whole', async () => {
  const items = (await shippedRows('azure')).flatMap(azureItems);
  const pages = Math.ceil(items.length / 1_000);
  let hold = 4;
  const held = new Promise<void>((resolve) => {
    server.reply = (asked, base) => {
      if (server.asked.length < hold) return azureReply(items, asked, base);
      resolve();
      return undefined;
    };
  });
  expect(await styx('catalog', 'schedule')).toContain('not updated by themselves');
  expect(await styx('catalog', 'schedule', 'azure', '--every', '24h')).toMatch(
    /^Catalogues are updated every 1d; next: 20/,
  );
  await world.styx.catalogSchedule.trigger();
  await held;
  // Due again while that one runs: left out.
  await world.styx.catalogSchedule.trigger();
  await world.killWorker();
  expect(catalogFiles(world.home).find(({ cloud }) => cloud === 'azure')?.fetched).toBe(false);
  hold = Infinity;
  server.asked.length = 0;
  await world.startWorker();
  const last = await ended('the update came to its end');
  expect(last.clouds).toEqual([
    { cloud: 'azure', outcome: 'updated', rows: expect.any(Number), changed: 0, quarantined: 0, problem: null },
  ]);
  expect(server.asked, 'pages that were read before are not asked for again').toHaveLength(pages - 3);
  expect((await catalog('azure', world.home)).info.sources[0]?.from).toBe(new URL(server.url).host);
  expect(await styx('catalog', 'schedule')).toMatch(/^Last: 20.*: azure updated$/m);
});

test('of all clouds those without a key are skipped, and one that fails keeps none of the others', async () => {
  const items = (await shippedRows('azure')).flatMap(azureItems);
  server.reply = (asked, base) =>
    asked.path.startsWith('/api/retail/prices') ? azureReply(items, asked, base) : { status: 404 };
  expect(await styx('catalog', 'schedule', '--cron', '0 4 * * *')).toContain('at "0 4 * * *" (UTC)');
  await world.styx.catalogSchedule.trigger();
  const { clouds } = await ended('the update of all came to its end');
  const outcomes = Object.fromEntries((clouds ?? []).map(({ cloud, outcome }) => [cloud, outcome]));
  expect(outcomes).toMatchObject({ azure: 'updated', oci: 'failed', aws: 'failed', gcp: 'skipped', vast: 'skipped' });
  expect((clouds ?? []).find(({ cloud }) => cloud === 'oci')?.problem).toMatchObject({ kind: 'invalid' });
});

test('an update that is due while one runs is left out; a schedule that is set again takes the place of the other', async () => {
  const client = await sealedTemporalClient(world.home);
  const handle = client.schedule.getHandle(CATALOG_UPDATE_SCHEDULE);
  const { policies, info } = await handle.describe();
  expect([policies.overlap, info.numActionsTaken]).toEqual(['SKIP', 1]);
  await client.connection.close();
  await styx('catalog', 'schedule', '--every', '12h');
  const view = JSON.parse(await styx('catalog', 'schedule', '-o', 'json'));
  expect(view.times).toEqual({ every: 43_200 });
});

test('switched off it is gone, and bad times are refused by name', async () => {
  await expect(styx('catalog', 'schedule', '--every', 'soon')).rejects.toThrow(/such as 24h/);
  await expect(styx('catalog', 'schedule', '--every', '1m')).rejects.toThrow(/cannot be updated every 60 s/);
  await expect(styx('catalog', 'schedule', '--cron', '4 o clock')).rejects.toThrow(/no times of cron/);
  await expect(styx('catalog', 'schedule', 'hetzner', '--every', '24h')).rejects.toThrow(/cannot be fetched/);
  expect(await styx('catalog', 'schedule', '--off')).toContain('not updated by themselves');
  expect(await styx('catalog', 'schedule', '--off')).toContain('There was no schedule');
});
