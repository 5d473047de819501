/** A spot machine of AWS hears that it is taken back by its own metadata, whoever else lives, and its job has the time that is left. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JobStory } from '../guarantees/job-story.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/notices: ${lacks}`);

const SPOT = ', use_spot: true';
/** Leaves its checkpoint on the machine's disk, and says so. */
const RUN = `run: |
  trap 'sleep 1; echo saved by try \${STYX_JOB_TRY:-1} | tee ~/checkpoint; exit 0' TERM
  echo begun | tee ~/begun
  if [ "\${STYX_JOB_TRY:-1}" = 1 ]; then for i in $(seq 3000); do sleep 0.1; done; fi
`;

/** A file of the user's on a machine, read past Styx; null while it is not there. */
async function onDisk({ machines }: AwsWorld, id: string, name: string): Promise<string | null> {
  const pid = (await machines.rows()).find((row) => row.id === id)?.pid;
  try {
    return readFileSync(`/proc/${pid}/root/home/ubuntu/${name}`, 'utf8') || null;
  } catch {
    return null;
  }
}

describe.skipIf(lacks !== undefined)('a spot machine of AWS that is to be taken back', () => {
  let aws: AwsWorld;
  let jobs: JobStory;
  let asked = 0;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    jobs = await JobStory.on(aws.world);
  });
  afterAll(async () => {
    await jobs?.close();
    await aws?.end();
  });

  test('has its job told two minutes ahead, though no worker lives, and the cluster says what comes', async () => {
    const { story, world, machines } = aws;
    asked += 1;
    world.arm('setLease.reported');
    const job = await story.up('told', aws.task(RUN, SPOT));
    expect(await world.hit('setLease.reported', 60_000)).toBe(true);
    const id = (await story.look('told')).nodes[0]?.instanceId ?? '';
    await until('it runs', () => onDisk(aws, id, 'begun'));
    await world.killWorker();
    await machines.order('interrupt', { id });
    // The agent looks every 5 seconds.
    expect(await until('its handler ran', () => onDisk(aws, id, 'checkpoint'))).toBe('saved by try 1\n');
    await world.startWorker();
    const ended = await story.jobEnds('told', job, 'FAILED_DRIVER');
    expect(ended.reason).toMatch(/^the cloud takes node 0 back at 20.*: the job was told to end$/);
    expect(await aws.output('told', job)).toBe('begun\nsaved by try 1\n');
    expect(await story.look('told')).toMatchObject({ status: 'UNHEALTHY', notices: [{ kind: 'interruption' }] });
    await story.down('told');
    await aws.nothingLeft(asked);
  });

  test('is left by a managed job before it goes', async () => {
    asked += 2;
    const id = await jobs.submit(aws.task(RUN, SPOT));
    await jobs.is(id, 'RUNNING');
    const machine = await jobs.machine(id);
    await until('it runs', () => onDisk(aws, machine, 'begun'));
    await aws.machines.order('interrupt', { id: machine });
    const view = await jobs.ends(id, 'SUCCEEDED');
    expect(view).toMatchObject({ recoveries: 1, cause: 'machines' });
    let said = '';
    for await (const { data } of aws.world.styx.jobLogs(id)) said += data.toString();
    expect(said).toBe('begun\nsaved by try 1\nbegun\n');
    const [first] = (await aws.instances()).filter((one) => one.id === machine);
    // It was ended by us, long before its time.
    expect(first?.reason).toBe('Client.UserInitiatedShutdown');
    await aws.nothingLeft(asked);
  });

  test('and one that is at risk says so, and its job goes on', async () => {
    const { story, machines } = aws;
    asked += 1;
    const job = await story.up('risk', aws.task('run: sleep 300\n', SPOT));
    const { nodes } = await story.look('risk');
    await machines.order('rebalance', { id: nodes[0]?.instanceId });
    const view = await story.view('risk', 'was warned', ({ notices = [] }) => notices.length > 0);
    expect(view).toMatchObject({ status: 'UP', notices: [{ rank: 0, kind: 'rebalance' }] });
    expect(view.statusReason).toContain('it may take node 0 back');
    expect(view.jobs.find((row) => row.id === job)?.status).toBe('RUNNING');
    await story.down('risk');
    await aws.nothingLeft(asked);
  });
});
