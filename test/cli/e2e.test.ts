import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CommandLine, REPOSITORY } from '../harness/command-line.ts';

/** The whole path as a user walks it. */
const line = new CommandLine();
const { home, sshConfig, styx, ok, json } = line;

beforeAll(() => line.begin(), 120_000);

afterAll(async () => {
  await styx('down', '-a', '-y');
  await line.end();
}, 120_000);

test('hello: launched, shown, queued, read again, and gone without a trace', { timeout: 240_000 }, async () => {
  expect((await styx('status')).out).toBe('No existing clusters.\n');
  const never = await styx('launch', '-y', '-c', 'hello', '--cpus', '100000', 'true');
  expect([never.code, never.out]).toEqual([5, '']);
  expect(never.err).toContain('cpus: 100000 keeps out');
  expect(never.err, 'it was refused before anything was made').not.toContain('launching');
  const launched = await styx('launch', '-y', '-c', 'hello', join(REPOSITORY, 'examples', 'hello.yaml'));
  expect(launched.code, launched.err).toBe(0);
  expect(launched.out).toContain('ello');
  expect(launched.err).toMatch(/Considered resources \(1 node\):\nINFRA .*CHOSEN\nlocal \(local-a\) /);
  expect(launched.err).toContain('Job 1 SUCCEEDED');

  const [cluster, ...others] = await json('status');
  expect(others).toEqual([]);
  expect(cluster).toMatchObject({ name: 'hello', status: 'UP', numNodes: 1, jobs: { live: 0, finished: 1 } });
  expect((await styx('status')).out).toMatch(
    /^NAME +INFRA +RESOURCES +STATUS +AUTOSTOP +LAUNCHED\nhello +local \(local-a\) +1x\(cpus=[^)]*\) +UP +- +\S/,
  );
  expect(await json('queue', 'hello')).toMatchObject([
    { cluster: 'hello', id: 1, status: 'SUCCEEDED', exitCodes: [0] },
  ]);

  const again = await styx('logs', 'hello');
  expect([again.code, again.out]).toEqual([0, launched.out]);
  expect((await styx('logs', 'hello', '--status')).out).toBe('Job 1: SUCCEEDED\n');
  expect((await styx('logs', 'hello', '7')).code).toBe(102);

  const [down] = await json('down', '-y', 'hello');
  expect(down).toMatchObject({ cluster: 'hello', ok: true });
  expect(await json('status')).toEqual([]);
  expect(existsSync(join(home, 'ssh', 'clusters', 'hello'))).toBe(false);
  const gone = await styx('exec', 'hello', 'true');
  expect([gone.code, gone.err.split('\n')[0]]).toEqual([4, "Error: Cluster 'hello' does not exist"]);
});

test('a cluster through its commands: exec, cancel, ssh, autostop, stop, start', { timeout: 240_000 }, async () => {
  await ok('launch', '-y', '-d', '-c', 'mine', '--num-nodes', '2', 'true');
  const failed = await styx('exec', 'mine', 'printf "a\\nb"; exit 7');
  expect([failed.code, failed.out]).toEqual([100, 'a\nb']);
  const both = await styx('exec', 'mine', '--num-nodes', '2', 'echo "rank $SKYPILOT_NODE_RANK"');
  expect([both.code, both.out.trim().split('\n').sort()]).toEqual([
    0,
    ['(head, rank=0) rank 0', '(worker1, rank=1) rank 1'],
  ]);

  expect((await styx('exec', 'mine', '-d', 'sleep 300')).out).toBe('4\n');
  expect((await styx('logs', 'mine', '4', '--no-follow')).code).toBe(101);
  expect((await styx('cancel', 'mine', '4')).code).toBe(2);
  await ok('cancel', 'mine', '4', '-y');
  expect((await styx('logs', 'mine', '4')).code).toBe(103);

  expect(await styx('ssh', 'mine', 'echo on $HOME; exit 5')).toMatchObject({
    code: 5,
    out: expect.stringMatching(/^on \//),
  });
  if (spawnSync('ssh', ['-V']).error === undefined) {
    const plain = spawnSync('ssh', ['-F', sshConfig, 'mine-worker1', 'echo "$PWD"'], { encoding: 'utf8', input: '' });
    expect([plain.status, plain.stdout]).toEqual([0, expect.stringMatching(/^\//)]);
  }

  await ok('autostop', 'mine', '-i', '600', '--down');
  expect((await json('status', 'mi*'))[0].autostop).toEqual({ idleMinutes: 600, down: true, waitFor: 'jobs_and_ssh' });
  await ok('autostop', 'mine', '--cancel');
  await ok('stop', 'mi*', '-y');
  expect((await json('status', 'mine'))[0]).toMatchObject({ status: 'STOPPED', autostop: null });
  const refused = await styx('exec', 'mine', 'true');
  expect([refused.code, refused.out]).toEqual([3, '']);
  expect(refused.err).toContain('styx start mine');
  await ok('start', 'mine', '-y');
  expect((await styx('logs', 'mine', '2')).out).toBe('a\nb');
  const synced = await json('logs', 'mine', '2', '--sync-down');
  expect(readFileSync(synced[0].files[0], 'utf8')).toBe('a\nb');
  await ok('down', 'mi*', '-y');
});

test('output is followed without loss or repeat while server, worker and SSH server are killed', {
  timeout: 240_000,
}, async () => {
  await ok('launch', '-y', '-d', '-c', 'firm', 'true');
  const run = line.start('exec', 'firm', 'for i in $(seq 60); do echo line $i; sleep 0.1; done');
  const kill = async (pid: number) => {
    await sleep(700);
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // A worker that lost its server may have ended by itself.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  await expect.poll(run.out, { timeout: 30_000 }).toContain('line 3');
  const { pids } = await json('server', 'status');
  await kill(Number(readFileSync(join(home, 'local', 'host.lock'), 'utf8').split(' ')[0]));
  await kill(pids.temporal);
  await kill(pids.worker);
  const { code, out, err } = await run.done;
  expect(out.trim().split('\n'), err).toEqual(Array.from({ length: 60 }, (_, i) => `line ${i + 1}`));
  expect(code, err).toBe(0);
  await ok('down', '-y', 'firm');
});

test('Ctrl-C detaches: the job goes on, and how to follow and to end it is said', { timeout: 240_000 }, async () => {
  const run = line.start('launch', '-y', '-c', 'calm', 'for i in $(seq 25); do echo line $i; sleep 0.2; done');
  await expect.poll(run.out, { timeout: 60_000 }).toContain('line 2');
  run.child.kill('SIGINT');
  const { code, err } = await run.done;
  expect(code).toBe(130);
  expect(err).toContain('styx logs calm 1');
  expect(err).toContain('styx cancel calm 1');
  expect(err).toContain('styx down calm');
  const followed = await styx('logs', 'calm');
  expect([followed.code, followed.out.trim().split('\n').length]).toEqual([0, 25]);
  await ok('down', '-y', 'calm');
});
