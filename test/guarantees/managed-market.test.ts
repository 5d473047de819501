/** A managed job moves between spot and on-demand machines as its strategy says, whoever is killed: one copy at a time, and no look for spot leaves a machine. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world);
});
afterAll(async () => {
  await story.close();
  await world.end();
});

type Ledger = ReturnType<World['ledger']>;

/** Writes the number of its try until it may end, and once more half a second after it was told to end. */
function task(recovery: string, ledger: Ledger): string {
  const write = `echo "$STYX_JOB_TRY" >> ${ledger.path}`;
  const script = [
    `trap 'sleep 0.5; ${write}; exit 1' TERM`,
    write,
    `while [ ! -e ${ledger.path}.go ]; do ${write}; sleep 0.1; done`,
  ];
  return `resources:\n  use_spot: true\n  job_recovery: {${recovery}}\nrun: |\n${script.map((line) => `  ${line}\n`).join('')}`;
}

async function runs(ledger: Ledger, tried: number): Promise<void> {
  await until(`try ${tried} runs`, () => ledger.lines().includes(String(tried)), 150_000);
}

/** Try after try: none wrote after the next one had begun. */
function oneAtATime(ledger: Ledger): void {
  const lines = ledger.lines().map(Number);
  expect(lines).toEqual(lines.toSorted((a, b) => a - b));
}

async function killed(point: string): Promise<void> {
  expect(await world.hit(point, 90_000), `${point} was passed`).toBe(true);
  await world.killAt(point, 'worker');
}

test('on_demand_fallback: on-demand machines after two preemptions, and spot machines again when a look finds some, with a worker killed at the look and at the move', {
  timeout: 400_000,
}, async () => {
  const ledger = world.ledger('fallback');
  const id = await story.submit(
    task('strategy: on_demand_fallback, preemptions: 2, within: 1h, back_after: 2s', ledger),
  );
  await runs(ledger, 1);
  await world.cloud.preempt(await story.machine(id));
  await runs(ledger, 2);
  world.limitSpot(0);
  await world.cloud.preempt(await story.machine(id));
  await runs(ledger, 3);
  expect(await story.jobs.view(id)).toMatchObject({ copy: { market: 'on-demand' }, recoveries: 2, preemptions: 2 });
  await story.told(id, 'on-demand: spot failed 2 times within 1h');
  await story.told(id, 'no spot machines: ');
  expect((await story.jobs.view(id)).copy?.market, 'no spot, no move').toBe('on-demand');

  world.arm('createMachines.called');
  world.limitSpot(1);
  await killed('createMachines.called');
  await story.told(id, 'spot machines are to be had in local/local/local-a');
  world.arm('terminateMachines.called');
  await killed('terminateMachines.called');
  await runs(ledger, 4);
  writeFileSync(`${ledger.path}.go`, '');
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({ recoveries: 3, preemptions: 2, cause: 'moved' });
  expect(story.stood(view)).toEqual(['spot', 'spot', 'on-demand', 'spot']);
  oneAtATime(ledger);
  await story.nothingLeft();
});

test('deadline: on-demand machines while there are no spot machines and too little is done, spot machines as soon as a look finds some, and back', {
  timeout: 400_000,
}, async () => {
  const ledger = world.ledger('deadline');
  world.limitSpot(0);
  // Five minutes to spare, of which two changeovers take two: less than the reserve of 7.5.
  const id = await story.submit(
    task('strategy: deadline, deadline: 30m, work: 25m, overhead: 1m, back_after: 2s', ledger),
  );
  await runs(ledger, 1);
  expect(await story.jobs.view(id)).toMatchObject({ copy: { market: 'on-demand' }, market: { hold: 'no' } });
  await story.told(id, 'no spot machines: ');
  world.arm('createMachines.called');
  world.limitSpot(1);
  await killed('createMachines.called');
  await runs(ledger, 2);
  expect(await story.jobs.view(id)).toMatchObject({ copy: { market: 'spot' }, preemptions: 0, cause: 'moved' });
  world.limitSpot(0);
  await world.cloud.preempt(await story.machine(id));
  await runs(ledger, 3);
  writeFileSync(`${ledger.path}.go`, '');
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({ recoveries: 2, preemptions: 1 });
  expect(story.stood(view)).toEqual(['on-demand', 'spot', 'on-demand']);
  oneAtATime(ledger);
  await story.nothingLeft();
});

test('deadline: running time is work done, for as much of it as checkpoints keep: near the deadline one moves to on-demand machines until it is done, and the other has spot machines again', {
  timeout: 600_000,
}, async () => {
  world.limitSpot(10);
  const rule = (spare: number) => `strategy: deadline, deadline: ${3_600 + spare}s, work: 1h, overhead: 2s`;
  const [loses, keeps] = [world.ledger('loses'), world.ledger('keeps')];
  // With nothing done it has to have on-demand machines 48 s after its submission.
  const id = await story.submit(task(`${rule(50)}, checkpoint_every: never`, loses));
  const { submittedAt } = await story.jobs.view(id);
  await runs(loses, 1);
  // Two starts have to fit into what the other has to spare, on a machine that is busy too.
  const spare = Math.max(45, Math.ceil((4 * (Date.now() - submittedAt)) / 1_000));
  const other = await story.submit(task(`${rule(spare)}, checkpoint_every: 1s`, keeps));
  const { submittedAt: from } = await story.jobs.view(other);
  await runs(keeps, 1);
  await world.killWorker();
  await world.startWorker();
  await runs(loses, 2);
  expect(await story.jobs.view(id)).toMatchObject({
    copy: { market: 'on-demand' },
    market: { hold: 'until-done' },
    cause: 'moved',
  });
  await until('without its running time it would be due', () => Date.now() > from + spare * 1_000, 300_000);
  await world.cloud.preempt(await story.machine(other));
  await runs(keeps, 2);
  writeFileSync(`${loses.path}.go`, '');
  writeFileSync(`${keeps.path}.go`, '');
  const moved = await story.ends(id, 'SUCCEEDED');
  expect(moved.past.map(({ market }) => market)).toEqual(['spot', 'on-demand']);
  const stayed = await story.ends(other, 'SUCCEEDED');
  expect(stayed).toMatchObject({ recoveries: 1, preemptions: 1 });
  expect(stayed.past.map(({ market }) => market)).toEqual(['spot', 'spot']);
  for (const ledger of [loses, keeps]) oneAtATime(ledger);
  await story.nothingLeft();
});
