/**
 * The crash matrix of Ray: at every named point of its activities (without STYX_TEST_LONG=1: where their effect is done and not yet
 * reported) the worker of Styx dies by SIGKILL. Ray is started exactly once on its
 * node, stands, and is gone when it was ended. Then what it does when a part of it ends that no point stands for.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CRASH_POINTS } from '../../activities/crash-points.ts';
import type { RayRequest } from '../../model/ray.ts';
import { Story, until } from '../guarantees/story.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { rayProcesses, spreadScript, withoutRay } from '../harness/ray.ts';
import { World } from '../harness/world.ts';

const without = withoutRay();
const MS = 240_000;
const ANY: RayRequest = { version: null, extras: [], headResources: null, restartHead: null };

describe.skipIf(without !== null)('Ray under kills', () => {
  let world: World;
  let story: Story;
  beforeAll(async () => {
    world = await World.start();
    story = new Story(world, world.styx.clusters);
    await story.up('c', 'resources: {cpus: 1}\n');
  });
  afterAll(() => world.end());

  const up = () => story.view('c', 'has Ray', ({ ray }) => ray?.status === 'UP' && ray.reason === '', MS);
  const none = () => story.view('c', 'has no Ray', ({ ray }) => ray === undefined, MS);
  const ray = (asked: RayRequest | null) => story.clusters.ray('c', asked, { budget: MS });
  const runs = async (name: string) => {
    const file = world.ledger(name);
    const { jobId } = await story.exec('c', `ray: true\nrun: |\n${spreadScript(file.path, 1).replace(/^/gm, '  ')}\n`);
    await story.jobEnds('c', jobId, 'SUCCEEDED');
    expect(file.lines()).toEqual(['1']);
  };

  /** The starts of Ray that the node's agent knows of. */
  async function starts(): Promise<string[]> {
    const id = (await story.look('c')).nodes[0]?.instanceId ?? '';
    const jobs = readdirSync(join(world.home, 'local', 'instances', id, 'home', '.styx-agent', 'jobs'));
    return jobs.filter((key) => key.includes('-ray-'));
  }

  async function killedAt(point: string): Promise<void> {
    expect(await world.hit(point, MS), `${point} was not passed`).toBe(true);
    await world.killAt(point, 'worker');
  }

  // A Ray takes a quarter of a minute to start and end.
  const places = LONG_FORM ? (['before', 'called', 'after', 'reported'] as const) : (['called'] as const);
  it.each(places)(
    'the worker is killed at each activity, %s: started once, ended whole',
    { timeout: MS },
    async (place) => {
      for (const activity of ['installRay', 'startRay', 'endRay'] as const)
        expect(CRASH_POINTS[activity]).toContain(place);
      const before = await starts();
      for (const activity of ['installRay', 'startRay', 'endRay']) world.arm(`${activity}.${place}`);
      await ray(ANY);
      await killedAt(`installRay.${place}`);
      await killedAt(`startRay.${place}`);
      await up();
      expect((await starts()).length).toBe(before.length + 1);
      expect(rayProcesses(world.home, 'raylet')).toHaveLength(1);
      expect(rayProcesses(world.home, 'head')).toHaveLength(1);
      await ray(null);
      await killedAt(`endRay.${place}`);
      await none();
      expect(rayProcesses(world.home, 'all')).toEqual([]);
    },
  );

  it('its workflow is ended from outside: another one takes over, and Ray works', { timeout: MS }, async () => {
    await ray(ANY);
    const { ray: there, generation } = await up();
    const client = await sealedTemporalClient(world.home);
    await client.workflow.getHandle(`cluster/default/c/${generation}/ray-${there?.child}`).terminate('by hand');
    await client.connection.close();
    await story.view('c', 'has another', (view) => view.ray?.status === 'UP' && view.ray.child !== there?.child, MS);
    expect(rayProcesses(world.home, 'raylet')).toHaveLength(1);
    await runs('taken-over');
  });

  it('a head that ends is told of, and not started again unless the task allows it', { timeout: MS }, async () => {
    await up();
    process.kill(rayProcesses(world.home, 'head')[0]?.pid ?? 0, 'SIGKILL');
    const { ray: failed } = await story.view('c', 'tells of its head', (view) => view.ray?.status === 'FAILED', MS);
    expect(failed?.reason).toMatch(/^the head ended: /);
    await until('the rest of it to end', () => rayProcesses(world.home, 'all').length === 0);
    await ray({ ...ANY, restartHead: true });
    const { ray: first } = await up();
    const [head] = rayProcesses(world.home, 'head');
    process.kill(head?.pid ?? 0, 'SIGKILL');
    await until('another head', () => rayProcesses(world.home, 'head').some(({ pid }) => pid !== head?.pid), MS);
    const { ray: second } = await up();
    expect(second?.child).toBe(first?.child);
    await runs('restarted');
    await ray(null);
    await none();
  });

  it('a version that there is not fails at once, with what there is', { timeout: MS }, async () => {
    const { jobId } = await story.exec('c', 'ray: {version: 2.999.0}\nrun: "true"\n');
    const job = await story.jobEnds('c', jobId, 'FAILED_SETUP');
    expect(job.reason).toMatch(/^Ray: there is no Ray 2\.999\.0 for Python 3\.\d+ on \w+ \w+; the nearest is /);
    expect((await story.look('c')).ray?.status).toBe('FAILED');
    await story.down('c');
    await story.nothingLeft();
  });
});
