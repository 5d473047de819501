/** Machines are taken away at every state of a managed job: it ends SUCCEEDED, and no two copies of it ever ran at the same time. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world);
});
afterAll(async () => {
  await story.close();
  await world.end();
});

/** Takes a machine of this job's away, whichever there is. */
async function preempt(id: string): Promise<void> {
  await world.cloud.preempt(await story.machine(id));
}

test('while it runs: the next try has the same task id, and its output follows that of the first', async () => {
  const ledger = world.ledger('run');
  const id = await story.submit(
    `name: r\nrun: |\n  echo "$STYX_JOB_TRY $SKYPILOT_TASK_ID" >> ${ledger.path}\n  echo try $STYX_JOB_TRY\n  [ $STYX_JOB_TRY = 1 ] && sleep 300\n  echo done\n`,
  );
  const seen: string[] = [];
  const following = (async () => {
    for await (const { data } of world.styx.jobLogs(id)) seen.push(data.toString());
  })();
  await story.is(id, 'RUNNING');
  await until('its first words were read', () => seen.join('').includes('try 1'));
  await preempt(id);
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({ recoveries: 1, cause: 'machines', errorRestarts: 0 });
  expect(ledger.lines()).toEqual([`1 ${view.taskId}`, `2 ${view.taskId}`]);
  await following;
  expect(seen.join('')).toBe('try 1\ntry 2\ndone\n');
  await story.nothingLeft();
});

test('while it is set up', async () => {
  const ledger = world.ledger('setup');
  const id = await story.submit(
    `setup: |\n  echo setup $STYX_JOB_TRY >> ${ledger.path}\n  [ $STYX_JOB_TRY = 1 ] && sleep 300\n  true\nrun: echo run $STYX_JOB_TRY >> ${ledger.path}\n`,
  );
  await until('setup runs', () => ledger.lines().includes('setup 1'));
  await preempt(id);
  await story.ends(id, 'SUCCEEDED');
  expect(ledger.lines()).toEqual(['setup 1', 'setup 2', 'run 2']);
  await story.nothingLeft();
});

test('while its machines are being made, before they stand', async () => {
  const ledger = world.ledger('starting');
  world.arm('bootstrap.before');
  const id = await story.submit(`run: echo run $STYX_JOB_TRY >> ${ledger.path}`);
  expect(await world.hit('bootstrap.before', 60_000)).toBe(true);
  const [machine] = await world.machinesLeft();
  await world.cloud.preempt(machine?.id ?? '');
  await world.killAt('bootstrap.before', 'worker');
  const view = await story.ends(id, 'SUCCEEDED');
  // A launch that did not succeed is no try.
  expect(view.recoveries).toBe(0);
  expect(ledger.lines()).toEqual(['run 1']);
  await story.nothingLeft();
});

test('again and again, in the first second of each try and during its recovery', async () => {
  const ledger = world.ledger('often');
  const id = await story.submit(
    `run: |\n  echo "$STYX_JOB_TRY" >> ${ledger.path}\n  [ $STYX_JOB_TRY -le 3 ] && sleep 300\n  echo last >> ${ledger.path}\n`,
  );
  for (let tried = 1; tried <= 3; tried++) {
    await until(`try ${tried} runs`, () => ledger.lines().includes(String(tried)));
    await preempt(id);
  }
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view.recoveries).toBe(3);
  expect(ledger.lines()).toEqual(['1', '2', '3', 'last'].toSpliced(3, 0, '4'));
  await story.nothingLeft();
});

test('one machine of a gang: what runs on the others has ended before the next try begins', async () => {
  const ledger = world.ledger('gang');
  const id = await story.submit(
    [
      'num_nodes: 2',
      'run: |',
      `  trap 'echo end $STYX_JOB_TRY $STYX_NODE_RANK >> ${ledger.path}; exit 1' TERM`,
      `  echo begin $STYX_JOB_TRY $STYX_NODE_RANK >> ${ledger.path}`,
      '  if [ $STYX_JOB_TRY = 1 ]; then for i in $(seq 3000); do sleep 0.1; done; fi',
    ].join('\n'),
  );
  await until('both ranks run', () => ledger.lines().length === 2);
  const { copy } = await story.jobs.view(id);
  const { nodes } = await story.look(copy?.cluster ?? '');
  await world.cloud.preempt(nodes[1]?.instanceId ?? '');
  await story.ends(id, 'SUCCEEDED');
  const lines = ledger.lines();
  expect(lines.filter((line) => line.startsWith('begin 2')).toSorted()).toEqual(['begin 2 0', 'begin 2 1']);
  const second = lines.findIndex((line) => line.startsWith('begin 2'));
  expect(lines.slice(second).filter((line) => line.includes(' 1 ') && !line.startsWith('begin 2'))).toEqual([]);
  await story.nothingLeft();
});

test('when its success was just told, and the worker is killed before more comes of that: it is not run again', async () => {
  const ledger = world.ledger('told');
  world.arm('watchNodes.told');
  const id = await story.submit(`run: |\n  echo run $STYX_JOB_TRY >> ${ledger.path}\n  sleep 2\n`);
  expect(await world.hit('watchNodes.told', 60_000)).toBe(true);
  const [machine] = await world.machinesLeft();
  await world.cloud.preempt(machine?.id ?? '');
  await world.killAt('watchNodes.told', 'worker');
  expect(await story.ends(id, 'SUCCEEDED')).toMatchObject({ recoveries: 0, copies: 1 });
  expect(ledger.lines()).toEqual(['run 1']);
  await story.nothingLeft();
});

test('a cluster that somebody takes down is not the end of its job', async () => {
  const ledger = world.ledger('downed');
  const id = await story.submit(
    `run: |\n  echo $STYX_JOB_TRY >> ${ledger.path}\n  [ $STYX_JOB_TRY = 1 ] && sleep 300\n  true\n`,
  );
  await until('it runs', () => ledger.lines().length === 1);
  const { copy } = await story.jobs.view(id);
  await story.clusters.down(copy?.cluster ?? '');
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({ recoveries: 1, cause: 'ended' });
  expect(ledger.lines()).toEqual(['1', '2']);
  await story.nothingLeft();
});

test('with a notice ahead: it saves its state, and the next try goes on when that has ended', async () => {
  const ledger = world.ledger('notice');
  const id = await story.submit(
    [
      'run: |',
      `  trap 'sleep 1; echo saved $STYX_JOB_TRY >> ${ledger.path}; exit 0' TERM`,
      `  echo begin $STYX_JOB_TRY >> ${ledger.path}`,
      '  if [ $STYX_JOB_TRY = 1 ]; then for i in $(seq 3000); do sleep 0.1; done; fi',
    ].join('\n'),
  );
  await until('it runs', () => ledger.lines().length === 1);
  const noticeMs = 60_000;
  const at = Date.now() + noticeMs;
  await world.cloud.preempt(await story.machine(id), noticeMs);
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({ recoveries: 1, cause: 'machines' });
  expect(ledger.lines()).toEqual(['begin 1', 'saved 1', 'begin 2']);
  expect(view.events.map(({ text }) => text).join('\n')).toContain('the cloud takes a machine back at');
  // Nobody waits for the machine to be taken: its end is asked for when the job has ended.
  expect(Date.now()).toBeLessThan(at);
  await story.nothingLeft();
});
