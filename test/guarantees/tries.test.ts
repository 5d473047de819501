/** Who launches sees each place that was tried, why it failed and how long it took: as it happens, at the end, and later. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Try } from '../../model/cluster.ts';
import { tryText } from '../../model/try-text.ts';
import { runStyx } from '../harness/command-line.ts';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

const TITLE = 'Places that could not give the machines of';
const ROOM = 1_000;
/** As people read it: place, type, duration, reason. */
const REFUSED = String.raw`local/local/local-a local-\dx after (\d+\.\d)s: .*at most 0.*`;

let world: World;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
});
afterAll(async () => {
  await story.nothingLeft();
  await world.end();
});

const styx = (...args: string[]) => runStyx(args, { NO_COLOR: '1', STYX_SSH_CONFIG: join(world.home, 'ssh-config') });

/** `status -v`, once a worker answers it: it waits for two seconds, which a busy machine may need. */
function verbose(...args: string[]): ReturnType<typeof styx> {
  return until('a worker answers `status -v`', async () => {
    const shown = await styx('status', '-v', ...args);
    return shown.err.includes('no worker answers') ? null : shown;
  });
}

async function provisionJson(name: string) {
  return JSON.parse((await styx('logs', '--provision', name, '-o', 'json')).out);
}

test('a launch for which no place has room says each as it is refused, and then the list of all', async () => {
  world.limit(0);
  const { code, err } = await styx('launch', '-y', '-c', 'full', '--cpus', '1+', 'true');
  expect(code, err).toBe(5);
  const sizes = (await story.look('full')).tries.map(({ instanceType }) => instanceType);
  expect(sizes.length, 'this test needs a machine with two CPUs').toBeGreaterThan(1);
  const [live, list = ''] = err.split('Places that could not give the machines of full:\n');
  expect(live).toMatch(new RegExp(`^${REFUSED}`, 'm'));
  const lines = list.split('\n').slice(0, sizes.length);
  expect(lines).toEqual(
    sizes.map((size) =>
      expect.stringMatching(new RegExp(`^  (just now|.* ago)  local/local/local-a ${size} after .*s: .*at most 0`)),
    ),
  );
  expect(list.split('\n')[sizes.length]).toMatch(/^Error: All \d+ places failed/);
});

test('later `logs --provision` lists them, of a cluster that was never up too', async () => {
  const { code, out } = await styx('logs', '--provision', 'full');
  expect(code).toBe(0);
  expect(out).toMatch(
    new RegExp(`\nPlaces that could not give the machines of full:\n  (just now|.* ago)  ${REFUSED}`),
  );
  const { tries } = await provisionJson('full');
  expect(tries[0]).toEqual({
    at: expect.stringMatching(/^\d{4}-.*Z$/),
    ...{ cloud: 'local', region: 'local', zone: 'local-a', instanceType: 'local-1x', useSpot: false },
    seconds: expect.any(Number),
    failure: expect.objectContaining({ kind: 'capacity', message: expect.stringContaining('at most 0') }),
  });
  expect(tries[0].seconds).toBeGreaterThan(0);
});

test('so does `status -v` of its name, where it is TERMINATED; without -v there is no such cluster', async () => {
  const { code, out, err } = await verbose('full');
  expect([code, err.split('\n')[0]]).toEqual([4, "Error: Cluster 'full' does not exist"]);
  expect(out).toMatch(/^NAME .*\nfull .* TERMINATED /);
  expect(out).toMatch(new RegExp(`\n${TITLE} full:\n  .*  ${REFUSED}`));
  const shown = JSON.parse((await verbose('full', '-o', 'json')).out);
  const { tries } = await provisionJson('full');
  expect(shown).toMatchObject([{ name: 'full', status: 'TERMINATED', tries }]);
  expect(await styx('status', 'full', '-o', 'json')).toMatchObject({ code: 4, out: '[]\n' });
  world.limit(ROOM);
  await story.up('ended', "run: 'true'");
  await story.down('ended');
  expect((await verbose('ended', '-o', 'json')).out, 'it was taken down').toBe('[]\n');
});

test('while a launch tries again and again its follower is told of each, and `status -v` lists them', async () => {
  world.limit(0);
  const launch = styx('launch', '-y', '-d', '-r', '-c', 'again', '--cpus', '1+', 'true');
  await until('it is there', () => world.styx.clusters.summary('again'));
  const seen = new Set<number>();
  await story.view('again', 'was tried often', ({ tries }) => {
    for (const { at } of tries) seen.add(at);
    return seen.size >= 6;
  });
  const [shown, brief] = [await verbose('again'), await styx('status', 'again')];
  expect(shown.out).toMatch(/^NAME .*\nagain .* INIT /);
  expect(shown.out.match(new RegExp(`^  .*  ${REFUSED}`, 'gm'))?.length).toBeGreaterThanOrEqual(seen.size);
  expect(brief.out).not.toContain('at most 0');
  world.limit(ROOM);
  const { code, err } = await launch;
  expect(code, err).toBe(0);
  const told = err.match(new RegExp(`^${REFUSED}`, 'gm')) ?? [];
  expect(told.length).toBeGreaterThanOrEqual(seen.size);
});

test('of a cluster that came up after all `status -v` still lists where it did not, of several the last few', async () => {
  world.limit(ROOM);
  await story.up('other', "run: 'true'\nresources: {cpus: 1}\n");
  const { code, out } = await verbose();
  expect(code).toBe(0);
  const [table = '', list = ''] = out.split(`${TITLE} `);
  expect(table).toMatch(/\nagain .* UP [\s\S]*\nother .* UP /);
  expect(list).toMatch(
    new RegExp(`^again:\n  \\d+ before these: \`styx logs --provision again\`\n(  .* ago  ${REFUSED}\n){5}$`),
  );
  const rows: { name: string; tries: unknown }[] = JSON.parse((await verbose('-o', 'json')).out);
  const { tries } = await provisionJson('again');
  expect(rows.map((row) => [row.name, row.tries])).toEqual([
    ['again', tries],
    ['other', []],
  ]);
  const brief = JSON.parse((await styx('status', '-o', 'json')).out);
  expect(brief.map((row: { tries: unknown }) => row.tries)).toEqual([null, null]);
  await Promise.all([story.down('again'), story.down('other')]);
  expect((await verbose('again', '-o', 'json')).out, 'its last launch did not fail').toBe('[]\n');
});

test('how long a place took is from its record to its failure, and a try of spot machines says so', async () => {
  const HELD = 1_500;
  world.limit(0);
  world.arm('createMachines.before');
  const from = Date.now();
  await story.launch('slow', "resources: {cpus: 1, use_spot: true}\nrun: 'true'\n", { retryUntilUp: true });
  expect(await world.hit('createMachines.before', 60_000)).toBe(true);
  await sleep(HELD);
  world.go('createMachines.before');
  const { tries } = await story.view('slow', 'was refused', (view) => view.tries.length > 0);
  expect(tries[0]?.took).toBeGreaterThanOrEqual(HELD);
  expect(tries[0]?.took).toBeLessThanOrEqual(Date.now() - from);
  expect(tryText(tries[0] as Try)).toMatch(/^local\/local\/local-a local-1x \[spot\] after (1\.[5-9]|[2-9]\.\d|\d\d)/);
  await story.down('slow');
});
