/** A managed job on a spot machine of AWS that is to be taken back: the next machine is asked for before the old one is gone. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JobStory } from '../guarantees/job-story.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { run } from '../stand-ins/machines/commands.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/managed-ahead: ${lacks}`);

const SPOT = ', use_spot: true';
/** Longer than a launch takes here, however busy the machine. */
const NOTICE_S = 120;
/** The first try saves its state when it is told to and lets that take until it is allowed to end. */
const RUN = `run: |
  date +%s%3N > ~/begun
  [ $STYX_JOB_TRY = 1 ] || { while [ ! -e ~/go ]; do sleep 0.1; done; exit 0; }
  trap 'touch ~/told; while [ ! -e ~/saved ]; do sleep 0.05; done; date +%s%3N > ~/ended; sleep 3; exit 1' TERM
  while :; do sleep 0.1; done
`;

describe.skipIf(lacks !== undefined)('a managed job whose spot machine is to be taken back', () => {
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

  async function home(id: string): Promise<string> {
    return `/proc/${(await aws.machines.rows()).find((row) => row.id === id)?.pid}/root/home/ubuntu`;
  }

  /** A file of the user's on a machine, read past Styx; empty while it is not there. */
  async function onDisk(id: string, name: string): Promise<string> {
    try {
      return readFileSync(`${await home(id)}/${name}`, 'utf8');
    } catch {
      return '';
    }
  }

  test('has the next one up while the old copy still saves its state, and runs there when that one is gone', {
    timeout: 240_000,
  }, async () => {
    const before = new Set((await aws.instances()).map(({ id }) => id));
    const fresh = async () => (await aws.instances()).filter(({ id }) => !before.has(id));
    const id = await jobs.submit(aws.task(RUN, SPOT));
    await jobs.is(id, 'RUNNING');
    const [first] = await fresh();
    const old = first?.id ?? '';
    await until('it runs', async () => (await onDisk(old, 'begun')) !== '');
    await aws.machines.order('interrupt', { id: old, seconds: NOTICE_S });
    const ahead = await jobs.job(
      id,
      'has machines ahead',
      ({ spare }) => spare?.report?.launch?.outcome === 'succeeded',
    );
    const machines = await fresh();
    expect(
      machines.map(({ state }) => state),
      'both run',
    ).toEqual(['running', 'running']);
    const next = machines.find((one) => one.id !== old)?.id ?? '';
    // Its job is held for as long as the old copy takes.
    expect(ahead).toMatchObject({ copies: 2, spare: { number: 2, try: 2, report: { job: { startedAt: null } } } });
    expect(await onDisk(next, 'begun')).toBe('');
    await run('touch', `${await home(old)}/saved`);
    const ended = await until('the old copy ends by itself', async () => Number(await onDisk(old, 'ended')) || null);
    const begun = await until('the next one runs it', async () => Number(await onDisk(next, 'begun')) || null);
    expect((await fresh()).find((one) => one.id === old)?.state).toBe('terminated');
    expect(begun).toBeGreaterThan(ended);
    await run('touch', `${await home(next)}/go`);
    expect(await jobs.ends(id, 'SUCCEEDED')).toMatchObject({
      recoveries: 1,
      copies: 2,
      cause: 'machines',
      spare: null,
    });
    await aws.nothingLeft(before.size + 2);
  });

  test('and that is cancelled meanwhile leaves no machine that was asked for ahead', { timeout: 240_000 }, async () => {
    const before = new Set((await aws.instances()).map(({ id }) => id));
    const id = await jobs.submit(
      aws.task("run: |\n  trap 'exit 0' TERM\n  touch ~/begun\n  while [ ! -e ~/go ]; do sleep 0.1; done\n", SPOT),
    );
    await jobs.is(id, 'RUNNING');
    const first = (await aws.instances()).find((one) => !before.has(one.id))?.id ?? '';
    await aws.machines.order('interrupt', { id: first, seconds: NOTICE_S });
    await jobs.job(id, 'asked ahead', ({ copies }) => copies === 2);
    await jobs.jobs.cancel(id);
    expect(await jobs.ends(id, 'CANCELLED')).toMatchObject({ spare: null });
    await jobs.nothingLeft();
    expect((await aws.account.ledger()).instances).toEqual([]);
  });
});
