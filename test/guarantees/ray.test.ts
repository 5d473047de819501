/** Ray on clusters: jobs find it, nobody else does, what ends of it comes back, and it ends with its cluster. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDashboard, tokenOfRay } from '../../client/ray.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { rayProcesses, spreadScript, withoutRay } from '../harness/ray.ts';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

const without = withoutRay();
const UP_MS = 240_000;

function task(script: string, nodes = 1, ray = 'ray: true'): string {
  return `num_nodes: ${nodes}\nresources: {cpus: 1}\n${ray}\nrun: |\n${script.replace(/^/gm, '  ')}\n`;
}

describe.skipIf(without !== null)('Ray', () => {
  let world: World;
  let story: Story;
  beforeAll(async () => {
    world = await World.start();
    story = new Story(world, world.styx.clusters);
  });
  afterAll(() => world.end());

  /** Processes of Styx that see to Ray on one instance. */
  const keepers = (instance: string) =>
    rayProcesses(world.home, 'keeper')
      .filter(({ command }) => command.includes(instance))
      .map(({ pid }) => pid);
  const up = (name: string) =>
    story.view(name, 'has Ray', ({ ray }) => ray?.status === 'UP' && ray.reason === '', UP_MS);

  it('two clusters have it at once: tasks run on all nodes, other jobs do not wait for it', {
    timeout: UP_MS,
  }, async () => {
    const a = world.ledger('a');
    const b = world.ledger('b');
    const [one, two] = await Promise.all([
      story.launch('a', task(spreadScript(a.path, 2), 2)),
      story.launch('b', task(spreadScript(b.path, 1))),
    ]);
    await story.succeeds('a', one);
    const other = await story.exec('a', 'run: test -z "$RAY_ADDRESS"\n');
    await story.jobEnds('a', other.jobId, 'SUCCEEDED');
    const view = await story.look('a');
    expect(view.jobs.find(({ id }) => id === one.jobId)?.startedAt ?? null).toBeNull();
    expect(view.waits[String(one.jobId)]).toMatch(/^waits for Ray/);
    await story.jobEnds('a', one.jobId, 'SUCCEEDED');
    await story.jobEnds('b', two.jobId, 'SUCCEEDED');
    expect(a.lines()).toEqual(['2']);
    expect(b.lines()).toEqual(['1']);
  });

  it('without the token nobody gets in, and the token is nowhere but in files of 0600 on its nodes', {
    timeout: UP_MS,
  }, async () => {
    const view = await up('a');
    const token = await tokenOfRay(world.home, view);
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.stringify(view)).not.toContain(token);
    expect(world.workerLog()).not.toContain(token);
    const dashboard = await openDashboard(world.styx, 'a');
    const nodes = (headers: Record<string, string>) => fetch(`${dashboard.url}api/v0/nodes`, { headers });
    try {
      expect((await nodes({})).status).toBe(401);
      expect((await nodes({ authorization: 'Bearer no' })).status).toBe(403);
      expect((await nodes({ authorization: `Bearer ${token}` })).status).toBe(200);
    } finally {
      await dashboard.close();
    }
    const refused = world.ledger('refused');
    const stranger = `RAY_AUTH_TOKEN_PATH= RAY_AUTH_TOKEN=wrong-wrong-wrong-wrong timeout 60 python -c 'import ray; ray.init()' || echo refused >>${refused.path}`;
    await story.jobEnds('a', (await story.exec('a', task(stranger))).jobId, 'SUCCEEDED');
    expect(refused.lines()).toEqual(['refused']);
    const listed = execFileSync('ps', ['-eo', 'args', '-ww'], { encoding: 'utf8', maxBuffer: 1 << 26 });
    expect(listed).not.toContain(token);
    const found = execFileSync('grep', ['-rlF', '--', token, world.home], { encoding: 'utf8', maxBuffer: 1 << 26 });
    const files = found.trim().split('\n');
    expect(files.filter((file) => !file.endsWith('/.styx-ray/token'))).toEqual([]);
    expect(files).toHaveLength(2);
    for (const file of files) expect(execFileSync('stat', ['-c', '%a', file], { encoding: 'utf8' })).toBe('600\n');
  });

  it('one is ended while the other works, and a job that runs through it does not notice', {
    timeout: UP_MS,
  }, async () => {
    await up('b');
    const done = world.ledger('long');
    const long = `touch ${done.path}.began\n${spreadScript(done.path, 99)}`;
    const job = (await story.exec('a', task(long))).jobId;
    await until('the job began', () => readdirSync(world.home).includes('ledger-long.began'));
    const before = rayProcesses(world.home, 'raylet').length;
    await story.clusters.ray('b', null);
    await story.view('b', 'has no Ray', ({ ray }) => ray === undefined, UP_MS);
    expect(rayProcesses(world.home, 'raylet').length).toBe(before - 1);
    expect((await story.look('b')).status).toBe('UP');
    await story.jobEnds('a', job, 'SUCCEEDED');
    expect(done.lines()).toEqual(['2']);
    await story.down('b');
  });

  it.each(LONG_FORM ? (['raylet', 'keeper'] as const) : (['raylet'] as const))(
    'a worker comes back and is used when its %s was killed',
    { timeout: UP_MS },
    async (which) => {
      const { nodes } = await up('a');
      const raylets = () =>
        rayProcesses(world.home, 'raylet')
          .filter(({ command }) => command.includes(`--node_ip_address=${nodes[1]?.internalAddress} `))
          .map(({ pid }) => pid);
      const before = raylets();
      const worker = `/${nodes[1]?.instanceId}/`;
      const victims = { raylet: before, keeper: keepers(worker) }[which];
      expect(victims).toHaveLength(1);
      process.kill(victims[0] ?? 0, 'SIGKILL');
      await until('another raylet in its place', () => raylets().length === 1 && raylets()[0] !== before[0], UP_MS);
      await up('a');
      const after = world.ledger(`after-${which}`);
      await story.jobEnds('a', (await story.exec('a', task(spreadScript(after.path, 2)))).jobId, 'SUCCEEDED');
      expect(after.lines()).toEqual(['2']);
      expect(raylets()).toHaveLength(1);
    },
  );

  it('what is there is not replaced by what another task asks for', async () => {
    await expect(story.exec('a', task('true', 1, 'ray: {version: 2.59.0}'))).rejects.toThrow(
      "Cluster 'a' cannot give the Ray that was asked for: it has Ray 2.60.0, and the task asks for 2.59.0",
    );
    await expect(story.exec('a', task('true', 1, 'ray: {extras: [serve]}'))).rejects.toThrow(
      'was installed without serve',
    );
  });

  it('it stops with its cluster, comes back with it, and leaves nothing', { timeout: UP_MS }, async () => {
    await story.stopAndStart('a');
    await up('a');
    const after = world.ledger('restarted');
    await story.jobEnds('a', (await story.exec('a', task(spreadScript(after.path, 2)))).jobId, 'SUCCEEDED');
    expect(after.lines()).toEqual(['2']);
    await story.down('a');
    await story.nothingLeft();
    expect(rayProcesses(world.home, 'all')).toEqual([]);
  });
});
