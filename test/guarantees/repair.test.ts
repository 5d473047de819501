import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClusterView } from '../../model/commands.ts';
import { World } from '../harness/world.ts';
import { Story, sorted, until } from './story.ts';

let world: World;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
});
afterAll(() => world.end());

function machineOf({ nodes }: ClusterView, rank: number): string {
  return nodes.find((node) => node.rank === rank)?.instanceId ?? '';
}

/** The cloud takes these machines, and the cluster has noticed. */
async function lose(name: string, ...ranks: number[]): Promise<ClusterView> {
  const view = await story.look(name);
  for (const rank of ranks) await world.cloud.preempt(machineOf(view, rank));
  await story.view(name, 'has lost them', ({ lost }) => lost.filter(({ gone }) => gone).length === ranks.length);
  return view;
}

async function runs(name: string, yaml: string): Promise<void> {
  await story.jobEnds(name, (await story.exec(name, yaml)).jobId, 'SUCCEEDED');
}

test('start makes a lost node anew: the others keep machine, files and jobs, and a job over all nodes reaches each', async () => {
  const ledger = world.ledger('one');
  await story.up('r1', 'num_nodes: 3\n');
  await runs('r1', 'num_nodes: 3\nrun: echo kept > ~/kept\n');
  const long = await story.exec('r1', `run: echo began >> ${ledger.path}; sleep 6; echo through >> ${ledger.path}`);
  await until('it runs', () => ledger.lines().includes('began'));
  const busy = (await story.look('r1')).jobs.find(({ id }) => id === long.jobId)?.allotment?.nodes[0] ?? 0;
  // The head is one, where the job is not on it.
  const victim = busy === 0 ? 1 : 0;
  const before = await lose('r1', victim);
  expect((await story.look('r1')).status).toBe('UNHEALTHY');
  await story.succeeds('r1', await story.clusters.start('r1'));
  const after = await story.look('r1');
  expect(after).toMatchObject({ status: 'UP', lost: [], added: [{ numNodes: 1, fills: [victim] }] });
  expect(after.nodes.map(({ rank }) => rank)).toEqual([0, 1, 2]);
  for (const rank of [0, 1, 2]) {
    if (rank === victim) expect(machineOf(after, rank)).not.toBe(machineOf(before, rank));
    else expect(machineOf(after, rank)).toBe(machineOf(before, rank));
  }
  expect(after.costPerHour).toBeCloseTo(before.costPerHour);
  await story.jobEnds('r1', long.jobId, 'SUCCEEDED');
  expect(ledger.lines()).toEqual(['began', 'through']);
  const wide = world.ledger('wide');
  const files = `test -e ~/kept && echo "$STYX_NODE_RANK has" >> ${wide.path} || echo "$STYX_NODE_RANK new" >> ${wide.path}`;
  const addresses = `test $STYX_NODE_RANK != ${victim} || echo $STYX_NODE_IPS | tr ' ' ',' >> ${wide.path}`;
  await runs('r1', `num_nodes: 3\nrun: |\n  ${files}\n  ${addresses}\n`);
  const states = [0, 1, 2].map((rank) => `${rank} ${rank === victim ? 'new' : 'has'}`);
  const ips = after.nodes.map(({ internalAddress }) => internalAddress).join(',');
  expect(sorted(wide.lines())).toEqual(sorted([...states, ips]));
  await story.stopAndStart('r1');
  const again = await story.look('r1');
  expect([0, 1, 2].map((rank) => machineOf(again, rank))).toEqual([0, 1, 2].map((rank) => machineOf(after, rank)));
  expect((await world.machinesLeft()).length).toBe(3);
  await story.down('r1');
  await story.nothingLeft();
});

test('a node that a repair made is repaired too, and what no rank is left of is given up', async () => {
  await story.up('r2', 'num_nodes: 2\n');
  await lose('r2', 1);
  await story.succeeds('r2', await story.clusters.start('r2'));
  const { added: first } = await lose('r2', 1);
  await story.succeeds('r2', await story.clusters.start('r2'));
  const view = await story.look('r2');
  expect(view.added?.map(({ fills }) => fills)).toEqual([[1]]);
  expect(view.added?.[0]?.key).not.toBe(first?.[0]?.key);
  await story.view('r2', 'claims what stands alone', ({ intents }) => intents.length === 2);
  expect((await world.machinesLeft()).length).toBe(2);
  await runs('r2', 'num_nodes: 2\nrun: "true"\n');
  await story.down('r2');
  await story.nothingLeft();
});

test('a stopped cluster that lost a disk is started with a new one in its place', async () => {
  await story.up('r3', 'num_nodes: 2\n');
  const view = await story.look('r3');
  await story.succeeds('r3', await story.clusters.stop('r3'));
  await world.cloud.preempt(machineOf(view, 1));
  await story.succeeds('r3', await story.clusters.start('r3'));
  const after = await story.look('r3');
  expect(machineOf(after, 0)).toBe(machineOf(view, 0));
  expect(after.added).toMatchObject([{ fills: [1] }]);
  await runs('r3', 'num_nodes: 2\nrun: "true"\n');
  await story.down('r3');
  await story.nothingLeft();
});

test('a repair for which there is no room fails: nodes and jobs that are there stay, nothing else is left, and the next one does it', async () => {
  const ledger = world.ledger('four');
  await story.up('r4', 'num_nodes: 2\n');
  const before = await lose('r4', 1);
  const long = await story.exec('r4', `run: echo began >> ${ledger.path}; sleep 4; echo through >> ${ledger.path}`);
  await until('it runs', () => ledger.lines().includes('began'));
  world.limit(1);
  const failed = await story.clusters.waitOperation('r4', await story.clusters.start('r4'));
  expect(failed.outcome).toBe('failed');
  expect(failed.operation?.failure?.kind).toBe('capacity');
  const view = await story.look('r4');
  expect(view).toMatchObject({ status: 'UNHEALTHY', lost: [{ rank: 1, gone: true }] });
  expect((await world.machinesLeft()).map(({ id }) => id)).toEqual([machineOf(before, 0)]);
  await story.view('r4', 'claims what stands alone', ({ intents }) => intents.length === 1);
  world.limit(100);
  await story.succeeds('r4', await story.clusters.start('r4'));
  await story.jobEnds('r4', long.jobId, 'SUCCEEDED');
  expect(ledger.lines()).toEqual(['began', 'through']);
  await runs('r4', 'num_nodes: 2\nrun: "true"\n');
  await story.down('r4');
  await story.nothingLeft();
});

test.each(['stop', 'down'] as const)(
  'a %s that overtakes a repair leaves no machine running, whatever it had made',
  async (end) => {
    const name = `r5-${end}`;
    await story.up(name, 'num_nodes: 2\n');
    await lose(name, 1);
    world.arm('createMachines.called');
    const start = await story.clusters.start(name);
    expect(await world.hit('createMachines.called', 20_000)).toBe(true);
    // The worker that the point holds answers afterwards.
    const ending = story.clusters[end](name, { budget: 60_000 });
    await sleep(500);
    world.go('createMachines.called');
    expect((await story.clusters.waitOperation(name, start)).outcome).toBe('aborted');
    await story.succeeds(name, await ending);
    if (end === 'stop') {
      await until('only the disk of the other is kept', async () => {
        const left = await world.machinesLeft();
        return left.length === 1 && left[0]?.state === 'stopped';
      });
      await story.down(name);
    }
    await story.nothingLeft();
  },
);
