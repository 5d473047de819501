/** Secrets that jobs use are in no store, no log and no command line, and what is lost with their key is their values only. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Keyring } from '../../system/keyring.ts';
import { Story, until } from '../guarantees/story.ts';
import { World } from '../harness/world.ts';
import { Stranger } from './stranger.ts';

/** Also good as names of variables, which errors quote. */
const VALUE = 'hunter2_correct_horse';
const ENV_VALUE = 'plain_but_private_4711';
const REGISTRY_PASSWORD = 'registry_battery_staple_0815';
/** Longer than Linux lets a variable be. */
const TOO_LONG = 'x'.repeat(125 * 1024);
/** A machine that is busy with other things is slow, and not wrong. */
const PATIENT = { budget: 60_000 };
let world: World;
let story: Story;

beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
  await story.up('s', 'num_nodes: 2');
});
afterAll(async () => {
  await story.nothingLeft();
  await world.end();
});

/** Files below a directory whose bytes hold the text. */
function filesWith(dir: string, text: string): string[] {
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => join(dir, name));
  return files.filter((file) => {
    try {
      return statSync(file).isFile() && readFileSync(file).includes(text);
    } catch {
      return false;
    }
  });
}

async function logOf(jobId: number | null): Promise<string> {
  let text = '';
  for await (const { data } of world.styx.logs('s', { jobId: jobId ?? 0, tail: 0 })) text += String(data);
  return text;
}

test('a job gets its secrets in its environment, on each node, and its output shows them as *****', async () => {
  const file = join(world.home, 'seen');
  const yaml = `num_nodes: 2\nenvs: {BOTH: env}\nsecrets: {TOKEN: ${VALUE}, BOTH: secret, SKYPILOT_NUM_NODES: '9'}\nrun: |
  printf %s "$TOKEN $BOTH $SKYPILOT_NUM_NODES" > ${file}-$SKYPILOT_NODE_RANK
  echo "my token is $TOKEN."; printf %s "$TOKEN" | head -c 10; sleep 0.3; printf %s "$TOKEN" | tail -c +11; echo`;
  const { jobId } = await story.exec('s', yaml);
  await story.jobEnds('s', jobId, 'SUCCEEDED');
  for (const rank of [0, 1]) {
    expect(readFileSync(`${file}-${rank}`, 'utf8')).toBe(`${VALUE} secret 2`);
    rmSync(`${file}-${rank}`);
  }
  const log = await logOf(jobId);
  expect(log.match(/my token is \*{5}\.\n\*{5}\n/g)?.length).toBe(2);
  expect(log).not.toContain(VALUE);
});

test('nothing that Styx wrote anywhere holds a secret, a variable, a failure message or a command line in the clear', async () => {
  const login = { USERNAME: 'robot', PASSWORD: REGISTRY_PASSWORD, SERVER: 'registry.example' };
  const registry = Object.entries(login)
    .map(([name, value]) => `  SKYPILOT_DOCKER_${name}: ${value}\n`)
    .join('');
  const { jobId: running } = await story.exec(
    's',
    `secrets: {TOKEN: ${VALUE}}\nenvs:\n  PLAIN: ${ENV_VALUE}\n${registry}run: sleep 5`,
  );
  await story.view('s', 'runs it', ({ jobs }) => jobs.some(({ id, status }) => id === running && status === 'RUNNING'));
  const processes = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid));
  const holders = processes.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`).includes(VALUE);
    } catch {
      return false;
    }
  });
  expect(holders).toEqual([]);
  await story.jobEnds('s', running, 'SUCCEEDED');
  // A refusal that names what it refuses, which goes through an activity's failure and the job's end into the cluster's state.
  const bad = { ...world.task("run: 'true'").task, envs: { [`NO_${ENV_VALUE}`]: TOO_LONG }, secrets: { TOKEN: VALUE } };
  const { jobId } = await story.clusters.exec('s', bad, { commandLine: `styx exec s ${ENV_VALUE}` });
  const failed = await story.jobEnds('s', jobId, 'FAILED_DRIVER');
  expect(failed.reason).toContain(ENV_VALUE);
  const echoing = { ...bad, envs: { [`NO_${VALUE}`]: TOO_LONG } };
  const { jobId: second } = await story.clusters.exec('s', echoing);
  expect((await story.jobEnds('s', second, 'FAILED_DRIVER')).reason).toContain('*****');
  // To the disk, with what the write-ahead log has.
  await world.stopServer();
  for (const text of [
    VALUE,
    VALUE.slice(0, 12),
    Buffer.from(VALUE).toString('base64').slice(0, 16),
    ENV_VALUE,
    REGISTRY_PASSWORD,
  ]) {
    expect(filesWith(world.server.directory, text), text).toEqual([]);
  }
  await world.killServer();
  // What a job itself wrote is on its nodes, which on this cloud are here.
  expect(filesWith(world.home, VALUE).filter((file) => !file.includes('/home/sky_logs/'))).toEqual([]);
  for (const text of [VALUE, REGISTRY_PASSWORD]) expect(world.workerLog()).not.toContain(text);
});

test('a failure message is sealed in the database, and read by us', async () => {
  const stranger = await Stranger.at(world.server.address);
  const { generation, jobs } = await story.clusters.view('s', PATIENT);
  const job = jobs.find(({ status }) => status === 'FAILED_DRIVER');
  const { events } = await stranger.handle(`cluster/default/s/${generation}/job-${job?.id}`).fetchHistory();
  const failure = events
    ?.map((event) => event.activityTaskFailedEventAttributes?.failure)
    .find((found) => found != null);
  expect(failure?.message).toBe('Encoded failure');
  expect(failure?.stackTrace).toBe('');
  expect(String(failure?.encodedAttributes?.metadata?.encoding)).toBe('binary/styx-sealed');
  await stranger.close();
});

test('after a rotation new commands use the new key, and what is old is still read', async () => {
  const old = new Keyring(world.home).current('payload').id;
  const { id } = new Keyring(world.home).rotate('payload');
  new Keyring(world.home).rotate('secrets');
  const { jobId } = await story.exec('s', `secrets: {TOKEN: ${VALUE}}\nrun: echo "$TOKEN"`);
  await story.jobEnds('s', jobId, 'SUCCEEDED');
  expect(await logOf(jobId)).toBe('*****\n');
  expect(await logOf(1)).toContain('*****');
  const stranger = await Stranger.at(world.server.address);
  const updates = await stranger.updatesOf('cluster/default/s');
  const key = String(updates.get('exec')?.[0]?.metadata?.key);
  expect(key).toBe(id);
  expect(key).not.toBe(old);
  await stranger.close();
});

test('with the secrets key deleted a job that needs one says so, and the cluster still stops, starts, shows and goes down', async () => {
  const { jobId } = await story.exec('s', `num_nodes: 2\nsecrets: {TOKEN: ${VALUE}}\nrun: sleep 300`);
  await story.view('s', 'runs it', ({ jobs }) => jobs.some(({ id, status }) => id === jobId && status === 'RUNNING'));
  const { jobId: waits } = await story.exec(
    's',
    `num_nodes: 2\njob_demand: {cpus: 1}\nsecrets: {TOKEN: ${VALUE}}\nrun: 'true'`,
  );
  const keys = join(world.home, 'keys');
  for (const name of readdirSync(keys)) if (name.startsWith('secrets.')) rmSync(join(keys, name));
  expect((await story.clusters.list()).map(({ name, status }) => `${name} ${status}`)).toEqual(['s UP']);
  await story.clusters.cancel('s', [jobId ?? 0]);
  expect((await story.jobEnds('s', waits, 'FAILED_DRIVER')).reason).toMatch(
    /secret TOKEN was closed with the key .* not here/,
  );
  await story.stopAndStart('s');
  const { jobId: later } = await story.exec('s', "run: 'true'");
  await story.jobEnds('s', later, 'SUCCEEDED');
  await story.down('s');
  expect(await until('no machine', async () => (await world.machinesLeft()).length === 0)).toBe(true);
});

test('secrets of the command line are not in the command line that is kept', async () => {
  const styx = join(import.meta.dirname, '..', '..', 'bin', 'styx');
  const args = [
    'launch',
    '-y',
    '-d',
    '-c',
    'cli',
    '--secret',
    `TOKEN=${VALUE}`,
    `--secret=OTHER=${VALUE}`,
    'echo "$TOKEN $OTHER"',
  ];
  const { status, stderr } = spawnSync(styx, args, { encoding: 'utf8', env: process.env });
  expect(status, stderr).toBe(0);
  const view = await story.clusters.view('cli', PATIENT);
  expect(view.lastUse).toContain("--secret 'TOKEN=...'".replaceAll("'", ''));
  expect(view.lastUse).not.toContain(VALUE);
  await story.jobEnds('cli', 1, 'SUCCEEDED');
  const logs = spawnSync(styx, ['logs', 'cli', '1', '--no-follow'], { encoding: 'utf8', env: process.env });
  expect(logs.stdout).toContain('***** *****');
  expect(logs.stdout).not.toContain(VALUE);
  await story.down('cli');
});
