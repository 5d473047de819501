/** Steps that needed more than one attempt, and workflows that failed: what any workflow's events tell besides its own story. */
import { foreignReason } from '../model/envelope.ts';
import { type Chain, type RawEvent, type Reader, timeOf } from './histories.ts';
import type { HistoryEntry } from './history.ts';
import type { Link } from './link.ts';

export interface Place {
  readonly reader: Reader;
  readonly generation: string;
  readonly job: number | null;
}

/** Causes by which a workflow's own code failed; others are the server's ways of putting events in order. */
const CODE_FAILED = 14;
const NOT_DETERMINISTIC = 24;

/** Of one run: steps that ended after several attempts, and failures of the workflow itself. */
export async function troubles(
  workflowId: string,
  events: readonly RawEvent[],
  { reader, generation, job }: Place,
): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  const names = await stepNames(events, reader);
  const base = { generation, job, workflowId };
  for (const event of events) {
    const at = timeOf(event.eventTime);
    const step = event.activityTaskStartedEventAttributes;
    if (step && (step.attempt ?? 1) > 1) {
      const attempts = step.attempt ?? 1;
      const error = await reader.reason(step.lastFailure);
      const name = names.get(Number(step.scheduledEventId)) ?? 'a step';
      const text = `“${name}” took ${attempts} attempts; the one before the last failed: ${error}`;
      entries.push({ ...base, at, kind: 'retried', text, attempts, error });
    }
    const task = event.workflowTaskFailedEventAttributes;
    if (task && (task.cause === CODE_FAILED || task.cause === NOT_DETERMINISTIC)) {
      const error = await reader.reason(task.failure);
      const text = `${workflowId} could not go on, and tries again: ${error}`;
      entries.push({ ...base, at, kind: 'workflow-failed', text, error });
    }
    const how = await closedFromOutside(event, reader);
    if (how !== null) entries.push({ ...base, at, kind: 'workflow-failed', text: `${workflowId} ${how}`, error: how });
  }
  return entries;
}

/** Null for an event that is none, or the end that the workflow came to by itself. */
async function closedFromOutside(event: RawEvent, reader: Reader): Promise<string | null> {
  const terminated = event.workflowExecutionTerminatedEventAttributes;
  if (terminated) {
    const by = terminated.identity ? ` by ${terminated.identity}` : '';
    return `was terminated from outside${by}${terminated.reason ? `: ${terminated.reason}` : ''}`;
  }
  const failed = event.workflowExecutionFailedEventAttributes;
  if (failed) return `failed: ${await reader.reason(failed.failure)}`;
  if (event.workflowExecutionTimedOutEventAttributes) return 'ran out of time';
  return event.workflowExecutionCanceledEventAttributes ? 'was cancelled from outside' : null;
}

/** Is this how a run ends that no other one follows? */
export function closes(event: RawEvent | undefined): boolean {
  return Boolean(
    event?.workflowExecutionCompletedEventAttributes ??
      event?.workflowExecutionFailedEventAttributes ??
      event?.workflowExecutionTerminatedEventAttributes ??
      event?.workflowExecutionTimedOutEventAttributes ??
      event?.workflowExecutionCanceledEventAttributes,
  );
}

/** Steps by the number of the event that scheduled them, as people know them. */
async function stepNames(events: readonly RawEvent[], reader: Reader): Promise<Map<number, string>> {
  const names = new Map<number, string>();
  for (const event of events) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (!scheduled) continue;
    const summary = await reader.value(event.userMetadata?.summary);
    names.set(
      Number(event.eventId),
      typeof summary === 'string' ? summary : (scheduled.activityType?.name ?? 'a step'),
    );
  }
  return names;
}

/** Steps of a running workflow that failed and are at it again, by what the server says of it now. */
export async function stillRetrying(link: Link, chain: Chain, place: Place): Promise<HistoryEntry[]> {
  const { workflowId, runs } = chain;
  const last = runs.at(-1);
  const { raw } = await link.read((workflow) => workflow.getHandle(workflowId, last?.runId).describe());
  const entries: HistoryEntry[] = [];
  for (const step of raw.pendingActivities ?? []) {
    const attempts = step.attempt ?? 1;
    if (attempts < 2 || !step.lastFailure) continue;
    const scheduled = last?.events.find(
      (event) => event.activityTaskScheduledEventAttributes?.activityId === step.activityId,
    );
    const summary = await place.reader.value(scheduled?.userMetadata?.summary);
    const name = typeof summary === 'string' && foreignReason(summary) === null ? summary : step.activityType?.name;
    const error = await place.reader.reason(step.lastFailure);
    entries.push({
      at: timeOf(step.lastStartedTime ?? step.scheduledTime),
      kind: 'retrying',
      text: `“${name ?? 'a step'}” is tried again, attempt ${attempts}; the last one failed: ${error}`,
      generation: place.generation,
      job: place.job,
      workflowId,
      attempts,
      error,
    });
  }
  return entries;
}
