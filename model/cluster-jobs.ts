/** The jobs' part of a cluster's transitions: queueing, placing, following and ending them. */
import { machinesChange, type NewJob } from './cluster.ts';
import type { Draft } from './cluster-draft.ts';
import { interruptedRanks } from './cluster-notices.ts';
import { generation } from './cluster-state.ts';
import type { JobChanged, JobProgressed } from './commands.ts';
import { jobKey, numberOnNodes } from './identity.ts';
import { type Allotment, isTerminalJob, JOB_TRANSITIONS, type JobRow, type JobStatus } from './job.ts';
import { type Schedule, schedule } from './schedule.ts';
import type { Task } from './task.ts';

/** A job's resources as its row shows them: `2x[CPU:0.5]`, `1x[A100:8]`. */
function demandText(task: Task): string {
  const gpus = task.resources.accelerators;
  const each = gpus !== null && task.demand.gpus > 0 ? `${gpus.name}:${task.demand.gpus}` : `CPU:${task.demand.cpus}`;
  return `${task.numNodes}x[${each}]`;
}

/** Gives a task a number; null for a task with nothing to run and no files to bring. */
export function numberJob(draft: Draft, task: Task, withSetup: boolean, user: string): NewJob | null {
  const hasSetup = withSetup && task.setup !== null;
  const hasFiles = task.workdir !== undefined || task.fileMounts !== undefined;
  if (task.run === null && !hasSetup && !hasFiles) return null;
  const id = draft.state.nextJobId;
  draft.set({ nextJobId: id + 1, lastSubmitAt: draft.now });
  return { id, task, withSetup: hasSetup, user, submittedAt: draft.now };
}

/** Puts a numbered job into the queue and starts its workflow. */
export function submitJob(draft: Draft, job: NewJob): void {
  const { task } = job;
  const row: JobRow = {
    id: job.id,
    name: task.name,
    user: job.user,
    status: canSchedule(draft) ? 'PENDING' : 'INIT',
    reason: null,
    submittedAt: job.submittedAt,
    startedAt: null,
    endedAt: null,
    numNodes: task.numNodes,
    demand: task.demand,
    priority: task.priority,
    maxDuration: task.maxDuration,
    hasSetup: job.withSetup,
    ...(Object.keys(task.secrets ?? {}).length > 0 ? { hasSecrets: true } : {}),
    ...(task.ray === undefined ? {} : { ray: true }),
    hasRun: task.run !== null,
    resources: demandText(task),
    allotment: null,
    exitCodes: null,
  };
  draft.set({ jobs: [...draft.state.jobs, row] });
  draft.effect({ type: 'startJob', job });
}

function setJob(draft: Draft, id: number, change: Partial<JobRow>): void {
  draft.set({ jobs: draft.state.jobs.map((job) => (job.id === id ? { ...job, ...change } : job)) });
}

/** Ends a job's row here and now; what its workflow says later is ignored. */
export function endJob(draft: Draft, job: JobRow, status: JobStatus, reason: string | null): void {
  if (isTerminalJob(job.status)) return;
  setJob(draft, job.id, { status, reason, endedAt: draft.now });
  draft.set({ finishedJobs: draft.state.finishedJobs + 1, lastJobEndedAt: draft.now });
}

/** Ends all live jobs (or those that `which` picks) because machines go away. */
export function abandonJobs(
  draft: Draft,
  status: JobStatus,
  reason: string,
  options: { killRest?: boolean; which?: (job: JobRow) => boolean } = {},
): void {
  for (const job of draft.state.jobs) {
    if (isTerminalJob(job.status) || options.which?.(job) === false) continue;
    draft.effect({
      type: 'abandonJob',
      jobId: job.id,
      end: { status, reason, killRest: options.killRest ?? false },
    });
    endJob(draft, job, status, reason);
  }
}

/** Jobs whose own workflow was ended from outside: their processes are ended by somebody else. */
export function jobsCrashed(draft: Draft, ids: readonly number[]): void {
  for (const job of draft.state.jobs) {
    if (isTerminalJob(job.status) || !ids.includes(job.id)) continue;
    const ranks = job.allotment?.nodes ?? [];
    const nodes = draft.state.nodes.filter((node) => ranks.includes(node.rank));
    const life = job.life === undefined ? {} : { life: job.life };
    if (nodes.length > 0) draft.effect({ type: 'reapJob', jobId: job.id, nodes, ...life });
    endJob(draft, job, 'FAILED_DRIVER', "the job's workflow was ended from outside");
  }
}

export function jobChanged(draft: Draft, change: JobChanged): void {
  if (change.generation !== generation(draft.state)) return;
  const job = draft.state.jobs.find((row) => row.id === change.jobId);
  if (job !== undefined && job.life === undefined && change.life !== undefined)
    setJob(draft, job.id, { life: change.life });
  if (job === undefined || !JOB_TRANSITIONS[job.status].includes(change.status)) return;
  if (isTerminalJob(change.status)) {
    endJob(draft, job, change.status, change.reason);
    const { exitCodes, at: endedAt, outputs } = change;
    setJob(draft, job.id, { exitCodes, endedAt, ...(outputs === undefined ? {} : { outputs }) });
    return;
  }
  setJob(draft, job.id, { status: change.status, reason: change.reason, startedAt: job.startedAt ?? change.at });
}

/** What its script says of itself, as it says it. */
export function jobProgressed(draft: Draft, { jobKey: key, line }: JobProgressed): void {
  const of = generation(draft.state);
  const job = draft.state.jobs.find(({ id, life }) => jobKey(of, numberOnNodes(id, life)) === key);
  if (job !== undefined) setJob(draft, job.id, { progress: line });
}

function nodesForQueue(draft: Draft) {
  const lost = interruptedRanks(draft.state);
  for (const { rank } of draft.state.lost) lost.add(rank);
  return draft.state.nodes
    .filter((node) => !lost.has(node.rank))
    .map(({ rank, cpus, gpus, memory }) => ({ rank, cpus, gpus, memory }));
}

function canSchedule(draft: Draft): boolean {
  const { status } = draft.state;
  return !machinesChange(draft.state) && (status === 'UP' || status === 'UNHEALTHY');
}

/** Others pass it: what it waits for is no room. */
function waitsForRay(draft: Draft, job: JobRow): boolean {
  if (job.ray !== true || job.allotment !== null || isTerminalJob(job.status)) return false;
  return draft.state.ray?.status !== 'UP';
}

function plan(draft: Draft): Schedule {
  const live = draft.state.jobs.filter((job) => !isTerminalJob(job.status));
  const placed = live.filter((job): job is JobRow & { allotment: Allotment } => job.allotment !== null);
  return schedule({
    nodes: nodesForQueue(draft),
    running: placed.map(({ id, allotment, demand, startedAt, maxDuration }) => ({
      id,
      allotment,
      demand,
      startedAt: startedAt ?? draft.now,
      maxDuration,
    })),
    waiting: live
      .filter((job) => job.allotment === null && !waitsForRay(draft, job))
      .map(({ id, numNodes, demand, priority, maxDuration }) => ({ id, numNodes, demand, priority, maxDuration })),
    now: draft.now,
    policy: draft.state.queuePolicy,
  });
}

/** Why each waiting job waits, by job id, for people. */
export function waitReasons(draft: Draft): Record<string, string> {
  if (!canSchedule(draft)) return {};
  const { ray } = draft.state;
  const doing = ray == null || ray.reason === '' ? '' : `: ${ray.reason}`;
  const forRay = draft.state.jobs
    .filter((job) => waitsForRay(draft, job))
    .map(({ id }) => [id, `waits for Ray${doing}`]);
  return Object.fromEntries([...plan(draft).waits.map(({ id, reason }) => [String(id), reason]), ...forRay]);
}

/** Starts what the queue lets start now. */
export function runQueue(draft: Draft): void {
  if (!canSchedule(draft) || draft.state.held === true) return;
  const { placement } = draft.state;
  const address = draft.state.ray?.address ?? null;
  if (placement === null || !draft.state.jobs.some((job) => !isTerminalJob(job.status) && job.allotment === null))
    return;
  const decided = plan(draft);
  if (nodesForQueue(draft).length === draft.state.nodes.length) {
    for (const { id, reason } of decided.impossible) {
      abandonJobs(draft, 'FAILED_DRIVER', reason, { which: (job) => job.id === id });
    }
  }
  const byRank = new Map(draft.state.nodes.map((node) => [node.rank, node]));
  for (const { id, allotment } of decided.starts) {
    const usesRay = draft.state.jobs.some((job) => job.id === id && job.ray === true);
    setJob(draft, id, { allotment, status: 'PENDING' });
    draft.effect({
      type: 'runJob',
      jobId: id,
      run: {
        allotment,
        nodes: allotment.nodes.flatMap((rank) => byRank.get(rank) ?? []),
        clusterInfo: { cloud: placement.cloud, region: placement.region, zone: placement.zone },
        ...(draft.state.spec?.conda === true ? { conda: true } : {}),
        ...(usesRay && address !== null ? { ray: address } : {}),
      },
    });
  }
}

/** The cluster is up: jobs that waited for that now wait for room. */
export function admitJobs(draft: Draft): void {
  draft.set({
    jobs: draft.state.jobs.map((job) => (job.status === 'INIT' ? { ...job, status: 'PENDING' } : job)),
  });
}
