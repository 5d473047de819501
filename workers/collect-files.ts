/** Takes out of the store of snapshots what no workflow needs any more. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ScheduleClient, ScheduleNotFoundError, type WorkflowClient } from '@temporalio/client';
import { DirectoryStore } from '../data/directory-store.ts';
import { pruneStatCaches } from '../data/stat-cache.ts';
import type { Collected } from '../data/store.ts';
import { storeRoot } from '../data/store-paths.ts';
import { CLUSTER_WORKFLOW, FILES_MEMO, JOB_WORKFLOW, QUERIES } from '../model/commands.ts';
import { MANAGED_JOB_WORKFLOW } from '../model/managed-job.ts';
import { PIPELINE_WORKFLOW } from '../model/pipeline.ts';
import { POOL_WORKFLOW } from '../model/pool.ts';
import { homePaths } from '../system/home.ts';
import { mustBeInstallation } from './namespace.ts';

/** A snapshot that was taken or needed again more recently is kept: its command may be on the way. */
const GRACE_MS = 24 * 60 * 60_000;
/** How far lists of workflows may be behind. */
const LISTS_BEHIND_MS = 3_000;

const SCHEDULES_WITH_FILES = /^(?:job|cluster)-schedule\//;

export interface CollectOptions {
  /** Default: a day. */
  readonly graceMs?: number;
  readonly listsBehindMs?: number;
}

/**
 * @throws what the server answers when one cluster cannot be asked, and refused when the server is another one than that of `installation`,
 * on which all would seem to be nobody's: then nothing is taken
 */
export async function collectFiles(
  workflow: WorkflowClient,
  home: string,
  installation: string,
  options: CollectOptions = {},
): Promise<Collected> {
  const paths = homePaths(home);
  const live = await liveManifests(workflow, options.listsBehindMs ?? LISTS_BEHIND_MS);
  // After the lists: these were of the server that answers now, or of one that was there before.
  await mustBeInstallation(workflow, installation);
  pruneStatCaches(paths.storeCache);
  return await new DirectoryStore(storeRoot(paths.store, installation)).collect(live, options.graceMs ?? GRACE_MS);
}

/**
 * A managed job needs its own as long as it lives, and a pipeline those of all its tasks. Any other that waits is with its cluster until its own workflow starts, and then with that. Clusters are asked first, so that one that moves
 * meanwhile is seen in either place.
 */
async function liveManifests(workflow: WorkflowClient, listsBehindMs: number): Promise<Set<string>> {
  const live = new Set<string>();
  for await (const { workflowId } of workflow.list({ query: running(CLUSTER_WORKFLOW) })) {
    for (const manifest of await held(workflow, workflowId)) live.add(manifest);
  }
  // A job that a schedule has just started is listed by now, or its schedule was still there.
  for (const manifest of await heldBySchedules(workflow)) live.add(manifest);
  await sleep(listsBehindMs);
  for (const type of [JOB_WORKFLOW, MANAGED_JOB_WORKFLOW, PIPELINE_WORKFLOW, POOL_WORKFLOW]) {
    for await (const { memo } of workflow.list({ query: running(type) })) {
      const manifests = memo?.[FILES_MEMO];
      if (Array.isArray(manifests)) for (const manifest of manifests) live.add(String(manifest));
    }
  }
  return live;
}

function running(type: string): string {
  return `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`;
}

async function held(workflow: WorkflowClient, workflowId: string): Promise<readonly string[]> {
  try {
    return await workflow.getHandle(workflowId).query<string[], []>(QUERIES.files);
  } catch (error) {
    // It has ended meanwhile, and was forgotten.
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') return [];
    throw error;
  }
}

/** What their next runs need. */
async function heldBySchedules({ connection, options }: WorkflowClient): Promise<string[]> {
  const { namespace, loadedDataConverter: dataConverter } = options;
  const schedules = new ScheduleClient({ connection, namespace, dataConverter });
  const found: string[] = [];
  for await (const { scheduleId } of schedules.list()) {
    if (!SCHEDULES_WITH_FILES.test(scheduleId)) continue;
    try {
      const { action } = await schedules.getHandle(scheduleId).describe();
      const manifests = action.memo?.[FILES_MEMO];
      if (Array.isArray(manifests)) found.push(...manifests.map(String));
    } catch (error) {
      // It was deleted meanwhile.
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    }
  }
  return found;
}
