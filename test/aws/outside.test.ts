/** Machines that somebody stops, starts or ends outside of Styx are noticed within the minute, at one listing of the region for all clusters. */

import { setTimeout as sleep } from 'node:timers/promises';
import { EC2Client, StartInstancesCommand, StopInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClusterView } from '../../model/commands.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/outside: ${lacks}`);

const MINUTE = 60_000;
const NAMES = ['a', 'b', 'c', 'd'];

describe.skipIf(lacks !== undefined)('five clusters on AWS', () => {
  let aws: AwsWorld;
  /** As it was when all were up. */
  const up: Record<string, ClusterView> = {};

  beforeAll(async () => {
    aws = await AwsWorld.start();
    const pair = aws.story.up('pair', aws.task('num_nodes: 2\n'));
    await Promise.all([pair, ...NAMES.map((name) => aws.story.up(name, aws.task('')))]);
    for (const name of ['pair', ...NAMES]) up[name] = await aws.story.look(name);
  });
  afterAll(async () => {
    await aws?.end();
  });

  function machine(name: string, rank = 0): string {
    return up[name]?.nodes[rank]?.instanceId ?? '';
  }

  function listings(): number {
    return aws.account.proxy.count('DescribeInstances');
  }

  test('that are up and idle cost no call; a machine that was stopped, and one of two that was ended, are seen', async () => {
    const { story, account } = aws;
    const before = listings();
    await sleep(5_000);
    expect(listings() - before).toBe(0);
    await account.order('powered-off', { id: machine('a') });
    await story.status('a', 'STOPPED', MINUTE);
    await account.order('preempt', { id: machine('pair', 1) });
    const view = await story.status('pair', 'UNHEALTHY', MINUTE);
    expect(view.lost).toMatchObject([{ rank: 1, gone: true }]);
    expect(view.statusReason).toMatch(/^node 1: terminated: /);
    await story.down('pair');
  });

  test('that are stopped are listed together every 15 seconds: one whose machine was ended is over, those whose machine was started say so', async () => {
    const { story, account, world } = aws;
    await Promise.all(NAMES.slice(1).map(async (name) => story.succeeds(name, await story.clusters.stop(name))));
    const before = listings();
    const since = Date.now();
    await account.order('preempt', { id: machine('b') });
    // Two looks leave another one out; the question that follows does not.
    await account.order('hide', { [machine('c')]: 2 });
    const ended = await story.status('b', 'TERMINATED', MINUTE + 15_000);
    expect(ended.statusReason).toMatch(/Spot instance termination|does not know it/);
    // A round of looks, a question by id, and what the teardown asks.
    const rounds = Math.ceil((Date.now() - since) / 15_000);
    console.log(`${listings() - before} listings in ${rounds} rounds, with ${NAMES.length} clusters`);
    expect(listings() - before).toBeLessThanOrEqual(rounds + 8);
    expect(await account.order('hidden')).toEqual({});
    for (const name of ['a', 'c', 'd']) expect(await story.look(name)).toMatchObject({ status: 'STOPPED', lost: [] });

    const ec2 = new EC2Client({ region: 'us-east-1' });
    await ec2.send(new StartInstancesCommand({ InstanceIds: [machine('a'), machine('d')] }));
    for (const name of ['a', 'd']) {
      const view = await story.view(
        name,
        'says that its machine runs',
        ({ running }) => running?.join() === '0',
        MINUTE,
      );
      expect(view.statusReason).toBe(
        `the machine of node 0 was started elsewhere and costs: \`styx start ${name}\` takes it, and \`styx stop\` stops it then`,
      );
    }
    await ec2.send(new StopInstancesCommand({ InstanceIds: [machine('a')] }));
    const stopped = await story.view('a', 'is as it was', ({ running }) => running === undefined, MINUTE);
    expect(stopped).toMatchObject({ status: 'STOPPED', statusReason: '' });
    await story.succeeds('d', await story.clusters.start('d'));
    expect((await story.look('d')).nodes.map(({ instanceId }) => instanceId)).toEqual([machine('d')]);
    await story.succeeds('c', await story.clusters.start('c'));
    await Promise.all(['a', 'c', 'd'].map((name) => story.down(name)));
    await aws.nothingLeft(6);
    expect(world.kills).toBe(0);
  });
});
