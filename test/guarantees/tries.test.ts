/** Who launches sees each place that was tried, why it failed and how long it took: as it happens, at the end, and later. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Try } from '../../model/cluster.ts';
import { tryText } from '../../model/try-text.ts';
import { REPOSITORY } from '../harness/command-line.ts';
import { World } from '../harness/world.ts';
import { Story } from './story.ts';

/** As people read it: place, type, duration, reason. */
const REFUSED = String.raw`local/local/local-a local-1x after (\d+\.\d)s: .*at most 0`;

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

function styx(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const env = { ...process.env, NO_COLOR: '1', STYX_SSH_CONFIG: join(world.home, 'ssh-config') };
  return new Promise((resolve) =>
    execFile(join(REPOSITORY, 'bin', 'styx'), args, { env }, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    ),
  );
}

test('a launch for which no place has room says each as it is refused, and then the list of all', async () => {
  world.limit(0);
  const { code, err } = await styx('launch', '-y', '-c', 'full', '--cpus', '1+', 'true');
  expect(code, err).toBe(5);
  const sizes = (await world.styx.clusters.view('full')).tries.map(({ instanceType }) => instanceType);
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
  const { tries } = JSON.parse((await styx('logs', '--provision', 'full', '-o', 'json')).out);
  expect(tries[0]).toEqual({
    at: expect.stringMatching(/^\d{4}-.*Z$/),
    ...{ cloud: 'local', region: 'local', zone: 'local-a', instanceType: 'local-1x', useSpot: false },
    seconds: expect.any(Number),
    failure: expect.objectContaining({ kind: 'capacity', message: expect.stringContaining('at most 0') }),
  });
  expect(tries[0].seconds).toBeGreaterThan(0);
});

test('how long a place took is from its record to its failure, and a try of spot machines says so', async () => {
  const HELD = 1_500;
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
