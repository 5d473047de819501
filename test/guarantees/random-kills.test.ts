import { afterAll, beforeAll, expect, test } from 'vitest';
import { TEST } from '../../model/timing.ts';
import { dice } from '../harness/dice.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { killAtRandom } from '../harness/random-kills.ts';
import { WORKERS, World } from '../harness/world.ts';
import { Story, sorted } from './story.ts';

const KILLS = Number(process.env.STYX_TEST_KILLS || (LONG_FORM ? 200 : 12));
const SEED = Number(process.env.STYX_TEST_SEED || Date.now() % 1_000_000);
/** Clusters at once. */
const LANES = 5;

let world: World;
let story: Story & { close(): Promise<void> };
beforeAll(async () => {
  world = await World.start({ workers: WORKERS });
  // Whoever is killed all the time needs longer, and is not out of budget for that.
  story = await Story.timed(world, { ...TEST, createBudget: 300_000, bootstrapBudget: 300_000 });
});
afterAll(async () => {
  await story.close();
  await world.end();
});

const done: Record<string, number> = { launches: 0, jobs: 0, stops: 0, downs: 0 };
const count = (what: string) => {
  done[what] = (done[what] ?? 0) + 1;
};

test(`${KILLS} random kills of worker, server, host and agents: no job is lost or doubled and nothing is left (seed ${SEED})`, {
  timeout: 60 * 60_000,
}, async () => {
  const ledger = world.ledger('all');
  const expected: string[] = [];
  const script = (id: string) => {
    expected.push(id);
    return `echo ${id} >> ${ledger.path}; sleep 0.3`;
  };
  let killing = true;

  async function exec(name: string, id: string): Promise<void> {
    const { jobId } = await story.exec(name, `run: ${script(id)}`);
    count('jobs');
    await story.jobEnds(name, jobId, 'SUCCEEDED');
  }

  async function life(name: string, roll: () => number): Promise<void> {
    const nodes = roll() < 0.3 ? 2 : 1;
    const first = await story.up(
      name,
      `num_nodes: ${nodes}\nrun: '[ $STYX_NODE_RANK = 0 ] || exit 0; ${script(`${name}-0`)}'`,
    );
    count('launches');
    count('jobs');
    await Promise.all([
      story.jobEnds(name, first, 'SUCCEEDED'),
      ...Array.from({ length: 1 + Math.floor(roll() * 3) }, (_, index) => exec(name, `${name}-${index + 1}`)),
    ]);
    if (roll() < 0.3) {
      await story.stopAndStart(name);
      count('stops');
      await exec(name, `${name}-again`);
    }
    await story.down(name);
    count('downs');
  }

  async function lane(lane: number): Promise<void> {
    const roll = dice(SEED + 1 + lane);
    for (let number = 1; killing; number++) await life(`k${lane}-${number}`, roll);
  }

  const lanes = Array.from({ length: LANES }, (_, index) => lane(index));
  const shares = { server: 0.2, host: 0.2, agents: 0.3 };
  const kills = killAtRandom(world, { kills: KILLS, roll: dice(SEED), shares }).finally(() => {
    killing = false;
  });
  await Promise.race([kills, Promise.all(lanes).then(() => kills)]);
  await Promise.all(lanes);
  const { worker, server, host, agents } = await kills;

  const lines = ledger.lines();
  const lost = expected.filter((id) => !lines.includes(id));
  const doubled = lines.filter((id, index) => lines.indexOf(id) !== index);
  const { launches, jobs, stops } = done;
  console.log(
    `${KILLS} kills (${worker} worker, ${server} server, ${host} host, ${agents} agents; seed ${SEED}) over ${launches} launches, ${jobs} jobs, ` +
      `${stops} stops and starts: ${lost.length} lost, ${doubled.length} doubled`,
  );
  expect({ lost, doubled }).toEqual({ lost: [], doubled: [] });
  expect(sorted(lines)).toEqual(sorted(expected));
  expect(launches).toBeGreaterThanOrEqual(LANES);
  await story.nothingLeft();
});
