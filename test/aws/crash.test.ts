/**
 * Crash points on AWS: the worker dies by SIGKILL at each named step of a launch and a teardown of two nodes. The job runs once on each
 * node, two machines are made and not a third, and nothing is left. Every step with STYX_TEST_LONG=1, else where the cloud was just changed.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CRASH_POINTS } from '../../activities/crash-points.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { testDir } from '../harness/temporal.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/crash: ${lacks}`);

const ACTIVITIES = LONG_FORM
  ? ([
      'plan',
      'prepare',
      'createMachines',
      'bootstrap',
      'syncFiles',
      'startPhase',
      'setLease',
      'terminateMachines',
    ] as const)
  : (['createMachines', 'terminateMachines'] as const);
const POINTS = ACTIVITIES.flatMap((activity) => CRASH_POINTS[activity].map((place) => `${activity}.${place}`)).filter(
  (point) => LONG_FORM || /called|after/.test(point),
);

describe.skipIf(lacks !== undefined)('a cluster on AWS whose worker is killed', () => {
  let aws: AwsWorld;
  let asked = 0;

  /** Its file is brought to the nodes, and a rule of idleness is left with them. */
  const workdir = testDir();

  beforeAll(async () => {
    writeFileSync(join(workdir, 'proof'), 'brought');
    aws = await AwsWorld.start();
  });
  afterAll(async () => {
    console.log(`crash points on AWS: ${POINTS.length} points, ${aws?.world.kills} kills, ${asked} machines asked for`);
    await aws?.end();
    rmSync(workdir, { recursive: true });
  });

  test.each(POINTS)('at %s has its machines once, runs its job once, and leaves nothing', async (point) => {
    const { story, world } = aws;
    const name = `c${POINTS.indexOf(point)}`;
    asked += 2;
    world.arm(point);
    const killing = (async () => {
      const passed = await world.hit(point, 60_000);
      if (passed) await world.killAt(point, 'worker');
      return passed;
    })();
    // A second run on the same disk would find the first one's file.
    const once = 'mkdir ~/once && cat proof && echo ran-$SKYPILOT_NODE_RANK-end';
    const yaml = aws.task(`num_nodes: 2\nworkdir: ${workdir}\nrun: '${once}'\n`, ', autostop: 60');
    const job = await story.up(name, yaml);
    await story.jobEnds(name, job, 'SUCCEEDED');
    const said = await aws.output(name, job);
    for (const rank of [0, 1]) expect(said.match(new RegExp(`ran-${rank}-end`, 'g'))).toHaveLength(1);
    await story.down(name);
    expect(await killing, `${point} was passed`).toBe(true);
    await aws.nothingLeft(asked);
  });
});
