/** All updates, queries and signals, typed, under the names of `model/commands.ts`. */

import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Claims } from '../model/cloud-resource.ts';
import type { RelaunchCommand } from '../model/cluster-relaunch.ts';
import {
  type ClusterView,
  type CommandAnswer,
  type CommandPayloads,
  type JobChanged,
  type MachinesMissing,
  type Observed,
  type OperationEnded,
  type PlacementFailedSignal,
  type PlacementGoneSignal,
  type PlacingSignal,
  type ProgressSignal,
  QUERIES,
  type RayChanged,
  type RayEnded,
  SIGNALS,
  UPDATES,
  type WatchEnded,
} from '../model/commands.ts';
import type { GroupHosts, GroupNodes } from '../model/group-hosts.ts';
import {
  type AbandonJob,
  JOB_QUERIES,
  JOB_SIGNALS,
  type JobSuccess,
  type RankEnded,
  type RunJob,
} from '../model/job-messages.ts';
import { QUEUE_QUERIES, QUEUE_SIGNALS, type QueueAnswer, type QueueTold, type QueueView } from '../model/job-queue.ts';
import type { MachineNotice } from '../model/machine-notices.ts';
import {
  MANAGED_UPDATES,
  type ManagedJobAnswer,
  type ManagedJobCommand,
  type ManagedJobInput,
  type ManagedJobView,
} from '../model/managed-job.ts';
import {
  type ClusterReport,
  type GuestCommand,
  type GuestRef,
  OWNER_SIGNALS,
  type OwnerCommand,
} from '../model/owned-cluster.ts';
import {
  GROUP_SIGNALS,
  PIPELINE_QUERIES,
  type PipelineInput,
  type PipelineView,
  TASK_SIGNALS,
  type TaskReport,
} from '../model/pipeline.ts';
import {
  type ApplyPoolCommand,
  type DownPoolCommand,
  POOL_QUERIES,
  POOL_SIGNALS,
  POOL_UPDATES,
  type PoolAnswer,
  type PoolPlaced,
  type PoolTold,
  type PoolView,
} from '../model/pool.ts';
import type { AutostopRule, Task } from '../model/task.ts';

export const commandUpdates = {
  launch: defineUpdate<CommandAnswer, [CommandPayloads['launch']]>(UPDATES.launch),
  exec: defineUpdate<CommandAnswer, [CommandPayloads['exec']]>(UPDATES.exec),
  cancel: defineUpdate<CommandAnswer, [CommandPayloads['cancel']]>(UPDATES.cancel),
  stop: defineUpdate<CommandAnswer, [CommandPayloads['stop']]>(UPDATES.stop),
  start: defineUpdate<CommandAnswer, [CommandPayloads['start']]>(UPDATES.start),
  down: defineUpdate<CommandAnswer, [CommandPayloads['down']]>(UPDATES.down),
  autostop: defineUpdate<CommandAnswer, [CommandPayloads['autostop']]>(UPDATES.autostop),
  ray: defineUpdate<CommandAnswer, [CommandPayloads['ray']]>(UPDATES.ray),
  ports: defineUpdate<CommandAnswer, [CommandPayloads['ports']]>(UPDATES.ports),
} as const;

export const viewQuery = defineQuery<ClusterView>(QUERIES.view);
export const secretsQuery = defineQuery<Task['secrets']>(JOB_QUERIES.secrets);
export const successQuery = defineQuery<JobSuccess | null>(JOB_QUERIES.success);
export const filesQuery = defineQuery<string[]>(QUERIES.files);
export const claimsQuery = defineQuery<Claims>(QUERIES.claims);
export const reportQuery = defineQuery<ClusterReport | null, [GuestRef?]>(QUERIES.report);

export const operationEndedSignal = defineSignal<[OperationEnded]>(SIGNALS.operationEnded);
export const placingSignal = defineSignal<[PlacingSignal]>(SIGNALS.placing);
export const progressSignal = defineSignal<[ProgressSignal]>(SIGNALS.progress);
export const placementFailedSignal = defineSignal<[PlacementFailedSignal]>(SIGNALS.placementFailed);
export const placementGoneSignal = defineSignal<[PlacementGoneSignal]>(SIGNALS.placementGone);
export const jobChangedSignal = defineSignal<[JobChanged]>(SIGNALS.jobChanged);
export const watchEndedSignal = defineSignal<[WatchEnded]>(SIGNALS.watchEnded);
export const observedSignal = defineSignal<[Observed]>(SIGNALS.observed);
export const machinesMissingSignal = defineSignal<[MachinesMissing]>(SIGNALS.machinesMissing);
export const rayChangedSignal = defineSignal<[RayChanged]>(SIGNALS.rayChanged);
export const rayEndedSignal = defineSignal<[RayEnded]>(SIGNALS.rayEnded);

export const runJobSignal = defineSignal<[RunJob]>(JOB_SIGNALS.run);
export const cancelJobSignal = defineSignal(JOB_SIGNALS.cancel);
export const abandonJobSignal = defineSignal<[AbandonJob]>(JOB_SIGNALS.abandon);
export const interruptJobSignal = defineSignal<[MachineNotice]>(JOB_SIGNALS.interrupt);
export const rankEndedSignal = defineSignal<[RankEnded]>(JOB_SIGNALS.rankEnded);

/** To provision and retire: end early. */
export const abortSignal = defineSignal('abort');
/** To a watch: the autostop rule changed. */
export const autostopSignal = defineSignal<[AutostopRule | null]>('autostop');
/** To a watch: end. */
export const endWatchSignal = defineSignal('end');

/** To a cluster, from the workflow that it belongs to; and back. */
export const ownerCommandSignal = defineSignal<[OwnerCommand | RelaunchCommand]>(OWNER_SIGNALS.command);
export const clusterReportSignal = defineSignal<[ClusterReport]>(OWNER_SIGNALS.report);
/** To a cluster of a pool, from a job that the pool gave to it. */
export const guestCommandSignal = defineSignal<[GuestCommand]>(OWNER_SIGNALS.guest);

/** To a pool, from a job; and back. */
export const tellPoolSignal = defineSignal<[PoolTold]>(POOL_SIGNALS.tell);
export const poolPlacedSignal = defineSignal<[PoolPlaced]>(POOL_SIGNALS.placed);
export const applyPool = defineUpdate<PoolAnswer, [ApplyPoolCommand]>(POOL_UPDATES.apply);
export const downPool = defineUpdate<PoolAnswer, [DownPoolCommand]>(POOL_UPDATES.down);
export const poolQuery = defineQuery<PoolView>(POOL_QUERIES.view);

export const cancelManagedJob = defineUpdate<ManagedJobAnswer, [ManagedJobCommand]>(MANAGED_UPDATES.cancel);
export const pauseManagedJob = defineUpdate<ManagedJobAnswer, [ManagedJobCommand]>(MANAGED_UPDATES.pause);
export const resumeManagedJob = defineUpdate<ManagedJobAnswer, [ManagedJobCommand]>(MANAGED_UPDATES.resume);
export const managedJobQuery = defineQuery<ManagedJobView>(QUERIES.view);
/** What was submitted, for whoever submits it again. */
export const submittedJobQuery = defineQuery<ManagedJobInput>(PIPELINE_QUERIES.submission);

export const pipelineQuery = defineQuery<PipelineView>(PIPELINE_QUERIES.view);
export const submittedPipelineQuery = defineQuery<PipelineInput>(PIPELINE_QUERIES.submission);
/** To a pipeline, from its tasks; and back. */
export const taskReportSignal = defineSignal<[TaskReport]>(TASK_SIGNALS.report);
export const cancelTaskSignal = defineSignal<[ManagedJobCommand]>(TASK_SIGNALS.cancel);
export const pauseTaskSignal = defineSignal<[ManagedJobCommand]>(TASK_SIGNALS.pause);
export const resumeTaskSignal = defineSignal<[ManagedJobCommand]>(TASK_SIGNALS.resume);
/** To the pipeline of a group, from the jobs of its tasks; and back. */
export const groupNodesSignal = defineSignal<[GroupNodes]>(GROUP_SIGNALS.nodes);
export const groupHostsSignal = defineSignal<[GroupHosts]>(GROUP_SIGNALS.hosts);

/** To the queue, from a job; and back. */
export const tellQueueSignal = defineSignal<[QueueTold]>(QUEUE_SIGNALS.tell);
export const queueAnswerSignal = defineSignal<[QueueAnswer]>(QUEUE_SIGNALS.answer);
export const queueQuery = defineQuery<QueueView>(QUEUE_QUERIES.view);
/** To a ray: end, with `clean` having ended what runs of it on the nodes. */
export const endRaySignal = defineSignal<[{ readonly clean: boolean }]>('endRay');
