/** What one cluster from launch to teardown writes into Temporal: events, bytes, activities and children. */
import type { WorkflowClient } from '@temporalio/client';
import { sealedTemporalClient } from '../test/harness/client.ts';
import type { Lab } from './lab.ts';
import { add, type Report } from './report.ts';

type WorkflowTotals = Readonly<Record<'events' | 'bytes' | 'activities' | 'children', readonly string[]>> & {
  readonly sums: { events: number; bytes: number };
};

export async function history(lab: Lab, report: Report): Promise<void> {
  const name = lab.name('history');
  await lab.cli('launch', '-y', '-c', name, '--infra', 'local', 'echo first');
  await lab.cli('down', '-y', name);
  const { connection, workflow } = await sealedTemporalClient(lab.home);
  try {
    const seen = await totals(workflow, `cluster/default/${name}`);
    const one = (subject: string, value: number, unit: string, note: string, target?: number) =>
      add(report, { subject, unit, values: [value], note, ...(target === undefined ? {} : { target }) });
    one('history of launch+run+down', seen.sums.events, 'events', seen.events.join(', '));
    one('history of launch+run+down', seen.sums.bytes / 1024, 'kB', seen.bytes.join(', '));
    one('activities up to the job', seen.activities.length, '', seen.activities.join(', '), 8);
    one('children up to the job', seen.children.length, '', seen.children.join(', '), 2);
  } finally {
    await connection.close();
  }
}

/** Of all workflows of a cluster's name. What the watch does runs beside the way to the job, and is left out of that. */
async function totals(client: WorkflowClient, clusterId: string): Promise<WorkflowTotals> {
  const events: string[] = [];
  const bytes: string[] = [];
  const activities: string[] = [];
  const children: string[] = [];
  const sums = { events: 0, bytes: 0 };
  const seen = client.list({ query: `WorkflowId STARTS_WITH '${clusterId}'` });
  for await (const { workflowId, runId, type } of seen) {
    const handle = client.getHandle(workflowId, runId);
    const { historyLength, historySize = 0 } = await handle.describe();
    sums.events += historyLength;
    sums.bytes += historySize;
    events.push(`${type} ${historyLength}`);
    bytes.push(`${type} ${Math.round(historySize / 1024)}`);
    if (type === 'retire' || type === 'watch') continue;
    for (const event of (await handle.fetchHistory()).events ?? []) {
      const activity = event.activityTaskScheduledEventAttributes?.activityType?.name;
      const child = event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name;
      if (activity) activities.push(activity);
      if (child && child !== 'retire' && child !== 'watch') children.push(child);
    }
  }
  return { events, bytes, activities, children, sums };
}
