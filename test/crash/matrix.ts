/**
 * The crash matrix: at every named crash point of every activity of launch, with files, ports and without, exec, cancel, stop, start and down, something dies by
 * SIGKILL. The job runs exactly once, machines are exact, and nothing is left after `down`.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CRASH_POINTS } from '../../activities/crash-points.ts';
import { parseJob } from '../../model/parse-task.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { type Victim, WORKERS, World } from '../harness/world.ts';

type Activity = keyof typeof CRASH_POINTS;

/** The part of a cluster's life that passes an activity's points. */
type Story = 'launch' | 'ports' | 'files' | 'restart' | 'cancel' | 'autostop' | 'managed';

const STORIES: Partial<Record<Activity, Story>> = {
  plan: 'launch',
  prepare: 'launch',
  createMachines: 'launch',
  bootstrap: 'launch',
  syncFiles: 'files',
  startPhase: 'launch',
  setLease: 'autostop',
  watchNodes: 'launch',
  terminateMachines: 'launch',
  cancelJob: 'cancel',
  stopMachines: 'restart',
  reviveMachines: 'restart',
  openPorts: 'ports',
  machinesStand: 'managed',
  shipLogs: 'managed',
  collectLogs: 'managed',
};

/**
 * Not passed by a life: `describe` and `lookAtCluster` run on timers, a watch's `after` comes when its lease is over or its cluster ends,
 * `jobRows` is passed once a workspace, and `intentsOf` after an end from outside.
 */
const ON_TIMERS = ['describe', 'lookAtCluster', 'jobRows', 'intentsOf'];
const NOT_PASSED = new Set([
  'watchNodes.after',
  ...ON_TIMERS.flatMap((name) => ['before', 'after', 'reported'].map((place) => `${name}.${place}`)),
]);

export interface Case {
  readonly point: string;
  readonly story: Story;
  readonly victim: Victim;
}

/** Of Ray, which a life has only where it can be installed: test/crash/ray.test.ts. Of schedules, notices and host names: test/guarantees/office-hours, managed-notices and group-hosts. */
const ELSEWHERE: readonly Activity[] = [
  'installRay',
  'startRay',
  'endRay',
  'commandCluster',
  'putHosts',
  'receiversOf',
  'sendNotice',
];

const OTHERS: readonly Victim[] = ['server', 'host', 'server+host'];
/** The whole matrix; without it each point has one: two of three the worker, the third one of the others in turn. */
const ALL_VICTIMS = LONG_FORM || process.env.STYX_TEST_SERVER === 'postgres';

function victimsOf(index: number): Victim[] {
  if (ALL_VICTIMS) return ['worker', ...OTHERS];
  // Three of nine in a row: activities have three or four places each, so that over them each place has other victims, and so has each lane.
  const other = index % 9 >= 6 ? OTHERS[index % 3] : undefined;
  return [other ?? 'worker'];
}

function cases(): Case[] {
  const activities = (Object.keys(CRASH_POINTS) as Activity[]).filter((activity) => !ELSEWHERE.includes(activity));
  return activities
    .flatMap((activity) =>
      CRASH_POINTS[activity].map((place) => ({ point: `${activity}.${place}`, story: STORIES[activity] ?? 'launch' })),
    )
    .filter(({ point }) => !NOT_PASSED.has(point))
    .flatMap((one, index) => victimsOf(index).map((victim) => ({ ...one, victim })));
}

export const ALL_CASES: readonly Case[] = cases();

const HIT_MS = 20_000;

/** Runs the cases whose index is `lane` modulo `lanes`. */
export function crashLane(all: readonly Case[], lane: number, lanes: number): void {
  const mine = all.filter((_, index) => index % lanes === lane);

  describe(`crash matrix, lane ${lane + 1} of ${lanes}`, () => {
    let world: World;
    let tries = 0;
    beforeAll(async () => {
      world = await World.start({ workers: WORKERS });
    }, 90_000);
    afterAll(async () => {
      console.log(`crash matrix lane ${lane + 1}: ${mine.length} points, ${world.kills} kills`);
      await world.end();
    }, 60_000);

    it.each(mine)('$point, $victim killed: runs once, leaves nothing', { timeout: 120_000 }, async (one) => {
      tries += 1;
      await runCase(world, one, `c${all.indexOf(one)}-${tries}`);
    });
  });
}

async function runCase(world: World, { point, story, victim }: Case, name: string): Promise<void> {
  const ledger = world.ledger(name);
  const before = new Set((await world.machines()).map((instance) => instance.id));
  world.arm(point);
  let killed = false;
  const killing = (async () => {
    killed = await world.hit(point, HIT_MS);
    if (killed) await world.killAt(point, victim);
  })();
  const expected = await STORY[story](world, name, ledger.path);
  await killing;
  expect(killed, `${point} was passed`).toBe(true);
  expect(ledger.lines().toSorted()).toEqual(expected.toSorted());
  const made = (await world.machines()).filter((instance) => !before.has(instance.id));
  expect(made.map((instance) => instance.state)).toEqual(['terminated']);
  expect(world.processesLeft()).toEqual([]);
}

type Tell = (world: World, name: string, ledger: string) => Promise<string[]>;

async function launch(world: World, name: string, yaml: string): Promise<number> {
  const { clusters } = world.styx;
  const answer = await clusters.launch({ name, ...world.task(yaml) });
  const end = await clusters.waitOperation(name, answer);
  expect(end.outcome).toBe('succeeded');
  return answer.jobId ?? 0;
}

async function down(world: World, name: string): Promise<void> {
  const { clusters } = world.styx;
  const end = await clusters.waitOperation(name, await clusters.down(name));
  expect(end.outcome).toBe('succeeded');
}

async function jobEnds(world: World, name: string, jobId: number, status: string): Promise<void> {
  const job = await world.styx.clusters.waitJob(name, jobId);
  expect(job.status, job.reason ?? '').toBe(status);
}

const STORY: Readonly<Record<Story, Tell>> = {
  async managed(world, name, ledger) {
    const { task, recovery } = parseJob(`run: echo run | tee -a ${ledger}; exit 3\n`, { file: 'test.yaml' });
    const { id } = await world.styx.jobs.launch({ task, recovery, resourcesText: '' }, { requestId: name });
    const ended = await world.styx.jobs.wait(id, { gone: true });
    expect(ended.status, ended.reason).toBe('FAILED');
    expect(ended.past[0]?.logs).toBe('kept');
    const parts: string[] = [];
    for await (const { data } of world.styx.jobLogs(id, { follow: false })) parts.push(data.toString());
    expect(parts.join('')).toBe('run\n');
    return ['run'];
  },

  async launch(world, name, ledger) {
    const append = (word: string) => `echo ${word} >> ${ledger}`;
    const job = await launch(world, name, `setup: ${append('setup')}\nrun: ${append('run')}; sleep 0.3\n`);
    await jobEnds(world, name, job, 'SUCCEEDED');
    await down(world, name);
    return ['setup', 'run'];
  },

  async ports(world, name, ledger) {
    const append = (word: string) => `echo ${word} >> ${ledger}`;
    await jobEnds(world, name, await launch(world, name, `run: ${append('first')}\n`), 'SUCCEEDED');
    const more = await launch(world, name, `resources: {ports: 8080}\nrun: ${append('second')}\n`);
    await jobEnds(world, name, more, 'SUCCEEDED');
    expect((await world.styx.clusters.view(name, { budget: 60_000 })).ports).toEqual(['8080']);
    await down(world, name);
    return ['first', 'second'];
  },

  async files(world, name, ledger) {
    const source = join(world.home, `files-${name}`);
    mkdirSync(source);
    for (let i = 0; i < 50; i++) writeFileSync(join(source, `f${i}`), `${name} ${i}`);
    writeFileSync(join(source, 'large'), Buffer.alloc(3_000_000, name));
    const sums = execFileSync('sha256sum', readdirSync(source), { cwd: source, encoding: 'utf8' });
    const run = `sha256sum -- $(ls) | cmp - ${source}.sums && echo exact >> ${ledger}`;
    writeFileSync(`${source}.sums`, sums);
    const job = await launch(world, name, `workdir: ${source}\nrun: '${run}'\n`);
    // What happens here after the submission is not the job's business.
    writeFileSync(join(source, 'f0'), 'changed');
    await jobEnds(world, name, job, 'SUCCEEDED');
    await down(world, name);
    return ['exact'];
  },

  async autostop(world, name, ledger) {
    const { clusters } = world.styx;
    const job = await launch(world, name, `resources: {autostop: 8}\nrun: echo run >> ${ledger}; sleep 0.3\n`);
    await jobEnds(world, name, job, 'SUCCEEDED');
    for (const until = Date.now() + 30_000; (await clusters.view(name, { budget: 60_000 })).status !== 'STOPPED'; ) {
      if (Date.now() > until) throw new Error('the autostop rule did not act');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await down(world, name);
    return ['run'];
  },

  async restart(world, name, ledger) {
    const { clusters } = world.styx;
    const job = await launch(world, name, `run: echo first >> ${ledger}\n`);
    await jobEnds(world, name, job, 'SUCCEEDED');
    const stopped = await clusters.waitOperation(name, await clusters.stop(name));
    expect(stopped.outcome).toBe('succeeded');
    const started = await clusters.waitOperation(name, await clusters.start(name));
    expect(started.outcome).toBe('succeeded');
    const { jobId } = await clusters.exec(name, world.task(`run: echo second >> ${ledger}\n`).task);
    await jobEnds(world, name, jobId ?? 0, 'SUCCEEDED');
    await down(world, name);
    return ['first', 'second'];
  },

  async cancel(world, name, ledger) {
    const { clusters } = world.styx;
    const script = `echo began >> ${ledger}; setsid sleep 300 & sleep 300; echo never >> ${ledger}`;
    const job = await launch(world, name, `run: '${script}'\n`);
    for (const until = Date.now() + 30_000; !world.ledger(name).lines().includes('began'); ) {
      if (Date.now() > until) throw new Error('the job did not begin');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await clusters.cancel(name, [job]);
    await jobEnds(world, name, job, 'CANCELLED');
    await down(world, name);
    return ['began'];
  },
};
