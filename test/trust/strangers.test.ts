/** Whoever can connect to the Temporal server, which asks nobody who they are, executes nothing and changes nothing of what is there. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClusterView } from '../../model/commands.ts';
import { ACTIVITY_QUEUE, CLUSTER_QUEUE } from '../../model/queues.ts';
import { Story } from '../guarantees/story.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { World } from '../harness/world.ts';
import { jobInput, json, type Payload, Stranger } from './stranger.ts';

const ENTITY = 'cluster/default/t';
/** A machine that is busy with other things is slow, and not wrong. */
const PATIENT = { budget: 60_000 };
let world: World;
let story: Story;
let stranger: Stranger;
let view: ClusterView;
const mark = (name: string) => join(world.home, `m-${name}`);

beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
  stranger = await Stranger.at(world.server.address);
  await story.up('t', "run: 'true'");
  view = await story.clusters.view('t', PATIENT);
});
afterAll(async () => {
  await story.down('t');
  await story.nothingLeft();
  await stranger.close();
  await world.end();
});

/** The cluster is as it was and still does what its owner says. */
async function unharmed(): Promise<void> {
  const now = await story.clusters.view('t', PATIENT);
  expect(now.status).toBe('UP');
  expect(now.generation).toBe(view.generation);
  expect(now.operations).toEqual(view.operations);
  expect(now.nodes).toEqual(view.nodes);
  const { jobId } = await story.exec('t', "run: 'true'");
  await story.jobEnds('t', jobId, 'SUCCEEDED');
  view = await story.clusters.view('t', PATIENT);
}

describe('a start over plain gRPC', () => {
  test('of a job on a cluster that stands runs nothing, and the same from us does', async () => {
    const refused = jobInput(view, `touch ${mark('plain')}`);
    await stranger.start('stranger/job', 'job', [json(refused)]);
    expect(await stranger.ending('stranger/job')).toBe('FAILED');
    const ours = await sealedTemporalClient(world.home);
    const args = [jobInput(view, `touch ${mark('ours')}`)];
    await ours.workflow.execute('job', { workflowId: 'ours/job', taskQueue: CLUSTER_QUEUE, args });
    await ours.connection.close();
    expect(existsSync(mark('ours'))).toBe(true);
    expect(existsSync(mark('plain'))).toBe(false);
  });

  test('of a down of machines that stand ends none', async () => {
    const { workspace, name, generation, placement } = view;
    const cluster = { workflowId: ENTITY, workspace, name, generation };
    const input = { version: 1, cluster, opId: 'x', child: 1, mode: 'terminate', placements: [placement] };
    await stranger.start('stranger/retire', 'retire', [json({ ...input, timing: refusedTiming() })]);
    expect(await stranger.ending('stranger/retire')).toBe('FAILED');
    await unharmed();
  });

  test('of a cluster makes no machines, and the name is free afterwards', async () => {
    const before = (await world.machines()).length;
    const input = { version: 1, workspace: 'default', name: 's', installation: view.installation };
    await stranger.start('cluster/default/s', 'cluster', [json({ ...input, timing: refusedTiming() })]);
    expect(await stranger.ending('cluster/default/s')).toBe('FAILED');
    expect((await world.machines()).length).toBe(before);
    expect((await story.clusters.list()).map(({ name }) => name)).toEqual(['t']);
    await story.up('s', "run: 'true'");
    await story.down('s');
  });

  test.each(['cluster', 'job', 'provision', 'retire', 'reap', 'watch'])(
    'of a %s that carries nothing is refused',
    async (type) => {
      await stranger.start(`stranger/empty-${type}`, type);
      expect(await stranger.ending(`stranger/empty-${type}`)).toBe('FAILED');
    },
  );
});

describe('a signal over plain gRPC', () => {
  const GARBAGE = { metadata: { encoding: Buffer.from('binary/nonsense') }, data: Buffer.from([1, 2, 3]) };
  const SEALED_GARBAGE = {
    metadata: {
      encoding: Buffer.from('binary/styx-sealed'),
      key: Buffer.from('0123456789abcdef'),
      for: Buffer.from(`workflow ${ENTITY}`),
    },
    data: Buffer.alloc(80, 7),
  };

  test('to a cluster is dropped, and the cluster goes on', async () => {
    const { generation } = view;
    const gone = [{ rank: 0, state: 'terminated', reason: 'stranger' }];
    await stranger.signal(ENTITY, 'observed', [json({ generation, child: 1, at: 0, gone })]);
    await stranger.signal(ENTITY, 'observed', [
      json({ $styx: 'signal:observed', args: [{ generation, child: 1, gone }] }),
    ]);
    await stranger.signal(ENTITY, 'observed');
    await stranger.signal(ENTITY, 'operationEnded', [GARBAGE]);
    await stranger.signal(ENTITY, 'placing', [SEALED_GARBAGE]);
    await stranger.signal(ENTITY, 'jobChanged', [{}, {}]);
    await stranger.signal(ENTITY, 'no such signal', [GARBAGE]);
    await unharmed();
  });

  test('to what runs for a cluster is dropped, also where the signal itself carries nothing', async () => {
    const { jobId } = await story.exec('t', 'run: sleep 3; exit 5');
    await story.view('t', 'runs it', ({ jobs }) => jobs.some(({ id, status }) => id === jobId && status === 'RUNNING'));
    const job = `${ENTITY}/${view.generation}/job-${jobId}`;
    for (const payloads of [[], [GARBAGE], [json(null)]]) await stranger.signal(job, 'cancel', payloads);
    await stranger.signal(job, 'rankEnded', [json({ phase: 'run', rank: 0, exitCode: 0, lost: false, endedAt: 0 })]);
    for (const payloads of [[], [json({})]])
      await stranger.signal(`${ENTITY}/${view.generation}/watch-1`, 'end', payloads);
    const ended = await story.jobEnds('t', jobId, 'FAILED');
    expect(ended.exitCodes).toEqual([5]);
    await unharmed();
  });

  test('does not end a launch', async () => {
    world.limit(1);
    const answer = await story.launch('w', "run: 'true'", { retryUntilUp: true });
    const { generation, operation } = await story.view(
      'w',
      'has been refused a place',
      ({ tries }) => tries.length > 0,
    );
    await stranger.signal(`cluster/default/w/${generation}/${operation?.id}`, 'abort');
    await sleep(1_500);
    world.limit(1_000);
    await story.succeeds('w', answer);
    await story.down('w');
  });
});

describe('an update over plain gRPC', () => {
  test.each(['down', 'stop', 'exec', 'launch', 'cancel', 'autostop'])(
    '%s is refused and changes nothing',
    async (name) => {
      const command = {
        requestId: 'stranger',
        user: 'stranger',
        task: jobInput(view, `touch ${mark(name)}`).task,
        jobs: null,
        rule: null,
      };
      for (const payloads of [[], [json(command)], [json({ $styx: `update:${name}`, args: [command] })]]) {
        const outcome = await stranger.update(ENTITY, name, payloads);
        expect(outcome?.failure, JSON.stringify(outcome)).toBeTruthy();
        expect(outcome?.failure?.applicationFailureInfo?.type).toBe('refused');
      }
      await unharmed();
      expect(existsSync(mark(name))).toBe(false);
    },
  );
});

describe('what was sealed by us', () => {
  test('is read by nobody else: a query of a stranger is answered with sealed bytes', async () => {
    const { queryResult } = await stranger.client.workflowService.queryWorkflow({
      namespace: 'default',
      execution: { workflowId: ENTITY },
      query: { queryType: 'view' },
    });
    const [answer] = queryResult?.payloads ?? [];
    expect(String(answer?.metadata?.encoding)).toBe('binary/styx-sealed');
    expect(Buffer.from(answer?.data ?? []).includes(view.generation)).toBe(false);
  });

  test('is not accepted under another name, in another workflow, or of another life', async () => {
    await story.up('u', "run: 'true'");
    await story.stopAndStart('u');
    const [first, second] = ['cluster/default/u', ENTITY];
    const updates = await stranger.updatesOf(first);
    const stop = updates.get('stop') ?? [];
    expect(stop.length).toBe(1);
    expect((await stranger.update(first, 'down', stop))?.failure?.applicationFailureInfo?.type).toBe('refused');
    expect((await stranger.update(second, 'stop', stop))?.failure?.applicationFailureInfo?.type).toBe('refused');
    const signals = await stranger.signalsOf(first);
    for (const payloads of signals.values()) {
      for (const name of ['placing', 'observed', 'operationEnded', 'jobChanged']) {
        if (signals.get(name) !== payloads) await stranger.signal(first, name, payloads);
      }
    }
    await story.down('u');
    await story.up('u', "run: 'true'");
    expect((await stranger.update(first, 'stop', stop))?.failure?.applicationFailureInfo?.type).toBe('refused');
    expect((await story.clusters.view('u', PATIENT)).status).toBe('UP');
    await story.down('u');
    await unharmed();
  });

  test('with a bit changed is dropped', async () => {
    const signals = await stranger.signalsOf(ENTITY);
    const sealed = ([first]: Payload[]) => String(first?.metadata?.encoding) === 'binary/styx-sealed';
    const ours = [...signals].filter(([, payloads]) => sealed(payloads) && (payloads[0]?.data?.length ?? 0) > 80);
    expect(ours.length).toBeGreaterThan(0);
    for (const [name, payloads] of ours) {
      const altered = payloads.map((payload) => ({
        ...payload,
        data: Buffer.from(payload.data ?? []).fill(0, 40, 41),
      }));
      await stranger.signal(ENTITY, name, altered);
    }
    await unharmed();
  });
});

test('a request to cancel workflows, which carries nothing, changes nothing', async () => {
  const { jobId } = await story.exec('t', 'run: sleep 3; exit 5');
  await story.view('t', 'runs it', ({ jobs }) => jobs.some(({ id, status }) => id === jobId && status === 'RUNNING'));
  const gen = `${ENTITY}/${view.generation}`;
  for (const workflowId of [ENTITY, `${gen}/watch-1`, `${gen}/job-${jobId}`])
    await stranger.handle(workflowId).cancel();
  await story.jobEnds('t', jobId, 'FAILED');
  await unharmed();
});

test('a down whose step a stranger takes from the worker and calls done ends the machines all the same', async () => {
  await story.up('x', "run: 'true'");
  world.arm('terminateMachines.before');
  const answer = await story.clusters.down('x');
  expect(await world.hit('terminateMachines.before', 20_000)).toBe(true);
  await world.killWorker();
  await stranger.completeNext(ACTIVITY_QUEUE, 'terminateMachines');
  await world.startWorker();
  await story.succeeds('x', answer);
  expect((await world.machinesLeft()).map(({ id }) => id)).toEqual(view.nodes.map(({ instanceId }) => instanceId));
});

test('a foreign workflow that looks like a cluster breaks no list and is in none', async () => {
  await stranger.client.workflow.start('cluster', {
    workflowId: 'cluster/default/fake',
    taskQueue: 'nobody serves this',
    args: [],
    memo: { styx: { status: 'UP', user: 'stranger' } },
    searchAttributes: { StyxKind: ['cluster'], StyxWorkspace: ['default'], StyxName: ['fake'] },
  });
  await sleep(1_500);
  expect((await story.clusters.list()).map(({ name }) => name)).toEqual(['t']);
  expect(await story.clusters.summary('fake')).toBeNull();
  await stranger.handle('cluster/default/fake').terminate();
});

function refusedTiming(): unknown {
  return jobInput(view, '').timing;
}
