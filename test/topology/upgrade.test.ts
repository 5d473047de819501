/**
 * Yesterday's clusters under today's code. The bundle in fixtures/ is the workflows of a commit from before budgets and plans; it is data:
 * never made anew, only joined by later ones.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Story } from '../guarantees/story.ts';
import { startTestWorker, type TestWorker } from '../harness/temporal.ts';
import { World } from '../harness/world.ts';
import { held } from './two-workers.ts';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const bundles = readdirSync(FIXTURES).filter((name) => name.endsWith('.js.gz'));

test('there is an older build to come from', () => {
  expect(bundles.length).toBeGreaterThan(0);
});

describe.each(bundles)('from %s to today', (bundle) => {
  let world: World;
  let story: Story;
  let older: TestWorker;

  beforeAll(async () => {
    world = await World.start();
    story = new Story(world, world.styx.clusters);
  });
  afterAll(async () => {
    await older?.kill9();
    await story.nothingLeft();
    await world.end();
  });

  async function startOlder(): Promise<void> {
    const codePath = join(world.home, bundle.replace(/\.gz$/, ''));
    writeFileSync(codePath, gunzipSync(readFileSync(join(FIXTURES, bundle))));
    older = startTestWorker({
      address: world.server.address,
      home: world.home,
      env: { ...world.workerEnv, STYX_TEST_BUNDLE: codePath },
      main: join(FIXTURES, 'worker-of-build.ts'),
      log: join(world.home, 'older.log'),
    });
    await older.waitReady();
  }

  test('clusters that the older build launched are used and taken down by today’s, their jobs run once', async () => {
    await world.killWorker();
    await startOlder();
    const running = held(story, 'running');
    const runningJob = await story.up('running', running.yaml);
    await running.began();
    const stopped = await story.up('stopped', 'run: "true"');
    await story.jobEnds('stopped', stopped, 'SUCCEEDED');
    await story.succeeds('stopped', await story.clusters.stop('stopped'));

    // As a rolling upgrade does: the new one polls before the old one is told to go.
    await world.startWorker();
    await older.stop();
    expect(older.log()).not.toMatch(/TMPRL1100|DeterminismViolation/);

    expect((await story.look('running')).status).toBe('UP');
    const { jobId } = await story.exec('running', 'run: "true"');
    running.release();
    await story.jobEnds('running', runningJob, 'SUCCEEDED');
    await story.jobEnds('running', jobId, 'SUCCEEDED');
    await story.succeeds('stopped', await story.clusters.start('stopped'));
    await Promise.all(['running', 'stopped'].map((name) => story.down(name)));
    expect(running.lines()).toEqual(['began', 'ended']);
    expect(world.workerLog()).not.toMatch(/TMPRL1100|DeterminismViolation/);
  });
});
