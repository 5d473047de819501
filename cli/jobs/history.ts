/** `styx jobs history`: a job's life in its own words, and its tries with what they cost. */

import { formatDuration } from '../../model/duration.ts';
import type { ManagedJobView, PastCopy } from '../../model/managed-job.ts';
import { formatMoney, infraName, isoTime } from '../format.ts';
import type { CommonOptions, Context } from '../run.ts';
import { formatTable, plain } from '../table.ts';

export async function showHistory(context: Context, job: string, options: CommonOptions): Promise<number> {
  const styx = await context.styx();
  const view = await styx.jobs.view(await styx.jobs.find(job));
  process.stdout.write(options.output === 'json' ? `${JSON.stringify(asJson(view), null, 2)}\n` : `${text(view)}\n`);
  return 0;
}

/** Times are local. */
function text(view: ManagedJobView): string {
  const events = view.events.map(({ at, text: line }) => `${localTime(at)}  ${plain(line)}`);
  const tries = view.past.map((copy) => [
    String(copy.number),
    String(copy.try),
    copy.cluster,
    infraName(copy.infra),
    formatDuration((copy.endedAt - copy.startedAt) / 1_000),
    formatMoney(copy.cost),
    copy.logs ?? '-',
    copy.why || '-',
  ]);
  const header = ['COPY', 'TRY', 'CLUSTER', 'INFRA', 'DURATION', 'COST', 'LOGS', 'WHY IT ENDED'];
  return [...events, ...(tries.length === 0 ? [] : ['', formatTable(header, tries)])].join('\n');
}

/** `2026-03-01 14:05:09` */
function localTime(at: number): string {
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ');
}

/** docs/cli.md describes this shape. */
function asJson(view: ManagedJobView) {
  const copyJson = (copy: PastCopy) => ({
    ...copy,
    startedAt: isoTime(copy.startedAt),
    endedAt: isoTime(copy.endedAt),
  });
  return {
    id: view.number,
    workflowId: view.id,
    status: view.status,
    reason: view.reason,
    scheduleName: view.schedule ?? null,
    taskId: view.taskId,
    recoveries: view.recoveries,
    errorRestarts: view.errorRestarts,
    cost: view.costSoFar,
    events: view.events.map(({ at, text: line }) => ({ at: isoTime(at), text: line })),
    copies: view.past.map(copyJson),
  };
}
