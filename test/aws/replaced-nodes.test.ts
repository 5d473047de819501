/** A managed job on AWS that goes on with the nodes that are left when one is taken. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { JobStory } from '../guarantees/job-story.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/replaced-nodes: ${lacks}`);

describe.skipIf(lacks !== undefined)('a managed job of two nodes on spot machines of AWS', () => {
  let aws: AwsWorld;
  let story: JobStory;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    story = await JobStory.on(aws.world, { fenceAfter: 60_000 });
  });
  afterAll(async () => {
    await story?.close();
    await aws?.end();
  });
  // Also after a try that failed: the next one is in the same world.
  afterEach(async () => {
    for (const { id } of await story.jobs.list()) await story.jobs.cancel(id, { budget: 60_000 });
    await until('all is gone', async () => (await story.clusters.list([], { managed: true })).length === 0);
  });

  test('goes on with the one that is left when the other is taken: it keeps its machine and its disk, and nothing is left', {
    timeout: 240_000,
  }, async () => {
    const { account, world } = aws;
    const before = (await account.ledger()).created.length;
    const disk = '$(test -e ~/kept && echo has || echo new)';
    const run = `echo "try $STYX_JOB_TRY of $STYX_NODE_RANK: ${disk}"\n  touch ~/kept\n  [ $STYX_JOB_TRY != 1 ] || sleep 300\n`;
    const resources = ', use_spot: true, job_recovery: {replace_nodes: true}';
    const id = await story.submit(aws.task(`num_nodes: 2\nrun: |\n  ${run}`, resources));
    const { copy } = await story.is(id, 'RUNNING');
    const { nodes } = await story.look(copy?.cluster ?? '');
    world.arm('createMachines.called');
    await account.order('preempt', { id: nodes[1]?.instanceId ?? '' });
    expect(await world.hit('createMachines.called', 90_000)).toBe(true);
    await world.killAt('createMachines.called', 'worker');
    const ended = await story.ends(id, 'SUCCEEDED');
    const { cluster } = copy ?? {};
    expect(ended).toMatchObject({
      recoveries: 1,
      past: [
        { cluster, try: 1 },
        { cluster, try: 2, logs: 'kept' },
      ],
    });
    const parts: Buffer[] = [];
    for await (const { data } of world.styx.jobLogs(id, { follow: false })) parts.push(data);
    const said = parts.join('');
    for (const text of ['try 1 of 0: new', 'try 2 of 0: has', 'try 2 of 1: new']) expect(said).toContain(text);
    await aws.nothingLeft(before + 3);
  });
});
