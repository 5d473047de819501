/** The background unit, on servers and workers of its own, ended in every way. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { lockHolder } from '../../system/lock.ts';
import { endProcess, isRunning, type ProcessRef } from '../../system/processes.ts';
import { ensureServer, serverLogs, serverStatus, stopServer } from '../../workers/server.ts';
import { PARTS, type Part, type ServerState } from '../../workers/unit.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { testDir } from '../harness/temporal.ts';

// Processes are started and ended over and over; on a busy machine each takes seconds.
vi.setConfig({ testTimeout: 120_000 });

const workerMain = join(import.meta.dirname, 'fixtures', 'worker-main.ts');
let home: string;
let env: NodeJS.ProcessEnv;
const up = () => ensureServer({ env, workerMain });

beforeEach(() => {
  home = testDir();
  env = { ...process.env, STYX_HOME: home, STYX_TIMING: 'test' };
});

afterEach(async () => {
  await stopServer({ env });
  for (const part of PARTS) {
    const holder = lockHolder(join(home, 'server', `${part}.lock`));
    if (holder !== null) await endProcess(holder, 'SIGKILL', 0);
  }
  rmSync(home, { recursive: true, force: true });
});

async function withClient<Result>(use: (client: Client) => Promise<Result>): Promise<Result> {
  const client = await sealedTemporalClient(home, env);
  try {
    return await use(client);
  } finally {
    await client.connection.close();
  }
}

const greet = (workflowId: string) =>
  withClient((client) => client.workflow.execute('greetOnce', { taskQueue: CLUSTER_QUEUE, workflowId, args: ['Ada'] }));

async function kill(state: ServerState, parts: readonly Part[]): Promise<void> {
  const refs = parts.map((part) => state[part]).filter((ref) => ref !== null);
  for (const ref of refs) process.kill(ref.pid, 'SIGKILL');
  for (const ref of refs) await endProcess(ref, 'SIGKILL', 0);
}

const refsOf = (state: ServerState): ProcessRef[] =>
  PARTS.map((part) => state[part]).filter((ref): ref is ProcessRef => ref !== null);

test('commands that start the server at the same time start one', async () => {
  const states = await Promise.all(Array.from({ length: 4 }, up));
  expect(new Set(states.map((state) => JSON.stringify(refsOf(state)))).size).toBe(1);
  expect(await greet('first')).toBe('hello Ada');
});

test('status names address, versions and the pid of each part; stop leaves no process', async () => {
  const state = await up();
  const status = await serverStatus({ env });
  expect(status).toMatchObject({ running: true, ready: true, embedded: true, address: state.address, problem: null });
  expect(status.pids).toEqual({
    supervisor: state.supervisor.pid,
    temporal: state.temporal?.pid,
    worker: state.worker?.pid,
  });
  expect(status.versions.temporal).toMatch(/^1\.\d+\.\d+$/);
  expect(status.versions.sdk).toMatch(/^1\.\d+\.\d+$/);
  expect(await stopServer({ env })).toBe(true);
  expect(refsOf(state).filter(isRunning)).toEqual([]);
  expect(await serverStatus({ env })).toMatchObject({ running: false, ready: false });
  expect(await stopServer({ env })).toBe(false);
});

test('the server comes back on its ports with what it knew', async () => {
  const before = await up();
  expect(await greet('kept')).toBe('hello Ada');
  await stopServer({ env });
  const after = await up();
  expect(after.address).toBe(before.address);
  const result = await withClient((client) => client.workflow.getHandle('kept').result());
  expect(result).toBe('hello Ada');
});

describe.each<{ parts: Part[] }>([
  { parts: ['worker'] },
  { parts: ['temporal'] },
  { parts: ['supervisor'] },
  { parts: ['supervisor', 'worker'] },
  { parts: ['supervisor', 'temporal'] },
  { parts: ['temporal', 'worker'] },
  { parts: ['supervisor', 'temporal', 'worker'] },
])('after kill -9 of $parts', ({ parts }) => {
  test('a running workflow goes on, what lived is kept, and nothing is there twice', async () => {
    const before = await up();
    const workflowId = 'visit';
    await withClient(async (client) => {
      const handle = await client.workflow.start('visit', { taskQueue: CLUSTER_QUEUE, workflowId, args: ['Ada'] });
      while ((await handle.query<number>('greetings')) < 1) await sleep(20);
    });
    await kill(before, parts);
    // Twice at once, as by two commands.
    await Promise.all([up(), up()]);
    const settled = await waitFor(async () => {
      const state = await up();
      return refsOf(state).every(isRunning) && parts.every((part) => state[part]?.pid !== before[part]?.pid) && state;
    });
    // A worker that misses its server for longer than its connection tries, as on a busy machine, gives up and is replaced.
    const mayGoToo = (part: Part) => part === 'worker' && parts.includes('temporal');
    for (const part of PARTS) {
      if (!parts.includes(part) && !mayGoToo(part)) expect(settled[part]).toEqual(before[part]);
      expect(lockHolder(join(home, 'server', `${part}.lock`))).toEqual(settled[part]);
    }
    const result = await withClient(async (client) => {
      await client.workflow.getHandle(workflowId).signal('finish');
      return await client.workflow.getHandle(workflowId).result();
    });
    expect(result).toBe('hello Ada hello Ada');
  });
});

test('a Temporal server that hangs is replaced', async () => {
  const before = await up();
  process.kill((before.temporal as ProcessRef).pid, 'SIGSTOP');
  // A new supervisor looks at once; one that runs looks every 10 s.
  await kill(before, ['supervisor']);
  await waitFor(async () => {
    const state = await up();
    return state.temporal?.pid !== before.temporal?.pid && state;
  }, 60_000);
  expect(await greet('again')).toBe('hello Ada');
});

test('a worker with a watch running drains at once when told to stop', async () => {
  await up();
  await withClient(async (client) => {
    await client.workflow.start('followed', { taskQueue: CLUSTER_QUEUE, workflowId: 'f' });
    await waitFor(async () => {
      const { raw } = await client.workflow.getHandle('f').describe();
      return (raw.pendingActivities ?? []).some((activity) => activity.lastStartedTime != null);
    });
  });
  const started = performance.now();
  await stopServer({ env });
  // A watch that is waited for takes half a minute.
  expect(performance.now() - started).toBeLessThan(20_000);
});

test('a worker that cannot start is said to be the problem, with its last words', async () => {
  const broken = join(home, 'broken.mjs');
  const { writeFileSync } = await import('node:fs');
  writeFileSync(broken, 'console.error("no such luck"); process.exit(1);');
  await expect(ensureServer({ env, workerMain: broken })).rejects.toThrow(/worker ended .* no such luck/);
});

test('a supervisor whose data directory is deleted ends what it supervises', async () => {
  const state = await up();
  rmSync(home, { recursive: true, force: true });
  await waitFor(async () => refsOf(state).every((ref) => !isRunning(ref)));
});

test('logs show the last lines of each part and follow what is appended', async () => {
  const state = await up();
  const parts: string[] = [];
  for await (const { part, text } of serverLogs({ env, lines: 1 })) if (text !== '') parts.push(part);
  expect(parts).toContain('supervisor');
  const stop = new AbortController();
  const seen: string[] = [];
  const following = (async () => {
    for await (const { text } of serverLogs({ env, parts: ['supervisor'], lines: 0, follow: stop.signal })) {
      seen.push(text);
    }
  })();
  await sleep(100);
  await kill(state, ['worker']);
  await waitFor(async () => seen.join('').includes('started the worker'));
  stop.abort();
  await following;
  expect(readFileSync(join(home, 'server', 'supervisor.log'), 'utf8')).toContain(seen.join(''));
});

async function waitFor<Result>(look: () => Promise<Result | false>, ms = 20_000): Promise<Exclude<Result, false>> {
  for (const deadline = Date.now() + ms; ; await sleep(50)) {
    const found = await look();
    if (found !== false) return found as Exclude<Result, false>;
    if (Date.now() > deadline) throw new Error('it did not happen in time');
  }
}
