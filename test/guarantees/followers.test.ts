/** Who follows a launch costs it nothing: no workflow task of the cluster is lost to a query (decision 011). */
import protos from '@temporalio/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Styx } from '../../client/connect.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { World } from '../harness/world.ts';
import { Story } from './story.ts';

const { EventType } = protos.temporal.api.enums.v1;
const LAUNCHES = LONG_FORM ? 30 : 6;
let world: World;
let styx: Styx;
/** What the followers asked of Temporal. */
const asked: string[] = [];

beforeAll(async () => {
  world = await World.start();
  styx = await connect({ home: world.home, startServer: false, onCall: ({ method }) => asked.push(method) });
});
afterAll(async () => {
  await styx.close();
  await world.end();
});

test(`${LAUNCHES} launches in turn are followed to the end of their jobs, and lose no workflow task`, {
  timeout: 600_000,
}, async () => {
  const story = new Story(world, styx.clusters);
  const { connection, workflow } = await sealedTemporalClient(world.home);
  for (let turn = 1; turn <= LAUNCHES; turn++) {
    const name = `followed-${turn}`;
    const job = await story.up(name, 'run: echo hello');
    await story.jobEnds(name, job, 'SUCCEEDED');
    await story.down(name);
    const { events } = await workflow.getHandle(`cluster/default/${name}`).fetchHistory();
    const lost = (events ?? []).filter(({ eventType }) => eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT);
    expect(lost, name).toEqual([]);
  }
  await connection.close();
  // Each was preceded by one that cost no worker anything.
  const count = (method: string) => asked.filter((one) => one === method).length;
  expect(count('QueryWorkflow')).toBeGreaterThan(LAUNCHES);
  expect(count('QueryWorkflow')).toBeLessThanOrEqual(count('DescribeWorkflowExecution'));
});
