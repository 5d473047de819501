import { afterAll, beforeAll, expect, test } from 'vitest';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

let world: World;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
});
afterAll(() => world.end());

test('a cluster whose only machine the cloud took back ends by itself, and says so of its job', async () => {
  const ledger = world.ledger('one');
  const job = await story.up(
    'p1',
    `run: echo began >> ${ledger.path}; setsid sleep 304 & sleep 304; echo never >> ${ledger.path}`,
  );
  await until('it runs', () => ledger.lines().includes('began'));
  const { nodes } = await story.look('p1');
  await world.cloud.preempt(nodes[0]?.instanceId ?? '');
  const ended = await story.jobEnds('p1', job, 'FAILED_DRIVER');
  expect(ended.reason).toContain('preemption');
  const view = await story.status('p1', 'TERMINATED');
  expect(view.statusReason).toContain('preemption');
  expect(ledger.lines()).toEqual(['began']);
  await story.nothingLeft();
});

test('with a machine left the cluster is UNHEALTHY, jobs on the other go on, and down ends all', async () => {
  const ledger = world.ledger('two');
  await story.up('p2', 'num_nodes: 2\n');
  const wide = await story.exec(
    'p2',
    `num_nodes: 2\nrun: echo wide >> ${ledger.path}; sleep 305; echo never >> ${ledger.path}`,
  );
  await until('both ranks run', () => ledger.lines().length === 2);
  // The least busy node with the lowest rank gets it: both hold half a CPU, so rank 0.
  const narrow = await story.exec('p2', `run: echo narrow >> ${ledger.path}; sleep 4; echo done >> ${ledger.path}`);
  await until('it runs too', () => ledger.lines().includes('narrow'));
  const { nodes, jobs } = await story.look('p2');
  const on = jobs.find(({ id }) => id === narrow.jobId)?.allotment?.nodes[0];
  const victim = nodes.find(({ rank }) => rank !== on);
  await world.cloud.preempt(victim?.instanceId ?? '');
  const unhealthy = await story.status('p2', 'UNHEALTHY');
  expect(unhealthy.lost).toMatchObject([{ rank: victim?.rank, gone: true }]);
  expect(unhealthy.statusReason).toContain(`node ${victim?.rank}`);
  await story.jobEnds('p2', wide.jobId, 'FAILED_DRIVER');
  await story.jobEnds('p2', narrow.jobId, 'SUCCEEDED');
  expect(ledger.lines()).not.toContain('never');
  expect(world.processesLeft().filter((text) => text.includes('sleep 305'))).toEqual([]);
  await story.down('p2');
  await story.nothingLeft();
});

test('a machine that somebody stopped outside leaves the cluster STOPPED, and start brings it back with its disk', async () => {
  await story.up('p4', 'run: echo kept > ~/kept');
  await story.jobEnds('p4', 1, 'SUCCEEDED');
  const { nodes, placement } = await story.look('p4');
  if (placement === null) throw new Error('no placement');
  await world.cloud.stop(placement, [nodes[0]?.instanceId ?? '']);
  await story.status('p4', 'STOPPED');
  await story.succeeds('p4', await story.clusters.start('p4'));
  const ledger = world.ledger('four');
  const { jobId } = await story.exec('p4', `run: cat ~/kept >> ${ledger.path}`);
  await story.jobEnds('p4', jobId, 'SUCCEEDED');
  expect(ledger.lines()).toEqual(['kept']);
  await story.down('p4');
  await story.nothingLeft();
});

test('a notice ahead: the job is told, saves what it has on all its nodes and fails with the reason; nothing else starts there', async () => {
  const ledger = world.ledger('notice');
  const save = `trap 'sleep 1; echo saved $STYX_NODE_RANK >> ${ledger.path}; exit 0' TERM`;
  const wait = 'for i in $(seq 3000); do sleep 0.1; done';
  const job = await story.up('p3', `num_nodes: 2\nrun: |\n  ${save}\n  echo began >> ${ledger.path}\n  ${wait}\n`);
  await until('both ranks run', () => ledger.lines().length === 2);
  const { nodes } = await story.look('p3');
  await world.cloud.preempt(nodes[1]?.instanceId ?? '', 20_000);
  const ended = await story.jobEnds('p3', job, 'FAILED_DRIVER');
  expect(ended.reason).toMatch(/^the cloud takes node 1 back at 20\d\d-.*: the job was told to end$/);
  expect(ledger.lines().toSorted()).toEqual(['began', 'began', 'saved 0', 'saved 1']);
  // Before the machine is gone.
  const warned = await story.look('p3');
  expect(warned).toMatchObject({ status: 'UNHEALTHY', lost: [], notices: [{ rank: 1, kind: 'interruption' }] });
  expect(warned.statusReason).toContain('the cloud takes node 1 back at');
  const narrow = await story.exec('p3', 'run: echo on $STYX_CLUSTER_NODE_RANK\n');
  const row = await story.jobEnds('p3', narrow.jobId, 'SUCCEEDED');
  expect(row.allotment?.nodes).toEqual([0]);
  await story.view('p3', 'has lost it', ({ lost }) => lost.some(({ rank, gone }) => rank === 1 && gone));
  await story.down('p3');
  await story.nothingLeft();
});
