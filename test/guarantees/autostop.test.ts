import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AutostopRule } from '../../model/task.ts';
import { TEST } from '../../model/timing.ts';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

let world: World;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
});
afterEach(() => story.nothingLeft());
afterAll(() => world.end());

/** With `Timing` = test a minute of the rule is a second. */
function rule(idleMinutes: number, down: boolean, waitFor: AutostopRule['waitFor'] = 'jobs_and_ssh'): AutostopRule {
  return { idleMinutes, down, waitFor };
}

describe('with Styx running', () => {
  test('stops an idle cluster after its minutes, not before, and start brings it back', async () => {
    await story.up('a1', 'num_nodes: 1', { autostop: rule(4, false) });
    const { operations } = await story.look('a1');
    const upAt = operations[0]?.endedAt ?? 0;
    const stopped = await story.status('a1', 'STOPPED');
    const stop = stopped.operations.at(-1);
    expect(stop).toMatchObject({ kind: 'stop', auto: true, outcome: 'succeeded' });
    expect((stop?.since ?? 0) - upAt).toBeGreaterThanOrEqual(3_900);
    expect(stopped.statusReason).toContain('autostop');
    expect((await world.machines()).map(({ state }) => state)).toContain('stopped');
    await story.clusters.start('a1', { autostop: null });
    await story.status('a1', 'UP');
    await story.down('a1');
  });

  test('ends an idle cluster when asked to, with the rule of the task', async () => {
    await story.up('a2', 'resources: {autostop: {idle_minutes: 1, down: true}}\nnum_nodes: 2\n');
    const gone = await story.status('a2', 'TERMINATED');
    expect(gone.operations.at(-1)).toMatchObject({ kind: 'down', auto: true });
    expect(gone.statusReason).toContain('autostop');
  });

  test('a running job holds it, and its end starts the count', async () => {
    const ledger = world.ledger('holds');
    const job = await story.up('a3', `run: sleep 4; echo ended >> ${ledger.path}`, { autostop: rule(2, true) });
    const ended = await story.jobEnds('a3', job, 'SUCCEEDED');
    const gone = await story.status('a3', 'TERMINATED');
    expect(ledger.lines()).toEqual(['ended']);
    const down = gone.operations.find(({ kind }) => kind === 'down');
    expect((down?.since ?? 0) - (ended.endedAt ?? 0)).toBeGreaterThanOrEqual(1_900);
  });

  test('an exec resets the clock', async () => {
    await story.up('a4', 'num_nodes: 1', { autostop: rule(4, true) });
    await sleep(2_000);
    const { jobId } = await story.exec('a4', 'run: "true"');
    const ended = await story.jobEnds('a4', jobId, 'SUCCEEDED');
    const gone = await story.status('a4', 'TERMINATED');
    const down = gone.operations.find(({ kind }) => kind === 'down');
    expect((down?.since ?? 0) - (ended.endedAt ?? 0)).toBeGreaterThanOrEqual(3_900);
  });

  test('a rule that waits for nothing ends the cluster under a job, which is CANCELLED', async () => {
    const ledger = world.ledger('under');
    const job = await story.up('a5', `run: sleep 306; echo never >> ${ledger.path}`, {
      autostop: rule(6, true, 'none'),
    });
    await story.status('a5', 'TERMINATED');
    await story.jobEnds('a5', job, 'CANCELLED');
    expect(ledger.lines()).toEqual([]);
  });

  test('a rule that was taken back does nothing', async () => {
    await story.up('a6', 'num_nodes: 1', { autostop: rule(9, true) });
    const { autostopDueAt } = await story.look('a6');
    if (autostopDueAt === null) throw new Error('the rule does not run');
    await story.clusters.autostop('a6', null);
    await sleep(Math.max(0, autostopDueAt + 2_000 - Date.now()));
    const view = await story.look('a6');
    expect([view.status, view.autostop, view.autostopDueAt]).toEqual(['UP', null, null]);
    await story.down('a6');
  });
});

/** Kills worker and Temporal server, and brings them back when `meanwhile` is done. */
async function withoutStyx(meanwhile: () => Promise<void>): Promise<void> {
  await Promise.all([world.killWorker(), world.stopServer()]);
  try {
    await meanwhile();
  } finally {
    await world.killServer();
    await world.startWorker();
  }
}

/** What the agent of a machine noted. */
function diary(instanceId: string): string {
  return readFileSync(join(world.home, 'local', 'instances', instanceId, 'home', '.styx-agent', 'agent.log'), 'utf8');
}

/** The machines of the cluster are in this state. */
async function machinesAre(ids: readonly string[], state: string): Promise<void> {
  await until(`machines are ${state}`, async () => {
    const mine = (await world.machines()).filter(({ id }) => ids.includes(id));
    return mine.length === ids.length && mine.every((machine) => machine.state === state);
  });
}

/** A cluster whose nodes have their lease. */
async function standing(name: string, yaml: string, autostop: AutostopRule | null): Promise<string[]> {
  await story.up(name, yaml, { autostop });
  const ids = (await story.look(name)).nodes.map(({ instanceId }) => instanceId);
  await until('leases are set', () => ids.every((id) => leaseOf(id) !== null));
  return ids;
}

function leaseOf(instanceId: string): { idle: unknown; deadman: unknown } | null {
  try {
    const path = join(world.home, 'local', 'instances', instanceId, 'home', '.styx-agent', 'lease.json');
    return (JSON.parse(readFileSync(path, 'utf8')) as { lease: { idle: unknown; deadman: unknown } }).lease;
  } catch {
    return null;
  }
}

describe('with worker and server dead', () => {
  test('the nodes end themselves by the rule, and the cluster learns it and ends without an error', async () => {
    const ids = await standing('d1', 'num_nodes: 2', rule(8, true));
    await withoutStyx(async () => {
      await machinesAre(ids, 'terminated');
      expect(world.processesLeft()).toEqual([]);
    });
    const gone = await story.status('d1', 'TERMINATED');
    expect(gone.operations.at(-1)).toMatchObject({ kind: 'down', outcome: 'succeeded', failure: null });
  });

  test('a rule to stop stops them; the cluster is STOPPED then, and start brings it back with its disk', async () => {
    const ids = await standing('d2', 'run: echo kept > ~/kept', rule(8, false));
    await withoutStyx(() => machinesAre(ids, 'stopped'));
    expect(diary(ids[0] ?? '')).toContain('power-off (stop): autostop: idle for');
    const stopped = await story.status('d2', 'STOPPED');
    expect(stopped.operations.at(-1)?.failure).toBeNull();
    await story.succeeds('d2', await story.clusters.start('d2', { autostop: null }));
    const ledger = world.ledger('d2');
    const { jobId } = await story.exec('d2', `run: cat ~/kept >> ${ledger.path}`);
    await story.jobEnds('d2', jobId, 'SUCCEEDED');
    expect(ledger.lines()).toEqual(['kept']);
    await story.down('d2');
  });

  test('a running job keeps its node from acting; what it did is known afterwards', async () => {
    const ledger = world.ledger('d3');
    const go = join(world.home, 'go');
    const wait = `until [ -e ${go} ]; do sleep 0.1; done`;
    const ids = await standing(
      'd3',
      `run: echo began >> ${ledger.path}; ${wait}; echo ended >> ${ledger.path}`,
      rule(8, true),
    );
    await until('the job runs', () => ledger.lines().length === 1);
    await withoutStyx(async () => {
      await sleep(TEST.contactLost + 12_000);
      expect(ledger.lines()).toEqual(['began']);
      expect((await world.machines()).find(({ id }) => id === ids[0])?.state).toBe('running');
    });
    writeFileSync(go, '');
    await story.jobEnds('d3', 1, 'SUCCEEDED');
    expect(ledger.lines()).toEqual(['began', 'ended']);
    await story.status('d3', 'TERMINATED');
  });

  test('contact that comes back in time leaves everything as it was', async () => {
    await standing('d4', 'num_nodes: 1', rule(20, true));
    await withoutStyx(() => sleep(4_000));
    const ledger = world.ledger('d4');
    const { jobId } = await story.exec('d4', `run: echo ran >> ${ledger.path}`);
    await story.jobEnds('d4', jobId, 'SUCCEEDED');
    expect(ledger.lines()).toEqual(['ran']);
    await story.down('d4');
  });

  test("without a rule a dead-man's switch stops a machine that stands alone, and never ends one that can be stopped", async () => {
    const other = await Story.timed(world, { ...TEST, deadman: 5_000 });
    const plain = story;
    story = other;
    try {
      const [id = ''] = await standing('d5', 'num_nodes: 1', null);
      expect(leaseOf(id)?.idle).toBeNull();
      await withoutStyx(() => machinesAre([id], 'stopped'));
      expect(diary(id)).toContain('no contact and no job for');
      await other.status('d5', 'STOPPED');
      await other.succeeds('d5', await other.clusters.start('d5'));
      await other.down('d5');
    } finally {
      story = plain;
      await other.close();
    }
  });
});
