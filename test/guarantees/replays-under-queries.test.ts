/** What a cluster's workflows wrote while they were asked for their views all the time, their code writes again. */
import { Client, Connection } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { workflowBundle } from '../../workers/bundle.ts';
import { World } from '../harness/world.ts';

const CLUSTERS = 12;
let world: World;

beforeAll(async () => {
  world = await World.start();
}, 90_000);
afterAll(() => world.end(), 60_000);

test(`${CLUSTERS} clusters at once, queried all the time, write histories that replay`, {
  timeout: 240_000,
}, async () => {
  const { clusters } = world.styx;
  const names = Array.from({ length: CLUSTERS }, (_, index) => `q${index}`);
  await Promise.all(
    names.map(async (name) => {
      const answer = await clusters.launch({ name, ...world.task('run: sleep 1\n') });
      const end = await clusters.waitOperation(name, answer);
      expect(end.outcome).toBe('succeeded');
      for (let asked = 0; asked < 4; asked++) await clusters.view(name, { budget: 60_000 });
      const down = await clusters.waitOperation(name, await clusters.down(name));
      expect(down.outcome).toBe('succeeded');
    }),
  );
  const connection = await Connection.connect({ address: world.server.address });
  const { workflow } = new Client({ connection });
  const { codePath } = await workflowBundle();
  for (const name of names) {
    const workflowId = `cluster/default/${name}`;
    const history = await workflow.getHandle(workflowId).fetchHistory();
    await expect(
      Worker.runReplayHistory({ workflowBundle: { codePath } }, history, workflowId),
      name,
    ).resolves.toBeUndefined();
  }
  await connection.close();
});
