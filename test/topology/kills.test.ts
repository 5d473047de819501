import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Story } from '../guarantees/story.ts';
import { missing, type Production } from '../harness/production.ts';
import type { World } from '../harness/world.ts';
import { held, startTopology } from './two-workers.ts';

const why = missing() ?? (process.env.STYX_TEST_SERVER === 'postgres' ? null : 'npm run test:postgres runs it');
if (why !== null) console.log(`SKIPPED: kills and restored backups on PostgreSQL: ${why}`);

describe.skipIf(why !== null)('on PostgreSQL, with two workers', () => {
  let server: Production;
  let world: World;
  let story: Story;

  beforeAll(async () => {
    ({ server, world } = await startTopology());
    story = new Story(world, world.styx.clusters);
  });
  afterAll(async () => {
    await story.nothingLeft();
    await world.end();
  });

  test('workers, Temporal and PostgreSQL are killed one after the other while jobs run, and each job runs once', async () => {
    const jobs = ['kills-1', 'kills-2'].map((name) => ({ name, job: held(story, name) }));
    const ids = await Promise.all(jobs.map(({ name, job }) => story.up(name, job.yaml)));
    await Promise.all(jobs.map(({ job }) => job.began()));
    await world.killWorker();
    await world.startWorker();
    await world.killWorker();
    await world.killServer();
    await world.startWorker();
    await server.postgres.kill9();
    await server.postgres.start();
    for (const { job } of jobs) job.release();
    await Promise.all(jobs.map(({ name }, index) => story.jobEnds(name, ids[index] ?? 0, 'SUCCEEDED')));
    await Promise.all(jobs.map(({ name }) => story.down(name)));
    for (const { job } of jobs) expect(job.lines()).toEqual(['began', 'ended']);
  });

  test('a backup that was taken with a cluster up brings it back: its job goes on, new ones run, and it is taken down', async () => {
    const { postgres } = server;
    const job = held(story, 'kept');
    const id = await story.up('kept', job.yaml);
    await job.began();
    // As docs/operating.md says: each database in one snapshot.
    const databases = ['temporal', 'temporal_visibility'];
    const dumps = databases.map((name) => join(postgres.directory, `${name}.dump`));
    await Promise.all(databases.map((name, index) => postgres.tool('pg_dump', '-Fc', '-f', dumps[index] ?? '', name)));
    const ledger = world.ledger('after-the-backup');
    const later = await story.exec('kept', `run: echo later >> ${ledger.path}`);
    await story.jobEnds('kept', later.jobId, 'SUCCEEDED');

    await server.kill9();
    for (const [index, name] of databases.entries()) {
      await postgres.tool('dropdb', '--force', name);
      await postgres.tool('createdb', name);
      await postgres.tool('pg_restore', '-d', name, dumps[index] ?? '');
    }
    await server.restart();

    await story.status('kept', 'UP');
    const again = await story.exec('kept', `run: echo again >> ${ledger.path}`);
    expect(again.jobId).toBe(later.jobId);
    await story.jobEnds('kept', again.jobId, 'SUCCEEDED');
    job.release();
    await story.jobEnds('kept', id, 'SUCCEEDED');
    await story.down('kept');
    expect(job.lines()).toEqual(['began', 'ended']);
    expect(ledger.lines()).toEqual(['later', 'again']);
  });
});
