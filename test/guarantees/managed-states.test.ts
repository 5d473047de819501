/** A managed job is cancelled, or its machine is taken, at each step of its life: a named point holds its worker there meanwhile. */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LONG_FORM } from '../harness/long-form.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

/** For a command to get to the server, while the worker that would answer it is held. */
const ON_ITS_WAY_MS = 300;

let world: World;
let story: JobStory;
let ledgers = 0;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world);
});
afterAll(async () => {
  await story.close();
  await world.end();
});

interface Script {
  readonly path: string;
  readonly yaml: string;
  lines(): string[];
  /** Lets its tries end by themselves. */
  go(): void;
}

/** Says `setup` and `run` with its try, and ends with `exitCode` (of its first try; 0 then) when it may. */
function script(exitCode = 0): Script {
  const { path, lines } = world.ledger(`script-${++ledgers}`);
  const yaml = [
    `setup: echo setup $STYX_JOB_TRY >> ${path}`,
    'run: |',
    `  echo run $STYX_JOB_TRY >> ${path}`,
    `  until [ -e ${path}.go ]; do sleep 0.1; done`,
    `  echo end $STYX_JOB_TRY >> ${path}`,
    `  [ $STYX_JOB_TRY -gt 1 ] || exit ${exitCode}`,
  ].join('\n');
  return { path, yaml, lines, go: () => writeFileSync(`${path}.go`, '') };
}

async function held(point: string): Promise<void> {
  expect(await world.hit(point, 60_000), point).toBe(true);
}

/** Submits it, and brings it to where its run has begun. */
async function running(it: Script): Promise<string> {
  const id = await story.submit(it.yaml);
  await until('it runs', () => it.lines().includes('run 1'));
  await story.is(id, 'RUNNING');
  return id;
}

/** With the worker held at a point. */
interface Step {
  readonly point: string;
  readonly exitCode?: number;
  /** Submits and brings it there; where it is absent the first pass after submission is the one. */
  readonly reach?: (it: Script, point: string) => Promise<string>;
}

/** It has ended by itself. */
const ended = async (it: Script, point: string): Promise<string> => {
  const id = await running(it);
  world.arm(point);
  it.go();
  return id;
};

/** Its machine was taken as it ran. */
const lost = async (it: Script, point: string): Promise<string> => {
  const id = await running(it);
  world.arm(point);
  await world.cloud.preempt(await story.machine(id));
  return id;
};

/** It was paused as it ran. */
const paused = async (it: Script, point: string): Promise<string> => {
  const id = await running(it);
  world.arm(point);
  await story.jobs.pause(id);
  return id;
};

async function reach(it: Script, { point, reach: there }: Step): Promise<string> {
  if (there === undefined) world.arm(point);
  const id = await (there === undefined ? story.submit(it.yaml) : there(it, point));
  await held(point);
  return id;
}

const OPEN: Record<string, Step> = {
  'before a place is chosen': { point: 'plan.before' },
  'when a place is chosen and nothing asked for': { point: 'createMachines.before' },
  'when its machines are made and nobody knows': { point: 'createMachines.called' },
  'while its machines boot': { point: 'bootstrap.before' },
  'when its machines stand and nobody knows': { point: 'bootstrap.after' },
  'as its setup begins': { point: 'startPhase.before' },
  'in its last moment, its exit seen and not told': { point: 'watchNodes.exit', reach: ended },
  'when it has failed and the cloud is asked whether its machines stand': {
    point: 'machinesStand.before',
    exitCode: 3,
    reach: ended,
  },
  'while lost machines are proved gone': { point: 'terminateMachines.before', reach: lost },
  'while the next place is chosen after a loss': { point: 'plan.before', reach: lost },
  'while machines are made anew after a loss': { point: 'createMachines.called', reach: lost },
  'while its output is kept for a pause': { point: 'collectLogs.before', reach: paused },
  'while its machines go for a pause': { point: 'terminateMachines.before', reach: paused },
};

/** All with STYX_TEST_LONG=1, else every third one. */
const SOME_OPEN = Object.entries(OPEN).filter((_, index) => LONG_FORM || index % 3 === 0);

test.each(SOME_OPEN)('a cancel %s ends in CANCELLED, with nothing left', async (_, step) => {
  const it = script(step.exitCode);
  const id = await reach(it, step);
  const cancelling = story.jobs.cancel(id, { budget: 60_000 });
  await sleep(ON_ITS_WAY_MS);
  world.go(step.point);
  await cancelling;
  const view = await story.ends(id, 'CANCELLED');
  expect(view).toMatchObject({ cancelledBy: 'tester', copy: null, spare: null });
  // Nothing begins again.
  expect(it.lines().filter((line) => line.endsWith('2'))).toEqual([]);
  await story.nothingLeft();
});

const OVER: Record<string, Step> = {
  'while its output is kept': { point: 'collectLogs.before', reach: ended },
  'while its machines go': { point: 'terminateMachines.before', reach: ended },
};

test.each(Object.entries(OVER))(
  'a cancel after its end, %s, changes nothing and says so; a machine that is taken then is no loss',
  async (_, step) => {
    const it = script();
    const id = await reach(it, step);
    await world.cloud.preempt((await world.machinesLeft())[0]?.id ?? '');
    const cancelling = story.jobs.cancel(id, { budget: 60_000 });
    await sleep(ON_ITS_WAY_MS);
    world.go(step.point);
    expect(await cancelling).toEqual({ status: 'SUCCEEDED', note: 'It is SUCCEEDED already.' });
    expect(await story.ends(id, 'SUCCEEDED')).toMatchObject({ recoveries: 0, copies: 1 });
    expect(it.lines()).toEqual(['setup 1', 'run 1', 'end 1']);
    await story.nothingLeft();
  },
);

/** `tries`: how often it runs. A worker that dies before it has told of an exit, with the machine that knew of it, leaves no other way. */
const TAKEN: Record<string, Step & { readonly tries: 1 | 2; readonly kill?: true }> = {
  'in its last moment, its exit told': { point: 'watchNodes.told', reach: ended, tries: 1 },
  'in its last moment, its exit seen, and the worker dies before it tells': {
    point: 'watchNodes.exit',
    reach: ended,
    tries: 2,
    kill: true,
  },
  'as it fails, which is not its own failure then': {
    point: 'machinesStand.before',
    exitCode: 3,
    reach: ended,
    tries: 2,
  },
};

test.each(Object.entries(TAKEN))('a machine that is taken %s: it ends SUCCEEDED', async (_, step) => {
  const it = script(step.exitCode);
  const id = await reach(it, step);
  await world.cloud.preempt((await world.machinesLeft())[0]?.id ?? '');
  if (step.kill === true) await world.killAt(step.point, 'worker');
  else world.go(step.point);
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({
    recoveries: step.tries - 1,
    errorRestarts: 0,
    cause: step.tries === 1 ? null : 'machines',
  });
  const all = ['setup 1', 'run 1', 'end 1', 'setup 2', 'run 2', 'end 2'];
  expect(it.lines()).toEqual(all.slice(0, 3 * step.tries));
  await story.nothingLeft();
});

test('a machine that is taken while it goes for a pause: resumed, the job runs as the next try, and nothing was lost', async () => {
  const it = script();
  const id = await reach(it, { point: 'terminateMachines.before', reach: paused });
  await world.cloud.preempt((await world.machinesLeft())[0]?.id ?? '');
  world.go('terminateMachines.before');
  await story.job(id, 'has no machines', ({ copy }) => copy === null);
  it.go();
  await story.jobs.resume(id);
  expect(await story.ends(id, 'SUCCEEDED')).toMatchObject({ recoveries: 0, cause: null });
  expect(it.lines()).toEqual(['setup 1', 'run 1', 'setup 2', 'run 2', 'end 2']);
  await story.nothingLeft();
});
