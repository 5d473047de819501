/** Carries out what a managed job's transitions ask for. Each effect may be repeated; what takes time goes on beside the loop. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import type { RelaunchCommand } from '../model/cluster-relaunch.ts';
import { CLUSTER_WORKFLOW, type ClusterInput, type LaunchCommand } from '../model/commands.ts';
import { assertNever } from '../model/errors.ts';
import { clusterWorkflowId } from '../model/identity.ts';
import type { QueueTold } from '../model/job-queue.ts';
import type { ResourceRequest } from '../model/machines.ts';
import type { Copy, ManagedJobInput, ManagedJobState } from '../model/managed-job.ts';
import type { JobEffect } from '../model/managed-job-draft.ts';
import type { ManagedJobEvent } from '../model/managed-job-transition.ts';
import { taskIdOf } from '../model/managed-job-view.ts';
import type { OwnerCommand } from '../model/owned-cluster.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import type { Task } from '../model/task.ts';
import { failureOf } from './failures.ts';
import { ownerCommandSignal } from './messages.ts';
import { endMachinesOf, lookAt } from './owned-cluster.ts';
import { tell } from './parent.ts';
import { PooledJob } from './pooled-job.ts';
import { tellJobQueue } from './queue-told.ts';
import { longStep, step } from './steps.ts';
import { taskOfCopy } from './task-of-copy.ts';

/** The cloud is asked this often about the machines of a job that failed; then the exit code is believed. */
const VERIFY_TRIES = 8;
/** Of log collection: money runs meanwhile. */
const COLLECT_MS = 10 * 60_000;

type Start = Extract<JobEffect, { type: 'startCluster' | 'startProbe' | 'relaunch' }>;

export class JobEffects {
  private readonly input: ManagedJobInput;
  private readonly event: (event: ManagedJobEvent) => void;
  private readonly id = workflowInfo().workflowId;
  /** Of a job that runs in a pool. */
  private readonly pooled: PooledJob | null;
  private busy = 0;
  private readonly looking = new Set<string>();

  /** @param event takes what comes of an effect */
  constructor(input: ManagedJobInput, event: (event: ManagedJobEvent) => void) {
    this.input = input;
    this.event = event;
    this.pooled = input.pool === undefined ? null : new PooledJob(input, input.pool, event);
  }

  /** No step is under way. */
  get idle(): boolean {
    return this.busy === 0;
  }

  /** False when the cluster that it is for is no more. */
  async carryOut(effect: JobEffect, state: ManagedJobState): Promise<boolean> {
    switch (effect.type) {
      case 'startCluster':
      case 'startProbe':
        await this.startCluster(effect, state);
        return true;
      case 'relaunch':
        return await this.relaunch(effect, state);
      case 'cancelOnCluster':
        return await (this.pooled?.cancel(effect) ?? this.command(effect, 'cancel'));
      case 'endCluster':
        return await this.command(effect, 'down');
      case 'release':
        return await this.command(effect, 'release');
      case 'verify':
        this.beside(() => this.verify(effect.copy, effect.cluster));
        return true;
      case 'collect':
        this.beside(() => this.collect(effect.copy, effect.cluster, state));
        return true;
      case 'fence':
        this.beside(() => this.fence(effect.copy, effect.cluster));
        return true;
      case 'tellQueue':
        await this.tellQueue(effect.phase, state);
        return true;
      case 'askPool':
      case 'leavePool':
      case 'submitToWorker':
      case 'leaveWorker':
        return (await this.pooled?.carryOut(effect, state)) ?? true;
      default:
        return assertNever(effect);
    }
  }

  /** In case a report got lost, or the cluster's workflow was ended from outside. */
  look({ number: copy, cluster }: Pick<Copy, 'number' | 'cluster'>): void {
    if (this.looking.has(cluster)) return;
    this.looking.add(cluster);
    this.beside(async () => {
      try {
        const asked = lookAt(this.input.timing, this.clusterId(cluster), this.pooled?.guest(copy));
        const { state, report } = await asked;
        if (report !== null) this.event({ type: 'report', report });
        if (state !== 'running' && report?.status !== 'TERMINATED') this.event({ type: 'clusterLost', copy });
      } finally {
        this.looking.delete(cluster);
      }
    });
  }

  /** One that was ended from outside says nothing. */
  lookAtPipeline(workflowId: string, isGone: () => void): void {
    this.beside(async () => {
      const asked = step(this.input.timing, 'see that its pipeline runs').describe({ workflowIds: [workflowId] });
      if ((await asked)[workflowId] !== 'running') isGone();
    });
  }

  private beside(work: () => Promise<void>): void {
    this.busy += 1;
    work()
      .catch(() => undefined)
      .finally(() => {
        this.busy -= 1;
      });
  }

  private clusterId(name: string): string {
    return clusterWorkflowId(this.input.workspace, name);
  }

  private async startCluster(effect: Start, state: ManagedJobState): Promise<void> {
    const { workspace, installation, task, timing } = this.input;
    const number = state.number ?? 0;
    const taskId = taskIdOf(this.input, state);
    const input: ClusterInput = {
      version: 1,
      workspace,
      name: effect.cluster,
      installation,
      timing,
      owner: {
        workflowId: this.id,
        copy: effect.copy,
        taskId,
        ...(effect.type === 'startCluster' && effect.held === true ? { held: true } : {}),
        logs: { phases: task.setup === null ? ['run'] : ['setup', 'run'], secrets: task.secrets },
      },
      launch: this.launch(effect, number, taskId),
    };
    const started = startChild<(input: ClusterInput) => Promise<void>>(CLUSTER_WORKFLOW, {
      workflowId: this.clusterId(effect.cluster),
      taskQueue: CLUSTER_QUEUE,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      args: [input],
      staticSummary: `Cluster of managed job ${number}`,
    });
    await started.catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    });
  }

  private async relaunch(effect: Extract<Start, { type: 'relaunch' }>, state: ManagedJobState): Promise<boolean> {
    const launch = this.launch(effect, state.number ?? 0, taskIdOf(this.input, state));
    const command: RelaunchCommand = { kind: 'relaunch', copy: effect.copy, launch };
    return await tell(this.clusterId(effect.cluster), ownerCommandSignal, command);
  }

  private launch(effect: Start, number: number, taskId: string): LaunchCommand {
    const { user, resourcesText, conda, part } = this.input;
    const { numNodes } = this.input.task;
    const tried = effect.type === 'startProbe' ? null : effect.try;
    const task =
      tried === null ? machinesOnly(this.input.task) : taskOfCopy(this.input.task, number, taskId, tried, part);
    return {
      requestId: `copy-${effect.copy}`,
      user,
      task,
      spec: { resources: resourcesOf(task, effect), numNodes, resourcesText, ...(conda ? { conda } : {}) },
      retryUntilUp: false,
      autostop: null,
      noSetup: false,
      commandLine: `managed job ${number}, ${tried === null ? 'a look for spot machines' : `try ${tried}`}`,
    };
  }

  private async command(effect: { copy: number; cluster: string }, kind: OwnerCommand['kind']): Promise<boolean> {
    const requestId = `${kind}-${effect.copy}`;
    const command: OwnerCommand = { kind, requestId, user: this.input.user };
    return await tell(this.clusterId(effect.cluster), ownerCommandSignal, command);
  }

  private async verify(copy: number, cluster: string): Promise<void> {
    const asking = step(this.input.timing, `see whether the machines of ${cluster} run`, VERIFY_TRIES);
    const stands = await asking.machinesStand({ workflowId: this.clusterId(cluster) }).catch(() => true);
    this.event({ type: 'verified', copy, stands });
  }

  private async collect(copy: number, cluster: string, { copy: now }: ManagedJobState): Promise<void> {
    const { timing, task } = this.input;
    const asking = longStep(timing, `keep the logs of ${cluster}`, COLLECT_MS);
    const workflowId = this.clusterId(cluster);
    const isFirst = this.pooled === null && now?.costBefore === undefined;
    const jobId = isFirst ? {} : { jobId: now?.report?.job?.id ?? 0 };
    const kept = await asking
      .collectLogs({ workflowId, job: this.id, copy, ...jobId, secrets: task.secrets, timing })
      .catch((error: unknown) => ({ problem: failureOf(error).message }));
    this.event({ type: 'collected', copy, problem: kept.problem });
  }

  private async fence(copy: number, name: string): Promise<void> {
    await endMachinesOf(this.input.timing, this.clusterId(name), name);
    this.event({ type: 'fenced', copy });
  }

  private async tellQueue(phase: QueueTold['phase'], { number, copy }: ManagedJobState): Promise<void> {
    const { workspace, requestId, task, user, limits, timing } = this.input;
    const told: QueueTold = {
      id: requestId,
      number,
      priority: task.priority,
      phase,
      user,
      hourly: copy?.report?.hourly ?? 0,
      ...(phase === 'waiting' ? { limits } : {}),
    };
    await tellJobQueue({ workspace, limits, timing }, told);
  }
}

function machinesOnly(task: Task): Task {
  const { budget: _budget, ray: _ray, workdir: _workdir, fileMounts: _mounts, ...rest } = task;
  return { ...rest, setup: null, run: null, envs: {}, secrets: {}, autostop: null };
}

function onMarket({ others }: ResourceRequest, useSpot: boolean): Pick<ResourceRequest, 'useSpot' | 'others'> {
  return { useSpot, ...(others === undefined ? {} : { others: others.map((one) => ({ ...one, useSpot })) }) };
}

function resourcesOf({ resources }: Task, effect: Start): ResourceRequest {
  if (effect.type === 'relaunch') return resources;
  const market = effect.type === 'startProbe' ? 'spot' : effect.market;
  return {
    ...resources,
    ...(market === undefined ? {} : onMarket(resources, market === 'spot')),
    ...(effect.order === undefined ? {} : { order: effect.order }),
  };
}
