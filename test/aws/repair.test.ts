/** A cluster on AWS that lost one of its machines for good, and gets another in its place. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { LONG_FORM } from '../harness/long-form.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/repair: ${lacks}`);

const POINTS = ['no step', 'createMachines.called', ...(LONG_FORM ? ['createMachines.after'] : [])];

describe.skipIf(lacks !== undefined)('a cluster of three nodes on AWS that loses one', () => {
  let aws: AwsWorld;
  let asked = 0;

  beforeAll(async () => {
    aws = await AwsWorld.start();
  });
  afterAll(async () => {
    console.log(`repairs on AWS: ${asked} machines asked for, ${aws?.world.kills} kills`);
    await aws?.end();
  });

  /** Its machines are of two placements, which start by calls of their own. */
  async function startsWhenAllCan(name: string): Promise<void> {
    const { story, account } = aws;
    await story.succeeds(name, await story.clusters.stop(name));
    const before = account.proxy.count('StopInstances');
    const full = { error: 'InsufficientInstanceCapacity', status: 500 };
    account.proxy.faults = [{ action: 'StartInstances', times: 1, after: 1, do: full }];
    await story.succeeds(name, await story.clusters.start(name, { retryUntilUp: true }));
    expect(account.proxy.count('StopInstances'), 'what started is stopped while the rest waits').toBeGreaterThan(
      before,
    );
  }

  test.each(POINTS)(
    'is repaired, the worker killed at %s: all nodes reach each other, the others keep what they had, nothing is left',
    async (point) => {
      const { story, world, account } = aws;
      const name = `mended-${POINTS.indexOf(point)}`;
      asked += 4;
      await story.up(name, aws.task('num_nodes: 3\nrun: echo kept > ~/kept\n', ', ports: 8080'));
      await story.jobEnds(name, 1, 'SUCCEEDED');
      const before = await story.look(name);
      await account.order('preempt', { id: before.nodes[1]?.instanceId ?? '' });
      await story.status(name, 'UNHEALTHY');
      const long = await story.exec(name, 'run: sleep 8; echo through\n');
      if (point !== 'no step') world.arm(point);
      const start = await story.clusters.start(name);
      if (point !== 'no step') {
        expect(await world.hit(point, 60_000)).toBe(true);
        await world.killAt(point, 'worker');
      }
      await story.succeeds(name, start);
      await story.jobEnds(name, long.jobId, 'SUCCEEDED');
      const after = await story.look(name);
      expect(after).toMatchObject({ status: 'UP', lost: [], added: [{ numNodes: 1, fills: [1] }] });
      for (const rank of [0, 2]) expect(after.nodes[rank]?.instanceId).toBe(before.nodes[rank]?.instanceId);
      const dial = `for ip in $SKYPILOT_NODE_IPS; do timeout 9 bash -c "exec 3<>/dev/tcp/$ip/22" || exit 1; done`;
      const disk = 'test -e ~/kept && echo has-$SKYPILOT_NODE_RANK || echo new-$SKYPILOT_NODE_RANK';
      const wide = await story.exec(name, aws.task(`num_nodes: 3\nrun: '${dial}; ${disk}'\n`));
      await story.jobEnds(name, wide.jobId, 'SUCCEEDED');
      const said = await aws.output(name, wide.jobId ?? 0);
      for (const text of ['has-0', 'new-1', 'has-2']) expect(said).toContain(text);
      if (point === 'no step') await startsWhenAllCan(name);
      await until(
        'three run',
        async () => (await aws.instances()).filter(({ state }) => state === 'running').length === 3,
      );
      await story.down(name);
      await aws.nothingLeft(asked);
    },
  );
});
