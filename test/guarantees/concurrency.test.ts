/** On the embedded unit and through bin/styx, as users have it. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Styx } from '../../client/connect.ts';
import { Link } from '../../client/link.ts';
import { parseTask } from '../../model/parse-task.ts';
import { resourcesText } from '../../model/resources-text.ts';
import { styxCache } from '../../system/home.ts';
import { connectConfig } from '../../workers/connection.ts';
import { serverStatus, stopServer } from '../../workers/server.ts';
import { LocalWorld } from '../harness/local-world.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { testDir } from '../harness/temporal.ts';
import { Story, sorted, until } from './story.ts';

const STYX = join(import.meta.dirname, '..', '..', 'bin', 'styx');
const home = testDir();
// HOME too: nothing of the user's own is touched. What was fetched once is found where it is.
const env = {
  ...process.env,
  STYX_CACHE: styxCache(),
  STYX_HOME: home,
  HOME: home,
  STYX_TIMING: 'test',
  NO_COLOR: '1',
};

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function styx(...args: string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(STYX, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, out, err }));
  });
}

let client: Styx;
let story: Story;
let link: Link;
beforeAll(() => {
  process.env.STYX_TIMING = 'test';
  process.env.STYX_HOME = home;
  mkdirSync(home, { recursive: true });
});
afterAll(async () => {
  await client?.close();
  await link?.close();
  await stopServer({ env });
  await new LocalWorld(home).end();
});

function taskFile(name: string, run: string): string {
  const path = join(home, `${name}.yaml`);
  writeFileSync(path, `run: |\n  ${run}\n`);
  return path;
}

/** Workflows of a cluster that still run, its own and its children's. */
async function running(name: string): Promise<string[]> {
  return await link.read(async (workflow) => {
    const ids: string[] = [];
    const query = `WorkflowId STARTS_WITH 'cluster/default/${name}' AND ExecutionStatus = 'Running'`;
    for await (const { workflowId } of workflow.list({ query })) ids.push(workflowId);
    return ids;
  });
}

const PROCESSES = LONG_FORM ? 20 : 5;

test(`${PROCESSES} launches from as many processes, none of which finds a server, start one server and a cluster each`, {
  timeout: 300_000,
}, async () => {
  const local = new LocalWorld(home);
  const ledger = local.ledger('twenty');
  const names = Array.from({ length: PROCESSES }, (_, index) => `n${index}`);
  const ran = await Promise.all(
    names.map((name) => styx('launch', '-y', '-d', '-c', name, taskFile(name, `echo ${name} >> ${ledger.path}`))),
  );
  for (const { code, err } of ran) expect(code, err).toBe(0);
  expect(ran.map(({ out }) => out.trim())).toEqual(names.map(() => '1'));
  const { pids, ready } = await serverStatus({ env });
  expect(ready).toBe(true);
  expect(pids.supervisor).toBeGreaterThan(0);
  client = await connect({ home, startServer: false });
  link = await Link.open(() => connectConfig(home), home);
  story = new Story(local, client.clusters);
  // What a list shows may be behind the entity by as long as that takes to start its watch.
  for (const name of names) await story.listed(name, 'UP');
  expect((await client.clusters.list()).map(({ name }) => name)).toEqual(sorted(names));
  await Promise.all(names.map((name) => story.jobEnds(name, 1, 'SUCCEEDED')));
  expect(sorted(ledger.lines())).toEqual(sorted(names));
  expect((await local.machinesLeft()).length).toBe(PROCESSES);
  const down = await styx('down', '-y', '-a');
  expect(down.code, down.err).toBe(0);
  await story.nothingLeft();
});

test('one name launched from 5 processes at once is one cluster with 5 jobs, each run once', async () => {
  const ledger = story.world.ledger('five');
  const words = ['a', 'b', 'c', 'd', 'e'];
  const ran = await Promise.all(
    words.map((word) => styx('launch', '-y', '-d', '-c', 'same', taskFile(word, `echo ${word} >> ${ledger.path}`))),
  );
  for (const { code, err } of ran) expect(code, err).toBe(0);
  expect(sorted(ran.map(({ out }) => out.trim()))).toEqual(['1', '2', '3', '4', '5']);
  for (const id of [1, 2, 3, 4, 5]) await story.jobEnds('same', id, 'SUCCEEDED');
  expect(sorted(ledger.lines())).toEqual(words);
  expect((await story.world.machinesLeft()).length).toBe(1);
  await story.down('same');
  await story.nothingLeft();
});

test('a launch that the entity refuses leaves no cluster in the list and no workflow running', async () => {
  const task = parseTask(`run: 'true'`, { file: 'test.yaml' });
  // More than a command can hold: refused by the validator of the entity that this very call starts.
  const huge = { ...task, run: `: ${'x'.repeat(1_100_000)}` };
  const launch = client.clusters.launch({ name: 'never', task: huge, resourcesText: resourcesText(task) });
  await expect(launch).rejects.toMatchObject({ kind: expect.stringMatching(/refused|invalid/) });
  await until('its workflow closed', async () => (await running('never')).length === 0);
  expect(await client.clusters.list()).toEqual([]);
  const status = await styx('status', '-o', 'json');
  expect(JSON.parse(status.out)).toEqual([]);
  await expect(client.clusters.down('never')).rejects.toMatchObject({ kind: 'not-found' });
});

test('a launch of what no place can give ends with the reason, its cluster gone and nothing running', async () => {
  const ran = await styx('launch', '-y', '-c', 'huge', '--cpus', '100000', 'true');
  expect(ran.code).toBe(5);
  expect(ran.err).toMatch(/100000/);
  await until('its workflows closed', async () => (await running('huge')).length === 0);
  await story.nothingLeft();
});

test('an exec on a cluster that never was is refused, and makes nothing', async () => {
  const ran = await styx('exec', 'nowhere', 'true');
  expect(ran.code).toBe(4);
  expect(ran.err).toContain("Cluster 'nowhere' does not exist");
  expect(await running('nowhere')).toEqual([]);
});

test('commands that come after a down find no cluster, and do not open its name again', async () => {
  await story.up('late', 'num_nodes: 1');
  await story.down('late');
  const task = parseTask(`run: 'true'`, { file: 'test.yaml' });
  const late = [
    () => client.clusters.exec('late', task),
    () => client.clusters.stop('late'),
    () => client.clusters.start('late'),
    () => client.clusters.cancel('late', null),
    () => client.clusters.autostop('late', { idleMinutes: 1, down: true, waitFor: 'jobs' }),
    () => client.clusters.down('late'),
  ];
  await until('it is closed', async () => (await running('late')).length === 0);
  for (const send of late) await expect(send()).rejects.toMatchObject({ kind: 'not-found' });
  expect(await running('late')).toEqual([]);
  expect(await client.clusters.list()).toEqual([]);
});

test('launch, down and launch of one name within a second are two clusters, and what was to run ran once', async () => {
  const ledger = story.world.ledger('twice');
  const yaml = (word: string) => `run: echo ${word} >> ${ledger.path}`;
  const first = await story.launch('twice', yaml('first'));
  const down = await client.clusters.down('twice');
  const second = await story.launch('twice', yaml('second'));
  expect(second.generation).not.toBe('');
  await story.view('twice', 'is up as another', (view) => view.status === 'UP' && view.generation !== first.generation);
  expect(down.generation).toBe(first.generation);
  await story.jobEnds('twice', second.jobId, 'SUCCEEDED');
  expect(ledger.lines().filter((line) => line === 'second')).toEqual(['second']);
  expect(ledger.lines().filter((line) => line === 'first').length).toBeLessThanOrEqual(1);
  expect((await story.world.machinesLeft()).length).toBe(1);
  await story.down('twice');
  await story.nothingLeft();
});

const AGAIN = LONG_FORM ? 10 : 3;

test(`a name can be launched, used and taken down ${AGAIN} times in a row`, async () => {
  const ledger = story.world.ledger('again');
  const generations = new Set<string>();
  for (let round = 0; round < AGAIN; round++) {
    const answer = await story.launch('again', `run: echo ${round} >> ${ledger.path}`);
    generations.add(answer.generation);
    await story.jobEnds('again', answer.jobId, 'SUCCEEDED');
    await story.down('again');
  }
  expect(generations.size).toBe(AGAIN);
  expect(ledger.lines()).toEqual(Array.from({ length: AGAIN }, (_, round) => String(round)));
  await story.nothingLeft();
});
