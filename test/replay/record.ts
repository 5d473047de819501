/**
 * Records the histories of test/histories anew: `node test/replay/record.ts [NAME…]`. Only for shapes that are new; those that are
 * there are a promise to clusters that live now.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import protos, { type temporal } from '@temporalio/proto';
import { Keyring, type StoredKey, stored } from '../../system/keyring.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { World } from '../harness/world.ts';
import { SHAPES } from './shapes.ts';

const DIRECTORY = join(import.meta.dirname, '..', 'histories');
const wanted = process.argv.slice(2);

function encode(history: temporal.api.history.v1.IHistory): string {
  return Buffer.from(protos.temporal.api.history.v1.History.encode(history).finish()).toString('base64');
}

mkdirSync(DIRECTORY, { recursive: true });
const world = await World.start();
const client = await sealedTemporalClient(world.home);
for (const shape of SHAPES) {
  const file = join(DIRECTORY, `${shape.name}.json.gz`);
  if (wanted.length > 0 ? !wanted.includes(shape.name) : existsSync(file)) continue;
  const cluster = `g-${shape.name}`;
  await shape.run(world, cluster);
  // Of a world that is gone: what they seal is in the same file.
  const keys = new Keyring(world.home)
    .list()
    .filter(({ purpose }) => purpose === 'payload')
    .map(stored);
  const histories: { workflowId: string; type: string; history: string; keys: StoredKey[] }[] = [];
  // The index is a moment behind.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  for await (const { workflowId, runId, type } of client.workflow.list()) {
    const ofCluster =
      workflowId === `cluster/default/${cluster}` || workflowId.startsWith(`cluster/default/${cluster}/`);
    if (!(shape.workflows?.test(workflowId) ?? ofCluster)) continue;
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    histories.push({ workflowId, type, history: encode(history), keys });
  }
  writeFileSync(file, gzipSync(JSON.stringify(histories), { level: 9 }));
  console.log(`${shape.name}: ${histories.length} histories`);
}
await client.connection.close();
await world.end();
