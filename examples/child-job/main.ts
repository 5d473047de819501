/**
 * A worker with a bundle and a task queue of its own, and one run of its workflow. Ctrl-C cancels it.
 * Run it against a Temporal server of your own, whose `codec` is `optional`: TEMPORAL_ADDRESS=… node examples/child-job/main.ts 'nvidia-smi'
 */
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { openingConverter } from '../../client/index.ts';
import * as activities from './activities.ts';
import type { nightly } from './workflow.ts';

// Ctrl-C is for the workflow; the worker ends when that has.
Runtime.install({ shutdownSignals: [] });
const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
const taskQueue = 'nightly-work';
// What Styx answers is sealed.
const dataConverter = openingConverter();
const connection = await NativeConnection.connect(connectionOptions);
const workflowsPath = join(import.meta.dirname, 'workflow.ts');
const worker = await Worker.create({ connection, namespace, taskQueue, workflowsPath, activities, dataConverter });
const client = new Client({ connection: await Connection.connect(connectionOptions), namespace, dataConverter });

const { status, number, cost } = await worker.runUntil(async () => {
  const [command = 'echo hello'] = process.argv.slice(2);
  const run = await client.workflow.start<typeof nightly>('nightly', {
    taskQueue,
    workflowId: `nightly-${Date.now()}`,
    args: [command],
  });
  process.on('SIGINT', () => run.cancel());
  return await run.result();
});
console.log(`job ${number} is ${status} and has cost $${cost.toFixed(2)}`);
await client.connection.close();
await connection.close();
