/** Tasks of a pipeline that data goes between look for machines where the whole costs least: as advice. */
import { describe, expect, test } from 'vitest';
import { cheapestTogether } from '../../client/places-together.ts';
import { DEFAULT_RECOVERY, type Strategy } from '../../model/job-recovery.ts';
import type { JobRules } from '../../model/managed-job.ts';
import type { JobEffect } from '../../model/managed-job-draft.ts';
import { JobDraft } from '../../model/managed-job-draft.ts';
import { startCopy } from '../../model/managed-job-steps.ts';
import { newManagedJob } from '../../model/managed-job-transition.ts';
import { parseSubmission } from '../../model/parse-pipeline.ts';
import { advised, inPlaceOrder, type RegionRef } from '../../model/place-order.ts';
import { TEST } from '../../model/timing.ts';
import { launchRequest, rank } from '../../optimizer/index.ts';
import { row } from '../optimizer/made.ts';

const [EAST, WEST] = [
  { cloud: 'aws', region: 'us-east-1' },
  { cloud: 'aws', region: 'us-west-2' },
];
// An hour in the west is dearer by 10 cents.
const ROWS = [row({ ...EAST, price: 0.4 }), row({ ...WEST, price: 0.5 })];

/** Places of the tasks of a file, of which the first one is held in the west. */
function places(...documents: string[]) {
  const written = parseSubmission(documents.join('\n---\n'), { file: 'test.yaml' });
  if (written.kind !== 'pipeline') throw new Error('not a pipeline');
  const rankings = written.tasks.map(({ task }) => rank(launchRequest(task.resources), ROWS));
  return cheapestTogether(written.tasks, rankings);
}

const make = (gigabytes: number) =>
  `name: make\nresources: {cpus: 8, infra: aws/us-west-2}\noutputs: {"s3://made": ${gigabytes}}\nrun: echo`;
const use = (name: string, more = '') => `name: ${name}\nresources: {cpus: 8}\n${more}run: echo`;

describe('places of a pipeline', () => {
  test('data that would cost more on its way than dearer machines keeps a chain together, and little data does not', async () => {
    expect(await places(make(5000), use('use'))).toEqual([{ place: WEST }, { place: WEST }]);
    expect(await places(make(1), use('use'))).toEqual([{ place: WEST }, { place: EAST }]);
  });

  test('in a graph only tasks that wait for data are told where to look', async () => {
    const chosen = await places(make(5000), use('beside', 'depends_on: []\n'), use('after', 'depends_on: [make]\n'));
    expect(chosen).toEqual([{ place: WEST }, {}, { place: WEST }]);
  });

  test('what comes in from a bucket counts for a task that waits for none', async () => {
    const inputs = (gigabytes: number) => use('read', `inputs: {"gs://there": ${gigabytes}}\n`);
    expect(await places(inputs(0), use('next'))).toEqual([{}, {}]);
    expect(await places(inputs(100), use('next'))).toEqual([{ place: EAST }, {}]);
  });

  test('nothing is said when one of the tasks fits nowhere', async () => {
    expect(await places(make(5000), 'name: huge\nresources: {cpus: 640}\nrun: echo')).toEqual([{}, {}]);
  });

  test('a job by itself is refused sizes of data by name', () => {
    const alone = () => parseSubmission('outputs: {"s3://made": 5}\nrun: echo\n', { file: 'test.yaml' });
    expect(alone).toThrow('outputs: is for a task among several of a file');
  });
});

describe('a job that is told where to look first', () => {
  function order(strategy: Strategy, state: { lastPlace?: RegionRef; lostRegions?: RegionRef[] } = {}): RegionRef[] {
    const recovery = { ...DEFAULT_RECOVERY, strategy };
    const rules: JobRules = { workflowId: 'j', numNodes: 1, place: WEST, recovery, fenceAfter: 1, timing: TEST };
    const { lastPlace = null, lostRegions = [] } = state;
    const last = lastPlace === null ? null : { ...lastPlace, zone: 'z', instanceType: 't', useSpot: false };
    const draft = new JobDraft({ ...newManagedJob(0), lastPlace: last, lostRegions }, rules, 1);
    startCopy(draft, null);
    const start = draft.effects.find((effect): effect is Extract<JobEffect, { type: 'startCluster' }> => {
      return effect.type === 'startCluster';
    });
    return inPlaceOrder([EAST, WEST], start?.order);
  }

  test('does so with its first machines, and goes elsewhere when it has lost some there or stood elsewhere', () => {
    for (const strategy of ['EAGER_NEXT_REGION', 'FAILOVER'] as const) expect(order(strategy)).toEqual([WEST, EAST]);
    expect(order('EAGER_NEXT_REGION', { lastPlace: WEST, lostRegions: [WEST] })).toEqual([EAST, WEST]);
    expect(order('EAGER_NEXT_REGION', { lastPlace: EAST, lostRegions: [EAST] })).toEqual([WEST, EAST]);
    expect(order('FAILOVER', { lastPlace: EAST })).toEqual([EAST, WEST]);
  });

  test('an order is left as it is without advice', () => {
    expect(advised(undefined, undefined)).toBe(undefined);
    expect(advised({ prefer: [], avoid: [EAST] }, undefined)).toEqual({ prefer: [], avoid: [EAST] });
  });
});
