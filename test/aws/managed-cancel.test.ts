/** A managed job on AWS is cancelled at each step of its life, paused or not: a named point holds its worker there, and nothing is left of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JobStory } from '../guarantees/job-story.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { Said } from './said.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/managed-cancel: ${lacks}`);

/** For a command to get to the server, while the worker that would answer it is held. */
const ON_ITS_WAY_MS = 300;

interface Step {
  readonly point: string;
  /** Of its first try, after its word. */
  readonly run?: string;
  /** Its machine is taken as it runs, and the point is one after that. */
  readonly taken?: true;
  readonly end?: 'SUCCEEDED';
}

const STEPS: Record<string, Step> = {
  'before a place is chosen': { point: 'plan.before' },
  'when its machine is made and nobody knows': { point: 'createMachines.called' },
  'while its machine boots': { point: 'bootstrap.before' },
  'as its script begins': { point: 'startPhase.before' },
  'in its last moment, its exit seen and not told': { point: 'watchNodes.exit', run: 'exit 0' },
  'when it has failed and EC2 is asked whether its machine runs': { point: 'machinesStand.before', run: 'exit 3' },
  'while its lost machine is proved gone': { point: 'terminateMachines.before', taken: true },
  'when a machine is made anew after a loss': { point: 'createMachines.called', taken: true },
  'while its machine goes after its end': { point: 'terminateMachines.before', run: 'exit 0', end: 'SUCCEEDED' },
};
/** All with STYX_TEST_LONG=1, else every third one. */
const SOME_STEPS = Object.entries(STEPS).filter((_, index) => LONG_FORM || index % 3 === 0);

describe.skipIf(lacks !== undefined)('a managed job on AWS', () => {
  let aws: AwsWorld;
  let jobs: JobStory;
  let said: Said;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    jobs = await JobStory.on(aws.world);
    said = await Said.listen();
  });
  afterAll(async () => {
    said?.close();
    await jobs?.close();
    await aws?.end();
  });

  test.each(SOME_STEPS)('that is cancelled %s ends so, and nothing is left', async (_, step) => {
    const { point, run = 'sleep 600', taken, end = 'CANCELLED' } = step;
    const before = (await aws.instances()).length;
    said.lines = [];
    if (taken === undefined) aws.world.arm(point);
    const id = await jobs.submit(aws.task(`run: |\n  ${said.say('try $STYX_JOB_TRY')}\n  ${run}\n`));
    if (taken === true) {
      await until('it runs', () => said.count('try 1') > 0);
      await jobs.is(id, 'RUNNING');
      aws.world.arm(point);
      await aws.account.order('preempt', { id: await jobs.machine(id) });
    }
    expect(await aws.world.hit(point, 60_000), point).toBe(true);
    const cancelling = jobs.jobs.cancel(id, { budget: 60_000 });
    await sleep(ON_ITS_WAY_MS);
    aws.world.go(point);
    const { note } = await cancelling;
    expect(note).toBe(end === 'SUCCEEDED' ? 'It is SUCCEEDED already.' : null);
    expect(await jobs.ends(id, end)).toMatchObject({ copy: null, spare: null });
    expect(said.count('try 2')).toBe(0);
    const made = (await aws.instances()).length - before;
    expect(made).toBeLessThanOrEqual(taken === true ? 2 : 1);
    await aws.nothingLeft(before + made);
  });

  test.each([
    ['while it is paused', undefined],
    ['while its machine goes since it was paused', 'terminateMachines.before'],
  ])('that is cancelled %s ends so without a machine made anew, and nothing is left', async (_, point) => {
    const before = (await aws.instances()).length;
    said.lines = [];
    const id = await jobs.submit(aws.task(`run: |\n  ${said.say('try $STYX_JOB_TRY')}\n  sleep 600\n`));
    await until('it runs', () => said.count('try 1') > 0);
    await jobs.is(id, 'RUNNING');
    if (point !== undefined) aws.world.arm(point);
    await jobs.jobs.pause(id, { budget: 60_000 });
    if (point === undefined) {
      const paused = await jobs.job(id, 'has no machine', ({ copy }) => copy === null);
      expect(paused).toMatchObject({ status: 'PENDING', reason: 'paused by tester', queue: 'parked' });
      await aws.nothingLeft(before + 1);
    } else expect(await aws.world.hit(point, 60_000)).toBe(true);
    const cancelling = jobs.jobs.cancel(id, { budget: 60_000 });
    await sleep(ON_ITS_WAY_MS);
    if (point !== undefined) aws.world.go(point);
    expect(await cancelling).toMatchObject({ note: null });
    expect(await jobs.ends(id, 'CANCELLED')).toMatchObject({ copy: null, copies: 1, paused: null });
    expect(await jobs.jobs.resume(id, { budget: 60_000 })).toMatchObject({ status: 'CANCELLED' });
    expect(said.count('try 2')).toBe(0);
    await aws.nothingLeft(before + 1);
  });
});
