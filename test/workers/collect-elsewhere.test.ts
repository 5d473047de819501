/** What a server knows nothing of is not nobody's when that server came in the place of another. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../client/connect.ts';
import { DirectoryStore } from '../../data/directory-store.ts';
import { takeSnapshot } from '../../data/snapshot.ts';
import { storeRoot } from '../../data/store-paths.ts';
import { homePaths } from '../../system/home.ts';
import { startTestServer, type TestServer, testDir } from '../harness/temporal.ts';

let server: TestServer;
const home = testDir();
beforeAll(async () => {
  server = await startTestServer({ database: 'memory' });
  Object.assign(process.env, server.env, { STYX_HOME: home, STYX_WORKERS: 'elsewhere' });
});
afterAll(async () => {
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

test('files of jobs are not collected on a server with another database, by a client that has seen the first one', async () => {
  const styx = await connect({ home, startServer: false });
  try {
    const store = new DirectoryStore(storeRoot(homePaths(home).store, await styx.installation()));
    const source = join(home, 'source');
    mkdirSync(source);
    writeFileSync(join(source, 'file'), 'needed by a job of the first server');
    const taken = await takeSnapshot(store, source, { cache: join(home, 'cache') });
    // Restarted without what it had.
    await server.restart();
    await expect(styx.collectFiles({ graceMs: 0 })).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('another database'),
    });
    expect((await store.readManifest(taken.snapshot.manifest)).length).toBeGreaterThan(0);
  } finally {
    await styx.close();
  }
  const anew = await connect({ home, startServer: false });
  expect(await anew.collectFiles({ graceMs: 0 })).toMatchObject({ manifests: 0 });
  await anew.close();
});
