/**
 * Worker and Temporal server die by SIGKILL at random times over launches and downs on AWS. Each job runs once on each node, as many
 * instances are made as were asked for, each of them is named in the history of a cluster, and nothing is left.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TEST } from '../../model/timing.ts';
import { Story } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { dice } from '../harness/dice.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { killAtRandom } from '../harness/random-kills.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/random-kills: ${lacks}`);

const KILLS = Number(process.env.STYX_TEST_KILLS || (LONG_FORM ? 200 : 6));
const SEED = Number(process.env.STYX_TEST_SEED || Date.now() % 1_000_000);
/** Clusters at once. */
const LANES = 3;

describe.skipIf(lacks !== undefined)('launches and downs on AWS under random kills', () => {
  let aws: AwsWorld;
  let story: Awaited<ReturnType<typeof Story.timed>>;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    // Whoever is killed all the time needs longer, and is not out of budget for that.
    story = await Story.timed(aws.world, { ...TEST, createBudget: 300_000, bootstrapBudget: 300_000 });
  });
  afterAll(async () => {
    await story?.close();
    await aws?.end();
  });

  test(`${KILLS} of worker and server: machines are made once, and nothing is left (seed ${SEED})`, {
    timeout: 60 * 60_000,
  }, async () => {
    const names: string[] = [];
    let asked = 0;
    let killing = true;

    async function life(name: string, nodes: number): Promise<void> {
      names.push(name);
      asked += nodes;
      // A second run on the same disk would find the first one's file.
      const once = 'mkdir ~/once && echo ran-$SKYPILOT_NODE_RANK-end';
      const job = await story.up(name, aws.task(`num_nodes: ${nodes}\nrun: '${once}'\n`));
      await story.jobEnds(name, job, 'SUCCEEDED');
      await story.down(name);
    }
    async function lane(number: number): Promise<void> {
      const roll = dice(SEED + 1 + number);
      for (let count = 1; killing; count++) await life(`k${number}-${count}`, roll() < 0.4 ? 2 : 1);
    }

    const kills = killAtRandom(aws.world, { kills: KILLS, roll: dice(SEED), shares: { server: 0.4 } }).finally(() => {
      killing = false;
    });
    const lanes = Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
    await Promise.race([kills, lanes.then(() => kills)]);
    await lanes;
    const { worker, server } = await kills;

    const told = await Promise.all(names.map(async (name) => JSON.stringify(await story.clusters.history(name))));
    const made = await aws.instances();
    console.log(
      `${KILLS} kills (${worker} worker, ${server} server; seed ${SEED}) on AWS over ${names.length} launches and downs: ` +
        `${made.length} machines made, ${asked} asked for`,
    );
    expect(made.filter(({ id }) => !told.some((text) => text.includes(id)))).toEqual([]);
    expect(names.length).toBeGreaterThanOrEqual(LANES);
    await aws.nothingLeft(asked);
  });
});
