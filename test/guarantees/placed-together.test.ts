/** Tasks of a pipeline that say how much data goes between them look for machines in the places that cost least together. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { copyCluster } from '../../model/managed-job.ts';
import { parseSubmission } from '../../model/parse-pipeline.ts';
import { openedPayload, sealedTemporalClient } from '../harness/client.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 200_000 });

let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world, { fenceAfter: 120_000 });
});
afterAll(async () => {
  await story.close();
  await world.end();
});

test('what was chosen at submission reaches the launches of the tasks that data goes between, and no other', async () => {
  const documents = [
    'name: make\nresources: {cpus: 1}\noutputs: {"s3://made": 5000}\nrun: "true"\n',
    'name: use\nresources: {cpus: 1}\ndepends_on: [make]\nrun: "true"\n',
    'name: beside\nresources: {cpus: 1}\nrun: "true"\n',
  ];
  const written = parseSubmission(documents.join('---\n'), { file: 'test.yaml' });
  if (written.kind !== 'pipeline') throw new Error('not a pipeline');
  const { id } = await story.pipelines.launch(written, { budget: 100_000 });
  const { status, reason } = await story.pipelines.wait(id, { gone: true });
  expect(status, reason).toBe('SUCCEEDED');
  const orders = await until('all launches are listed', async () => {
    const found = await ordersOfLaunches(id);
    return found.size === documents.length ? found : null;
  });
  const here = { prefer: [{ cloud: 'local', region: 'local' }], avoid: [] };
  expect([0, 1, 2].map((task) => orders.get(task))).toEqual([here, here, null]);
  await story.nothingLeft();
});

/** By task, in which order of places its machines were looked for; null: by cost alone. */
async function ordersOfLaunches(id: string): Promise<Map<number, unknown>> {
  const { connection, workflow } = await sealedTemporalClient(world.home);
  const orders = new Map<number, unknown>();
  const clusters = [0, 1, 2].map((task) => copyCluster(`${id}/${task}`, 1));
  for await (const { workflowId } of workflow.list({ query: "WorkflowType = 'provision'" })) {
    const task = clusters.findIndex((cluster) => workflowId.startsWith(`cluster/default/${cluster}/`));
    if (task < 0) continue;
    const { events } = await workflow.getHandle(workflowId).fetchHistory();
    const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    const input = (await openedPayload(world.home, payload ?? {})) as {
      args: readonly [{ resources: { order?: unknown } }];
    };
    orders.set(task, input.args[0].resources.order ?? null);
  }
  await connection.close();
  return orders;
}
