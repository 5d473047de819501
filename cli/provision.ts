/** How a cluster's machines came to be: operations, placements that failed, what stands, and what was set up on it. */
import type { SetUpLog } from '../client/set-up-logs.ts';
import type { Operation } from '../model/cluster.ts';
import type { ClusterView } from '../model/commands.ts';
import { formatAge, formatSpan, isoTime } from './format.ts';
import { plain } from './table.ts';
import { triesLines, tryJson } from './tries.ts';

export function provisionText(view: ClusterView, logs: readonly SetUpLog[], now = Date.now()): string {
  const lines = [`Cluster ${view.name} is ${view.status}${view.statusReason === '' ? '' : `: ${view.statusReason}`}`];
  for (const operation of view.operations) lines.push(operationLine(operation, now));
  for (const { opId } of view.waiting) lines.push(`  ${opId}  waits`);
  lines.push(...triesLines(view.name, view.tries, now));
  if (view.nodes.length > 0) lines.push('Machines:');
  for (const { rank, instanceId, address, cpus, memory } of view.nodes) {
    lines.push(`  ${rank}  ${instanceId}  ${address}  ${cpus} vCPUs, ${memory} GB`);
  }
  for (const { rank, instanceId, log, problem } of logs) {
    lines.push(`Set-up of ${rank}, ${instanceId}${problem === null ? ':' : ` cannot be read: ${problem}`}`);
    for (const line of log.trimEnd().split('\n')) if (log !== '') lines.push(`  ${line}`);
  }
  return lines.map(plain).join('\n');
}

function operationLine(operation: Operation, now: number): string {
  const { id, since, endedAt, outcome, failure, progress } = operation;
  const state = outcome === null ? `running: ${progress}` : outcome;
  const why = failure === null ? '' : `: ${failure.message}`;
  return `  ${id}  ${formatAge(since, now)}, ${formatSpan(since, endedAt, now)}  ${state}${why}`;
}

const TIMES = new Set(['at', 'since', 'endedAt', 'progressSince']);

/** docs/cli.md describes this shape. */
export function provisionJson(
  { name, operations, waiting, tries, placement, nodes }: ClusterView,
  setUp: readonly SetUpLog[],
): string {
  const asTime = (key: string, value: unknown) =>
    TIMES.has(key) && typeof value === 'number' ? isoTime(value) : value;
  const all = { cluster: name, operations, waiting, tries: tries.map(tryJson), placement, nodes, setUp };
  return JSON.stringify(all, asTime, 2);
}
