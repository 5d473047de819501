/** Managed jobs with `replace_nodes`: a node that is lost is made anew beside the others, and the job goes on there. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ManagedJobView } from '../../model/managed-job.ts';
import { TEST } from '../../model/timing.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { sorted, until } from './story.ts';

const NODES = 3;

let world: World;
let story: JobStory;
let names = 0;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world);
});
afterAll(async () => {
  await story.close();
  await world.end();
});
// Also after a try that failed: the next one is in the same world.
afterEach(async () => {
  world.limit(100);
  for (const { id } of await story.jobs.list()) await story.jobs.cancel(id, { budget: 60_000 });
  await until('all clusters are gone', async () => (await story.clusters.list([], { managed: true })).length === 0);
});

interface Running {
  readonly id: string;
  readonly lines: () => string[];
  readonly view: ManagedJobView;
  /** Machines by rank. */
  readonly machines: readonly string[];
}

/**
 * A job that runs on all its nodes. Its first try hangs, and hears no SIGTERM; each later one says of its node whether it has a disk of
 * before, and whether what ran before is there.
 */
async function running(on = story): Promise<Running> {
  names += 1;
  const ledger = world.ledger(`replaced-${names}`);
  const id = await on.submit(
    [
      `num_nodes: ${NODES}`,
      'resources: {job_recovery: {replace_nodes: true}}',
      `setup: echo set up $STYX_JOB_TRY`,
      'run: |',
      '  echo "try $STYX_JOB_TRY"',
      '  was=new; [ ! -e ~/pid ] || was=has',
      '  beside=alone; [ ! -e ~/pid ] || ! kill -0 $(cat ~/pid) 2> /dev/null || beside=beside',
      `  echo "$STYX_JOB_TRY $STYX_NODE_RANK $was $beside $SKYPILOT_TASK_ID" >> ${ledger.path}`,
      '  [ $STYX_JOB_TRY != 1 ] || { trap "" TERM; echo $$ > ~/pid; sleep 300; }',
    ].join('\n'),
  );
  await until('it runs on all nodes', () => ledger.lines().length === NODES, 60_000);
  const view = await story.is(id, 'RUNNING');
  const { nodes } = await story.look(view.copy?.cluster ?? '');
  return { id, lines: ledger.lines, view, machines: nodes.map(({ instanceId }) => instanceId) };
}

async function logsOf(id: string): Promise<string> {
  const parts: Buffer[] = [];
  for await (const { data } of world.styx.jobLogs(id, { follow: false })) parts.push(data);
  return Buffer.concat(parts).toString();
}

/** The second try ran once on each node, on the same machines but for that of `victim`. */
function wentOn({ lines, view }: Running, ended: ManagedJobView, victim: number): void {
  const line = (tried: number, rank: number) =>
    `${tried} ${rank} ${tried === 1 || rank === victim ? 'new' : 'has'} alone ${view.taskId}`;
  const ranks = [...Array(NODES).keys()];
  expect(sorted(lines())).toEqual(
    sorted([...ranks.map((rank) => line(1, rank)), ...ranks.map((rank) => line(2, rank))]),
  );
  const cluster = view.copy?.cluster;
  expect(ended).toMatchObject({
    recoveries: 1,
    copies: 2,
    past: [
      { cluster, try: 1 },
      { cluster, try: 2, logs: 'kept' },
    ],
  });
}

test('a lost node is made anew and the job run again with the same task id: the others keep machine and files, and what ran there has ended', async () => {
  const before = (await world.machines()).length;
  const job = await running();
  await world.cloud.preempt(job.machines[1] ?? '');
  const ended = await story.ends(job.id, 'SUCCEEDED');
  wentOn(job, ended, 1);
  expect(await world.machines()).toHaveLength(before + NODES + 1);
  const said = (await logsOf(job.id)).split('\n');
  for (const tried of [1, 2]) {
    expect(said.filter((text) => text.endsWith(`try ${tried}`)).length).toBeGreaterThanOrEqual(NODES - 1);
    expect(said.filter((text) => text.endsWith(`set up ${tried}`)).length).toBeGreaterThanOrEqual(NODES - 1);
  }
  await story.nothingLeft();
});

test('a node that is taken with notice is replaced once it is gone', async () => {
  const job = await running();
  await world.cloud.preempt(job.machines[2] ?? '', 3_000);
  wentOn(job, await story.ends(job.id, 'SUCCEEDED'), 2);
  await story.nothingLeft();
});

test('nothing of a try begins before what runs of the one before has ended, however long it takes to end', async () => {
  // Longer than it takes to replace a node: what hears no SIGTERM is there when the next try could begin.
  const slow = await JobStory.on(world, { timing: { ...TEST, killGrace: 8_000 } });
  try {
    const job = await running(slow);
    await world.cloud.preempt(job.machines[1] ?? '');
    wentOn(job, await story.ends(job.id, 'SUCCEEDED'), 1);
    await story.nothingLeft();
  } finally {
    await slow.close();
  }
});

/** All with STYX_TEST_LONG=1. */
const STEPS = [
  'createMachines.called',
  'cancelJob.called',
  'collectLogs.after',
  'bootstrap.after',
  'startPhase.called',
];

test.each(LONG_FORM ? STEPS : STEPS.slice(0, 2))(
  'the worker killed at %s while a node is replaced: the job goes on once, on the same machines',
  async (point) => {
    const job = await running();
    world.arm(point);
    await world.cloud.preempt(job.machines[0] ?? '');
    expect(await world.hit(point, 60_000)).toBe(true);
    await world.killAt(point, 'worker');
    wentOn(job, await story.ends(job.id, 'SUCCEEDED'), 0);
    await story.nothingLeft();
  },
);

test('where no other machine is to be had all of it starts elsewhere, when the others are gone', async () => {
  const job = await running();
  world.limit(NODES - 1);
  await world.cloud.preempt(job.machines[2] ?? '');
  await story.job(job.id, 'has given its cluster up', ({ past }) => past.length >= 2);
  expect(await world.machinesLeft()).toEqual([]);
  world.limit(100);
  const ended = await story.ends(job.id, 'SUCCEEDED');
  expect(ended.past.at(-1)?.cluster).not.toBe(job.view.copy?.cluster);
  expect(job.lines().filter((text) => text.startsWith('2 '))).toHaveLength(NODES);
  expect(job.lines().every((text) => text.includes(' new alone '))).toBe(true);
  await story.nothingLeft();
});

test('a cancel while a node is replaced ends the job and all its machines', async () => {
  const job = await running();
  world.arm('createMachines.called');
  await world.cloud.preempt(job.machines[1] ?? '');
  expect(await world.hit('createMachines.called', 60_000)).toBe(true);
  // The machine is made, and nobody can see it: the cancel comes while the node is being replaced, for sure.
  const host = await world.hostPid();
  process.kill(host, 'SIGSTOP');
  try {
    world.go('createMachines.called');
    await story.jobs.cancel(job.id, { budget: 60_000 });
  } finally {
    process.kill(host, 'SIGCONT');
  }
  await story.ends(job.id, 'CANCELLED');
  await story.nothingLeft();
});
