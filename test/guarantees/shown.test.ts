/** What Temporal's Web UI shows of a running Styx reads well: details, summaries, search attributes. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openedPayload, sealedTemporalClient } from '../harness/client.ts';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

let world: World;
let story: Story;
let client: Client;
let generation: string;

beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
  client = await sealedTemporalClient(world.home);
  await story.up('ui', 'name: hello\nnum_nodes: 2\nsetup: echo setup\nrun: sleep 300\nmax_duration: 1h');
  ({ generation } = await story.look('ui'));
});
afterAll(async () => {
  await story.nothingLeft();
  await client.connection.close();
  await world.end();
});

const handle = (what = ''): WorkflowHandle =>
  client.workflow.getHandle(`cluster/default/ui${what === '' ? '' : `/${generation}/${what}`}`);

async function details(what = ''): Promise<string> {
  const { currentDetails } = await handle(what).query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  return currentDetails ?? '';
}

const UTC = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC';

test('a cluster, its job and its watch say what is happening, since when, and what comes next', async () => {
  await story.view('ui', 'runs its job', ({ jobs }) => jobs[0]?.status === 'RUNNING');
  expect(await details()).toMatch(new RegExp(`^\\*\\*UP\\*\\* since ${UTC}[\\s\\S]*- 1 hello: RUNNING`));
  expect(await details('job-1')).toMatch(
    new RegExp(`^\\*\\*RUNNING\\*\\* since ${UTC}\n\nNext: the end[^\n]*\n\nJob 1 \\(hello\\) of ui, 2 nodes, by `),
  );
  expect(await details('job-1')).toContain('for at most 3600 s');
  expect(await details('watch-1')).toMatch(/^\*\*watching 2 nodes\*\* since [\s\S]*- 0: 127\.[\d.]+:\d+\n- 1: /);
});

test('a launch that looks for a place says so, with what was tried', async () => {
  world.limit(2);
  await story.launch('full', 'run: echo', { retryUntilUp: true });
  const { generation: life } = await story.look('full');
  const launch = client.workflow.getHandle(`cluster/default/full/${life}/launch-1`);
  await until('it says what was tried', async () => {
    const { currentDetails } = await launch.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    return /^\*\*round 1 found no place; [\s\S]*Next: all places once more\n\nTried before:\n- local\/local\/local-a local-1x after [\d.]+s: /.test(
      currentDetails ?? '',
    );
  });
  await story.down('full');
  world.limit(1_000);
});

test('what belongs to a cluster is found by its search attributes', async () => {
  const query = "StyxParent = 'cluster/default/ui' AND StyxKind = 'job'";
  const found = await until('it is listed', async () => {
    const jobs = [];
    for await (const one of client.workflow.list({ query })) jobs.push(one);
    return jobs.length === 1 ? jobs : null;
  });
  expect(found[0]?.workflowId).toBe(`cluster/default/ui/${generation}/job-1`);
});

test('every step, timer and child has a summary that people can read', async () => {
  await story.stopAndStart('ui');
  const { jobId } = await story.exec('ui', 'run: exit 3\nnum_nodes: 2');
  await story.jobEnds('ui', jobId, 'FAILED');
  await story.down('ui');
  const silent: string[] = [];
  const summaries: string[] = [];
  for await (const { workflowId, runId } of client.workflow.list({
    query: "WorkflowId STARTS_WITH 'cluster/default/'",
  })) {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    for (const event of events ?? []) {
      const activity = event.activityTaskScheduledEventAttributes?.activityType?.name;
      const child = event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowId;
      const timer = event.timerStartedEventAttributes?.timerId;
      if (!activity && !child && !timer) continue;
      const summary = event.userMetadata?.summary;
      if (summary == null) silent.push(`${workflowId}: ${activity ?? child ?? `timer ${timer}`}`);
      else summaries.push(String(await openedPayload(world.home, summary)));
    }
  }
  expect(silent).toEqual([]);
  expect(summaries).toContain('job 1 (hello) of ui');
  expect(summaries).toContain('set up job 1 on 2 nodes');
  expect(summaries.every((text) => text.length > 3 && text.length <= 200)).toBe(true);
});
