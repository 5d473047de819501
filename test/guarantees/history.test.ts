import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HistoryEntry } from '../../client/history.ts';
import { NORMAL, TEST } from '../../model/timing.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { World } from '../harness/world.ts';
import { breakPlacements } from './broken-cloud.ts';
import { Story, until } from './story.ts';

const STYX = join(import.meta.dirname, '..', '..', 'bin', 'styx');
const SECRET = 'hunter2-never-told';
/** The whole life takes several runs. A node that a busy machine keeps from answering for a moment is no part of it. */
const TIMING = { ...TEST, historyEvents: 30, unreachableAfter: NORMAL.unreachableAfter };

let world: World;
let story: Awaited<ReturnType<typeof Story.timed>>;
beforeAll(async () => {
  world = await World.start();
  await world.cloud.host();
  story = await Story.timed(world, TIMING);
});
afterAll(async () => {
  await story.nothingLeft();
  await story.close();
  await world.end();
});

async function styx(...args: string[]): Promise<string> {
  return (await promisify(execFile)(STYX, args, { env: process.env })).stdout;
}

function kinds(entries: readonly HistoryEntry[]): string[] {
  return entries.map(({ kind }) => kind);
}

async function runsOf(name: string): Promise<number> {
  const query = `WorkflowId = 'cluster/default/${name}'`;
  const client = await sealedTemporalClient(world.home);
  let count = 0;
  for await (const _ of client.workflow.list({ query })) count += 1;
  await client.connection.close();
  return count;
}

/** Each placement is told as tried, then as failed where it did, then as gone. */
function placements(entries: readonly HistoryEntry[]): string[] {
  return kinds(entries).filter((kind) => kind.startsWith('placement') || kind === 'placing');
}

test('a life with a failover, jobs, a stop and a start is told once and in order, across continue-as-new, without a worker', async () => {
  world.limit(0);
  const yaml = `resources: {cpus: 1}\nname: good\nsecrets: {TOKEN: ${SECRET}}\nenvs: {PLAIN: ${SECRET}}\nrun: echo $TOKEN; sleep 1\n`;
  const commandLine = 'styx launch life.yaml';
  const launched = await story.launch('life', yaml, { retryUntilUp: true, commandLine });
  await story.view('life', 'tried a place', (view) => view.tries.length > 0);
  world.price(36);
  await story.succeeds('life', launched);
  await story.jobEnds('life', 1, 'SUCCEEDED');
  await story.exec('life', 'name: bad\nresources: {cpus: 1}\nrun: exit 3\n');
  await story.jobEnds('life', 2, 'FAILED');
  await story.succeeds('life', await story.clusters.stop('life'));
  await story.succeeds('life', await story.clusters.start('life'));
  await story.succeeds('life', await story.clusters.down('life'));
  await until('it is in the index as ended', async () => (await runsOf('life')) > 1);
  await world.killWorker();

  const told = await world.styx.clusters.history('life');
  expect(told.map(({ at }) => at)).toEqual(told.map(({ at }) => at).toSorted((a, b) => a - b));
  const failed = told.filter(({ kind }) => kind === 'placement-failed');
  expect(failed.length).toBeGreaterThan(0);
  expect(placements(told)).toEqual([
    ...failed.flatMap(() => ['placing', 'placement-failed', 'placement-gone']),
    ...['placing', 'placement-gone'],
  ]);
  expect(failed[0]?.text).toMatch(/^local-\S+ in local\/local\/local-a failed after \d.*: .*0 of at most 0 exist here/);
  expect(kinds(told).filter((kind) => !placements([...told]).includes(kind))).toEqual([
    ...['launch', 'up', 'job-started', 'job-ended', 'exec', 'job-started', 'job-ended'],
    ...['stop', 'stopped', 'start', 'up', 'down', 'ended'],
  ]);
  const one = (kind: string) => told.filter((entry) => entry.kind === kind);
  expect(one('launch')[0]).toMatchObject({ user: 'tester', job: 1, operation: launched.operationId });
  expect(one('launch')[0]?.text).toContain(`with job 1 (good) until it is up; \`${commandLine}\``);
  expect(one('up')[0]).toMatchObject({
    infra: 'local/local/local-a',
    costPerHour: 36,
    instances: [expect.any(String)],
  });
  expect(one('job-ended').map(({ job, status, exitCodes }) => ({ job, status, exitCodes }))).toEqual([
    { job: 1, status: 'SUCCEEDED', exitCodes: [0] },
    { job: 2, status: 'FAILED', exitCodes: [3] },
  ]);
  expect(one('job-ended')[0]?.seconds).toBeGreaterThanOrEqual(1);
  const { clusters } = await world.styx.costs();
  expect(one('ended')[0]?.cost).toBeCloseTo(clusters.find(({ name }) => name === 'life')?.cost ?? 0, 4);

  const ofBad = await world.styx.clusters.history('life', { job: 2 });
  expect(kinds(ofBad)).toEqual(['exec', 'job-started', 'job-ended']);
  const text = await styx('history', 'life');
  expect(text.trimEnd().split('\n')).toHaveLength(told.length);
  expect(text).toMatch(
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\+\d\S*(?: \d+s)? +job 2 \(bad\) FAILED after \S+, exit code 3/m,
  );
  const json = await styx('history', 'life', '-o', 'json');
  expect(JSON.parse(json).map(({ kind }: HistoryEntry) => kind)).toEqual(kinds(told));
  expect(`${text}${json}${JSON.stringify(told)}`).not.toContain(SECRET);
  await world.startWorker();
});

test('of a name that was used again the last cluster is told, and with --all each', async () => {
  world.price(0);
  await story.succeeds('life', await story.launch('life', 'resources: {cpus: 1}\n'));
  const last = await world.styx.clusters.history('life');
  expect(kinds(last)).toEqual(['launch', 'placing', 'up', 'now']);
  expect(last.at(-1)).toMatchObject({ status: 'UP', cost: 0 });
  const all = await until('the index has the one before', async () => {
    const found = await world.styx.clusters.history('life', { all: true });
    return found.length > last.length && found;
  });
  expect(new Set(all.map(({ generation }) => generation)).size).toBe(2);
  expect(kinds(all).filter((kind) => kind === 'launch')).toHaveLength(2);
  await expect(world.styx.clusters.history('life', { job: 7 })).rejects.toThrow("Cluster 'life' has no job 7");
  await expect(world.styx.clusters.history('lief')).rejects.toThrow("Cluster 'lief' does not exist");
  await story.succeeds('life', await story.clusters.down('life'));
});

test('a step that is tried again is told with its last error while it is at it, and afterwards once', async () => {
  await story.succeeds('tries', await story.launch('tries', 'resources: {cpus: 1}\n'));
  const repair = breakPlacements(world.home);
  const down = await story.clusters.down('tries');
  const retrying = await until('the third attempt', async () =>
    (await world.styx.clusters.history('tries')).find(({ kind, attempts = 0 }) => kind === 'retrying' && attempts > 2),
  );
  expect(retrying.text).toMatch(
    /^“terminate local\/local\/local-a” is tried again, attempt \d+; the last one failed: \S/,
  );
  repair();
  await story.succeeds('tries', down);
  const told = await world.styx.clusters.history('tries');
  expect(told.filter(({ kind }) => kind === 'retrying')).toEqual([]);
  const [retried, ...more] = told.filter(({ kind }) => kind === 'retried');
  expect(more).toEqual([]);
  expect(retried?.attempts).toBeGreaterThan(2);
  expect(retried?.error).toBe(retrying.error);
});

test('what a cluster does by itself is told with the reason', async () => {
  world.price(36);
  await story.launch('spends', 'resources: {cpus: 1}\nbudget: {max_cost: 0.01, on_exceed: down}\nrun: sleep 100\n');
  const told = await until('it is ended', async () => {
    const found = await world.styx.clusters.history('spends');
    return found.some(({ kind }) => kind === 'ended') && found;
  });
  const byItself = told.find(({ kind }) => kind === 'by-itself');
  expect(byItself?.text).toBe('ends by itself: its budget of $0.0100 is spent');
  expect(told.find(({ kind }) => kind === 'job-ended')?.text).toContain('its budget of $0.0100 is spent');
  await until('it is gone from lists', async () => (await story.clusters.list()).length === 0);
});
