/** Ports of clusters that stand, opened and closed by `styx ports`. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { CRASH_POINTS } from '../../activities/crash-points.ts';
import { StyxError } from '../../model/errors.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

let world: World;
let story: Story;
let names = 0;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
});
afterAll(() => world.end());
// Also after a try that failed: the next one is in the same world.
afterEach(async () => {
  for (const left of await story.clusters.list()) await story.down(left.name);
});

function fresh(what: string): string {
  names += 1;
  return `${what}-${names}`;
}

async function change(name: string, open: readonly string[], close: readonly string[]): Promise<void> {
  await story.succeeds(name, await story.clusters.ports(name, { open, close }, { budget: 60_000 }));
}

async function openOn(name: string): Promise<readonly string[]> {
  return (await story.look(name)).ports ?? [];
}

test('ports that are opened and closed while jobs run stay so over a stop, a start and a repair, and the history tells of it', async () => {
  const name = fresh('kept');
  const ledger = world.ledger(name);
  await story.up(name, 'num_nodes: 2\nresources: {ports: 8080}\n');
  expect(await openOn(name)).toEqual(['8080']);
  const job = await story.exec(name, `run: echo began >> ${ledger.path}; sleep 3; echo through >> ${ledger.path}`);
  await until('it runs', () => ledger.lines().includes('began'));
  await change(name, ['9000-9010,80'], ['8080', '9005']);
  expect(await openOn(name)).toEqual(['80', '9000-9004', '9006-9010']);
  await story.jobEnds(name, job.jobId, 'SUCCEEDED');
  expect(ledger.lines()).toEqual(['began', 'through']);
  await story.stopAndStart(name);
  expect(await openOn(name)).toEqual(['80', '9000-9004', '9006-9010']);
  const { nodes } = await story.look(name);
  await world.cloud.preempt(nodes[1]?.instanceId ?? '');
  await story.status(name, 'UNHEALTHY');
  await change(name, [], ['9006-9010']);
  await story.succeeds(name, await story.clusters.start(name));
  expect(await story.look(name)).toMatchObject({ status: 'UP', ports: ['80', '9000-9004'] });
  await change(name, [], ['1-21', '23-65535']);
  expect(await openOn(name)).toEqual([]);
  await story.stopAndStart(name);
  expect(await openOn(name)).toEqual([]);
  const told = (await story.clusters.history(name)).filter(({ kind }) => kind === 'ports').map(({ text }) => text);
  expect(told[0]).toMatch(/ opens ports 9000-9010,80 and closes ports 8080, 9005$/);
  expect(told[1]).toMatch(/^its ports are as asked for after \d/);
  expect(told).toHaveLength(6);
  await story.down(name);
  await story.nothingLeft();
});

test.each(CRASH_POINTS.openPorts.filter((place) => place === 'called' || LONG_FORM))(
  'a change of ports whose worker is killed at openPorts.%s is made once it is back, and jobs run on',
  async (place) => {
    const name = fresh('crash');
    const ledger = world.ledger(name);
    await story.up(name, `run: echo run >> ${ledger.path}; sleep 2; echo through >> ${ledger.path}\n`);
    await until('it runs', () => ledger.lines().includes('run'));
    world.arm(`openPorts.${place}`);
    const killing = (async () => {
      const hit = await world.hit(`openPorts.${place}`, 20_000);
      if (hit) await world.killAt(`openPorts.${place}`, 'worker');
      return hit;
    })();
    await change(name, ['8080'], []);
    expect(await killing).toBe(true);
    expect(await openOn(name)).toEqual(['8080']);
    await story.jobEnds(name, 1, 'SUCCEEDED');
    expect(ledger.lines()).toEqual(['run', 'through']);
    await story.down(name);
    await story.nothingLeft();
  },
);

test('ports of a cluster that does not stand, that of SSH, and what is no port are refused', async () => {
  const name = fresh('refused');
  const refused = async (open: string[], close: string[]) =>
    await story.clusters.ports(name, { open, close }, { budget: 60_000 }).then(
      () => 'taken',
      (error: unknown) => (error instanceof StyxError ? `${error.kind}: ${error.message}` : String(error)),
    );
  expect(await refused(['80'], [])).toMatch(/^not-found: /);
  await story.up(name, 'num_nodes: 1\n');
  expect(await refused([], ['20-30'])).toMatch(/^invalid: port 22 cannot be closed/);
  expect(await refused(['http'], [])).toMatch(/^invalid: ports must be ports from 1 to 65535/);
  expect(await refused(['70000'], [])).toMatch(/^invalid: /);
  await story.succeeds(name, await story.clusters.stop(name));
  expect(await refused(['80'], [])).toMatch(/^refused: .* is stopped: ports is not possible/);
  await story.down(name);
  await story.nothingLeft();
});
