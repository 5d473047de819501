import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isManagedEnd, type ManagedStatus } from '../../model/managed-job.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { CommandLine } from '../harness/command-line.ts';
import { LONG_FORM } from '../harness/long-form.ts';

/** Managed jobs as a user meets them: what is printed, on which stream, and with which exit code. */
const line = new CommandLine();
const { home, styx, ok, json } = line;

interface Row {
  readonly id: number;
  readonly workflowId: string;
  readonly name: string | null;
  readonly status: ManagedStatus;
  readonly schedule: string;
  readonly paused: boolean;
}

beforeAll(() => line.begin(), 120_000);

afterAll(async () => {
  await styx('jobs', 'cancel', '-a', '-y');
  await line.end();
}, 120_000);

async function row(number: number): Promise<Row | undefined> {
  return ((await json('jobs', 'queue')) as Row[]).find(({ id }) => id === number);
}

test('before there is a job: empty lists, and errors that say what to do', { timeout: 120_000 }, async () => {
  expect(await styx('jobs', 'queue')).toMatchObject({ code: 0, out: 'No managed jobs.\n' });
  expect(await json('jobs', 'queue')).toEqual([]);
  const logs = await styx('jobs', 'logs');
  expect([logs.code, logs.out]).toEqual([102, '']);
  expect(logs.err).toContain('You have no managed jobs');
  const refused: readonly (readonly [string[], number, string])[] = [
    [['history', '3'], 4, 'There is no managed job 3'],
    [['cancel', '99', '-y'], 4, 'There is no managed job 99'],
    [['cancel'], 2, 'Name jobs, or pass --all or --pool.'],
    [['cancel', '1', '-a', '-y'], 2, '--all does not go together with jobs'],
    [['queue', '--status', 'RUNING'], 2, 'Did you mean RUNNING?'],
    [['launch', '-y', '--job-recovery', 'FAILOVR', 'true'], 2, 'Did you mean FAILOVER?'],
    [['launch', 'true'], 2, 'Pass -y to go on without being asked.'],
  ];
  for (const [args, code, words] of refused) {
    const result = await styx('jobs', ...args);
    expect([result.code, result.out], `styx jobs ${args.join(' ')}`).toEqual([code, '']);
    expect(result.err).toContain(words);
  }
  expect(await json('jobs', 'queue'), 'what was refused submitted nothing').toEqual([]);
});

test('a job is followed to its end, read again, and told; its exit code is that of SkyPilot', {
  timeout: 240_000,
}, async () => {
  const hello = await styx('jobs', 'launch', '-y', '-n', 'hello', 'echo hi; echo low >&2');
  expect([hello.code, hello.out.split('\n').toSorted().join(' ').trim()], hello.err).toEqual([0, 'hi low']);
  expect(hello.err).toMatch(/Managed job 1 submitted\.\n[\s\S]*\nManaged job 1 SUCCEEDED\n$/);
  expect(await styx('jobs', 'logs', '1')).toMatchObject({ code: 0, out: hello.out, err: 'Managed job 1 SUCCEEDED\n' });

  const fails = await styx('jobs', 'launch', '-y', '-n', 'fails', 'echo a; echo b; exit 7');
  expect([fails.code, fails.out]).toEqual([100, 'a\nb\n']);
  expect(fails.err).toMatch(/\nManaged job 2 FAILED: rank 0 exited with 7\n$/);
  expect(await styx('jobs', 'logs', 'fails', '--tail', '1')).toMatchObject({ code: 100, out: 'b\n' });
  const told = await json('jobs', 'history', 'fails');
  expect(told).toMatchObject({ id: 2, status: 'FAILED', reason: 'rank 0 exited with 7', recoveries: 0 });
  expect(told.copies).toMatchObject([{ number: 1, try: 1, logs: 'kept', infra: 'local/local/local-a' }]);
  expect((await ok('jobs', 'history', '2')).out).toMatch(/ FAILED: rank 0 exited with 7\n[\s\S]*COPY +TRY +CLUSTER/);

  const both = await styx('jobs', 'launch', '-y', '-n', 'both', '--num-nodes', '2', 'echo rank $SKYPILOT_NODE_RANK');
  expect([both.code, both.out.trim().split('\n').toSorted()]).toEqual([0, ['(rank=0) rank 0', '(rank=1) rank 1']]);
  expect(await styx('jobs', 'logs', 'both', '-w', '1')).toMatchObject({ code: 0, out: 'rank 1\n' });
  const noRank = await styx('jobs', 'logs', 'both', '-w', '5');
  expect([noRank.code, noRank.out]).toEqual([2, '']);
  expect(noRank.err).toContain('--worker 5: managed job 3 has ranks 0 to 1');
  const noName = await styx('jobs', 'logs', 'helo');
  expect([noName.code, noName.out]).toEqual([102, '']);
  expect(noName.err).toContain("Did you mean 'hello'?");

  expect(await json('jobs', 'launch', '-y', 'exit 1')).toMatchObject({
    number: 4,
    name: null,
    status: 'FAILED',
    reason: 'rank 0 exited with 1',
    recoveries: 0,
  });
  const [cancelled] = await json('jobs', 'cancel', '1', '-y');
  expect(cancelled).toMatchObject({ number: 1, status: 'SUCCEEDED', note: 'It is SUCCEEDED already.' });
});

test('a detached job prints its number alone, shows in the queue, and a cancel leaves nothing', {
  timeout: 240_000,
}, async () => {
  const { out } = await ok('jobs', 'launch', '-y', '-d', '-n', 'long', 'echo begun; sleep 600');
  expect(out).toMatch(/^\d+\n$/);
  const number = Number(out);
  await expect.poll(() => row(number), { timeout: 60_000 }).toMatchObject({ name: 'long', status: 'RUNNING' });
  const table = (await ok('jobs', 'queue')).out;
  expect(table).toMatch(
    /^Managed jobs, in progress: 1 RUNNING\nID +TASK +NAME +REQUESTED +SUBMITTED +TOT\. DURATION +/,
  );
  expect(table).toMatch(new RegExp(`\\n${number} +- +long +1x\\[CPU:0\\.5\\] .* 0 +RUNNING +-\\n`));
  expect(await json('jobs', 'queue', '-s')).toMatchObject([{ id: number }]);
  expect((await ok('jobs', 'queue', '-v', '-u')).out).toMatch(/ USER .* WORKER_CLUSTER .* SCHED\. STATE +DETAILS\n/);
  expect(await json('status'), "a job's cluster is not among those of people").toEqual([]);
  await expect
    .poll(() => styx('jobs', 'logs', 'long', '--no-follow'), { timeout: 60_000 })
    .toMatchObject({ code: 101, out: 'begun\n' });

  expect(await styx('jobs', 'cancel', 'long')).toMatchObject({ code: 2, out: '' });
  const [cancelled] = await json('jobs', 'cancel', 'long', '-y');
  expect(cancelled).toMatchObject({ number, note: null });
  const followed = await styx('jobs', 'logs', 'long');
  expect([followed.code, followed.out]).toEqual([103, 'begun\n']);
  await expect.poll(async () => (await row(number))?.schedule, { timeout: 60_000 }).toBe('ended');
  expect(await json('jobs', 'queue', '-s')).toEqual([]);
  expect(await styx('jobs', 'cancel', '-a', '-y')).toMatchObject({
    code: 0,
    out: 'No managed job could be cancelled.\n',
  });
  expect((await ok('doctor')).out).toContain('Nothing is wrong');
});

test('Ctrl-C detaches from a job, which goes on', { timeout: 240_000 }, async () => {
  const run = line.start('jobs', 'launch', '-y', '-n', 'calm', 'for i in $(seq 25); do echo line $i; sleep 0.2; done');
  await expect.poll(run.out, { timeout: 60_000 }).toContain('line 2');
  run.child.kill('SIGINT');
  const { code, err } = await run.done;
  expect(code).toBe(130);
  const number = /styx jobs logs (\d+)/.exec(err)?.[1] ?? err;
  expect(err).toContain(`styx jobs cancel ${number}`);
  const followed = await styx('jobs', 'logs', number);
  expect([followed.code, followed.out.trim().split('\n').length]).toEqual([0, 25]);
});

test('a file of several tasks is one job with a row for each, logs with their task, and a retry', {
  timeout: 240_000,
}, async () => {
  const file = join(home, 'pipe.yaml');
  const flag = join(home, 'works-now');
  const tasks = [
    'name: pipe',
    `name: first\nrun: |\n  echo one\n  echo k=v >> $STYX_OUTPUT`,
    `name: second\nrun: |\n  echo "two $STYX_OUTPUT_FIRST_K"\n  [ -e ${flag} ]`,
  ];
  writeFileSync(file, tasks.join('\n---\n'));
  const launched = await styx('jobs', 'launch', '-y', file);
  expect([launched.code, launched.out], launched.err).toEqual([100, '(first) one\n(second) two v\n']);
  expect(launched.err).toMatch(/\nManaged job \d+ FAILED: second FAILED: rank 0 exited with 1\n$/);
  const number = Number(/Managed job (\d+) submitted/.exec(launched.err)?.[1]);
  const queued = (await json('jobs', 'queue')) as { id: number; tasks?: unknown }[];
  expect(queued.find(({ id }) => id === number)).toMatchObject({
    name: 'pipe',
    status: 'FAILED',
    tasks: [
      { task: 0, name: 'first', status: 'SUCCEEDED', retryOf: null },
      { task: 1, name: 'second', status: 'FAILED' },
    ],
  });
  expect((await ok('jobs', 'queue')).out).toMatch(
    new RegExp(`\\n${number} +- +pipe .* FAILED +-\\n +↳ +0 +first .* SUCCEEDED +-\\n +↳ +1 +second .* FAILED +-\\n`),
  );
  expect(await styx('jobs', 'logs', 'pipe', 'first')).toMatchObject({ code: 0, out: 'one\n' });
  expect(await styx('jobs', 'logs', String(number), '1')).toMatchObject({ code: 100, out: 'two v\n' });
  const paused = await styx('jobs', 'pause', 'pipe');
  expect([paused.code, paused.out]).toEqual([0, `Managed job ${number}: It is FAILED already.\n`]);
  const noTask = await styx('jobs', 'logs', 'pipe', 'frist');
  expect([noTask.code, noTask.out]).toEqual([102, '']);
  expect(noTask.err).toContain("Did you mean 'first'?");
  writeFileSync(flag, '');
  const retried = await styx('jobs', 'retry', 'pipe', '-y');
  expect([retried.code, retried.out], retried.err).toEqual([0, '(second) two v\n']);
  const told = await json('jobs', 'history', 'pipe');
  expect(told).toMatchObject({ status: 'SUCCEEDED', retryOf: number, tasks: [{ kept: true }, { kept: false }] });
  expect((await ok('jobs', 'history', 'pipe')).out).toMatch(
    /PENDING: retry of managed job \d+\n[\s\S]*TASK +NAME +AFTER/,
  );
  const nothing = await styx('jobs', 'retry', 'pipe', '-y');
  expect([nothing.code, nothing.out]).toEqual([3, '']);
  expect(nothing.err).toContain('pass --from TASK');
});

test('--num-jobs prints a number for each, and each has its rank', { timeout: 240_000 }, async () => {
  const { out, err } = await ok('jobs', 'launch', '-y', '-n', 'many', '--num-jobs', '3', 'echo rank $STYX_JOB_RANK');
  expect(out).toMatch(/^(\d+\n){3}$/);
  expect(err).toContain('3 managed jobs submitted. See them: styx jobs queue');
  const numbers = out.trim().split('\n');
  expect(new Set(numbers).size).toBe(3);
  for (const [rank, number] of numbers.entries()) {
    expect(await styx('jobs', 'logs', number)).toMatchObject({ code: 0, out: `rank ${rank}\n` });
  }
  const none = await styx('jobs', 'launch', '-y', '--num-jobs', '0', 'true');
  expect([none.code, none.out, none.err]).toEqual([2, '', expect.stringContaining('--num-jobs')]);
});

test('a paused job gives back its machines and says so in the queue; resumed, it runs again', {
  timeout: 240_000,
}, async () => {
  const flag = join(home, 'go-on');
  const run = `echo try $STYX_JOB_TRY; while ! [ -e ${flag} ]; do sleep 0.1; done`;
  const number = Number((await ok('jobs', 'launch', '-y', '-d', '-n', 'rests', run)).out);
  await expect.poll(async () => (await row(number))?.status, { timeout: 60_000 }).toBe('RUNNING');
  await expect
    .poll(async () => (await styx('jobs', 'logs', 'rests', '--no-follow')).out, { timeout: 60_000 })
    .toBe('try 1\n');
  expect((await ok('jobs', 'pause', 'rests')).out).toBe(`Managed job ${number}: paused; its machines go\n`);
  await expect.poll(() => row(number), { timeout: 60_000 }).toMatchObject({ status: 'PENDING', paused: true });
  await expect
    .poll(async () => (await ok('jobs', 'queue', '-v')).out, { timeout: 60_000 })
    .toContain('paused: `styx jobs resume` queues it again');
  await expect.poll(async () => (await row(number))?.schedule, { timeout: 60_000 }).not.toBe('running');
  writeFileSync(flag, '');
  expect(await json('jobs', 'resume', 'rests')).toMatchObject([{ number, note: null }]);
  const followed = await styx('jobs', 'logs', 'rests');
  expect([followed.code, followed.out]).toEqual([0, 'try 1\ntry 2\n']);
  const late = await ok('jobs', 'pause', String(number));
  expect(late.out).toBe(`Managed job ${number}: It is SUCCEEDED already.\n`);
});

// Whoever waits for longer than two seconds asks all the same, so that a machine that is busy with other tests may lose one.
const idle = LONG_FORM;
if (!idle)
  console.log('SKIPPED: that looking at jobs costs none of their tasks: for idle machines, STYX_TEST_LONG=1 runs it');
test.runIf(idle)(
  'looking at jobs from their first moment on cost none of their workflow tasks',
  {
    timeout: 60_000,
  },
  async () => {
    const rows = (await json('jobs', 'queue', '-u', '-a')) as Row[];
    expect(rows.length).toBeGreaterThan(4);
    expect(rows.every(({ status }) => isManagedEnd(status))).toBe(true);
    const { connection, workflow } = await sealedTemporalClient(home);
    try {
      for (const { workflowId, name } of rows) {
        const { events } = await workflow.getHandle(workflowId).fetchHistory();
        const lost = (events ?? []).filter((event) => event.workflowTaskTimedOutEventAttributes != null);
        expect(lost.length, name ?? workflowId).toBe(0);
      }
    } finally {
      await connection.close();
    }
  },
);
