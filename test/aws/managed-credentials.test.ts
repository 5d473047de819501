/** Credentials of AWS that expire while a managed job runs: its end is known at once, and its machines go by themselves when they are back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
    expect((await aws.instances()).find((one) => one.id === machine)?.state).toBe('running');
    const { copy } = await jobs.jobs.view(id);
    const { operation } = await jobs.look(copy?.cluster ?? '');
    expect(operation?.kind).toBe('down');
    proxy.faults = [];
    expect(await jobs.ends(id, 'SUCCEEDED')).toMatchObject({ recoveries: 0, copies: 1 });
    await aws.nothingLeft(before.size + 1);
  });
});
