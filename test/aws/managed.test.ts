/** Machines of a managed job on AWS are taken at each of its states: it ends SUCCEEDED once, no two tries ever ran together, nothing is left. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { JobStory } from '../guarantees/job-story.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { Said } from './said.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/managed: ${lacks}`);

describe.skipIf(lacks !== undefined)('a managed job on AWS whose machine is taken', () => {
  let aws: AwsWorld;
  let jobs: JobStory;
  let said: Said;
  let before = new Set<string>();

  beforeAll(async () => {
    aws = await AwsWorld.start();
    jobs = await JobStory.on(aws.world);
    said = await Said.listen();
  });
  beforeEach(async () => {
    said.lines = [];
    before = new Set((await aws.instances()).map(({ id }) => id));
  });
  afterAll(async () => {
    said?.close();
    await jobs?.close();
    await aws?.end();
  });

  /** Machines of this test that run, the newest last. */
  async function running(): Promise<string[]> {
    return (await aws.instances())
      .filter(({ id, state }) => !before.has(id) && (state === 'running' || state === 'pending'))
      .map(({ id }) => id);
  }

  async function take(): Promise<void> {
    const id = await until('a machine runs', async () => (await running()).at(-1));
    await aws.account.order('preempt', { id });
  }

  async function takeAt(point: string): Promise<void> {
    expect(await aws.world.hit(point, 60_000), point).toBe(true);
    await take();
    await aws.world.killAt(point, 'worker');
  }

  /** Speaks all the time; its tries but the last go on until they are ended. */
  function submit(last: number, setup = 'true'): Promise<string> {
    const beat = said.say('run $STYX_JOB_TRY');
    const forEver = `while [ $STYX_JOB_TRY -lt ${last} ]; do ${beat}; sleep 0.1; done`;
    return jobs.submit(
      aws.task(`setup: |\n  ${setup}\nrun: |\n  ${beat}\n  ${forEver}\n  ${said.say('done $STYX_JOB_TRY')}\n`),
    );
  }

  async function succeedsOnce(id: string, recoveries: number, machines: number): Promise<void> {
    const view = await jobs.ends(id, 'SUCCEEDED');
    expect(view.recoveries).toBe(recoveries);
    expect(said.count(`done ${recoveries + 1}`)).toBe(1);
    expect(said.lines.filter((one) => one.text.startsWith('done'))).toHaveLength(1);
    said.oneAtATime();
    await aws.nothingLeft(before.size + machines);
  }

  test('while it is being made', async () => {
    aws.world.arm('bootstrap.before');
    const id = await submit(1);
    await takeAt('bootstrap.before');
    await succeedsOnce(id, 0, 2);
  });

  test('while it is set up', async () => {
    const id = await submit(2, `${said.say('setup $STYX_JOB_TRY')}; [ $STYX_JOB_TRY = 2 ] || sleep 300`);
    await until('it is set up', () => said.count('setup 1') > 0);
    await take();
    await succeedsOnce(id, 1, 2);
  });

  test('in its first second, while it runs, and while the next one is made', async () => {
    const id = await submit(3);
    await until('it runs', () => said.count('run 1') > 0);
    await take();
    await until('the second one runs', () => said.count('run 2') > 10);
    aws.world.arm('bootstrap.before');
    await take();
    await takeAt('bootstrap.before');
    await succeedsOnce(id, 2, 4);
  });

  test('while it is taken down', async () => {
    aws.world.arm('terminateMachines.before');
    const id = await submit(1);
    await takeAt('terminateMachines.before');
    await succeedsOnce(id, 0, 1);
  });
});
