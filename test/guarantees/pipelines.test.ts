import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ManagedStatus } from '../../model/managed-job.ts';
import { parseSubmission } from '../../model/parse-pipeline.ts';
import type { PipelineView } from '../../model/pipeline.ts';
import { TEST } from '../../model/timing.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

/** Several managed jobs as one, on real machines of the local cloud. */
const BUDGET = { budget: 300_000 };
let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  // So few events that each pipeline continues as new, and each task too.
  story = await JobStory.on(world, { timing: { ...TEST, historyEvents: 40 }, fenceAfter: 120_000 });
});
afterAll(async () => {
  await story.close();
  await world.end();
});

async function submit(yaml: string, requestId?: string): Promise<string> {
  const written = parseSubmission(yaml, { file: 'test.yaml' });
  if (written.kind !== 'pipeline') throw new Error('not a pipeline');
  const { id } = await story.pipelines.launch(written, {
    ...BUDGET,
    ...(requestId === undefined ? {} : { requestId }),
  });
  return id;
}

async function ends(id: string, status: ManagedStatus): Promise<PipelineView> {
  const view = await story.pipelines.wait(id, { gone: true });
  expect(`${view.status} ${view.reason}`, JSON.stringify(view.events)).toMatch(new RegExp(`^${status} `));
  return view;
}

function statuses({ tasks }: PipelineView): string {
  return tasks.map(({ name, status }) => `${name} ${status}`).join(', ');
}

test('a chain runs in its order, under one number, and each task has what those before it left', async () => {
  const ledger = world.ledger('chain');
  const line = (name: string, more: string) =>
    `echo "${name} $SKYPILOT_MANAGED_JOB_ID $SKYPILOT_TASK_ID ${more}" >> ${ledger.path}`;
  const id = await submit(
    [
      'name: chain',
      '---',
      'name: one',
      `run: |\n  ${line('one', '')}\n  echo 'path=/data/a b=c' >> $STYX_OUTPUT\n  echo "rows=3" >> $STYX_OUTPUT`,
      '---',
      'name: two-b',
      `envs: {ROWS: "${'$'}{{ tasks.one.outputs.rows }} rows"}`,
      `run: |\n  ${line('two', '$ROWS from $STYX_OUTPUT_ONE_PATH')}\n  echo k=v > $STYX_OUTPUT`,
      '---',
      'name: three',
      `run: |\n  ${line('three', '$STYX_OUTPUT_TWO_B_K $STYX_OUTPUT_ONE_ROWS $(echo "$SKYPILOT_TASK_IDS" | wc -l)')}`,
    ].join('\n'),
  );
  const view = await ends(id, 'SUCCEEDED');
  expect(statuses(view)).toBe('one SUCCEEDED, two-b SUCCEEDED, three SUCCEEDED');
  const number = view.number;
  const [one, two, three] = ledger.lines();
  expect(ledger.lines()).toHaveLength(3);
  expect(one).toMatch(new RegExp(`^one ${number} sky-managed-.*_chain_one_${number}-0 $`));
  expect(two).toMatch(new RegExp(`^two ${number} sky-managed-.*_chain_two-b_${number}-1 3 rows from /data/a b=c$`));
  expect(three).toMatch(new RegExp(`^three ${number} sky-managed-.*_chain_three_${number}-2 v 3 3$`));
  expect(view.tasks[0]?.outputs).toEqual({ path: '/data/a b=c', rows: '3' });
  await story.nothingLeft();
});

test('a graph runs at once what can; a failure cancels exactly what depends on it, and nobody where it may fail', async () => {
  const ledger = world.ledger('graph');
  // Each of the two in the middle waits for the other: one after the other they would never end.
  const meet = (own: string, other: string) =>
    `run: |\n  touch ${world.home}/meet-${own}\n  until [ -e ${world.home}/meet-${other} ]; do sleep 0.1; done\n  echo ${own} >> ${ledger.path}`;
  const last = `echo last "$STYX_OUTPUT_FIRST_A" >> ${ledger.path}`;
  const id = await submit(
    [
      `name: last\ndepends_on: [left, right, may-fail]\nrun: ${last}`,
      `name: left\ndepends_on: [first]\n${meet('left', 'right')}`,
      `name: right\ndepends_on: [first]\n${meet('right', 'left')}`,
      `name: first\nrun: echo a=1 >> $STYX_OUTPUT`,
      'name: may-fail\ncontinue_on_failure: true\nrun: exit 3',
      'name: fails\nrun: exit 4',
      `name: never\ndepends_on: [fails]\nrun: echo never >> ${ledger.path}`,
      `name: wrong\nrun: echo no pair >> $STYX_OUTPUT`,
    ].join('\n---\n'),
  );
  const view = await ends(id, 'FAILED');
  expect(statuses(view)).toBe(
    'last SUCCEEDED, left SUCCEEDED, right SUCCEEDED, first SUCCEEDED, may-fail FAILED, fails FAILED, never CANCELLED, wrong FAILED',
  );
  expect(view.reason).toBe('fails FAILED: rank 0 exited with 4');
  expect(view.tasks[6]).toMatchObject({ id: null, reason: 'fails FAILED' });
  expect(view.tasks[7]?.reason).toContain('STYX_OUTPUT: line 1 is not of the form key=value');
  expect(ledger.lines().toSorted()).toEqual(['last 1', 'left', 'right']);
  await story.nothingLeft();
});

test('a retry runs what did not succeed and what --from names, with what the others left, and says whose retry it is', async () => {
  const ledger = world.ledger('retry');
  const say = (name: string) => `echo ${name} "$STYX_OUTPUT_ONE_K" >> ${ledger.path}`;
  const flag = `${world.home}/works-now`;
  const id = await submit(
    [
      'name: again',
      `name: one\nrun: |\n  ${say('one')}\n  echo k=v >> $STYX_OUTPUT`,
      `name: two\nrun: |\n  ${say('two')}\n  [ -e ${flag} ]`,
      `name: three\nrun: ${say('three')}`,
    ].join('\n---\n'),
  );
  const first = await ends(id, 'FAILED');
  expect(statuses(first)).toBe('one SUCCEEDED, two FAILED, three CANCELLED');
  await expect(story.pipelines.retry(id, { from: 'tow' })).rejects.toMatchObject({
    kind: 'not-found',
    hint: "Did you mean 'two'?",
  });
  const marked = await submit(`run: touch ${flag}\n---\nrun: "true"\n`);
  await ends(marked, 'SUCCEEDED');
  const second = await ends((await story.pipelines.retry(id, BUDGET)).id, 'SUCCEEDED');
  expect(second).toMatchObject({ name: 'again', retryOf: { id, number: first.number } });
  expect(second.number).not.toBe(first.number);
  expect(second.tasks.map(({ kept, id: own }) => kept && own === null)).toEqual([true, false, false]);
  expect(ledger.lines()).toEqual(['one ', 'two v', 'two v', 'three v']);
  await expect(story.pipelines.retry(second.id)).rejects.toMatchObject({ kind: 'refused' });
  const third = await ends((await story.pipelines.retry(second.id, { ...BUDGET, from: 'three' })).id, 'SUCCEEDED');
  expect(third.tasks.map(({ kept }) => kept)).toEqual([true, true, false]);
  expect(ledger.lines()).toEqual(['one ', 'two v', 'two v', 'three v', 'three v']);
  await story.nothingLeft();
});

test('a cancel in the middle ends what runs, starts nothing more, and leaves nothing', async () => {
  const ledger = world.ledger('cancel');
  const id = await submit(['run: echo a', 'run: sleep 600', `run: echo never >> ${ledger.path}`].join('\n---\n'));
  await story.pipelines.until(id, ({ tasks }) => (tasks[1]?.status === 'RUNNING' ? true : undefined));
  const answer = await story.jobs.cancel(id, BUDGET);
  expect(answer).toEqual({ status: 'CANCELLING', note: null });
  expect(statuses(await ends(id, 'CANCELLED'))).toBe('task-0 SUCCEEDED, task-1 CANCELLED, task-2 CANCELLED');
  expect(ledger.lines()).toEqual([]);
  expect(await story.jobs.cancel(id)).toMatchObject({ note: 'It is CANCELLED already.' });
  await story.nothingLeft();
});

test('a group runs at once, and what it does not wait for ends when the rest has', async () => {
  const both = (own: string, other: string) =>
    `run: |\n  touch ${world.home}/group-${own}\n  until [ -e ${world.home}/group-${other} ]; do sleep 0.1; done\n`;
  const id = await submit(
    [
      'name: g\nexecution: parallel\nprimary_tasks: [main]\ntermination_delay: 1s',
      `name: main\n${both('main', 'side')}  [ "$SKYPILOT_JOBGROUP_NAME" = g ]`,
      `name: side\n${both('side', 'main')}  sleep 600`,
    ].join('\n---\n'),
  );
  const view = await ends(id, 'SUCCEEDED');
  expect(statuses(view)).toBe('main SUCCEEDED, side CANCELLED');
  expect(view.tasks[1]?.reason).toBe('all that the group waits for has ended');
  await story.nothingLeft();
});

test('a task that loses its machine is recovered by itself, a worker killed while tasks change loses nothing, and a task whose pipeline was ended from outside ends', async () => {
  const ledger = world.ledger('kills');
  const say = (name: string) => `echo ${name} $STYX_JOB_TRY >> ${ledger.path}`;
  const id = await submit(
    [
      `run: |\n  ${say('a')}\n  [ $STYX_JOB_TRY = 2 ] || sleep 600\n  echo k=$STYX_JOB_TRY > $STYX_OUTPUT`,
      `run: echo b $STYX_OUTPUT_TASK_0_K >> ${ledger.path}`,
      `run: ${say('c')}`,
    ].join('\n---\n'),
  );
  await story.pipelines.until(id, ({ tasks }) => (tasks[0]?.status === 'RUNNING' ? true : undefined));
  await until('its script runs', () => ledger.lines().length > 0);
  await world.cloud.preempt(await story.machine(`${id}/0`));
  let over = false;
  const kills = (async () => {
    for (let kill = 0; kill < 4 && !over; kill++) {
      await sleep(2_500);
      await world.killWorker();
      await world.startWorker();
    }
  })();
  const view = await ends(id, 'SUCCEEDED');
  over = true;
  await kills;
  expect(view.tasks.map(({ recoveries }) => recoveries)).toEqual([1, 0, 0]);
  expect(ledger.lines()).toEqual(['a 1', 'a 2', 'b 2', 'c 1']);

  const orphan = await submit('run: sleep 600\n---\nrun: "true"\n');
  await story.pipelines.until(orphan, ({ tasks }) => (tasks[0]?.status === 'RUNNING' ? true : undefined));
  const { connection, workflow } = await sealedTemporalClient(world.home);
  await workflow.getHandle(orphan).terminate();
  await connection.close();
  expect((await story.jobs.wait(`${orphan}/0`, { gone: true })).status).toBe('CANCELLED');
  await story.nothingLeft();
});
