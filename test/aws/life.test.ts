/** The life of clusters on AWS, from the first command to the last, on machines that answer SSH. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/life: ${lacks}`);

describe.skipIf(lacks !== undefined)('a cluster on AWS', () => {
  let aws: AwsWorld;
  /** Instances that were asked for so far. */
  let asked = 0;

  beforeAll(async () => {
    aws = await AwsWorld.start();
  });
  afterAll(async () => {
    console.log(`on AWS: ${asked} machines asked for, ${aws?.world.kills} kills`);
    await aws?.end();
  });

  test('runs jobs, tells their output, stops and starts with its disks though one listing leaves it out, and leaves nothing', async () => {
    const { story, account } = aws;
    asked += 1;
    const first = await story.up('one', aws.task('setup: echo kept >proof\nrun: echo out of $(hostname)\n'));
    await story.jobEnds('one', first, 'SUCCEEDED');
    expect(await aws.output('one', first)).toMatch(/out of ip-172-31-/);
    const [{ instanceId = '' } = {}] = (await story.look('one')).nodes;
    const state = async () => (await aws.instances()).find(({ id }) => id === instanceId)?.state;
    await account.order('hide', { [instanceId]: 1 });
    await story.succeeds('one', await story.clusters.stop('one'));
    expect(await state()).toBe('stopped');
    await account.order('hide', { [instanceId]: 1 });
    await story.succeeds('one', await story.clusters.start('one'));
    expect(await state()).toBe('running');
    expect(await account.order('hidden')).toEqual({});
    const { jobId } = await story.exec('one', aws.task('run: cat ~/sky_workdir/proof\n'));
    await story.jobEnds('one', jobId, 'SUCCEEDED');
    expect(await aws.output('one', jobId ?? 0)).toContain('kept');
    await story.down('one');
    await aws.nothingLeft(asked);
  });

  test('of four nodes runs a job on all of them at once, and each knows the others by address', async () => {
    const { story } = aws;
    asked += 4;
    const dial = `for ip in $SKYPILOT_NODE_IPS; do timeout 9 bash -c "exec 3<>/dev/tcp/$ip/22" || exit 1; done`;
    const job = await story.up('four', aws.task(`num_nodes: 4\nrun: '${dial}; echo rank $SKYPILOT_NODE_RANK'\n`));
    await story.jobEnds('four', job, 'SUCCEEDED');
    const said = await aws.output('four', job);
    for (const rank of [0, 1, 2, 3]) expect(said).toContain(`rank ${rank}`);
    await story.down('four');
    await aws.nothingLeft(asked);
  });

  test.each([
    ['stopped', '', 'STOPPED'],
    ['ended', ', down: true', null],
  ] as const)('is %s by its own node when the rule says so and nobody of Styx lives', async (_, down, status) => {
    const { story, world } = aws;
    asked += 1;
    const name = `alone-${status === null ? 'down' : 'stop'}`;
    const rule = `, autostop: {idle_minutes: 5, wait_for: jobs${down}}`;
    const before = new Set((await aws.instances()).map(({ id }) => id));
    world.arm('setLease.reported');
    await story.up(name, aws.task('run: echo hi\n', rule));
    expect(await world.hit('setLease.reported', 60_000)).toBe(true);
    await world.killWorker();
    const wanted = status === null ? 'terminated' : 'stopped';
    const [ended] = await until(`EC2 has it ${wanted}`, async () => {
      const mine = (await aws.instances()).filter(({ id }) => !before.has(id));
      return mine.every(({ state }) => state === wanted) ? mine : null;
    });
    // Nobody asked for it by EC2's API.
    expect(ended?.reason).toBe('Client.InstanceInitiatedShutdown');
    await world.startWorker();
    if (status !== null) {
      await story.status(name, status);
      await story.down(name);
    } else {
      await until('the cluster is closed', async () => (await story.clusters.list()).length === 0);
    }
    await aws.nothingLeft(asked);
  });
});
