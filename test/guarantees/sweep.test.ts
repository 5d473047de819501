/** What is nobody's is found and removed, and nothing else is: not what is claimed, not another installation's, not what cannot be told. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { TAGS } from '../../model/cloud-resource.ts';
import { TEST } from '../../model/timing.ts';
import { startSweep } from '../../workers/sweeps.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { runStyx } from '../harness/command-line.ts';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA8o4wSpAZFqz2rOH7vm6vS1XqkxHn5hcBwQq0E8Fq5b';
const FOREIGN = '00000000-0000-0000-0000-000000000000';

let world: World;
let story: Story;
let client: Client;
let installation: string;
beforeAll(async () => {
  world = await World.start();
  await world.cloud.host();
  story = new Story(world, world.styx.clusters);
  client = await sealedTemporalClient(world.home);
  installation = await world.styx.installation();
});
afterAll(async () => {
  await client.connection.close();
  await world.end();
});
beforeEach(async () => {
  expect((await world.machinesLeft()).map(({ id }) => id)).toEqual([]);
});

let planted = 0;
/** A machine that nobody asked for, old enough to be judged. */
async function plant(tags: Record<string, string>): Promise<string> {
  const [offer] = await world.cloud.offers({ ...world.task('resources: {cpus: 1}').task.resources, numNodes: 1 });
  if (offer === undefined) throw new Error('no offer');
  planted += 1;
  const placement = { ...offer, key: `planted-${planted}`, attempt: 1, numNodes: 1 };
  const [made] = await world.cloud.create(await world.cloud.prepare(placement, KEY, tags));
  await sleep(TEST.sweepMinAge + 100);
  return made?.id ?? '';
}
const unplant = () =>
  Promise.all(
    Array.from({ length: planted }, (_, index) =>
      world.cloud.terminate({ region: 'local', zone: 'local-a' }, `planted-${index + 1}`),
    ),
  ).then(() => until('all is gone', async () => (await world.machinesLeft()).length === 0));

const styx = (...args: string[]) => runStyx(args);

test('what is claimed is not listed, and a look changes nothing', async () => {
  await story.up('mine', 'num_nodes: 2\nresources: {cpus: 1}\nrun: sleep 1000\n');
  await sleep(TEST.sweepMinAge + 100);
  expect(await world.styx.sweep()).toMatchObject({ seen: 2, young: 0, unclaimed: [], unknown: [], orphans: null });
  expect(await world.styx.sweep({ fix: true })).toMatchObject({ orphans: [], removed: [] });
  expect((await styx('sweep')).out).toMatch(
    /^Not looked at: aws: .*\nNothing is nobody's: 2 things of this installation at local, 0 too young/,
  );
  await story.down('mine');
});

test('machines whose workflow was ended from outside are removed after two looks, and those of others are not', async () => {
  await story.up('lost', 'resources: {cpus: 1}\n');
  await story.up('kept', 'resources: {cpus: 1}\n');
  const [lost, kept] = (await world.machinesLeft()).toSorted((a, b) => a.createdAt - b.createdAt);
  await client.workflow.getHandle('cluster/default/lost').terminate('planted');
  const foreign = await plant({ [TAGS.installation]: FOREIGN, [TAGS.workflow]: 'cluster/default/lost' });
  const untagged = await plant({});
  const look = await styx('sweep');
  expect(look.code).toBe(1);
  expect(look.out).toContain(`${lost?.id}`);
  expect(look.out).toContain('its workflow has ended (terminated)');
  for (const id of [kept?.id, foreign, untagged]) expect(look.out).not.toContain(id);
  const fix = await styx('sweep', '--fix', '-y', '-o', 'json');
  expect(fix.err).not.toMatch(/rror/);
  expect(JSON.parse(fix.out)).toMatchObject({ removed: [lost?.id], left: [], refusal: null });
  const left = (await world.machinesLeft()).map(({ id }) => id);
  expect(left.toSorted()).toEqual([kept?.id, foreign, untagged].toSorted());
  await story.down('kept');
  await unplant();
});

test('a workflow that cannot answer loses nothing', async () => {
  const workflowId = 'cluster/default/mute';
  await client.workflow.start('strange', { workflowId, taskQueue: 'a-queue-that-nobody-polls', args: [] });
  const id = await plant({ [TAGS.installation]: installation, [TAGS.workflow]: workflowId, [TAGS.generation]: 'x-1' });
  const report = await world.styx.sweep({ fix: true });
  expect(report).toMatchObject({ seen: 1, unclaimed: [], orphans: [], removed: [] });
  expect(report.unknown.map(({ subject }) => subject)).toEqual([workflowId]);
  expect((await world.machinesLeft()).map((one) => one.id)).toEqual([id]);
  await client.workflow.getHandle(workflowId).terminate();
  await unplant();
});

test('a machine of another life of a name is nobody’s while that name is somebody’s', async () => {
  await story.up('again', 'resources: {cpus: 1}\n');
  const tags = { [TAGS.installation]: installation, [TAGS.workflow]: 'cluster/default/again' };
  const id = await plant({ ...tags, [TAGS.generation]: 'before-1' });
  const report = await world.styx.sweep({ fix: true });
  expect(report).toMatchObject({
    removed: [id],
    orphans: [{ why: 'its workflow is about another cluster of the same name' }],
  });
  await story.down('again');
});

test('of what another installation made all seems to be nobody’s, and nothing of it is removed without a number', async () => {
  const tags = { [TAGS.installation]: FOREIGN, [TAGS.workflow]: 'cluster/default/elsewhere', [TAGS.generation]: 'y-1' };
  const ids = [await plant(tags), await plant(tags), await plant(tags)];
  const refused = await styx('sweep', '--installation', FOREIGN, '--fix', '-y');
  expect(refused.code).not.toBe(0);
  expect(refused.err).toContain('3 would be removed, and at most 10, and half of the 3 that are seen may be');
  expect((await world.machinesLeft()).map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  const done = await styx('sweep', '--installation', FOREIGN, '--fix', '--max', '3', '-y');
  expect(done.err).not.toMatch(/rror/);
  expect(done.code).toBe(0);
});

test('the sweeps of the server report, and remove only where the configuration says so', async () => {
  const tags = { [TAGS.installation]: installation, [TAGS.workflow]: 'cluster/default/none', [TAGS.generation]: 'z-1' };
  const [id, other] = [await plant(tags), await plant({ ...tags, [TAGS.installation]: FOREIGN })];
  const sweepNow = async (hour: number) => {
    const at = Date.now() + hour * 60 * 60_000;
    expect(await startSweep(client.workflow, installation, at, TEST)).toBe(true);
    expect(await startSweep(client.workflow, installation, Date.now(), TEST)).toBe(false);
    return await client.workflow.getHandle('sweep').result();
  };
  expect(await sweepNow(0)).toMatchObject({ orphans: [{ id }], removed: [] });
  mkdirSync(world.home, { recursive: true });
  writeFileSync(join(world.home, 'config.yaml'), 'sweep: {fix: true, max: 1}\n');
  expect(await sweepNow(1)).toMatchObject({ orphans: [{ id }], removed: [id] });
  expect((await world.machinesLeft()).map((one) => one.id)).toEqual([other]);
  await unplant();
});

test('a worker that is killed between the removal and its report leaves it to the next one', async () => {
  const tags = { [TAGS.installation]: installation, [TAGS.workflow]: 'cluster/default/none', [TAGS.generation]: 'z-1' };
  const id = await plant(tags);
  world.arm('removeOrphans.called');
  const sweeping = world.styx.sweep({ fix: true });
  expect(await world.hit('removeOrphans.called', 60_000)).toBe(true);
  await world.killWorker();
  await world.startWorker();
  expect(await sweeping).toMatchObject({ removed: [id], left: [] });
  expect(await world.machinesLeft()).toEqual([]);
});
