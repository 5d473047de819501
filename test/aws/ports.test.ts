/** Ports of a cluster on AWS that stands, as EC2's security groups have them. */
import { DescribeSecurityGroupsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/ports: ${lacks}`);

describe.skipIf(lacks !== undefined)('ports of a cluster of two nodes on AWS', () => {
  let aws: AwsWorld;
  let names = 0;

  beforeAll(async () => {
    aws = await AwsWorld.start();
  });
  afterAll(() => aws?.end());
  // Also after a try that failed: the next one is in the same world.
  afterEach(async () => {
    for (const left of await aws.story.clusters.list()) await aws.story.down(left.name);
  });

  /** What everybody reaches, by the groups of a cluster that stands: of its launch, then of repairs. */
  async function reached(name: string): Promise<string[]> {
    const { placement, added = [] } = await aws.story.look(name);
    const ec2 = new EC2Client({ region: 'us-east-1' });
    const groups = [placement, ...added].map(async (one) => {
      const Filters = [{ Name: 'group-name', Values: [`styx-${one?.key}`] }];
      const { SecurityGroups } = await ec2.send(new DescribeSecurityGroupsCommand({ Filters }));
      const rules = SecurityGroups?.[0]?.IpPermissions ?? [];
      const open = rules.filter(({ IpRanges }) => IpRanges?.some(({ CidrIp }) => CidrIp === '0.0.0.0/0'));
      return open.map(({ FromPort, ToPort }) => (FromPort === ToPort ? `${FromPort}` : `${FromPort}-${ToPort}`));
    });
    return (await Promise.all(groups)).map((open) => open.toSorted().join(' '));
  }

  async function change(name: string, open: string[], close: string[]): Promise<void> {
    const { story } = aws;
    await story.succeeds(name, await story.clusters.ports(name, { open, close }, { budget: 300_000 }));
  }

  test('are opened and closed while a job runs, the worker killed in between; they stay so over a repair, a stop and a start, and nothing is left', {
    timeout: 240_000,
  }, async () => {
    const { story, world, account } = aws;
    names += 1;
    const name = `ported-${names}`;
    const before = (await account.ledger()).created.length;
    await story.up(name, aws.task('num_nodes: 2\n', ', ports: [8080, 9000-9010]'));
    expect(await reached(name)).toEqual(['22 8080 9000-9010']);
    const job = await story.exec(name, 'run: sleep 8; echo through\n');
    world.arm('openPorts.called');
    const changed = change(name, ['50051'], ['8080', '9005-9010']);
    expect(await world.hit('openPorts.called', 60_000)).toBe(true);
    await world.killAt('openPorts.called', 'worker');
    await changed;
    expect(await reached(name)).toEqual(['22 50051 9000-9004']);
    await story.jobEnds(name, job.jobId, 'SUCCEEDED');
    const { nodes } = await story.look(name);
    await account.order('preempt', { id: nodes[1]?.instanceId ?? '' });
    await story.status(name, 'UNHEALTHY');
    await story.succeeds(name, await story.clusters.start(name));
    // Machines of a repair are in both groups: what is closed in one is closed.
    expect(await reached(name)).toEqual(['22 50051 9000-9004', '22']);
    await change(name, [], ['9000-9004']);
    await story.stopAndStart(name);
    expect(await reached(name)).toEqual(['22 50051', '22']);
    expect((await story.look(name)).ports).toEqual(['50051']);
    await story.down(name);
    await aws.nothingLeft(before + 3);
  });
});
