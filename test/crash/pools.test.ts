/**
 * The crash matrix of a pool: while it gets its worker, while a job is placed on that and ends there, and while it is taken down, at every
 * step the worker of Temporal dies by SIGKILL, and at some the others. The pool's worker is made and set up once, the job runs once, its
 * output is kept, and nothing is left. Every step with STYX_TEST_LONG=1, else where something was just changed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CRASH_POINTS } from '../../activities/crash-points.ts';
import { JobStory } from '../guarantees/job-story.ts';
import { sorted } from '../guarantees/story.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { type Victim, WORKERS, World } from '../harness/world.ts';

const LONG = LONG_FORM || process.env.STYX_TEST_SERVER === 'postgres';
const PHASES = ['birth', 'job', 'end'] as const;
type Activity = keyof typeof CRASH_POINTS;
const PASSED: Readonly<Record<(typeof PHASES)[number], readonly Activity[]>> = {
  birth: LONG ? ['plan', 'prepare', 'createMachines', 'bootstrap', 'startPhase'] : ['createMachines', 'startPhase'],
  job: ['startPhase', 'collectLogs'],
  end: ['terminateMachines'],
};
const OTHERS: readonly Victim[] = ['server', 'host', 'server+host'];
const CASES = PHASES.flatMap((phase) =>
  PASSED[phase].flatMap((activity) =>
    CRASH_POINTS[activity]
      .filter((place) => LONG || place === 'called')
      .map((place) => ({ phase, point: `${activity}.${place}` })),
  ),
).flatMap((one, index) => {
  const others = OTHERS.filter((_, at) => LONG || (index % 3 === 0 && at === (index / 3) % 3));
  return (['worker', ...others] as const).map((victim) => ({ ...one, victim }));
});

describe('a pool in which something is killed', () => {
  let world: World;
  let story: JobStory;
  let tries = 0;

  beforeAll(async () => {
    world = await World.start({ workers: WORKERS });
    story = await JobStory.on(world);
  }, 90_000);
  afterAll(async () => {
    console.log(`crash points of pools: ${CASES.length} points, ${world.kills} kills`);
    await story.close();
    await world.end();
  });

  test.each(CASES)(
    'in its $phase at $point, $victim: one worker, one run, nothing left',
    { timeout: 200_000 },
    async (one) => {
      tries += 1;
      const name = `p${CASES.indexOf(one)}-${tries}`;
      const ledger = world.ledger(name);
      const before = (await world.machines()).length;
      let killing = Promise.resolve();
      const arm = (phase: string) => {
        if (phase !== one.phase) return;
        world.arm(one.point);
        killing = kill(one.point, one.victim);
      };
      const kill = async (point: string, victim: Victim) => {
        expect(await world.hit(point, 60_000), `${point} was passed`).toBe(true);
        await world.killAt(point, victim);
      };

      arm('birth');
      await story.apply(name, `resources: {cpus: 1}\nsetup: echo setup >> ${ledger.path}\npool: {workers: 1}\n`);
      await story.pool(name, 'has its worker', ({ workerViews }) =>
        workerViews.some(({ status }) => status === 'READY'),
      );
      if (one.phase === 'birth') await killing;
      arm('job');
      const id = await story.submitTo(name, `run: echo run | tee -a ${ledger.path}\n`);
      await story.ends(id, 'SUCCEEDED');
      if (one.phase === 'job') await killing;
      const parts: string[] = [];
      for await (const { data } of world.styx.jobLogs(id, { follow: false })) parts.push(data.toString());
      expect(parts.join('')).toBe('run\n');
      arm('end');
      await story.poolGone(name);
      await killing;

      expect(sorted(ledger.lines())).toEqual(['run', 'setup']);
      await story.nothingLeft();
      expect(await world.machines()).toHaveLength(before + 1);
    },
  );
});
