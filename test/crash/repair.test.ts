/**
 * The crash matrix of a repair: at every step of it the worker dies by SIGKILL, and at some the others. The lost node is made once, the
 * job on the other runs through, and a job over both runs once on each. Every step with STYX_TEST_LONG=1, else where something was just changed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CRASH_POINTS } from '../../activities/crash-points.ts';
import { Story, sorted, until } from '../guarantees/story.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { type Victim, WORKERS, World } from '../harness/world.ts';

const LONG = LONG_FORM || process.env.STYX_TEST_SERVER === 'postgres';
const ACTIVITIES = LONG
  ? (['reviveMachines', 'plan', 'prepare', 'createMachines', 'bootstrap'] as const)
  : (['reviveMachines', 'createMachines'] as const);
const OTHERS: readonly Victim[] = ['server', 'host', 'server+host'];
const CASES = ACTIVITIES.flatMap((activity) => CRASH_POINTS[activity].map((place) => `${activity}.${place}`))
  // Nothing is stopped of which a repair could start it: that point is in the matrix of restarts.
  .filter((point) => point !== 'reviveMachines.called' && (LONG || /called|after/.test(point)))
  .flatMap((point, index) => {
    const others = OTHERS.filter((_, at) => LONG || (index % 3 === 0 && at === (index / 3) % 3));
    return (['worker', ...others] as const).map((victim) => ({ point, victim }));
  });

describe('a repair in which something is killed', () => {
  const NAME = 'mended';
  let world: World;
  let story: Story;
  /** Machines that were asked for so far. */
  let asked = 2;

  beforeAll(async () => {
    world = await World.start({ workers: WORKERS });
    story = new Story(world, world.styx.clusters);
    await story.up(NAME, 'num_nodes: 2\n');
  }, 90_000);
  afterAll(async () => {
    console.log(`crash points of repairs: ${CASES.length} points, ${world.kills} kills, ${asked} machines`);
    await world.end();
  });

  test.each(CASES)('at $point, $victim: makes one machine, and jobs run once', async ({ point, victim }) => {
    const ledger = world.ledger(`${point}-${victim}`);
    const append = (word: string) => `echo ${word} >> ${ledger.path}`;
    const { nodes } = await story.look(NAME);
    await world.cloud.preempt(nodes[1]?.instanceId ?? '');
    await story.view(NAME, 'has lost it', ({ lost }) => lost.some(({ gone }) => gone));
    const long = await story.exec(NAME, `run: ${append('began')}; sleep 6; ${append('through')}`);
    await until('it runs', () => ledger.lines().includes('began'));
    world.arm(point);
    asked += 1;
    const start = await story.clusters.start(NAME);
    expect(await world.hit(point, 20_000), `${point} was passed`).toBe(true);
    await world.killAt(point, victim);
    await story.succeeds(NAME, start);
    await story.jobEnds(NAME, long.jobId, 'SUCCEEDED');
    const wide = await story.exec(NAME, `num_nodes: 2\nrun: ${append('rank-$STYX_NODE_RANK')}\n`);
    await story.jobEnds(NAME, wide.jobId, 'SUCCEEDED');
    expect(sorted(ledger.lines())).toEqual(['began', 'rank-0', 'rank-1', 'through']);
    const after = await story.look(NAME);
    expect(after.nodes[0]?.instanceId).toBe(nodes[0]?.instanceId);
    const machines = await world.machines();
    expect(machines).toHaveLength(asked);
    const left = machines.filter(({ state }) => state !== 'terminated').map(({ id }) => id);
    expect(sorted(left)).toEqual(sorted(after.nodes.map(({ instanceId }) => instanceId)));
  });

  test('nothing is left of any of them after down', async () => {
    await story.down(NAME);
    await story.nothingLeft();
    expect(await world.machines()).toHaveLength(asked);
  });
});
