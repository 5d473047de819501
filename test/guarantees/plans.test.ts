/** A launch by a plan makes machines as the plan says, or none. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LaunchPlan } from '../../model/launch-plan.ts';
import type { InstanceTypeOffer } from '../../model/machines.ts';
import { runStyx } from '../harness/command-line.ts';
import { World } from '../harness/world.ts';
import { Story } from './story.ts';

const PRICE = 18;
const TASK = "resources: {cpus: 1+}\nrun: 'true'\n";

let world: World;
let story: Story;
let file: string;
let plan: LaunchPlan;
beforeAll(async () => {
  world = await World.start();
  world.price(PRICE);
  story = new Story(world, world.styx.clusters);
  file = join(world.home, 'task.yaml');
  writeFileSync(file, TASK);
  expect(await styx('plan', file, '-o', at('plan.json'))).toMatchObject({ code: 0 });
  plan = JSON.parse(readFileSync(at('plan.json'), 'utf8'));
});
afterAll(async () => {
  await story.nothingLeft();
  await world.end();
});

const at = (name: string) => join(world.home, name);

const styx = (...args: string[]) => runStyx(args, { NO_COLOR: '1', STYX_SSH_CONFIG: at('ssh-config') });

/** The price of one vCPU, for as long as `run` takes. */
async function priced<T>(vcpuHourlyCost: number, run: () => Promise<T>): Promise<T> {
  world.price(vcpuHourlyCost);
  try {
    return await run();
  } finally {
    world.price(PRICE);
  }
}

/** Sizes with other prices than one another, which a machine with one CPU has not. */
function two(): [InstanceTypeOffer, InstanceTypeOffer] {
  const [small, large] = plan.placements;
  if (small === undefined || large === undefined) throw new Error('this test needs a machine with two CPUs');
  return [small, large];
}

test('a plan is carried out where it says, by the CLI', async () => {
  const { code, err } = await styx('launch', '-y', '-c', 'planned', '--plan', at('plan.json'), file);
  expect(code, err).toBe(0);
  expect(err).toContain('Job 1 SUCCEEDED');
  const { placement } = await story.look('planned');
  expect(placement).toMatchObject({ ...plan.placements[0] });
});

test('a cluster that is there already is not what a plan is for, and is left as it is', async () => {
  const { code, err } = await styx('launch', '-y', '-c', 'planned', '--plan', at('plan.json'), file);
  expect(code).toBe(3);
  expect(err).toContain("Cluster 'planned' is there already");
  expect(err).toContain('styx down planned');
  const { status, jobs } = await story.look('planned');
  expect([status, jobs.length]).toEqual(['UP', 1]);
  await story.down('planned');
});

test('a price that changed since is refused before anything is made, and --replan pays it', async () => {
  await priced(PRICE * 2, async () => {
    const refused = await styx('launch', '-y', '-d', '-c', 'dear', '--plan', at('plan.json'), file);
    expect(refused.code).toBe(3);
    expect(refused.err).toMatch(/local \(local-a\) +local-1x +18 +36\n/);
    expect(await story.clusters.summary('dear')).toBe(null);
    const { code, err } = await styx('launch', '-y', '-d', '-c', 'dear', '--plan', at('plan.json'), '--replan', file);
    expect(code, err).toBe(0);
    expect(err).toMatch(/this has changed:\nINFRA.*\nlocal \(local-a\) +local-1x +18 +36\n/);
    expect((await story.look('dear')).placement?.hourlyCost).toBe(PRICE * 2);
  });
  await story.down('dear');
});

test('places are tried in the order of the plan, the dearer one first where it says so', async () => {
  const [small, large] = two();
  await story.up('order', TASK, { planned: [large, small] });
  expect((await story.look('order')).placement).toMatchObject({ ...large });
  await story.down('order');
});

test('a place that cannot be had is followed by the next of the plan, and by nothing that is not of it', async () => {
  const [small, large] = two();
  world.limit(0);
  const tried = async (name: string, planned: readonly InstanceTypeOffer[]) => {
    const answer = await story.launch(name, TASK, { planned });
    const end = await story.clusters.waitOperation(name, answer);
    expect(end).toMatchObject({ outcome: 'failed', operation: { failure: { kind: 'capacity' } } });
    return (await story.status(name, 'TERMINATED')).tries.map(({ instanceType }) => instanceType);
  };
  try {
    // With the limit the price is 0, which is at most that of the plan.
    expect(await tried('both', [large, small])).toEqual([large.instanceType, small.instanceType]);
    expect(await tried('one', [large])).toEqual([large.instanceType]);
  } finally {
    world.price(PRICE);
  }
});

test('what became dearer on the way to the worker is not made: the launch fails with what to do', async () => {
  const machines = (await world.machines()).length;
  await priced(PRICE + 0.01, async () => {
    const end = await story.clusters.waitOperation(
      'late',
      await story.launch('late', TASK, { planned: plan.placements }),
    );
    expect(end.outcome).toBe('failed');
    expect(end.operation?.failure).toMatchObject({
      kind: 'capacity',
      message: `none of the ${plan.placements.length} places of the plan is offered at its price any more`,
      hint: expect.stringContaining('styx plan'),
    });
  });
  expect((await story.status('late', 'TERMINATED')).tries).toEqual([]);
  expect((await world.machines()).length).toBe(machines);
});

test('what became cheaper is made, and costs what it costs now', async () => {
  await priced(PRICE / 2, async () => {
    await story.up('cheap', TASK, { planned: plan.placements });
    expect((await story.look('cheap')).placement?.hourlyCost).toBe(PRICE / 2);
  });
  await story.down('cheap');
});

test('places that no plan could hold are refused by name', async () => {
  const [small] = two();
  const launch = (planned: readonly unknown[]) =>
    story.launch('bad', TASK, { planned: planned as InstanceTypeOffer[] });
  const refusal = (what: string) => ({ kind: 'invalid', message: expect.stringContaining(what) });
  await expect(launch([])).rejects.toMatchObject(refusal('resources.planned'));
  await expect(launch(Array.from({ length: 51 }, () => small))).rejects.toMatchObject(refusal('resources.planned'));
  await expect(launch([{ ...small, hourlyCost: -1 }])).rejects.toMatchObject(refusal('planned.0.hourlyCost'));
  await expect(launch(['local'])).rejects.toMatchObject(refusal('planned.0'));
  const wide = Array.from({ length: 50 }, () => ({ ...small, region: '€'.repeat(253), zone: '€'.repeat(253) }));
  await expect(launch(wide)).rejects.toMatchObject(refusal('bytes'));
  expect(await story.clusters.summary('bad')).toBe(null);
});

test.each([
  ['any_of', 1],
  ['ordered', 2],
] as const)(
  'of alternatives that are %s a cluster stands on %i vCPUs, by price or by their order',
  async (order, cpus) => {
    const [small, large] = two();
    expect([small.cpus, large.cpus]).toEqual([1, 2]);
    const task = `resources: {infra: local, ${order}: [{cpus: 2}, {cpus: 1}]}\nrun: 'true'\n`;
    await story.up(order, task);
    expect((await story.look(order)).placement?.cpus).toBe(cpus);
    // Either fits what stands.
    await story.jobEnds(order, (await story.launch(order, task)).jobId ?? 0, 'SUCCEEDED');
    await expect(story.launch(order, 'resources: {cpus: 3}\nrun: echo\n')).rejects.toMatchObject({ kind: 'invalid' });
    await story.down(order);
  },
);

test('one alternative that nothing can meet does not stand in the way of another', async () => {
  const task = "resources: {infra: local, ordered: [{cpus: 4000}, {cpus: 1}]}\nrun: 'true'\n";
  await story.up('second', task);
  await story.down('second');
});
