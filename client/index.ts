/** The typed API of Styx over Temporal: commands, reads, waits and logs. `connect()` is where to begin. */
export type { Config } from '../model/config/values.ts';
export type { ManagedJobResult } from '../model/managed-job.ts';
export { commandTask, parseJob, parseTask } from '../model/parse-task.ts';
export { resourcesText } from '../model/resources-text.ts';
export type { CommandOptions, LaunchRequest } from './clusters.ts';
export { type ConnectOptions, connect, type Styx } from './connect.ts';
export { openingConverter } from './converter.ts';
export type { ClusterCost, CostOptions, CostReport, Spent } from './costs.ts';
export type { Diagnosis, Finding } from './doctor.ts';
export type { FollowOptions, OperationEnd } from './follow.ts';
export type { HistoryEntry, HistoryKind, HistoryOptions } from './history.ts';
export type { ChildJob, JobRequest } from './jobs.ts';
export type { LogOptions, LogPiece } from './logs.ts';
export { type Dashboard, openDashboard, tokenOfRay, waitForRay } from './ray.ts';
export type { SetUpLog } from './set-up-logs.ts';
export type { ClusterSummary } from './summary.ts';
export type { SweepOptions } from './sweep.ts';
