/** Credentials of AWS that expire while a managed job runs or its machines go: its end is known at once, and they go by themselves later. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { queueText } from '../../cli/jobs/queue.ts';
import type { ManagedStatus } from '../../model/managed-job.ts';
import { JobStory } from '../guarantees/job-story.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { run } from '../stand-ins/machines/commands.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/managed-credentials: ${lacks}`);

const EXPIRED = { error: 'ExpiredToken', message: 'The security token included in the request is expired' };

describe.skipIf(lacks !== undefined)('a managed job on AWS whose credentials expire', () => {
  let aws: AwsWorld;
  let jobs: JobStory;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    jobs = await JobStory.on(aws.world);
  });
  afterAll(async () => {
    await jobs?.close();
    await aws?.end();
  });

  /** As `styx jobs queue` prints it. */
  async function listed(): Promise<string> {
    return queueText(await jobs.jobs.list(), new Map(), new Map(), {});
  }

  test('runs on and ends; its teardown waits, and is done by itself when they are back', {
    timeout: 240_000,
  }, async () => {
    const { proxy } = aws.account;
    proxy.faults = [];
    const before = new Set((await aws.instances()).map(({ id }) => id));
    const id = await jobs.submit(aws.task('run: while [ ! -e ~/go ]; do sleep 0.1; done\n'));
    await jobs.is(id, 'RUNNING');
    const machine = (await aws.instances()).find((one) => !before.has(one.id))?.id ?? '';
    proxy.faults = [{ do: EXPIRED }];
    await sleep(3_000);
    expect(await jobs.jobs.view(id)).toMatchObject({ status: 'RUNNING', recoveries: 0 });
    const pid = (await aws.machines.rows()).find((row) => row.id === machine)?.pid;
    await run('touch', `/proc/${pid}/root/home/ubuntu/go`);
    await jobs.is(id, 'SUCCEEDED');
    const asked = proxy.log.length;
    await until('the teardown was refused more than once', () => proxy.log.length > asked + 3);
    await waits(id, 'SUCCEEDED');
    expect((await aws.instances()).find((one) => one.id === machine)?.state).toBe('running');
    expect(await listed()).toMatch(/^Job \d+ is over, and its machines are being taken away \(cluster /m);
    proxy.faults = [];
    expect(await jobs.ends(id, 'SUCCEEDED')).toMatchObject({ recoveries: 0, copies: 1 });
    await until('nothing is said of machines any more', async () => !(await listed()).includes('taken away'));
    await aws.nothingLeft(before.size + 1);
  });

  test.each([
    ['goes', 'SUCCEEDED', 'go'],
    ['goes and its worker is killed', 'SUCCEEDED', 'kill'],
    ['goes since it was cancelled', 'CANCELLING', 'go'],
  ] as const)(
    'while its machine %s is shown as %s; what is left of it is looked for until they are back',
    async (_, shown, then) => {
      const { proxy } = aws.account;
      const { world } = aws;
      proxy.faults = [];
      await until('nothing is left of a try before', async () => (await aws.account.ledger()).groups.length === 0);
      const before = (await aws.instances()).length;
      world.arm('terminateMachines.called');
      const id = await jobs.submit(aws.task(`run: ${shown === 'SUCCEEDED' ? '"true"' : 'sleep 600'}\n`));
      if (shown === 'CANCELLING') {
        await jobs.is(id, 'RUNNING');
        await jobs.jobs.cancel(id);
      }
      expect(await world.hit('terminateMachines.called', 60_000)).toBe(true);
      proxy.faults = [{ do: EXPIRED }];
      if (then === 'kill') await world.killAt('terminateMachines.called', 'worker');
      else world.go('terminateMachines.called');
      await waits(id, shown);
      // EC2 keeps the group of a machine until it is asked, after the machine's end, to take it away.
      expect((await aws.account.ledger()).groups).toHaveLength(1);
      aws.account.renew(`AKIARENEWED${before}`);
      proxy.faults = [];
      expect(await jobs.ends(id, shown === 'SUCCEEDED' ? shown : 'CANCELLED')).toMatchObject({
        copy: null,
        recoveries: 0,
        copies: 1,
      });
      await aws.nothingLeft(before + 1);
    },
  );

  /** The job shows the cluster that it still has, whose view says why. */
  async function waits(id: string, status: ManagedStatus): Promise<void> {
    const { copy } = await jobs.is(id, status);
    await jobs.view(copy?.cluster ?? '', 'says why it waits', ({ operation }) =>
      /ExpiredToken: The security token .* expired.*tried until it works/.test(operation?.progress ?? ''),
    );
  }
});
