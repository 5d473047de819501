/** Task files as people write them, run by bash on real nodes: each ends with the status and the output that it has on SkyPilot's. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobRow, JobStatus } from '../../model/job.ts';
import { parseTask } from '../../model/parse-task.ts';
import { resourcesText } from '../../model/resources-text.ts';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'scripts');
const MEGABYTES = 100 * 1024 * 1024;

let world: World;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
  await story.up('scripts', 'num_nodes: 3\nresources: {cpus: 1}\n');
});
afterAll(async () => {
  await story.down('scripts');
  await story.nothingLeft();
  await world.end();
});

interface Ran {
  readonly job: JobRow;
  /** Of each rank, setup first. */
  readonly output: readonly string[];
}

async function submit(file: string, envs: Record<string, string> = {}): Promise<number> {
  const path = existsSync(join(FIXTURES, file)) ? join(FIXTURES, file) : join(ROOT, 'examples', file);
  const task = parseTask(readFileSync(path, 'utf8'), { file, overrides: { envs } });
  const { jobId } = await story.clusters.launch(
    { name: 'scripts', task, resourcesText: resourcesText(task) },
    { budget: 300_000 },
  );
  return jobId ?? 0;
}

async function output(jobId: number): Promise<string[]> {
  const texts: Buffer[][] = [];
  for await (const { rank, data } of world.styx.logs('scripts', { jobId, tail: 0 })) {
    texts[rank] ??= [];
    texts[rank].push(data);
  }
  return texts.map((pieces) => Buffer.concat(pieces).toString());
}

async function run(file: string, status: JobStatus, envs: Record<string, string> = {}): Promise<Ran> {
  const id = await submit(file, envs);
  const job = await story.jobEnds('scripts', id, status);
  return { job, output: await output(id) };
}

/** The same through `styx logs`, raw, with the most memory that the command took (kB). */
async function followed(jobId: number, take: (data: Buffer) => void): Promise<{ code: number | null; peak: number }> {
  const child = spawn(join(ROOT, 'bin', 'styx'), ['logs', 'scripts', String(jobId), '--tail', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, peakMemory(child.pid ?? 0));
  }, 50);
  child.stdout.on('data', take);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearInterval(timer);
  return { code, peak };
}

/** kB; 0 of a process that is gone. */
function peakMemory(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(ofProcess(pid, 'status'))?.[1] ?? 0);
}

function ofProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/** Homes of the three nodes. */
function homes(): string[] {
  const instances = join(world.home, 'local', 'instances');
  return readdirSync(instances).map((id) => join(instances, id, 'home'));
}

/** A wheel, made by hand: `pip install` needs no network for it. */
function greeter(folder: string): void {
  const info = 'styxgreeter-1.0.dist-info';
  const files: Record<string, string> = {
    'styxgreeter.py': 'def greeting():\n    return "hello from the package"\ndef main():\n    print(greeting())\n',
    [`${info}/METADATA`]: 'Metadata-Version: 2.1\nName: styxgreeter\nVersion: 1.0\n',
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    [`${info}/entry_points.txt`]: '[console_scripts]\nstyxgreet = styxgreeter:main\n',
  };
  files[`${info}/RECORD`] = [...Object.keys(files), `${info}/RECORD`].map((name) => `${name},,\n`).join('');
  const pack = 'import json, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], "w") as file:\n'.concat(
    '    for name, text in json.load(sys.stdin).items(): file.writestr(name, text)\n',
  );
  mkdirSync(folder);
  const path = join(folder, 'styxgreeter-1.0-py3-none-any.whl');
  execFileSync('python3', ['-c', pack, path], { input: JSON.stringify(files) });
}

test('a job that uses no Python leaves no environment behind it, and makes none', async () => {
  await run('chains.yaml', 'FAILED');
  for (const home of homes()) {
    const made = join(home, 'sky-user-env', 'pyvenv.cfg');
    expect(existsSync(made), made).toBe(false);
  }
});

test('a package that setup installs by pip is there in run, as module and as command', async () => {
  const wheels = join(world.home, 'wheels');
  greeter(wheels);
  const { output } = await run('wheel.yaml', 'SUCCEEDED', { WHEELS: wheels });
  const lines = (output[0] ?? '').trimEnd().split('\n');
  expect(lines.slice(-3)).toEqual(['hello from the package', 'hello from the package', '~/sky-user-env']);
});

test('activating the user environment works, and one of the script takes its place', async () => {
  const { output } = await run('activate.yaml', 'SUCCEEDED');
  expect(output).toEqual(['sky-user-env\nown\nsky-user-env\n']);
});

test('here-documents reach files, pipes, shells and Python as they are written', async () => {
  const { output } = await run('heredocs.yaml', 'SUCCEEDED');
  const expected = [
    '{"who": "world", "sum": 42, "literal": "$WHO"}',
    'inner one of $WHO',
    '  INDENTED COMMAND',
    'python\tread',
    'a b',
  ];
  expect(output).toEqual([`${expected.join('\n')}\n`]);
});

test('a failure ends its && chain alone, and the last command is the exit code', async () => {
  const { job, output } = await run('chains.yaml', 'FAILED');
  expect(job.exitCodes).toEqual([3]);
  expect(output[0]).toMatch(
    /cd: nowhere: No such file or directory\nfirst: 1\nsecond: 1\nthird: 1\n.*nosuchcommand: command not found\nfourth: 127\n$/,
  );
});

test('what is left in the background lives on after its job has succeeded', async () => {
  const { output } = await run('left-behind.yaml', 'SUCCEEDED');
  expect(output).toEqual(['started\n']);
  const files = homes().map((home) => join(home, 'alive'));
  const alive = () => files.filter(existsSync).map((file) => readFileSync(file, 'utf8'));
  const before = alive();
  await until('it goes on', () => alive().join() !== before.join() && alive().join('') !== '');
});

test('a trap on SIGTERM runs at a cancel, and what it says is in the log', async () => {
  const id = await submit('sigterm.yaml');
  await until('it began', async () => {
    for await (const { data } of world.styx.logs('scripts', { jobId: id, follow: false }))
      if (data.includes('begun')) return true;
    return false;
  });
  await story.clusters.cancel('scripts', [id]);
  const job = await story.jobEnds('scripts', id, 'CANCELLED');
  expect(job.exitCodes).toEqual([143]);
  expect(await output(id)).toEqual(['begun\nsaved at 7\n']);
});

test('100 MB of output arrive without loss, followed by a command and an agent that stay small', async () => {
  const id = await submit('flood.yaml');
  const hash = createHash('sha256');
  let bytes = 0;
  const { code, peak } = await followed(id, (data) => {
    hash.update(data);
    bytes += data.length;
  });
  const agents = world.agents();
  const largest = Math.max(...agents.map(peakMemory));
  const wanted = createHash('sha256')
    .update(execFileSync('sh', ['-c', `seq 1 99999999 | head -c ${MEGABYTES}`], { maxBuffer: 2 * MEGABYTES }))
    .digest('hex');
  expect({ code, bytes, hash: hash.digest('hex') }).toEqual({ code: 0, bytes: MEGABYTES, hash: wanted });
  expect(agents).toHaveLength(1);
  expect(largest).toBeLessThan(64 * 1024);
  expect(peak).toBeGreaterThan(0);
  expect(peak).toBeLessThan(300 * 1024);
});

test('binary output passes `styx logs` bit for bit', async () => {
  const { job } = await run('binary.yaml', 'SUCCEEDED');
  const forward = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const repeated = (one: Buffer) => Buffer.concat(Array.from({ length: 64 }, () => one));
  const odd = Buffer.from('0d00fffec328e282', 'hex');
  const round = Buffer.concat([repeated(forward), odd, repeated(Buffer.from(forward).reverse())]);
  const wanted = Buffer.concat([...Array.from({ length: 8 }, () => round), Buffer.from('000d0aff', 'hex')]);
  const pieces: Buffer[] = [];
  const { code } = await followed(job.id, (data) => pieces.push(data));
  expect(code).toBe(0);
  expect(Buffer.concat(pieces).equals(wanted)).toBe(true);
});

test('three nodes find one another by SKYPILOT_NODE_IPS', async () => {
  const { job, output } = await run('rendezvous.yaml', 'SUCCEEDED');
  expect(job.exitCodes).toEqual([0, 0, 0]);
  expect(output).toEqual([0, 1, 2].map((rank) => `rank ${rank} of 3: ${(rank + 1) * 100} of 600\n`));
});

test('a script may be strict: set -e and pipefail end it where they say, and unset variables are reported', async () => {
  const strict = await run('strict.yaml', 'FAILED');
  expect(strict.job.exitCodes).toEqual([1]);
  expect(strict.output).toEqual(['before\nline 5 failed with 1\n']);
  const unset = await run('unset.yaml', 'FAILED');
  expect(unset.job.exitCodes).toEqual([4]);
  expect(unset.output[0]).toMatch(
    /^default\n.*NOT_SET: unbound variable\nthen 1\n.*TOKEN: is needed\n.*TOKEN: is needed\n$/,
  );
  const checked = await run('checked.yaml', 'SUCCEEDED');
  expect(checked.output).toEqual(['first: 1\nsecond: 1\nthird part: 2\nTHIRD PART\n']);
});

test('arrays, functions and words of any language are what bash makes of them', async () => {
  const { output } = await run('bash.yaml', 'SUCCEEDED');
  const expected = [
    '[llama][mixtral 8x7b][tab\tbed][größte]',
    '4 GRÖßTE two words 🚀 12',
    'llama,mixtral 8x7b,a*b,!history !! $x',
    'step 120',
    'no difference',
    'x y z',
    '1+2+3',
    'a function named ü',
  ];
  expect(output).toEqual([`${expected.join('\n')}\n`]);
});

test('line ends of Windows in a task file do no harm, and those that a script itself holds are for bash', async () => {
  const { output } = await run('crlf.yaml', 'SUCCEEDED');
  expect(output).toEqual(['a\n\ryes\ntext\n']);
});

test('exit in setup ends setup: with 0 the job goes on in a fresh shell, else it is FAILED_SETUP', async () => {
  const fine = await run('setup-exits.yaml', 'SUCCEEDED');
  expect(fine.output).toEqual(['setup 0\nrun fresh sky_workdir\n']);
  const failed = await run('setup-fails.yaml', 'FAILED_SETUP');
  expect(failed.job.exitCodes).toEqual([9]);
  expect(failed.output).toEqual(['trying\n']);
});

test('a script finds no input, the umask of a login, room for files, and a shell that is interactive', async () => {
  const { output } = await run('surroundings.yaml', 'SUCCEEDED');
  const expected = [
    'cat 0',
    'read ended []',
    "['', False, False]",
    '0022',
    '600',
    '644',
    'files',
    '512',
    'interactive',
    'at once',
    '1 script',
  ];
  expect(output).toEqual([`${expected.join('\n')}\n`]);
});

test('lines of megabytes and carriage returns without lines come whole', async () => {
  const { output } = await run('long-lines.yaml', 'SUCCEEDED');
  expect(output[0] === `${'x'.repeat(3_000_000)}\n\r1%\r2%\r3%\n100000\n`).toBe(true);
});

test("setup and run see SkyPilot's variables under its names and in its formats, and a task cannot replace them", async () => {
  const { job, output } = await run('environment.yaml', 'SUCCEEDED');
  const everywhere = ['CLUSTER_INFO', 'INTERNAL_JOB_ID', 'NUM_NODES', 'TASK_ID', 'USER'];
  const names = (more: string[]) => [...everywhere, ...more].map((name) => `SKYPILOT_${name}`).toSorted();
  const inSetup = names(['SETUP_NODE_IPS', 'SETUP_NODE_RANK', 'SETUP_NUM_GPUS_PER_NODE']);
  const inRun = names(['NODE_IPS', 'NODE_RANK', 'NUM_GPUS_PER_NODE']);
  const { nodes, user } = await story.look('scripts').then((view) => ({ nodes: view.nodes, user: job.user }));
  const ips = (job.allotment?.nodes ?? []).map(
    (rank) => nodes.find((node) => node.rank === rank)?.internalAddress ?? '',
  );
  for (const rank of [0, 1]) {
    const lines = (output[rank] ?? '').trimEnd().split('\n');
    const setup = lines.filter((line) => line.startsWith('SKYPILOT_SETUP_'));
    expect(setup).toHaveLength(3);
    // A task's variable of that name is seen in setup, where SkyPilot has none.
    const withMine = [...inSetup, 'SKYPILOT_NODE_RANK'].toSorted();
    expect(lines.slice(0, withMine.length)).toEqual(withMine);
    const rest = lines.slice(withMine.length);
    expect(rest.shift()).toBe(`${rank} 2 0`);
    expect(rest.slice(0, inRun.length)).toEqual(inRun);
    const [numbers, taskId, info, who, ...seen] = rest.slice(inRun.length);
    expect(numbers).toBe(`${rank} 2 0 ${job.id} [] True`);
    expect(taskId).toMatch(new RegExp(`^sky-\\d{4}-\\d\\d-\\d\\d-\\d\\d-\\d\\d-\\d\\d-\\d{6}_scripts_${job.id}$`));
    expect(info).toBe('{"cluster_name": "scripts", "cloud": "local", "region": "local", "zone": "local-a"}');
    expect(who).toBe(user);
    expect(seen).toEqual(ips);
  }
});
