/** Nodes on AWS that are in trouble and not gone: what their user sees, and that all is well again when they are. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TEST } from '../../model/timing.ts';
import { Story, until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/trouble: ${lacks}`);

describe.skipIf(lacks !== undefined)('a node on AWS', () => {
  let aws: AwsWorld;
  let asked = 0;

  beforeAll(async () => {
    aws = await AwsWorld.start();
  });
  afterAll(async () => {
    await aws?.end();
  });

  test.each([
    ['behind a cut cable', ', also when one listing leaves it out', 'cut', 'join'],
    ['that is frozen', '', 'freeze', 'thaw'],
  ])('%s is shown as not answering%s; its job goes on and is told of when it is back', async (_, also, fault, mend) => {
    const { story, machines, account } = aws;
    asked += 2;
    const run = 'num_nodes: 2\nrun: |\n  while [ ! -e ~/go ]; do sleep 0.1; done\n  echo went on\n';
    const job = await story.up(fault, aws.task(run));
    await story.view(fault, 'runs it', ({ jobs }) => jobs[0]?.status === 'RUNNING');
    const { nodes } = await story.look(fault);
    const id = nodes[1]?.instanceId ?? '';
    await machines.order(fault, { id });
    const view = await story.status(fault, 'UNHEALTHY');
    expect(view.lost).toMatchObject([{ rank: 1, gone: false }]);
    expect(view.statusReason).toMatch(/^node 1: /);
    expect(view.jobs[0]?.status).toBe('RUNNING');
    if (also !== '') {
      const asks = account.proxy.count('DescribeInstances');
      await account.order('hide', { [id]: 1 });
      // It is silent for long enough: were one listing believed, nobody would ask again.
      await until('EC2 is asked again', () => account.proxy.count('DescribeInstances') > asks + 1);
      expect(await account.order('hidden')).toEqual({});
      expect((await story.look(fault)).lost).toMatchObject([{ rank: 1, gone: false }]);
    }
    await machines.order(mend, { id });
    await story.status(fault, 'UP');
    for (const { instanceId } of nodes) {
      const pid = (await machines.rows()).find((row) => row.id === instanceId)?.pid;
      writeFileSync(`/proc/${pid}/root/home/ubuntu/go`, '');
    }
    await story.jobEnds(fault, job, 'SUCCEEDED');
    expect((await aws.output(fault, job)).match(/went on/g)).toHaveLength(2);
    await story.down(fault);
    await aws.nothingLeft(asked);
  });

  test('behind a cut cable does not hold up its teardown', async () => {
    const { story, machines } = aws;
    asked += 1;
    await story.up('cut-down', aws.task('run: sleep 300\n'));
    const { nodes } = await story.look('cut-down');
    await machines.order('cut', { id: nodes[0]?.instanceId });
    await story.down('cut-down');
    await aws.nothingLeft(asked);
  });

  test('with a full disk fails jobs with that reason, and runs them when there is room', async () => {
    const { story, machines } = aws;
    asked += 1;
    const first = await story.up('full', aws.task('run: echo first\n'));
    await story.jobEnds('full', first, 'SUCCEEDED');
    const id = (await story.look('full')).nodes[0]?.instanceId;
    await machines.order('fill', { id });
    const { jobId } = await story.exec('full', aws.task('run: echo second\n'));
    const ended = await story.jobEnds('full', jobId, 'FAILED_DRIVER');
    expect(ended.reason).toMatch(/the disk of the node is full: .*No space left on device/);
    await machines.order('empty', { id });
    const third = await story.exec('full', aws.task('run: echo third\n'));
    await story.jobEnds('full', third.jobId, 'SUCCEEDED');
    await story.down('full');
    await aws.nothingLeft(asked);
  });

  test.each([
    ['other-key', /answered with another key than the one it is known by/],
    ['never', /took longer than 8 s: .+/],
  ] as const)('that boots with SSH %s is given up with the reason, and ended', async (ssh, reason) => {
    const { machines, world } = aws;
    asked += 1;
    const story = await Story.timed(world, { ...TEST, bootstrapBudget: 8_000 });
    try {
      await machines.manner({ ssh });
      const name = `ssh-${ssh}`;
      const task = aws.task('run: echo never\n').replace('aws/us-east-1', 'aws/us-east-1/us-east-1a');
      const end = await story.clusters.waitOperation(name, await story.launch(name, task));
      expect(end.outcome).toBe('failed');
      expect(end.operation?.failure?.message).toMatch(reason);
      await until('no instance is left', async () => (await aws.account.ledger()).groups.length === 0);
      await aws.nothingLeft(asked);
    } finally {
      await machines.manner();
      await story.close();
    }
  });
});
