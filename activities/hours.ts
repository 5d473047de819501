/** Sends a cluster the command that its schedule is for. The cluster remembers the request id, so that sent twice it is carried out once. */
import { WithStartWorkflowOperation } from '@temporalio/client';
import { ApplicationFailure, type Workflow, WorkflowNotFoundError } from '@temporalio/common';
import { msToTs } from '@temporalio/common/lib/time.js';
import type { CommandAnswer } from '../model/cluster.ts';
import { CLUSTER_WORKFLOW, type CommandPayloads, UPDATES } from '../model/commands.ts';
import { isErrorKind, StyxError } from '../model/errors.ts';
import { clusterWorkflowId } from '../model/identity.ts';
import { clusterScheduleId, type HoursResult } from '../model/office-hours.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import type { ActActivities, CommandClusterInput } from './types.ts';

export function hoursSteps({ client }: ActivityContext): Pick<ActActivities, 'commandCluster'> {
  return {
    async commandCluster(input: CommandClusterInput): Promise<HoursResult> {
      if (await overtaken(input)) return { outcome: 'overtaken', note: 'the other side was due meanwhile' };
      try {
        const { note } = await send(input);
        crashPoint('commandCluster.called');
        return { outcome: 'sent', note: note ?? '' };
      } catch (error) {
        const failure = asStyxError(error, input.command.kind === 'launch');
        const ends = input.command.kind === 'stop' || input.command.kind === 'down';
        if (failure.kind === 'not-found' && ends) return { outcome: 'sent', note: 'there is no such cluster' };
        throw failure;
      }
    },
  };

  /** What comes late must not undo what came after it: a stop of yesterday evening is not for this morning's cluster. */
  async function overtaken({ workspace, cluster, side, due }: CommandClusterInput): Promise<boolean> {
    const { workflowService, options } = client.workflow;
    const { namespace } = options;
    const scheduleId = clusterScheduleId(workspace, cluster, side === 'up' ? 'down' : 'up');
    try {
      const { schedule } = await workflowService.describeSchedule({ namespace, scheduleId });
      if (schedule?.state?.paused === true) return false;
      const span = { startTime: msToTs(due), endTime: msToTs(Date.now()) };
      const { startTime = [] } = await workflowService.listScheduleMatchingTimes({ namespace, scheduleId, ...span });
      return startTime.length > 0;
    } catch (error) {
      if ((error as { code?: unknown }).code === NOT_FOUND) return false;
      throw error;
    }
  }

  async function send({ workspace, cluster, user, command, requestId }: CommandClusterInput): Promise<CommandAnswer> {
    const workflowId = clusterWorkflowId(workspace, cluster);
    if (command.kind === 'launch') {
      const payload: CommandPayloads['launch'] = { ...command.payload, requestId };
      return await client.workflow.executeUpdateWithStart<Workflow, CommandAnswer, [CommandPayloads['launch']]>(
        UPDATES.launch,
        {
          args: [payload],
          updateId: requestId,
          startWorkflowOperation: new WithStartWorkflowOperation(CLUSTER_WORKFLOW, {
            workflowId,
            taskQueue: CLUSTER_QUEUE,
            args: [command.cluster],
            workflowIdConflictPolicy: 'USE_EXISTING',
            workflowIdReusePolicy: 'ALLOW_DUPLICATE',
            staticSummary: `Cluster ${cluster}`,
          }),
        },
      );
    }
    const payload = { requestId, user, ...(command.kind === 'start' ? { retryUntilUp: true } : {}) };
    return await client.workflow
      .getHandle(workflowId)
      .executeUpdate<CommandAnswer, [typeof payload]>(UPDATES[command.kind], { args: [payload], updateId: requestId });
  }
}

const NOT_FOUND = 5;

/** What the cluster said, by its kind; all else is worth another try. */
function asStyxError(error: unknown, launches: boolean): StyxError {
  // Of a launch: the cluster's workflow ended between the two halves of the call.
  if (error instanceof WorkflowNotFoundError && !launches)
    return new StyxError('not-found', 'there is no such cluster');
  for (let next: unknown = error; next instanceof Error; next = next.cause) {
    if (!(next instanceof ApplicationFailure) || !isErrorKind(next.type)) continue;
    const [hint] = next.details ?? [];
    return new StyxError(next.type, next.message, typeof hint === 'string' ? { hint } : {});
  }
  return new StyxError('transient', error instanceof Error ? error.message : String(error), { cause: error });
}
