/** What a cluster's workflows wrote while they were asked for their views all the time, their code writes again. */
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { workflowBundle } from '../../workers/bundle.ts';
import { sealedWorker } from '../../workers/sealing.ts';
import { sealedTemporalClient } from '../harness/client.ts';
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
      let over = false;
      // As no follower of ours does: whatever the workflow is about.
      const asking = (async () => {
        while (!over) await clusters.view(name, { budget: 60_000 });
      })();
      const end = await clusters.waitOperation(name, answer);
      expect(end.outcome).toBe('succeeded');
      const down = await clusters.waitOperation(name, await clusters.down(name));
      over = true;
      await asking;
      expect(down.outcome).toBe('succeeded');
    }),
  );
  const { connection, workflow } = await sealedTemporalClient(world.home);
  const { codePath } = await workflowBundle();
  const dataConverter = sealedWorker(world.home, 'required', 'workflows');
  for (const name of names) {
    const workflowId = `cluster/default/${name}`;
    const history = await workflow.getHandle(workflowId).fetchHistory();
    await expect(
      Worker.runReplayHistory({ workflowBundle: { codePath }, dataConverter }, history, workflowId),
      name,
    ).resolves.toBeUndefined();
  }
  await connection.close();
});
