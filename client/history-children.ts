/** What the children of a cluster tell: jobs how they ran, all of them what did not work at once. */
import type { JobChanged } from '../model/commands.ts';
import { spanText } from '../model/duration.ts';
import { isTerminalJob } from '../model/job.ts';
import type { Task } from '../model/task.ts';
import { type Chain, type Reader, timeOf } from './histories.ts';
import type { HistoryEntry } from './history.ts';
import { closes, type Place, stillRetrying, troubles } from './history-steps.ts';
import type { Link } from './link.ts';

export interface Child {
  readonly workflowId: string;
  readonly type: string;
  readonly generation: string;
}

/** Of a job's input, what is told. */
interface JobInput {
  readonly jobId: number;
  readonly task: Pick<Task, 'name'>;
}

export async function tellChild(link: Link, chain: Chain, child: Child, reader: Reader): Promise<HistoryEntry[]> {
  const job = child.type === 'job' ? Number(/job-(\d+)$/.exec(child.workflowId)?.[1] ?? Number.NaN) : null;
  const place: Place = { reader, generation: child.generation, job };
  const entries: HistoryEntry[] = job === null ? [] : await tellJob(chain, place, job);
  for (const { events } of chain.runs) entries.push(...(await troubles(chain.workflowId, events, place)));
  if (!closes(chain.runs.at(-1)?.events.at(-1))) entries.push(...(await stillRetrying(link, chain, place)));
  return entries;
}

/** From what the job told its cluster, which may have been gone by then. */
async function tellJob(chain: Chain, { reader, generation }: Place, job: number): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  const events = chain.runs.flatMap((run) => run.events);
  const began = events[0]?.workflowExecutionStartedEventAttributes;
  const input = await reader.message<JobInput>('start:job', began?.input?.payloads);
  const who = input?.task.name ? `job ${job} (${input.task.name})` : `job ${job}`;
  const base = { generation, job, workflowId: chain.workflowId };
  const submittedAt = timeOf(events[0]?.eventTime);
  let startedAt: number | null = null;
  let before = '';
  for (const event of events) {
    const sent = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
    if (sent?.signalName !== 'jobChanged') continue;
    const change = await reader.message<JobChanged>('signal:jobChanged', sent.input?.payloads);
    if (change === undefined || change.status === before) continue;
    const { status, reason, exitCodes } = change;
    const at = timeOf(event.eventTime);
    if (isTerminalJob(status)) {
      const seconds = startedAt === null ? null : (at - startedAt) / 1_000;
      const codes = exitCodes === null ? '' : `, ${codesText(exitCodes)}`;
      const took = seconds === null ? ' without having run' : ` after ${spanText(seconds * 1_000)}`;
      const text = `${who} ${status}${took}${codes}${reason === null ? '' : `: ${reason}`}`;
      const error = status === 'SUCCEEDED' || reason === null ? {} : { error: reason };
      entries.push({
        ...base,
        at,
        kind: 'job-ended',
        text,
        status,
        exitCodes,
        ...(seconds === null ? {} : { seconds }),
        ...error,
      });
    } else {
      const waited =
        startedAt === null && at - submittedAt >= 1_000 ? `, ${spanText(at - submittedAt)} after it was queued` : '';
      startedAt ??= at;
      const setup = status === 'SETTING_UP';
      const text = `${who} ${setup ? 'is set up' : 'runs'}${waited}`;
      entries.push({ ...base, at, kind: setup ? 'job-setup' : 'job-started', text, status });
    }
    before = status;
  }
  return entries;
}

function codesText(codes: readonly (number | null)[]): string {
  const known = codes.map((code) => (code === null ? 'none' : String(code)));
  if (codes.length === 1) return `exit code ${known[0]}`;
  return new Set(known).size === 1
    ? `exit code ${known[0]} on all ${codes.length} nodes`
    : `exit codes ${known.join(', ')}`;
}
