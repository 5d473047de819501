/** Programs that have nothing of Styx launch clusters and managed jobs by Temporal's own SDK, on a server where sealing is optional. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalWorld } from '../harness/local-world.ts';
import { pythonWithTemporal } from '../harness/python-sdk.ts';
import { startTestServer, startTestWorker, type TestServer, type TestWorker, testDir } from '../harness/temporal.ts';
import { until } from './story.ts';

const INSTALL_MS = 600_000;
const home = testDir();
const world = new LocalWorld(home);
const found = pythonWithTemporal();
if ('reason' in found) console.warn(`SKIPPED: Python with Temporal's SDK: ${found.reason}`);
let server: TestServer;
let worker: TestWorker;

beforeAll(async () => {
  server = await startTestServer();
  worker = startTestWorker({ address: server.address, home, env: { ...server.env, STYX_CODEC: 'optional' } });
  await worker.waitReady();
}, INSTALL_MS);
afterAll(async () => {
  await worker.kill9();
  await server.stop();
  await world.end();
  rmSync(home, { recursive: true, force: true });
});

test.skipIf('reason' in found)(
  'a Python program launches a cluster, awaits its job and takes it down, and nothing is left',
  async () => {
    const python = 'python' in found ? found.python : '';
    const program = join(import.meta.dirname, '..', '..', 'examples', 'python', 'launch.py');
    // Another try begins with an empty one.
    const ledger = world.ledger(`python-${Date.now()}`);
    const env = { ...process.env, STYX_HOME: home, ...server.env };
    const run = promisify(execFile);
    const { stdout } = await run(python, [program, 'from-python', `echo ran >> ${ledger.path}`], {
      env,
      timeout: 200_000,
    });
    expect(stdout.trimEnd().split('\n')).toEqual([
      'job 1 is submitted',
      'job 1 is SUCCEEDED, exit codes [0]',
      'the cluster is down',
    ]);
    expect(ledger.lines()).toEqual(['ran']);
    expect(await world.machinesLeft()).toEqual([]);
    const failing = await run(python, [program, 'from-python', 'exit 3'], { env, timeout: 200_000 }).catch(
      (error: { code: number; stdout: string }) => error,
    );
    expect(failing).toMatchObject({ code: 1, stdout: expect.stringContaining('job 1 is FAILED, exit codes [3]') });
    expect(await world.machinesLeft()).toEqual([]);
  },
  INSTALL_MS,
);

test.skipIf('reason' in found)(
  'a Python program starts a managed job, once however often, gets its result when its machines are gone, and another one cancels it',
  async () => {
    const python = 'python' in found ? found.python : '';
    const program = join(import.meta.dirname, '..', '..', 'examples', 'python', 'managed_job.py');
    const env = { ...process.env, STYX_HOME: home, ...server.env };
    const call = promisify(execFile);
    const job = (...args: string[]) =>
      call(python, [program, ...args], { env, timeout: 200_000 }).catch(
        (error: { code: number; stdout: string }) => error,
      );
    // Numbers and ids are others when this is tried again.
    const told = ({ stdout }: { stdout: string }) => stdout.replace(/job \d+/, 'job N');
    const id = `py${Date.now()}`;
    const ledger = world.ledger(id);
    const run = `echo ran $STYX_JOB_TRY >> ${ledger.path}`;
    const both = await Promise.all([1, 2].map(() => job('run', `${id}-once`, run)));
    const ended = 'job N is SUCCEEDED: all is gone\n';
    expect(both.map(told).toSorted()).toEqual([`submitted\n${ended}`, `submitted before\n${ended}`]);
    expect(ledger.lines()).toEqual(['ran 1']);
    expect(await world.machinesLeft()).toEqual([]);
    const failed = await job('run', `${id}-fails`, 'exit 3');
    expect(failed).toMatchObject({ code: 1 });
    expect(told(failed)).toBe('submitted\njob N is FAILED: rank 0 exited with 3\n');

    const running = job('run', `${id}-long`, `echo began >> ${ledger.path}; sleep 600`);
    await until('it began', () => ledger.lines().includes('began'), 120_000);
    expect(await job('cancel', `${id}-long`)).toMatchObject({ stdout: 'CANCELLING: its machines go\n' });
    const cancelled = await running;
    expect(cancelled).toMatchObject({ code: 1 });
    expect(told(cancelled)).toBe('submitted\njob N is CANCELLED: all is gone\n');
    expect(await world.machinesLeft()).toEqual([]);
    expect(world.processesLeft()).toEqual([]);
  },
  INSTALL_MS,
);

/** examples/child-job/main.ts: a worker with a bundle and a task queue of its own, whose workflow has a managed job as its child. */
function foreignWorkflow(command: string) {
  const program = join(import.meta.dirname, '..', '..', 'examples', 'child-job', 'main.ts');
  const env = { ...process.env, STYX_HOME: home, ...server.env, STYX_TIMING: 'test' };
  const running = promisify(execFile)(process.execPath, [program, command], { env });
  return { running, interrupt: () => running.child.kill('SIGINT') };
}

test(
  'a workflow that is not of Styx has a managed job as its child, and gets its result when its machines are gone',
  async () => {
    const ledger = world.ledger('child');
    const done = await foreignWorkflow(`echo ran >> ${ledger.path}`).running;
    expect(done.stdout).toMatch(/^job \d+ is SUCCEEDED and has cost \$0\.00\n$/);
    expect(ledger.lines()).toEqual(['ran']);
    expect(await world.machinesLeft()).toEqual([]);
    const failed = await foreignWorkflow('exit 3').running;
    expect(failed.stdout).toMatch(/^job \d+ is FAILED and has cost \$0\.00\n$/);
  },
  INSTALL_MS,
);

test(
  'when it is cancelled its job is, and the machines are gone before it hears so',
  async () => {
    const ledger = world.ledger('cancelled');
    const { running, interrupt } = foreignWorkflow(`echo began >> ${ledger.path}; sleep 600`);
    await until('it began', () => ledger.lines().includes('began'), 120_000);
    interrupt();
    expect((await running).stdout).toMatch(/^job \d+ is CANCELLED/);
    expect(await world.machinesLeft()).toEqual([]);
    expect(world.processesLeft()).toEqual([]);
  },
  INSTALL_MS,
);
