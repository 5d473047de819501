import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ManagedStatus } from '../../model/managed-job.ts';
import { parseSubmission } from '../../model/parse-pipeline.ts';
import type { PipelineView } from '../../model/pipeline.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

/** Several managed jobs as one, on real machines of the local cloud. */
const BUDGET = { budget: 300_000 };
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

async function submit(yaml: string, requestId?: string): Promise<string> {
  const written = parseSubmission(yaml, { file: 'test.yaml' });
  if (written.kind !== 'pipeline') throw new Error('not a pipeline');
  const { id } = await story.pipelines.launch(written, {
    ...BUDGET,
    ...(requestId === undefined ? {} : { requestId }),
  });
  return id;
}

async function ends(id: string, status: ManagedStatus): Promise<PipelineView> {
  const view = await story.pipelines.wait(id, { gone: true });
  expect(`${view.status} ${view.reason}`, JSON.stringify(view.events)).toMatch(new RegExp(`^${status} `));
  return view;
}

function statuses({ tasks }: PipelineView): string {
  return tasks.map(({ name, status }) => `${name} ${status}`).join(', ');
}

test('a chain runs in its order, under one number, and each task has what those before it left', async () => {
  const ledger = world.ledger('chain');
  const line = (name: string, more: string) =>
    `echo "${name} $SKYPILOT_MANAGED_JOB_ID $SKYPILOT_TASK_ID ${more}" >> ${ledger.path}`;
  const id = await submit(
    [
      'name: chain',
      '---',
      'name: one',
      `run: |\n  ${line('one', '')}\n  echo 'path=/data/a b=c' >> $STYX_OUTPUT\n  echo "rows=3" >> $STYX_OUTPUT`,
      '---',
      'name: two-b',
      'envs: {ROWS: "${{ tasks.one.outputs.rows }} rows"}',
      `run: |\n  ${line('two', '$ROWS from $STYX_OUTPUT_ONE_PATH')}\n  echo k=v > $STYX_OUTPUT`,
      '---',
      'name: three',
      `run: |\n  ${line('three', '$STYX_OUTPUT_TWO_B_K $STYX_OUTPUT_ONE_ROWS $(echo "$SKYPILOT_TASK_IDS" | wc -l)')}`,
    ].join('\n'),
  );
  const view = await ends(id, 'SUCCEEDED');
  expect(statuses(view)).toBe('one SUCCEEDED, two-b SUCCEEDED, three SUCCEEDED');
  const number = view.number;
  const [one, two, three] = ledger.lines();
  expect(ledger.lines()).toHaveLength(3);
  expect(one).toMatch(new RegExp(`^one ${number} sky-managed-.*_chain_one_${number}-0 $`));
  expect(two).toMatch(new RegExp(`^two ${number} sky-managed-.*_chain_two-b_${number}-1 3 rows from /data/a b=c$`));
  expect(three).toMatch(new RegExp(`^three ${number} sky-managed-.*_chain_three_${number}-2 v 3 3$`));
  expect(view.tasks[0]?.outputs).toEqual({ path: '/data/a b=c', rows: '3' });
  await story.nothingLeft();
});
