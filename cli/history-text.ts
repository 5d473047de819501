/** What happened, a line each or as JSON. */
import type { HistoryEntry } from '../client/history.ts';
import { spanText } from '../model/duration.ts';
import { isoTime } from './format.ts';
import { plain } from './table.ts';

/** Times are local. An empty line between generations. */
export function historyText(entries: readonly HistoryEntry[]): string {
  const spans = entries.map(({ at, generation }, index) => {
    const before = entries[index - 1];
    return before?.generation === generation ? `+${spanText(at - before.at)}` : '';
  });
  const width = Math.max(0, ...spans.map((span) => span.length));
  return entries
    .map(({ at, text, generation }, index) => {
      const gap = index > 0 && entries[index - 1]?.generation !== generation ? '\n' : '';
      return `${gap}${localTime(at)}  ${(spans[index] ?? '').padStart(width)}  ${plain(text)}`;
    })
    .join('\n');
}

/** `2026-03-01 14:05:09` */
function localTime(at: number): string {
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ');
}

/** docs/cli.md describes this shape. */
export function historyJson(entry: HistoryEntry) {
  return {
    at: isoTime(entry.at),
    kind: entry.kind,
    text: entry.text,
    generation: entry.generation,
    job: entry.job,
    user: entry.user ?? null,
    operation: entry.operation ?? null,
    infra: entry.infra ?? null,
    instanceType: entry.instanceType ?? null,
    instances: entry.instances ?? null,
    costPerHour: entry.costPerHour ?? null,
    cost: entry.cost ?? null,
    seconds: entry.seconds ?? null,
    status: entry.status ?? null,
    exitCodes: entry.exitCodes ?? null,
    attempts: entry.attempts ?? null,
    error: entry.error ?? null,
    workflowId: entry.workflowId,
  };
}
