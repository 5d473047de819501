/** `styx jobs history` of a pipeline: what happened to it, and how its tasks stand. Of each task it is told by the task's own id. */
import type { Styx } from '../../client/connect.ts';
import { formatDuration } from '../../model/duration.ts';
import type { PipelineView } from '../../model/pipeline.ts';
import { formatMoney, isoTime, localTime } from '../format.ts';
import type { CommonOptions } from '../run.ts';
import { formatTable, plain } from '../table.ts';

export async function showPipeline(styx: Styx, id: string, options: CommonOptions): Promise<number> {
  const view = await styx.pipelines.view(id);
  process.stdout.write(options.output === 'json' ? `${JSON.stringify(asJson(view), null, 2)}\n` : `${text(view)}\n`);
  return 0;
}

function text(view: PipelineView): string {
  const events = view.events.map(({ at, text: line }) => `${localTime(at)}  ${plain(line)}`);
  const names = (some: readonly number[]) => some.map((index) => view.tasks[index]?.name).join(', ') || '-';
  const rows = view.tasks.map((task) => [
    String(task.index),
    task.name,
    names(task.after),
    task.status,
    task.startedAt === null || task.endedAt === null ? '-' : formatDuration((task.endedAt - task.startedAt) / 1_000),
    String(task.recoveries),
    formatMoney(task.cost),
    task.id ?? '-',
    task.reason || '-',
  ]);
  const header = ['TASK', 'NAME', 'AFTER', 'STATUS', 'DURATION', '#RECOVERIES', 'COST', 'ID', 'REASON'];
  return [...events, '', formatTable(header, rows)].join('\n');
}

/** docs/cli.md describes this shape. */
function asJson(view: PipelineView) {
  return {
    id: view.number,
    workflowId: view.id,
    status: view.status,
    reason: view.reason,
    retryOf: view.retryOf?.number ?? null,
    cost: view.costSoFar,
    events: view.events.map(({ at, text: line }) => ({ at: isoTime(at), text: line })),
    tasks: view.tasks.map((task) => ({
      task: task.index,
      workflowId: task.id,
      name: task.name,
      after: task.after.map((index) => view.tasks[index]?.name),
      status: task.status,
      reason: task.reason,
      startedAt: isoTime(task.startedAt),
      endedAt: isoTime(task.endedAt),
      recoveries: task.recoveries,
      cost: task.cost,
      outputs: task.outputs,
      kept: task.kept,
    })),
  };
}
