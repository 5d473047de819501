/** One command of a cluster's schedule. It is sent until it is answered, or until the other side of the schedule has had its time. */
import { workflowInfo } from '@temporalio/workflow';
import { stableHash } from '../model/identity.ts';
import { dueOf, type HoursInput, type HoursResult } from '../model/office-hours.ts';
import { failureOf } from './failures.ts';
import { step } from './steps.ts';

export async function officeHours(input: HoursInput): Promise<HoursResult> {
  const { workflowId, runId, startTime } = workflowInfo();
  const requestId = `hours-${stableHash([workflowId, runId], 24)}`;
  const due = dueOf(workflowId) || startTime.getTime();
  const { workspace, cluster, user, side, command, timing } = input;
  try {
    const sending = step(timing, `${command.kind} ${cluster}`);
    return await sending.commandCluster({ workspace, cluster, user, side, command, requestId, due });
  } catch (error) {
    const { message, hint } = failureOf(error);
    return { outcome: 'refused', note: hint === undefined ? message : `${message} ${hint}` };
  }
}
