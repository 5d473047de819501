import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseSubmission } from '../../model/parse-pipeline.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

/** Lists with a limit, which read only what they may need of thousands of jobs. */
let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world, { limits: { launching: 1, running: 1 } });
});
afterAll(async () => {
  await story.close();
  await world.end();
});

test('a list with a limit is the head of the whole list: jobs, pipelines without their tasks, those with no number yet', async () => {
  const first = await story.submit('run: sleep 600\n');
  const waits = Array.from({ length: 11 }, () => first);
  for (const [index] of waits.entries()) waits[index] = await story.submit('run: "true"\n');
  const group = ['name: many', 'execution: parallel'];
  const tasks = [1, 2, 3, 4, 5, 6].map((index) => `name: t${index}\nrun: "true"`);
  const written = parseSubmission([group.join('\n'), ...tasks].join('\n---\n'), { file: 'test.yaml' });
  if (written.kind !== 'pipeline') throw new Error('not a pipeline');
  const { id } = await story.pipelines.launch(written);
  const all = await until('all have their numbers', async () => {
    const found = await story.jobs.list();
    return found.length === 13 && found.every(({ number }) => number !== null) ? found : null;
  });
  expect(all.map(({ number }) => number)).toEqual(
    all.map(({ number }) => number).toSorted((a, b) => (b ?? 0) - (a ?? 0)),
  );
  expect(all.filter(({ tasks }) => tasks !== undefined).map((job) => job.id)).toEqual([id]);
  for (let limit = 1; limit <= 14; limit += 1) {
    const listed = (await story.jobs.list({ limit })).map((job) => job.id);
    expect(listed).toEqual(all.slice(0, limit).map((job) => job.id));
  }
  await Promise.all([id, ...waits].map((job) => story.jobs.cancel(job)));
  await until('only the first is left', async () => (await story.jobs.list({ skipFinished: true })).length === 1);
  const [left] = await story.jobs.list({ skipFinished: true, limit: 1 });
  expect(left?.id).toBe(first);
  await until(
    'all others are CANCELLED',
    async () => (await story.jobs.list({ statuses: ['CANCELLED'] })).length === 12,
  );
  const cancelled = await story.jobs.list({ statuses: ['CANCELLED'], limit: 2 });
  const others = all.filter((job) => job.id !== first);
  expect(cancelled.map((job) => job.id)).toEqual(others.slice(0, 2).map((job) => job.id));

  await world.killWorker();
  const unheard = await story.submit('run: "true"\n');
  await until('it is listed', async () => (await story.jobs.list()).length === 14);
  expect(await story.jobs.list({ limit: 1 })).toMatchObject([{ id: unheard, number: null }]);
  expect((await story.jobs.list({ limit: 20 })).length).toBe(14);
  await world.startWorker();
  await story.jobs.cancel(unheard);
  await story.jobs.cancel(first);
  await story.ends(first, 'CANCELLED');
  await story.nothingLeft();
});
