/** The life of clusters on AWS, from the first command to the last, on machines that answer SSH. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ClusterView } from '../../model/commands.ts';
import type { HoursResult } from '../../model/office-hours.ts';
import { scheduleRules } from '../../model/schedule-rules.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import type { World } from '../harness/world.ts';

const YEARLY = scheduleRules({ cron: ['@yearly'] });

/** What comes of the stop of a cluster's office hours when it falls due. */
async function endOfHours(world: World, cluster: string): Promise<HoursResult> {
  const hours = world.styx.clusterSchedules;
  await hours.create(cluster, { up: YEARLY, down: YEARLY, end: 'stop', launch: world.task('run: "true"') });
  const { workflow, connection } = await sealedTemporalClient(world.home);
  try {
    const triggered = await hours.trigger(cluster, 'down');
    if (triggered.outcome !== 'started') throw new Error(triggered.outcome);
    return (await workflow.getHandle(triggered.workflowId).result()) as HoursResult;
  } finally {
    await connection.close();
    await hours.remove(cluster);
  }
}

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

  /** A second try begins with nothing of the first. */
  beforeEach(async () => {
    for (const { name } of await aws.story.clusters.list()) await aws.story.down(name);
    asked = (await aws.account.ledger()).created.length;
    aws.account.proxy.log.length = 0;
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

  test('that is stopped stays so when its start finds no room, and starts with its disks when there is some', async () => {
    const { story, account } = aws;
    asked += 2;
    const first = await story.up('full', aws.task('num_nodes: 2\nsetup: echo kept >proof\nrun: echo hi\n'));
    await story.jobEnds('full', first, 'SUCCEEDED');
    await story.succeeds('full', await story.clusters.stop('full'));
    account.proxy.faults = [{ action: 'StartInstances', do: { error: 'InsufficientInstanceCapacity', status: 500 } }];
    try {
      const answer = await story.clusters.start('full', { retryFor: 2_000 });
      const { operation } = await story.clusters.waitOperation('full', answer);
      expect(operation?.failure).toMatchObject({ kind: 'capacity', message: expect.stringContaining('Insufficient') });
      expect(account.proxy.count('TerminateInstances')).toBe(0);
      await story.view(
        'full',
        'is stopped again',
        ({ status, operation }) => status === 'STOPPED' && operation === null,
      );
      const again = await story.clusters.start('full', { retryUntilUp: true });
      await story.view('full', 'has tried twice', (view) =>
        /^they cannot be started \(.*Insufficient.*\); next in/.test(view.operation?.progress ?? ''),
      );
      account.proxy.faults = [];
      await story.succeeds('full', again);
    } finally {
      account.proxy.faults = [];
    }
    const { jobId } = await story.exec('full', aws.task('num_nodes: 2\nrun: cat ~/sky_workdir/proof\n'));
    await story.jobEnds('full', jobId, 'SUCCEEDED');
    expect((await aws.output('full', jobId ?? 0)).match(/kept/g)).toHaveLength(2);
    await story.down('full');
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

  test('of spot machines is not stopped, and its job goes on; that they are gone `styx doctor` sees without a worker', async () => {
    const { story, account, world } = aws;
    asked += 1;
    const before = new Set((await aws.instances()).map(({ id }) => id));
    const job = await story.up('spot', aws.task('run: while [ ! -e ~/go ]; do sleep 0.1; done\n', ', use_spot: true'));
    const stops = account.proxy.count('StopInstances');
    const refused = { kind: 'refused', message: expect.stringContaining('cannot be stopped') };
    await expect(story.clusters.stop('spot')).rejects.toMatchObject(refused);
    const idle = { idleMinutes: 5, waitFor: 'jobs', down: false } as const;
    await expect(story.clusters.autostop('spot', idle)).rejects.toMatchObject(refused);
    expect(await endOfHours(world, 'spot')).toEqual({
      outcome: 'refused',
      note: expect.stringContaining('cannot be stopped'),
    });
    expect(account.proxy.count('StopInstances')).toBe(stops);
    expect(await story.look('spot')).toMatchObject({ status: 'UP', jobs: [{ id: job, status: 'RUNNING' }] });
    const problems = async () => {
      const { findings } = await world.styx.doctor();
      return findings.filter(({ subject }) => subject.endsWith('/spot')).map(({ problem }) => problem);
    };
    expect(await problems()).toEqual([]);
    await world.killWorker();
    const machine = (await aws.instances()).find(({ id }) => !before.has(id));
    await account.order('preempt', { id: machine?.id ?? '' });
    await until('EC2 has it terminated', async () =>
      (await aws.instances()).some(({ id, state }) => id === machine?.id && state === 'terminated'),
    );
    expect(await problems()).toEqual(['it is UP, and at aws its machine is gone']);
    await world.startWorker();
    await story.jobEnds('spot', job, 'FAILED_DRIVER');
    await until('the cluster is closed', async () => (await story.clusters.list()).length === 0);
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

  test.each([
    ['when its machine was made', true],
    ['at once', false],
  ] as const)('launched, ended %s and launched again is two clusters, of which the second stands', async (_, held) => {
    const { story, world, account } = aws;
    const name = `again-${held ? 'held' : 'fast'}`;
    const before = (await account.ledger()).created;
    if (held) world.arm('createMachines.called');
    const first = await story.launch(name, aws.task('run: echo first\n'));
    // Its worker answers nothing while the point holds it.
    if (held) expect(await world.hit('createMachines.called', 60_000)).toBe(true);
    if (held) world.go('createMachines.called');
    const since = Date.now();
    const down = await story.clusters.down(name, { budget: 300_000 });
    const second = await story.launch(name, aws.task('run: echo second\n'));
    console.log(`ended and launched again in ${Date.now() - since} ms`);
    expect(down.generation).toBe(first.generation);
    const another = (view: ClusterView) => view.status === 'UP' && view.generation !== first.generation;
    const { generation, nodes } = await story.view(name, 'is up as another', another);
    await story.jobEnds(name, second.jobId, 'SUCCEEDED');
    expect(await aws.output(name, second.jobId ?? 0)).toBe('second\n');
    expect((await story.look(name)).generation).toBe(generation);
    await until('the first one is gone', async () => (await account.ledger()).instances.length === 1);
    const ledger = await account.ledger();
    expect(ledger.instances).toEqual(nodes.map(({ instanceId }) => instanceId));
    const made = ledger.created.filter((id) => !before.includes(id));
    // A launch that ends before it asks for a machine makes none.
    if (held) expect(made).toHaveLength(2);
    else expect([1, 2]).toContain(made.length);
    asked += made.length;
    await story.down(name);
    await aws.nothingLeft(asked);
  });

  test('is ended by its own node when worker and Temporal server are dead, and nothing else is', async () => {
    const { story, world, account } = aws;
    const before = new Set((await aws.instances()).map(({ id }) => id));
    world.arm('setLease.reported');
    const first = await story.up('stays', aws.task('run: echo hi\n'));
    expect(await world.hit('setLease.reported', 60_000)).toBe(true);
    world.go('setLease.reported');
    await story.jobEnds('stays', first, 'SUCCEEDED');
    const { jobId: stays } = await story.exec('stays', aws.task('run: sleep 20; echo ran on\n'));
    const [{ instanceId: kept = '' } = {}] = (await story.look('stays')).nodes;
    world.arm('setLease.reported');
    await story.up('leaves', aws.task('run: echo hi\n', ', autostop: {idle_minutes: 5, wait_for: jobs, down: true}'));
    asked += 2;
    expect(await world.hit('setLease.reported', 60_000)).toBe(true);
    await world.killWorker();
    await world.stopServer();
    account.proxy.log.length = 0;
    const others = async () => (await aws.instances()).filter(({ id }) => !before.has(id) && id !== kept);
    const gone = await until('EC2 has it terminated', async () => {
      const found = await others();
      return found.every(({ state }) => state === 'terminated') ? found : null;
    });
    expect(gone.map(({ reason }) => reason)).toEqual(['Client.InstanceInitiatedShutdown']);
    // Nobody asked EC2 for anything.
    expect(account.proxy.log).toEqual([]);
    expect((await account.ledger()).instances).toEqual([kept]);
    await world.killServer();
    await world.startWorker();
    await until('its cluster is closed', async () => (await story.clusters.list()).length === 1);
    await story.jobEnds('stays', stays, 'SUCCEEDED');
    expect(await aws.output('stays', stays ?? 0)).toBe('ran on\n');
    await story.down('stays');
    await aws.nothingLeft(asked);
  });
});
