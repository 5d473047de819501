import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Clusters } from '../../client/clusters.ts';
import { Link } from '../../client/link.ts';
import { jsonBytes, STATE_TARGET_BYTES } from '../../model/budgets.ts';
import type { ClusterInput } from '../../model/commands.ts';
import type { Envelope } from '../../model/envelope.ts';
import { clusterWorkflowId } from '../../model/identity.ts';
import { mapLimited } from '../../model/map-limited.ts';
import { TEST } from '../../model/timing.ts';
import { connectConfig } from '../../workers/connection.ts';
import { openedPayload } from '../harness/client.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { World } from '../harness/world.ts';
import { Story, sorted, until } from './story.ts';

/** Events of one run: an entity that wakes a few times is at its bound. */
const TIMING = { ...TEST, historyEvents: 40 };
const COMMANDS = LONG_FORM ? 480 : 240;
const JOBS = LONG_FORM ? 150 : 60;
const CYCLES = LONG_FORM ? 10 : 4;

let world: World;
let link: Link;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  link = await Link.open(() => connectConfig(world.home), world.home);
  story = new Story(
    world,
    new Clusters({ link, workspace: 'default', user: 'tester', timing: TIMING, home: world.home }),
  );
});
afterAll(async () => {
  await story.nothingLeft();
  await link.close();
  await world.end();
});

interface Run {
  readonly runId: string;
  readonly events: number;
}

/** The runs of an entity, newest first. */
async function runs(name: string): Promise<Run[]> {
  const query = `WorkflowId = '${clusterWorkflowId('default', name)}'`;
  return await link.read(async (workflow) => {
    const found: Run[] = [];
    for await (const { runId, historyLength } of workflow.list({ query })) found.push({ runId, events: historyLength });
    return found;
  });
}

/** What the entity's current run began with: the state that the run before it handed on. */
async function handedOn(name: string): Promise<ClusterInput> {
  return await link.read(async (workflow) => {
    const { events } = await workflow.getHandle(clusterWorkflowId('default', name)).fetchHistory();
    const payload = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
    const { args } = (await openedPayload(world.home, payload ?? {})) as Envelope;
    return args[0] as ClusterInput;
  });
}

/** Wakes the entity until it continued as new `times` more, and says how many commands that took. */
async function continues(name: string, times: number): Promise<number> {
  const before = (await runs(name)).length;
  let sent = 0;
  await until(
    `${name} continued as new ${times} times`,
    async () => {
      for (let burst = 0; burst < 12; burst++, sent++) await story.clusters.autostop(name, null);
      await sleep(700);
      return (await runs(name)).length >= before + times;
    },
    100_000,
  );
  return sent;
}

test('a launch, a running job and an autostop rule live on over it', async () => {
  const ledger = world.ledger('alive');
  const launching = await story.launch(
    'c1',
    `run: echo began >> ${ledger.path}; sleep 6; echo ended >> ${ledger.path}`,
  );
  for (let i = 0; i < 20; i++) await story.clusters.autostop('c1', null);
  await story.succeeds('c1', launching);
  await until('the job runs', () => ledger.lines().length === 1);
  await continues('c1', 2);
  const { jobId } = await story.exec('c1', `run: echo second >> ${ledger.path}`);
  await story.jobEnds('c1', launching.jobId, 'SUCCEEDED');
  await story.jobEnds('c1', jobId, 'SUCCEEDED');
  expect(ledger.lines().toSorted()).toEqual(['began', 'ended', 'second']);
  expect((await runs('c1')).length).toBeGreaterThan(2);
  const rule = { idleMinutes: 4, down: true, waitFor: 'jobs_and_ssh' } as const;
  await story.clusters.autostop('c1', rule);
  for (let i = 0; i < 20; i++) await story.clusters.cancel('c1', null);
  await until('continued as new with the rule', async () => (await handedOn('c1')).state !== undefined);
  await story.status('c1', 'TERMINATED', 30_000);
});

test('a launch that is looking for a place lives on over it', async () => {
  const { writeFileSync } = await import('node:fs');
  const limits = `${world.home}/local/limits.json`;
  writeFileSync(limits, '{"maxInstances": 0}');
  const ledger = world.ledger('searching');
  const launching = await story.launch('c2', `run: echo ran >> ${ledger.path}`, { retryUntilUp: true });
  await until('continued as new twice', async () => (await runs('c2')).length > 2);
  writeFileSync(limits, '{"maxInstances": 100}');
  await story.succeeds('c2', launching);
  await story.jobEnds('c2', launching.jobId, 'SUCCEEDED');
  expect(ledger.lines()).toEqual(['ran']);
  await story.down('c2');
});

test(`${COMMANDS} commands across it: none is lost and none is carried out twice`, { timeout: 240_000 }, async () => {
  const ledger = world.ledger('commands');
  await story.up('c3', 'num_nodes: 1');
  const execs = Array.from({ length: COMMANDS }, (_, index) => index).filter((index) => index % 8 === 0);
  const answers = await mapLimited(Array.from({ length: COMMANDS }), 8, async (_, index) => {
    // A pause now and then, so that there are quiet moments to continue as new in.
    if (index % 60 === 59) await sleep(1_200);
    const requestId = `request-${index}`;
    const send = () =>
      index % 8 === 0
        ? story.clusters.exec('c3', world.task(`run: echo ${index} >> ${ledger.path}`).task, { requestId })
        : story.clusters.cancel('c3', [], { requestId });
    // The same request twice, now and then: it is one.
    return index % 16 === 0 ? (await Promise.all([send(), send()]))[1] : await send();
  });
  const ids = execs.map((index) => answers[index]?.jobId ?? 0);
  expect(new Set(ids).size).toBe(execs.length);
  expect(Math.max(...ids)).toBe(execs.length);
  await until('all ran', () => ledger.lines().length >= execs.length, 120_000);
  await story.view('c3', 'has no live job', (view) => view.jobs.every(({ endedAt }) => endedAt !== null));
  expect(sorted(ledger.lines())).toEqual(sorted(execs));
  const made = await runs('c3');
  expect(made.length).toBeGreaterThan(3);
  console.log(`${COMMANDS} commands in ${made.length} runs`);
  await story.down('c3');
});

test('a request that was answered before it gets the same answer after it', async () => {
  await story.up('c4', 'num_nodes: 1');
  const send = () => story.clusters.exec('c4', world.task('run: "true"').task, { requestId: 'once' });
  const first = await send();
  await story.jobEnds('c4', first.jobId, 'SUCCEEDED');
  await continues('c4', 2);
  expect(await send()).toEqual(first);
  expect((await story.look('c4')).jobs.length).toBe(1);
  await story.down('c4');
});

test(`${JOBS} jobs through one entity: every run is short and what it hands on is small`, {
  timeout: 300_000,
}, async () => {
  const ledger = world.ledger('volume');
  await story.up('c5', 'resources: {cpus: 2}\n');
  const padding = 'x'.repeat(2_000);
  await mapLimited(Array.from({ length: JOBS }), 6, async (_, index) => {
    const yaml = `envs: {PADDING: ${padding}}\njob_demand: {cpus: 0.25}\nrun: echo ${index} >> ${ledger.path}`;
    await story.exec('c5', yaml);
  });
  await story.view('c5', 'has no live job', (view) => view.jobs.every(({ endedAt }) => endedAt !== null), 240_000);
  expect(sorted(ledger.lines())).toEqual(sorted(Array.from({ length: JOBS }, (_, index) => index)));
  await continues('c5', 1);
  const input = await handedOn('c5');
  expect(jsonBytes(input)).toBeLessThan(STATE_TARGET_BYTES / 2);
  const view = await story.look('c5');
  expect(view.jobs.length).toBe(50);
  const made = await runs('c5');
  console.log(
    `${JOBS} jobs: ${made.length} runs, longest ${Math.max(...made.map(({ events }) => events))} events, ${jsonBytes(input)} bytes handed on`,
  );
  // Twice the bound, and what one turn of the loop adds before it can stop.
  for (const { events } of made) expect(events).toBeLessThan(TIMING.historyEvents * 2 + 200);
  await story.down('c5');
});

test(`${CYCLES} stops and starts of one cluster: its disk stays, and its history is bounded`, {
  timeout: 300_000,
}, async () => {
  const job = await story.up('c6', 'run: echo first >> ~/kept');
  await story.jobEnds('c6', job, 'SUCCEEDED');
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    await story.succeeds('c6', await story.clusters.stop('c6'));
    await story.succeeds('c6', await story.clusters.start('c6'));
  }
  const ledger = world.ledger('cycles');
  const { jobId } = await story.exec('c6', `run: cat ~/kept >> ${ledger.path}`);
  await story.jobEnds('c6', jobId, 'SUCCEEDED');
  expect(ledger.lines()).toEqual(['first']);
  await continues('c6', 1);
  const made = await runs('c6');
  const bytes = jsonBytes(await handedOn('c6'));
  console.log(`${CYCLES} stops and starts: ${made.length} runs, ${bytes} bytes handed on`);
  expect(bytes).toBeLessThan(STATE_TARGET_BYTES / 4);
  for (const { events } of made) expect(events).toBeLessThan(TIMING.historyEvents * 2 + 500);
  expect((await story.look('c6')).operations.length).toBeLessThanOrEqual(21);
  await story.down('c6');
});
