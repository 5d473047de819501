/** What jobs and pipelines tell the queue of their workspace, which is started when it is not there. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, startChild } from '@temporalio/workflow';
import { QUEUE_WORKFLOW, type QueueTold, queueId } from '../model/job-queue.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import { tellQueueSignal } from './messages.ts';
import { tell } from './parent.ts';
import type { QueueInput } from './queue.ts';

export async function tellJobQueue(
  { workspace, limits, timing }: Pick<QueueInput, 'workspace' | 'limits' | 'timing'>,
  told: QueueTold,
): Promise<void> {
  const id = queueId(workspace);
  while (!(await tell(id, tellQueueSignal, told))) {
    const input: QueueInput = { version: 1, workspace, limits, timing };
    const started = startChild<(input: QueueInput) => Promise<void>>(QUEUE_WORKFLOW, {
      workflowId: id,
      taskQueue: CLUSTER_QUEUE,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      args: [input],
      staticSummary: `Managed jobs of workspace ${workspace}`,
    });
    await started.catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    });
  }
}
