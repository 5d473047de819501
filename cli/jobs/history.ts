/** `styx jobs history`: a job's life from events of its workflows, and its tries with what they cost. Needs no worker. */
import type { CopyHistory, ManagedHistory } from '../../client/history-managed.ts';
import { formatDuration } from '../../model/duration.ts';
import { formatMoney, infraName, isoTime } from '../format.ts';
import { historyJson, historyText } from '../history-text.ts';
import type { CommonOptions, Context } from '../run.ts';
import { formatTable } from '../table.ts';

export async function showHistory(context: Context, job: string, options: CommonOptions): Promise<number> {
  const styx = await context.styx();
  const id = await styx.jobs.find(job);
  if ((await styx.jobs.summary(id))?.tasks !== undefined) {
    const { showPipeline } = await import('./pipeline-history.ts');
    return await showPipeline(styx, id, options);
  }
  const told = await styx.jobs.history(id);
  process.stdout.write(options.output === 'json' ? `${JSON.stringify(asJson(told), null, 2)}\n` : `${text(told)}\n`);
  return 0;
}

const HEADER = ['COPY', 'TRY', 'CLUSTER', 'INFRA', '$/HOUR', 'DURATION', 'COST', 'LOGS', 'WHY IT ENDED'];

/** Times are local. */
function text({ entries, copies }: ManagedHistory, now = Date.now()): string {
  const rows = copies.map((copy) => [
    String(copy.number),
    String(copy.try),
    copy.cluster,
    infraName(copy.infra),
    copy.costPerHour === null ? '-' : formatMoney(copy.costPerHour),
    formatDuration(((copy.endedAt ?? now) - copy.startedAt) / 1_000),
    copy.cost === null ? '-' : formatMoney(copy.cost),
    copy.logs ?? '-',
    copy.why ?? '-',
  ]);
  return [historyText(entries), ...(rows.length === 0 ? [] : ['', formatTable(HEADER, rows)])].join('\n');
}

/** docs/cli.md describes this shape. */
function asJson({ id, summary, taskId, entries, copies }: ManagedHistory) {
  const copyJson = (copy: CopyHistory) => ({
    ...copy,
    startedAt: isoTime(copy.startedAt),
    endedAt: isoTime(copy.endedAt),
  });
  return {
    id: summary?.number ?? null,
    workflowId: id,
    status: summary?.status ?? null,
    reason: summary?.reason ?? null,
    scheduleName: summary?.schedule ?? null,
    retryOf: summary?.retryOf ?? null,
    taskId,
    recoveries: summary?.recoveries ?? null,
    progress: summary?.progress ?? null,
    cost: summary?.cost ?? null,
    events: entries.map(historyJson),
    copies: copies.map(copyJson),
  };
}
