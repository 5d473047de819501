import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ClusterView, CommandAnswer } from '../../model/commands.ts';
import { World } from '../harness/world.ts';
import { Story, sorted, until } from './story.ts';

let world: World;
let story: Story;
let tries = 0;
/** The cluster of this try. */
let name: string;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
});
afterAll(() => world.end());
beforeEach(() => {
  tries += 1;
  name = `r${tries}`;
});
// Also after a try that failed: the next one is in the same world.
afterEach(async () => {
  world.limit(100);
  for (const left of await story.clusters.list()) await story.down(left.name);
});

function machineOf({ nodes }: ClusterView, rank: number): string {
  return nodes.find((node) => node.rank === rank)?.instanceId ?? '';
}

/** The cloud takes these machines, and the cluster has noticed. */
async function lose(...ranks: number[]): Promise<ClusterView> {
  const view = await story.look(name);
  for (const rank of ranks) await world.cloud.preempt(machineOf(view, rank));
  await story.view(name, 'has lost them', ({ lost }) => lost.filter(({ gone }) => gone).length === ranks.length);
  return view;
}

async function runs(yaml: string): Promise<void> {
  await story.jobEnds(name, (await story.exec(name, yaml)).jobId, 'SUCCEEDED');
}

test('start makes a lost node anew: the others keep machine, files and jobs, and a job over all nodes reaches each', async () => {
  const ledger = world.ledger(`${name}-one`);
  await story.up(name, 'num_nodes: 3\n');
  await runs('num_nodes: 3\nrun: echo kept > ~/kept\n');
  const long = await story.exec(name, `run: echo began >> ${ledger.path}; sleep 6; echo through >> ${ledger.path}`);
  await until('it runs', () => ledger.lines().includes('began'));
  const busy = (await story.look(name)).jobs.find(({ id }) => id === long.jobId)?.allotment?.nodes[0] ?? 0;
  // The head is one, where the job is not on it.
  const victim = busy === 0 ? 1 : 0;
  const before = await lose(victim);
  expect((await story.look(name)).status).toBe('UNHEALTHY');
  await story.succeeds(name, await story.clusters.start(name));
  const after = await story.look(name);
  expect(after).toMatchObject({ status: 'UP', lost: [], added: [{ numNodes: 1, fills: [victim] }] });
  expect(after.nodes.map(({ rank }) => rank)).toEqual([0, 1, 2]);
  for (const rank of [0, 1, 2]) {
    if (rank === victim) expect(machineOf(after, rank)).not.toBe(machineOf(before, rank));
    else expect(machineOf(after, rank)).toBe(machineOf(before, rank));
  }
  expect(after.costPerHour).toBeCloseTo(before.costPerHour);
  await story.jobEnds(name, long.jobId, 'SUCCEEDED');
  expect(ledger.lines()).toEqual(['began', 'through']);
  const wide = world.ledger(`${name}-wide`);
  const files = `test -e ~/kept && echo "$STYX_NODE_RANK has" >> ${wide.path} || echo "$STYX_NODE_RANK new" >> ${wide.path}`;
  const addresses = `test $STYX_NODE_RANK != ${victim} || echo $STYX_NODE_IPS | tr ' ' ',' >> ${wide.path}`;
  await runs(`num_nodes: 3\nrun: |\n  ${files}\n  ${addresses}\n`);
  const states = [0, 1, 2].map((rank) => `${rank} ${rank === victim ? 'new' : 'has'}`);
  const ips = after.nodes.map(({ internalAddress }) => internalAddress).join(',');
  expect(sorted(wide.lines())).toEqual(sorted([...states, ips]));
  await story.stopAndStart(name);
  const again = await story.look(name);
  expect([0, 1, 2].map((rank) => machineOf(again, rank))).toEqual([0, 1, 2].map((rank) => machineOf(after, rank)));
  expect((await world.machinesLeft()).length).toBe(3);
  await story.down(name);
  await story.nothingLeft();
});

test('a node that a repair made is repaired too, and what no rank is left of is given up', async () => {
  await story.up(name, 'num_nodes: 2\n');
  await lose(1);
  await story.succeeds(name, await story.clusters.start(name));
  const { added: first } = await lose(1);
  await story.succeeds(name, await story.clusters.start(name));
  const view = await story.look(name);
  expect(view.added?.map(({ fills }) => fills)).toEqual([[1]]);
  expect(view.added?.[0]?.key).not.toBe(first?.[0]?.key);
  await story.view(name, 'claims what stands alone', ({ intents }) => intents.length === 2);
  expect((await world.machinesLeft()).length).toBe(2);
  await runs('num_nodes: 2\nrun: "true"\n');
  await story.down(name);
  await story.nothingLeft();
});

test('a stopped cluster that lost a disk is started with a new one in its place', async () => {
  await story.up(name, 'num_nodes: 2\n');
  const view = await story.look(name);
  await story.succeeds(name, await story.clusters.stop(name));
  await world.cloud.preempt(machineOf(view, 1));
  await story.succeeds(name, await story.clusters.start(name));
  const after = await story.look(name);
  expect(machineOf(after, 0)).toBe(machineOf(view, 0));
  expect(after.added).toMatchObject([{ fills: [1] }]);
  await runs('num_nodes: 2\nrun: "true"\n');
  await story.down(name);
  await story.nothingLeft();
});

test('a repair for which there is no room fails: nodes and jobs that are there stay, nothing else is left, and the next one does it', async () => {
  const ledger = world.ledger(`${name}-four`);
  await story.up(name, 'num_nodes: 2\n');
  const before = await lose(1);
  const long = await story.exec(name, `run: echo began >> ${ledger.path}; sleep 4; echo through >> ${ledger.path}`);
  await until('it runs', () => ledger.lines().includes('began'));
  world.limit(1);
  const failed = await story.clusters.waitOperation(name, await story.clusters.start(name));
  expect(failed.outcome).toBe('failed');
  expect(failed.operation?.failure?.kind).toBe('capacity');
  const view = await story.look(name);
  expect(view).toMatchObject({ status: 'UNHEALTHY', lost: [{ rank: 1, gone: true }] });
  expect((await world.machinesLeft()).map(({ id }) => id)).toEqual([machineOf(before, 0)]);
  await story.view(name, 'claims what stands alone', ({ intents }) => intents.length === 1);
  world.limit(100);
  await story.succeeds(name, await story.clusters.start(name));
  await story.jobEnds(name, long.jobId, 'SUCCEEDED');
  expect(ledger.lines()).toEqual(['began', 'through']);
  await runs('num_nodes: 2\nrun: "true"\n');
  await story.down(name);
  await story.nothingLeft();
});

test.each(['stop', 'down'] as const)(
  'a %s that overtakes a repair aborts it though the cloud does not answer, and leaves no machine running',
  async (end) => {
    await story.up(name, 'num_nodes: 2\n');
    await lose(1);
    world.arm('createMachines.called');
    const start = await story.clusters.start(name);
    expect(await world.hit('createMachines.called', 20_000)).toBe(true);
    // The machine is made, and the repair cannot see it: what has to end it is the abort.
    const host = await world.hostPid();
    process.kill(host, 'SIGSTOP');
    let ending: CommandAnswer;
    try {
      world.go('createMachines.called');
      ending = await story.clusters[end](name, { budget: 60_000 });
      expect((await story.clusters.waitOperation(name, start)).outcome).toBe('aborted');
    } finally {
      process.kill(host, 'SIGCONT');
    }
    await story.succeeds(name, ending);
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
