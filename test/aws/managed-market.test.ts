/** A managed job on AWS moves between spot and on-demand machines as its strategy says: one copy at a time, and no look for spot leaves a machine. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JobStory } from '../guarantees/job-story.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import type { Fault } from '../stand-ins/aws/fault-proxy.ts';
import { Said } from './said.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/managed-market: ${lacks}`);

const SPOT = 'InstanceMarketOptions.MarketType=spot';
const NO_SPOT: Fault = {
  action: 'RunInstances',
  asking: SPOT,
  do: { error: 'InsufficientInstanceCapacity', message: 'There is no Spot capacity available', status: 500 },
};

describe.skipIf(lacks !== undefined)('a managed job on AWS that takes spot machines while there are some', () => {
  let aws: AwsWorld;
  let jobs: JobStory;
  let said: Said;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    jobs = await JobStory.on(aws.world);
    said = await Said.listen();
  });
  afterAll(async () => {
    said?.close();
    await jobs?.close();
    await aws?.end();
  });

  async function runs(tried: number): Promise<void> {
    await until(`try ${tried} runs`, () => said.count(`run ${tried}`) > 0, 150_000);
  }

  async function take(): Promise<void> {
    const id = (await aws.instances()).filter(({ state }) => state === 'running').at(-1)?.id;
    await aws.account.order('preempt', { id });
  }

  test('has on-demand machines after two preemptions, and spot machines again when a look finds some, the worker killed at the look and at the move', {
    timeout: 400_000,
  }, async () => {
    const { world, account } = aws;
    const rule = 'strategy: on_demand_fallback, preemptions: 2, within: 1h, back_after: 2s';
    const beat = said.say('run $STYX_JOB_TRY');
    const id = await jobs.submit(
      aws.task(
        `run: |\n  ${beat}\n  while [ $STYX_JOB_TRY -lt 4 ]; do ${beat}; sleep 0.1; done\n  ${said.say('done $STYX_JOB_TRY')}\n`,
        `, use_spot: true, job_recovery: {${rule}}`,
      ),
    );
    await runs(1);
    await take();
    await runs(2);
    account.proxy.faults = [NO_SPOT];
    await take();
    await runs(3);
    expect(await jobs.jobs.view(id)).toMatchObject({ copy: { market: 'on-demand' }, recoveries: 2, preemptions: 2 });
    await jobs.told(id, 'on-demand: spot failed 2 times within 1h');
    await jobs.told(id, 'no spot machines: ');
    expect((await jobs.jobs.view(id)).copy?.market, 'no spot, no move').toBe('on-demand');

    world.arm('createMachines.called');
    account.proxy.faults = [];
    expect(await world.hit('createMachines.called', 90_000)).toBe(true);
    await world.killAt('createMachines.called', 'worker');
    await jobs.told(id, 'spot machines are to be had in aws/us-east-1/');
    world.arm('terminateMachines.called');
    expect(await world.hit('terminateMachines.called', 90_000)).toBe(true);
    await world.killAt('terminateMachines.called', 'worker');
    await runs(4);

    const view = await jobs.ends(id, 'SUCCEEDED');
    expect(view).toMatchObject({ recoveries: 3, preemptions: 2, cause: 'moved' });
    expect(jobs.stood(view)).toEqual(['spot', 'spot', 'on-demand', 'spot']);
    expect(said.count('done 4')).toBe(1);
    said.oneAtATime();
    // The fourth is that of the look; looks that find none make none.
    expect((await aws.instances()).map(({ spot }) => spot)).toEqual([true, true, false, true, true]);
    await aws.nothingLeft(5);
  });
});
