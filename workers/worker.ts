import { type NativeConnection, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import { ACTIVITY_QUEUE, CHILD_QUEUE, CLUSTER_QUEUE, NOTICE_QUEUE, WATCH_QUEUE, WATCH_SLOTS } from '../model/queues.ts';
import type { Log } from '../system/log.ts';
import type { CodecRule } from './payload-codec.ts';
import { sealedWorker } from './sealing.ts';
import { telemetrySinks } from './told.ts';

type ActivityMap = object;

export interface ActivityMaps {
  readonly actQueue: ActivityMap;
  readonly watchQueue: ActivityMap;
  readonly noticeQueue: ActivityMap;
}

export interface WorkerSettings {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly workflowBundle: WorkflowBundleOption;
  readonly activities: ActivityMaps;
  /** Data directory with the keys. */
  readonly home: string;
  readonly codec: CodecRule;
  /** The Temporal server runs on this machine. */
  readonly serverIsLocal: boolean;
  readonly log: Log;
}

/**
 * Every workflow task replays its workflow. A query that is dispatched to a worker with the workflow in its cache brings along events
 * that belong to no workflow task yet, and the cached run takes them in: what it then does is not what a replay does
 * (docs/decisions/011-no-workflow-cache.md). Histories are kept short instead: `Timing.historyEvents`.
 */
const NO_CACHE = 0;
/**
 * Tasks of children at a time. A local server shares the processors with the worker: one at a time leaves room for commands (half as
 * many launches again are accepted a second as with two) and is as fast. With one farther away most of a task's time is its way.
 */
const CHILD_SLOTS = { local: 1, remote: 20 } as const;
const ACTIVITY_SLOTS = 100;
const NOTICE_SLOTS = 50;
/** Short steps are let finish; watches hand over at once. */
const STEP_GRACE = '10s';
const WATCH_GRACE = 0;
const FORCE = '30s';

export async function createWorkers(settings: WorkerSettings): Promise<Worker[]> {
  const { connection, namespace, home, codec, serverIsLocal } = settings;
  const common = { connection, namespace, shutdownForceTime: FORCE } as const;
  const workflows = {
    ...common,
    workflowBundle: settings.workflowBundle,
    shutdownGraceTime: STEP_GRACE,
    maxCachedWorkflows: NO_CACHE,
    dataConverter: sealedWorker(home, codec, 'workflows'),
    sinks: telemetrySinks(settings.log),
  } as const;
  const activityData = sealedWorker(home, codec, 'activities');
  return await Promise.all([
    Worker.create({ ...workflows, taskQueue: CLUSTER_QUEUE }),
    Worker.create({
      ...workflows,
      taskQueue: CHILD_QUEUE,
      maxConcurrentWorkflowTaskExecutions: serverIsLocal ? CHILD_SLOTS.local : CHILD_SLOTS.remote,
    }),
    Worker.create({
      ...common,
      taskQueue: ACTIVITY_QUEUE,
      activities: settings.activities.actQueue,
      shutdownGraceTime: STEP_GRACE,
      maxConcurrentActivityTaskExecutions: ACTIVITY_SLOTS,
      dataConverter: activityData,
    }),
    Worker.create({
      ...common,
      taskQueue: NOTICE_QUEUE,
      activities: settings.activities.noticeQueue,
      shutdownGraceTime: STEP_GRACE,
      maxConcurrentActivityTaskExecutions: NOTICE_SLOTS,
      dataConverter: activityData,
    }),
    Worker.create({
      ...common,
      taskQueue: WATCH_QUEUE,
      activities: settings.activities.watchQueue,
      shutdownGraceTime: WATCH_GRACE,
      maxConcurrentActivityTaskExecutions: WATCH_SLOTS,
      dataConverter: activityData,
    }),
  ]);
}
