/** The database is put back to what it was some jobs ago, while machines and what ran on them stay as they are. On PostgreSQL: test/topology/kills.test.ts. */
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { World } from '../harness/world.ts';
import { held } from '../topology/two-workers.ts';
import { Story } from './story.ts';

const skipped = process.env.STYX_TEST_SERVER === 'postgres';
if (skipped)
  console.log('SKIPPED: the restored file of the embedded server: test/topology restores backups of PostgreSQL');

describe.skipIf(skipped)('a restored database', () => {
  let world: World;
  let story: Story;

  beforeAll(async () => {
    world = await World.start();
    story = new Story(world, world.styx.clusters);
  });
  afterAll(async () => {
    await story.nothingLeft();
    await world.end();
  });

  /** The database with its log, while nobody has it open. */
  async function withServerDown(act: (files: string[], directory: string) => void): Promise<void> {
    await world.stopServer();
    const { directory } = world.server;
    act(
      readdirSync(directory).filter((name) => name.startsWith('styx.db')),
      directory,
    );
    await world.killServer();
  }

  test('a job with the number of one that ran after the backup runs, and has an end and output of its own', async () => {
    const kept = held(story, 'kept');
    const first = await story.up('kept', `resources: {cpus: 2}\n${kept.yaml}`);
    await kept.began();
    const backup = join(world.home, 'backup');
    mkdirSync(backup);
    await withServerDown((files, from) => {
      for (const name of files) cpSync(join(from, name), join(backup, name));
    });
    const ledger = world.ledger('numbers');
    const lost = await story.exec('kept', `run: echo lost >> ${ledger.path}; echo says lost; exit 3`);
    await story.jobEnds('kept', lost.jobId, 'FAILED');

    await withServerDown((files, directory) => {
      for (const name of files) rmSync(join(directory, name));
      cpSync(backup, directory, { recursive: true });
    });

    const mine = held(story, 'mine');
    const again = await story.exec('kept', `${mine.yaml.trimEnd().slice(0, -1)}; echo says mine'\n`);
    expect(again.jobId).toBe(lost.jobId);
    await mine.began();
    // Its end comes by the watch, which goes through what happened on the node in order: the end of the lost one was before it.
    const next = await story.exec('kept', 'run: "true"');
    await story.jobEnds('kept', next.jobId, 'SUCCEEDED');
    const view = await story.look('kept');
    expect(view.jobs.find(({ id }) => id === again.jobId)).toMatchObject({ status: 'RUNNING' });
    mine.release();
    await story.jobEnds('kept', again.jobId, 'SUCCEEDED');
    let said = '';
    for await (const { data } of world.styx.logs('kept', { jobId: again.jobId ?? 0, tail: 0 })) said += String(data);
    expect(said).toBe('says mine\n');
    kept.release();
    await story.jobEnds('kept', first, 'SUCCEEDED');
    await story.down('kept');
    expect([ledger.lines(), mine.lines(), kept.lines()]).toEqual([['lost'], ['began', 'ended'], ['began', 'ended']]);
  });
});
