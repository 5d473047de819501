/** A managed job that runs in a pool: what it tells the pool, and the worker that the pool gave it. */
import { workflowInfo } from '@temporalio/workflow';
import { clusterWorkflowId } from '../model/identity.ts';
import { type ManagedJobInput, type ManagedJobState, managedTaskId } from '../model/managed-job.ts';
import type { JobEffect } from '../model/managed-job-draft.ts';
import type { ManagedJobEvent } from '../model/managed-job-transition.ts';
import type { GuestCommand, GuestRef } from '../model/owned-cluster.ts';
import { poolId } from '../model/pool.ts';
import { guestCommandSignal, tellPoolSignal } from './messages.ts';
import { tell } from './parent.ts';
import { taskOfCopy } from './task-of-copy.ts';

type PooledEffect = Extract<JobEffect, { type: 'askPool' | 'leavePool' | 'submitToWorker' | 'leaveWorker' }>;

export class PooledJob {
  private readonly input: ManagedJobInput;
  private readonly pool: string;
  private readonly event: (event: ManagedJobEvent) => void;
  private readonly id = workflowInfo().workflowId;

  constructor(input: ManagedJobInput, pool: string, event: (event: ManagedJobEvent) => void) {
    this.input = input;
    this.pool = poolId(input.workspace, pool);
    this.event = event;
  }

  guest(copy: number): GuestRef {
    return { workflowId: this.id, copy };
  }

  /** False when the worker that it is for is no more. */
  async carryOut(effect: PooledEffect, state: ManagedJobState): Promise<boolean> {
    const { copy } = effect;
    switch (effect.type) {
      case 'askPool':
        await this.ask(copy, state);
        return true;
      case 'leavePool':
        await tell(this.pool, tellPoolSignal, { phase: 'leave', id: this.id, copy, lost: effect.lost });
        return true;
      case 'submitToWorker':
        return await this.submit(effect, state);
      case 'leaveWorker':
        await this.say(effect.cluster, { kind: 'leave', guest: this.guest(copy) });
        return true;
    }
  }

  async cancel({ copy, cluster }: { copy: number; cluster: string }): Promise<boolean> {
    return await this.say(cluster, { kind: 'cancel', guest: this.guest(copy) });
  }

  private async ask(copy: number, { number }: ManagedJobState): Promise<void> {
    const { priority, numNodes, demand } = this.input.task;
    const job = { id: this.id, copy, number: number ?? 0, priority, numNodes, demand };
    if (!(await tell(this.pool, tellPoolSignal, { phase: 'ask', ...job }))) this.event({ type: 'poolAway' });
  }

  private async submit(
    effect: Extract<JobEffect, { type: 'submitToWorker' }>,
    state: ManagedJobState,
  ): Promise<boolean> {
    const { task, user } = this.input;
    const number = state.number ?? 0;
    const taskId = managedTaskId(task.name, number, state.submittedAt);
    return await this.say(effect.cluster, {
      kind: 'submit',
      guest: this.guest(effect.copy),
      user,
      task: taskOfCopy(task, number, taskId, effect.try),
      taskId,
      commandLine: `managed job ${number}, try ${effect.try}`,
    });
  }

  private async say(cluster: string, command: GuestCommand): Promise<boolean> {
    return await tell(clusterWorkflowId(this.input.workspace, cluster), guestCommandSignal, command);
  }
}
