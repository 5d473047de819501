/** Kills at random moments while many managed jobs are on their way: each ends SUCCEEDED once, and no two copies of one run at once. */
import { renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isRepeatable } from '../../client/errors.ts';
import type { ManagedJobView } from '../../model/managed-job.ts';
import { TEST } from '../../model/timing.ts';
import { dice } from '../harness/dice.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';

const JOBS = LONG_FORM ? 50 : 4;
const KILLS = LONG_FORM ? 250 : 5;
const SEED = Number(process.env.STYX_TEST_SEED || Date.now() % 1_000_000);
const BEAT_S = 0.2;

let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  await world.cloud.host();
  // Whoever is killed all the time needs longer, and is not out of budget for that; a node is silent while its host is dead.
  const timing = { ...TEST, createBudget: 300_000, bootstrapBudget: 300_000 };
  story = await JobStory.on(world, { timing, fenceAfter: 120_000, limits: { launching: 3, running: 4 } });
});
afterAll(async () => {
  await story.close();
  await world.end();
});

interface Beat {
  readonly job: string;
  readonly tried: number;
  readonly what: 'begin' | 'beat' | 'done';
  /** Seconds. */
  readonly at: number;
}

function beats(lines: readonly string[]): Beat[] {
  return lines.map((line) => {
    const [job = '', tried, what, at] = line.split(' ');
    return { job, tried: Number(tried), what: what as Beat['what'], at: Number(at) };
  });
}

/** Ends when there have been so many kills at the least, which it reads in a file. */
function script(path: string, name: string, { kills, file }: { kills: number; file: string }): string {
  const say = (what: string) => `echo ${name} $STYX_JOB_TRY ${what} $(date +%s.%N) >> ${path}`;
  const wait = `while [ $(cat ${file}) -lt ${kills} ]; do sleep ${BEAT_S}; done`;
  return `name: ${name}\nresources: {cpus: 1}\nrun: |\n  ${say('begin')}\n  ${wait}\n  for i in 1 2 3 4 5; do sleep ${BEAT_S}; ${say('beat')}; done\n  ${say('done')}\n`;
}

/** Kills `KILLS` times, unless `over` says that nobody needs them any more; how often is told in a file. */
async function killing(over: AbortSignal, file: string, roll: () => number, alsoMachines: boolean): Promise<string[]> {
  const killed: string[] = [];
  for (; killed.length < KILLS && !over.aborted; tellKills(file, killed.length)) {
    await sleep(500 + roll() * 2_500);
    const dealt = alsoMachines ? roll() : 0.5 + roll() / 2;
    if (dealt < 0.5) {
      const running = (await world.machinesLeft()).filter(({ state }) => state === 'running');
      const victim = running[Math.floor(roll() * running.length)];
      if (victim === undefined) continue;
      await world.cloud.preempt(victim.id).catch(() => undefined);
      killed.push('machine');
    } else if (dealt < 0.6) {
      world.killAgents();
      killed.push('agents');
    } else if (dealt < 0.75) {
      await world.killWorker();
      await world.workerUpAgain();
      killed.push('worker');
    } else if (dealt < 0.87) {
      await world.killServer();
      killed.push('server');
    } else {
      await world.killHost();
      killed.push('host');
    }
  }
  return killed;
}

/** Whole or not there: a job may read it at any time. */
function tellKills(file: string, count: number): void {
  writeFileSync(`${file}.new`, String(count));
  renameSync(`${file}.new`, file);
}

/** A server that is killed again and again may answer to nobody for longer than a client waits. */
async function ended(id: string): Promise<ManagedJobView> {
  for (;;) {
    try {
      return await story.ends(id, 'SUCCEEDED');
    } catch (error) {
      if (!isRepeatable(error)) throw error;
    }
  }
}

async function tell(name: string, alsoMachines: boolean) {
  const ledger = world.ledger(name);
  const names = Array.from({ length: JOBS }, (_, index) => `${name}-${index}`);
  const over = new AbortController();
  const file = `${ledger.path}.kills`;
  tellKills(file, 0);
  const deaths = killing(over.signal, file, dice(SEED + Number(alsoMachines)), alsoMachines);
  const views = await Promise.all(
    names.map(async (job, index) => {
      const kills = Math.floor(((index + 1) * KILLS) / JOBS);
      const id = await story.submit(script(ledger.path, job, { kills, file }));
      return [job, await ended(id)] as const;
    }),
  ).finally(() => over.abort());
  const killed = await deaths;
  expect(killed.length).toBe(KILLS);
  const count = (what: string) => killed.filter((one) => one === what).length;
  const recoveries = views.reduce((sum, [, view]) => sum + view.recoveries, 0);
  console.log(
    `${killed.length} kills (${['worker', 'server', 'host', 'agents', 'machine'].map((what) => `${count(what)} ${what}`).join(', ')}; ` +
      `seed ${SEED}) over ${JOBS} managed jobs: all SUCCEEDED, ${recoveries} recoveries`,
  );
  await story.nothingLeft();
  return { views, said: Map.groupBy(beats(ledger.lines()), ({ job }) => job) };
}

const TIMEOUT = { timeout: LONG_FORM ? 60 * 60_000 : 600_000 };

test(
  `${KILLS} kills of worker, server, host and agents: every job runs exactly once, and none is taken for lost`,
  TIMEOUT,
  async () => {
    const { views, said } = await tell('kept', false);
    for (const [job, view] of views) {
      expect(`${job}: ${view.recoveries} recoveries`).toBe(`${job}: 0 recoveries`);
      const all = (said.get(job) ?? []).map(({ tried, what }) => `${tried} ${what}`);
      expect(all).toEqual(['1 begin', ...Array<string>(5).fill('1 beat'), '1 done']);
    }
  },
);

test(
  `${KILLS} kills, machines among them: the last try of each job is whole, and begins when no other one lives`,
  TIMEOUT,
  async () => {
    const { views, said } = await tell('taken', true);
    for (const [job, view] of views) {
      const all = said.get(job) ?? [];
      // In the order in which they were written: tries never go back, so none was alive beside a later one.
      const order = all.map(({ tried }) => tried);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
      const begun = all.filter(({ what }) => what === 'begin').map(({ tried }) => tried);
      expect(new Set(begun).size).toBe(begun.length);
      const last = all.filter(({ tried }) => tried === order.at(-1)).map(({ what }) => what);
      expect(last).toEqual(['begin', ...Array<string>(5).fill('beat'), 'done']);
      expect(view.recoveries).toBeGreaterThanOrEqual(begun.length - 1);
    }
  },
);
