/** The life of the worker process: connect, make sure of the namespace, poll until told to stop. */

import { rmSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import type { HostContext } from '../activities/context.ts';
import { cloudNamed } from '../clouds/registry.ts';
import { ERROR_POLICIES, StyxError } from '../model/errors.ts';
import { loadConfig } from '../system/config.ts';
import { ensurePrivateDir, styxHome, writeAtomically } from '../system/home.ts';
import { createLog, type Log } from '../system/log.ts';
import { self } from '../system/processes.ts';
import { ClusterGauges } from './cluster-gauges.ts';
import { collectFiles } from './collect-files.ts';
import { connectConfig, environmentConfig } from './connection.ts';
import { beginCounters, installTelemetry, type MetricsEndpoint, serveMetrics } from './metrics.ts';
import { metricsAddress } from './metrics-setting.ts';
import { ensureNamespace, type NamespaceInfo } from './namespace.ts';
import { removeOldLogs } from './old-logs.ts';
import type { CodecRule } from './payload-codec.ts';
import { type Periodic, periodically } from './periodic.ts';
import { sealedClient } from './sealing.ts';
import { LOOK_EVERY_MS, StoppedClusters } from './stopped-clusters.ts';
import { SWEEP_EVERY_MS, startSweep } from './sweeps.ts';
import { type ActivityMaps, createWorkers } from './worker.ts';

export interface WorkerCode {
  workflowBundle(): Promise<{ codePath: string }>;
  createActivities(host: HostContext): ActivityMaps | Promise<ActivityMaps>;
}

const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 1_000;
/** Once a day, also over restarts: the first time comes soon enough for a worker that lives for hours only. */
const TIDY_FIRST_MS = 20 * 60_000;
const TIDY_EVERY_MS = 24 * 60 * 60_000;

/**
 * Runs until SIGTERM or SIGINT; ends the process with 1 when the server is lost for good, so that a supervisor can start it again.
 * `--ready-file F` is written when the worker polls, and is not there before: what an earlier worker left is removed.
 */
export async function runWorkerProcess(code: WorkerCode): Promise<void> {
  const log = createLog('worker');
  try {
    await work(code, log);
  } catch (error) {
    log.error({ error }, 'the worker ends');
    process.exit(1);
  }
}

async function work(code: WorkerCode, log: Log): Promise<void> {
  const { values } = parseArgs({ options: { 'ready-file': { type: 'string' } } });
  const ready = values['ready-file'];
  if (ready !== undefined) rmSync(ready, { force: true });
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());

  const home = ensurePrivateDir(styxHome());
  const address = metricsAddress(process.env);
  const metrics = await installTelemetry(log, address !== null);
  const bundle = code.workflowBundle();
  bundle.catch(() => {});
  const connected = await connect(home, stop.signal, (message) => log.info(message));
  if (connected === null) return;
  const { connection, namespace, codec, info, serverIsLocal } = connected;
  const { dataConverter, interceptors } = sealedClient(home, codec);
  const client = new Client({ connection, namespace, dataConverter, interceptors: { workflow: interceptors } });
  const activities = await code.createActivities({ styxHome: home, namespace: info, client });
  const workers = await createWorkers({
    connection,
    namespace,
    workflowBundle: await bundle,
    activities,
    home,
    codec,
    serverIsLocal,
    log,
  });
  const running = Promise.all(workers.map((worker) => worker.run()));
  const shutDown = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  stop.signal.addEventListener('abort', shutDown);
  if (stop.signal.aborted) shutDown();
  let endpoint: MetricsEndpoint | null = null;
  if (address !== null && metrics !== null) {
    beginCounters(Object.values(activities).flatMap((map) => Object.keys(map)));
    endpoint = await serveMetrics(address, metrics, new ClusterGauges(client), log);
  }
  if (ready !== undefined) writeAtomically(ready, JSON.stringify({ ...self(), metrics: endpoint?.url ?? null }));
  // Not only at its end: the worker after one that was killed need not compile it all again.
  flushCompileCache();
  log.info(`polls after ${Math.round(performance.now())} ms`);
  const warn = (message: string) => log.warn(message);
  const { installation } = info;
  const { workflow } = client;
  const stopped = new StoppedClusters(client, installation, cloudNamed);
  const besides: readonly Periodic[] = [
    {
      failure: 'old files could not be taken out of the store',
      first: TIDY_FIRST_MS,
      every: TIDY_EVERY_MS,
      work: () => collectFiles(workflow, home, installation),
    },
    {
      failure: 'old output of managed jobs could not be removed',
      first: TIDY_FIRST_MS,
      every: TIDY_EVERY_MS,
      work: () => removeOldLogs(workflow, home),
    },
    {
      failure: 'a sweep could not be started',
      first: SWEEP_EVERY_MS,
      every: SWEEP_EVERY_MS,
      work: () => startSweep(workflow, installation),
    },
    {
      failure: 'the machines of stopped clusters could not be looked at',
      first: LOOK_EVERY_MS,
      every: LOOK_EVERY_MS,
      work: () => stopped.look(),
    },
  ];
  const tidying = besides.map((one) => periodically(one, stop.signal, warn));
  try {
    await running;
  } finally {
    stop.abort();
    endpoint?.close();
    await Promise.all(tidying);
    await connection.close().catch(() => {});
  }
}

interface Connected {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly codec: CodecRule;
  readonly info: NamespaceInfo;
  readonly serverIsLocal: boolean;
}

/** Tries until the server is there; null when told to stop meanwhile. */
async function connect(home: string, stop: AbortSignal, log: (message: string) => void): Promise<Connected | null> {
  const embedded = (await environmentConfig()) === null;
  const codecRule = embedded ? null : (await loadConfig({ home, project: null })).config.codec;
  let said = '';
  for (let wait = RETRY_FIRST_MS; !stop.aborted; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
    let connection: NativeConnection | undefined;
    try {
      // Read anew each time: a supervisor may choose other ports.
      const { connectionOptions, namespace, codec } = await connectConfig(home, process.env, codecRule);
      connection = await NativeConnection.connect(connectionOptions);
      const info = await ensureNamespace(connection, namespace, embedded);
      return { connection, namespace, codec, info, serverIsLocal: isLocal(connectionOptions.address) };
    } catch (error) {
      await connection?.close().catch(() => {});
      if (error instanceof StyxError && !ERROR_POLICIES[error.kind].retried) throw error;
      const message = (error as Error).message;
      if (message !== said) log(`waiting for the Temporal server: ${message}`);
      said = message;
      await sleep(wait);
    }
  }
  return null;
}

function isLocal(address: string | undefined): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(address ?? 'localhost');
}
