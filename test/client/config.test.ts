/** What is configured reaches what a client does: its workspace, the clouds of its launches, and what travels in them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type ConnectOptions, connect, type Styx } from '../../client/connect.ts';
import { openedPayload, sealedTemporalClient } from '../harness/client.ts';
import { World } from '../harness/world.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let world: World;
const open: Styx[] = [];
beforeAll(async () => {
  world = await World.start();
});
afterEach(async () => {
  for (const styx of open.splice(0)) await styx.close();
});
afterAll(() => world.end());

async function client(options: ConnectOptions = {}): Promise<Styx> {
  const styx = await connect({ home: world.home, startServer: false, ...options });
  open.push(styx);
  return styx;
}

test('a client works in the workspace of the configuration, which another one does not see', async () => {
  writeFileSync(join(world.home, 'config.yaml'), 'active_workspace: team\nprovision: {ssh_timeout: 7}\n');
  const team = await client();
  expect(team.workspace).toBe('team');
  expect((await client({ workspace: 'given' })).workspace).toBe('given');
  const launched = await team.clusters.launch({ name: 'mine', ...world.task('resources: {cpus: 1}\n') });
  expect((await team.clusters.waitOperation('mine', launched)).outcome).toBe('succeeded');
  expect((await team.clusters.list()).map(({ name, workspace }) => [name, workspace])).toEqual([['mine', 'team']]);
  const plain = await client({ config: {} });
  expect([plain.workspace, await plain.clusters.list()]).toEqual(['default', []]);

  const temporal = await sealedTemporalClient(world.home);
  const { events } = await temporal.workflow.getHandle('cluster/team/mine').fetchHistory();
  const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  expect(await openedPayload(world.home, payload ?? {})).toMatchObject({
    args: [{ workspace: 'team', timing: { connectTimeout: 7_000 } }],
  });
  await temporal.connection.close();
  const down = await team.clusters.down('mine');
  await team.clusters.waitOperation('mine', down);
});

test('a launch on a cloud that is not allowed starts no workflow, and one without a cloud tries the allowed ones alone', async () => {
  const styx = await client({ config: { allowedClouds: ['gcp'] } });
  for (const yaml of ['resources: {infra: local}\n', 'run: echo\n']) {
    await expect(styx.clusters.launch({ name: 'no', ...world.task(yaml) })).rejects.toThrow(/allowed_clouds/);
  }
  expect(await styx.clusters.summary('no')).toBeNull();

  const { task, resourcesText } = world.task('run: echo\n');
  const resources = { ...task.resources, clouds: ['gcp'] };
  const sent = await client({ config: {} });
  const answer = await sent.clusters.launch({ name: 'none', resourcesText, task: { ...task, resources } });
  const { operation } = await sent.clusters.waitOperation('none', answer);
  expect(operation?.failure).toMatchObject({
    kind: 'invalid',
    message: expect.stringContaining('clouds that may be used'),
  });
  expect(await world.machinesLeft()).toEqual([]);
});

test('jobs of a cluster that was launched with install_conda, those of others too, begin with conda', async () => {
  const styx = await client({ config: { installConda: true } });
  const machine = world.task('resources: {cpus: 1}\n');
  // Nothing is there: what the job says shows that it asked for conda.
  const job = world.task('envs: {STYX_MINIFORGE_URL: "http://127.0.0.1:1/conda.sh"}\nrun: echo ran\n').task;
  const run = async (name: string): Promise<string> => {
    const { jobId } = await world.styx.clusters.exec(name, job);
    let text = '';
    for await (const { data } of world.styx.logs(name, { jobId: jobId ?? 0, tail: 0 })) text += data.toString();
    return text;
  };
  for (const [name, through] of [
    ['plain', world.styx],
    ['with', styx],
  ] as const) {
    await through.clusters.waitOperation(name, await through.clusters.launch({ name, ...machine }));
  }
  expect(await run('plain')).toBe('ran\n');
  const text = await run('with');
  expect(text).toContain('conda could not be installed: http://127.0.0.1:1/conda.sh.sha256 cannot be fetched');
  expect(text).not.toContain('ran\n');
  for (const name of ['plain', 'with']) await styx.clusters.waitOperation(name, await styx.clusters.down(name));
});

test('a program is warned once of what is not carried out, and not where it gives the configuration itself', async () => {
  writeFileSync(join(world.home, 'config.yaml'), 'jobs: {bucket: s3://x}\n');
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  await client();
  expect(warned.mock.calls).toEqual([
    [`Configuration not carried out yet: jobs.bucket (${join(world.home, 'config.yaml')})`],
  ]);
  await client({ config: {} });
  expect(warned).toHaveBeenCalledTimes(1);
  warned.mockRestore();
});
