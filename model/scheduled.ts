/** Workflows that a schedule of the Temporal server starts. It makes up their ids: what it is given, and the time at which they were due. */
import { CATALOG_UPDATE_ID } from './catalog-update.ts';
import { stableHash } from './identity.ts';

/** `-2030-01-02T03:04:05Z` */
const DUE = /-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;
/** What schedules are given as ids: of updates of catalogues, of jobs, of what is done to a cluster. */
const BASE = new RegExp(`^(?:${CATALOG_UPDATE_ID}|job/[^/]+/s[0-9a-f]{10}|hours/[^/]+/[^/]+/(?:up|down))$`);

/**
 * What payloads of a workflow are sealed for: its id, but for those that a schedule starts, whose start is sealed before the server makes up
 * their ids. All runs of one schedule may read each other's payloads.
 */
export function sealedFor(workflowId: string): string {
  const base = workflowId.replace(DUE, '');
  return BASE.test(base) ? base : workflowId;
}

/** Ids of the workflows of one making of a schedule of jobs, without their times: a name used again is another. */
export function scheduledJobsId(workspace: string, made: string): string {
  return `job/${workspace}/s${stableHash(['scheduled jobs', made], 10)}`;
}

/** The id of the workflow that is due at `at` (ms). */
export function scheduledId(base: string, at: number): string {
  return `${base}-${new Date(at).toISOString().slice(0, 19)}Z`;
}

export function jobScheduleId(workspace: string, name: string): string {
  return `job-schedule/${workspace}/${name}`;
}

/** A job's part in its schedule, in the input of its workflow. */
export interface JobOfSchedule {
  readonly name: string;
  /** Of this making of the schedule. */
  readonly made: string;
}
