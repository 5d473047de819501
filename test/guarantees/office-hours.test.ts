/** Clusters by office hours, by schedules of the real server. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CRASH_POINTS } from '../../activities/crash-points.ts';
import type { ClusterSchedules } from '../../client/cluster-schedules.ts';
import type { HoursResult, Side } from '../../model/office-hours.ts';
import { scheduleRules } from '../../model/schedule-rules.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

const YEARLY = scheduleRules({ cron: ['@yearly'] });

let world: World;
let story: JobStory;
let hours: ClusterSchedules;
let names = 0;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world);
  hours = world.styx.clusterSchedules;
});
afterAll(async () => {
  await story.close();
  await world.end();
});

function fresh(what: string): string {
  names += 1;
  return `${what}-${process.pid}-${names}-${Date.now() % 1e6}`;
}

const statusOf = async (cluster: string) => (await world.styx.clusters.summary(cluster))?.status ?? 'none';
const becomes = (cluster: string, status: string) =>
  until(`${cluster} is ${status}`, async () => (await statusOf(cluster)) === status, 120_000);

async function does(cluster: string, side: Side): Promise<string> {
  const triggered = await hours.trigger(cluster, side);
  if (triggered.outcome !== 'started') throw new Error(triggered.outcome);
  return triggered.workflowId;
}

async function resultOf(workflowId: string): Promise<HoursResult> {
  const client = await sealedTemporalClient(world.home);
  const result = (await client.workflow.getHandle(workflowId).result()) as HoursResult;
  await client.connection.close();
  return result;
}

test('a cluster is launched with its task at the beginning of its hours, stopped at their end, and started again', async () => {
  const ledger = world.ledger('hours');
  const cluster = fresh('hours');
  const launch = world.task(`run: echo ran >> ${ledger.path}`);
  await hours.create(cluster, { up: YEARLY, down: YEARLY, end: 'stop', launch });
  await expect(hours.create(cluster, { up: YEARLY, down: YEARLY, end: 'stop', launch })).rejects.toMatchObject({
    kind: 'refused',
  });
  const early = await resultOf(await does(cluster, 'down'));
  expect(early).toEqual({ outcome: 'sent', note: 'there is no such cluster' });
  await does(cluster, 'up');
  await becomes(cluster, 'UP');
  await until('its job ran', () => ledger.lines().length === 1);
  await does(cluster, 'down');
  await becomes(cluster, 'STOPPED');
  await does(cluster, 'up');
  await until('its job ran again', () => ledger.lines().length === 2);
  await hours.pause(cluster, true, 'on holiday');
  const view = await hours.view(cluster);
  expect([view.up?.state, view.down?.state].map((state) => [state?.paused, state?.note])).toEqual([
    [true, 'on holiday'],
    [true, 'on holiday'],
  ]);
  expect(await hours.remove(cluster)).toBe(true);
  expect(await hours.remove(cluster)).toBe(false);
  expect(await statusOf(cluster), 'it stays').toBe('UP');
  await world.styx.clusters.down(cluster);
  await becomes(cluster, 'none');
  await story.nothingLeft();
});

test('what comes by itself comes at its times, and ends the cluster', async () => {
  const cluster = fresh('by-itself');
  const soon = scheduleRules({ calendar: ['second=*/3 minute=* hour=*'] });
  await hours.create(cluster, { up: YEARLY, down: YEARLY, end: 'down', launch: world.task('run: "true"') });
  await hours.update(cluster, { up: () => soon });
  await becomes(cluster, 'UP');
  await hours.update(cluster, { up: () => YEARLY, down: () => soon });
  await becomes(cluster, 'none');
  await hours.remove(cluster);
  await story.nothingLeft();
});

test('a command that comes so late that the other side has been due is not sent', async () => {
  const cluster = fresh('late');
  await hours.create(cluster, { up: YEARLY, down: YEARLY, end: 'down', launch: world.task('run: "true"') });
  await world.killWorker();
  const up = await does(cluster, 'up');
  await hours.update(cluster, { down: () => scheduleRules({ calendar: ['second=* minute=* hour=*'] }) });
  await until('the other side was due', async () => ((await hours.view(cluster)).down?.counts.started ?? 0) > 0);
  await until('that was later', async () => Date.now() % 1_000 > 500);
  await world.startWorker();
  expect(await resultOf(up)).toMatchObject({ outcome: 'overtaken' });
  await hours.remove(cluster);
  expect(await statusOf(cluster)).toBe('none');
  await story.nothingLeft();
});

const places = CRASH_POINTS.commandCluster.filter((place) => place === 'called' || LONG_FORM);
test.each(places)('a worker that dies at commandCluster.%s brings its cluster up once', async (place) => {
  const ledger = world.ledger(`crash-${place}`);
  const cluster = fresh(`crash-${place}`);
  await hours.create(cluster, {
    up: YEARLY,
    down: YEARLY,
    end: 'down',
    launch: world.task(`run: echo ran >> ${ledger.path}`),
  });
  const point = `commandCluster.${place}`;
  world.arm(point);
  await does(cluster, 'up');
  expect(await world.hit(point, 30_000)).toBe(true);
  await world.killAt(point, 'worker');
  await until('its job ran', () => ledger.lines().length > 0, 120_000);
  await hours.remove(cluster);
  const { jobs } = await world.styx.clusters.view(cluster, { budget: 60_000 });
  expect(jobs).toHaveLength(1);
  await world.styx.clusters.down(cluster);
  await becomes(cluster, 'none');
  expect(ledger.lines()).toEqual(['ran']);
});
