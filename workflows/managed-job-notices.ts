/** Sends a managed job's notices beside its loop: to each receiver in order, to all of them at the same time. */

import { workflowInfo } from '@temporalio/workflow';
import type { NotifiedJob } from '../activities/types.ts';
import { type Notice, sendable } from '../model/job-notices.ts';
import { type ManagedJobInput, type ManagedJobState, managedTaskId } from '../model/managed-job.ts';
import type { ManagedJobEvent } from '../model/managed-job-transition.ts';
import { NOTICES_MS } from '../model/timing.ts';
import { failureOf } from './failures.ts';
import { noticeStep } from './steps.ts';

export class NoticeSender {
  private readonly input: ManagedJobInput;
  private readonly event: (event: ManagedJobEvent) => void;
  private readonly busy = new Set<string>();
  private asking = false;

  /** @param event takes what comes of it */
  constructor(input: ManagedJobInput, event: (event: ManagedJobEvent) => void) {
    this.input = input;
    this.event = event;
  }

  /** Begins what can be begun. A run that ends meanwhile leaves it to the next one, which sends again what is pending. */
  pump(state: ManagedJobState): void {
    const { notices } = state;
    if (notices.pending.length === 0) return;
    if (notices.receivers === null) {
      if (!this.asking) void this.ask(this.about(state));
      return;
    }
    for (const { key, notice } of sendable(notices, this.busy)) void this.send(key, notice, this.about(state));
  }

  private about({ number, submittedAt }: ManagedJobState): NotifiedJob {
    const { workspace, user, task } = this.input;
    const taskId = number === null ? null : managedTaskId(task.name, number, submittedAt);
    return { workflowId: workflowInfo().workflowId, number, name: task.name, workspace, user, taskId };
  }

  private async ask(job: NotifiedJob): Promise<void> {
    this.asking = true;
    const { timing } = this.input;
    try {
      const receivers = await noticeStep(timing, 'who wants to be told of its states').receiversOf({ job, timing });
      this.event({ type: 'receivers', receivers, problem: null });
    } catch (error) {
      this.event({ type: 'receivers', receivers: [], problem: failureOf(error).message });
    } finally {
      this.asking = false;
    }
  }

  private async send(key: string, notice: Notice, job: NotifiedJob): Promise<void> {
    const { timing } = this.input;
    this.busy.add(key);
    let problem: string | null;
    try {
      const giveUpAt = notice.at + (timing.noticesFor ?? NOTICES_MS);
      const { to: _to, ...told } = notice;
      const sending = noticeStep(timing, `tell that it is ${notice.status}`);
      problem = (await sending.sendNotice({ receiver: key, job, notice: told, giveUpAt, timing })).problem;
    } catch (error) {
      problem = failureOf(error).message;
    }
    this.busy.delete(key);
    this.event({ type: 'noticed', seq: notice.seq, key, problem });
  }
}
