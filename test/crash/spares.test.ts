/**
 * The crash matrix of machines that a managed job asks for ahead, when the cloud says that it takes its own back: while they are made, and
 * while they are ended because the cloud took them first, worker or server die by SIGKILL. The job saves its state once, goes on once, and
 * leaves no machine. Every step with STYX_TEST_LONG=1, else where something was just changed.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CRASH_POINTS } from '../../activities/crash-points.ts';
import { JobStory } from '../guarantees/job-story.ts';
import { until } from '../guarantees/story.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { type Victim, WORKERS, World } from '../harness/world.ts';

const LONG = LONG_FORM || process.env.STYX_TEST_SERVER === 'postgres';
/** What passes it: the spare that is made, or the spare that is ended. */
const STEPS = [
  { what: 'made', activity: 'createMachines' },
  { what: 'made', activity: 'bootstrap' },
  { what: 'ended', activity: 'terminateMachines' },
] as const;
const VICTIMS: readonly Victim[] = ['worker', 'server'];
const CASES = STEPS.flatMap(({ what, activity }) =>
  CRASH_POINTS[activity].flatMap((place) =>
    VICTIMS.filter((victim) => LONG || (place === 'called' && victim === 'worker')).map((victim) => ({
      what,
      point: `${activity}.${place}`,
      victim,
    })),
  ),
);
/** Longer than any of this takes, however busy the machine. */
const NOTICE_MS = 300_000;

describe('a managed job whose next machines are asked for ahead', () => {
  let world: World;
  let story: JobStory;
  let tries = 0;

  beforeAll(async () => {
    world = await World.start({ workers: WORKERS });
    story = await JobStory.on(world);
  }, 90_000);
  afterAll(async () => {
    console.log(`crash points of spares: ${CASES.length} points, ${world.kills} kills`);
    await story.close();
    await world.end();
  });

  test.each(CASES)(
    'and are being $what, $victim killed at $point: it is saved once, goes on once, and nothing is left',
    { timeout: 200_000 },
    async ({ what, point, victim }) => {
      tries += 1;
      const ledger = world.ledger(`${point}-${victim}-${tries}`);
      const before = (await world.machines()).length;
      const id = await story.submit(
        [
          'run: |',
          `  echo begin $STYX_JOB_TRY >> ${ledger.path}`,
          '  [ $STYX_JOB_TRY = 1 ] || exit 0',
          `  trap 'while [ ! -e ${ledger.path}.go ]; do sleep 0.05; done; echo saved >> ${ledger.path}; exit 0' TERM`,
          '  while :; do sleep 0.1; done',
        ].join('\n'),
      );
      await until('it runs', () => ledger.lines().length === 1);
      const machine = await story.machine(id);
      const killed = async () => {
        expect(await world.hit(point, 60_000), `${point} was passed`).toBe(true);
        await world.killAt(point, victim);
      };
      if (what === 'made') world.arm(point);
      await world.cloud.preempt(machine, NOTICE_MS);
      if (what === 'made') await killed();
      const { spare } = await story.job(
        id,
        'has machines ahead',
        (view) => view.spare?.report?.launch?.outcome === 'succeeded',
      );
      if (what === 'ended') {
        world.arm(point);
        const { nodes } = await story.look(spare?.cluster ?? '');
        await world.cloud.preempt(nodes[0]?.instanceId ?? '');
        await killed();
        await story.job(id, 'has given them up', (view) => view.spare === null);
      }
      expect(ledger.lines(), 'nothing begins before the old machines are gone').toEqual(['begin 1']);
      writeFileSync(`${ledger.path}.go`, '');
      const view = await story.ends(id, 'SUCCEEDED');
      expect(view).toMatchObject({ recoveries: 1, cause: 'machines', spare: null, copies: what === 'made' ? 2 : 3 });
      expect(ledger.lines()).toEqual(['begin 1', 'saved', 'begin 2']);
      await story.nothingLeft();
      expect(await world.machines()).toHaveLength(before + view.copies);
    },
  );
});
