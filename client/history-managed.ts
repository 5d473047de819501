/**
 * The life of a managed job as its workflow's own events tell it, together with those of each of its clusters: which places were tried and
 * at what price, what was lost and why, and what each try cost. Needs the server alone.
 */
import type { RelaunchCommand } from '../model/cluster-relaunch.ts';
import { CLUSTER_WORKFLOW, type ClusterInput, MEMO_KEY } from '../model/commands.ts';
import type { QueueAnswer } from '../model/job-queue.ts';
import {
  MANAGED_JOB_WORKFLOW,
  MANAGED_UPDATES,
  type ManagedJobInput,
  type ManagedJobMemo,
  managedTaskId,
} from '../model/managed-job.ts';
import { mapLimited } from '../model/map-limited.ts';
import { OWNER_SIGNALS, type OwnerCommand } from '../model/owned-cluster.ts';
import { type Chain, chainOf, type RawEvent, Reader, timeOf } from './histories.ts';
import { clusterHistory, type HistoryEntry, type HistoryKind } from './history.ts';
import { closes, stillRetrying, troubles } from './history-steps.ts';
import { dollars } from './history-text.ts';
import type { Link } from './link.ts';

/** One of its clusters. */
export interface CopyHistory {
  readonly number: number;
  readonly try: number;
  readonly cluster: string;
  readonly startedAt: number;
  /** Its machines were proved gone; null: not yet. */
  readonly endedAt: number | null;
  readonly infra: string | null;
  readonly instanceType: string | null;
  /** Dollars an hour of its machines; null: none stood. */
  readonly costPerHour: number | null;
  /** Dollars. */
  readonly cost: number | null;
  /** Null: nothing was to be kept, or not yet. */
  readonly logs: 'kept' | 'lost' | null;
  /** What the job said when it ended or was lost. */
  readonly why: string | null;
}

export interface ManagedHistory {
  readonly id: string;
  readonly summary: ManagedJobMemo | null;
  readonly taskId: string | null;
  /** Oldest first. Of a cluster's entry `workflowId` says which. */
  readonly entries: readonly HistoryEntry[];
  readonly copies: readonly CopyHistory[];
}

type Details = Partial<Omit<HistoryEntry, 'at' | 'kind' | 'text'>>;

const CALLS_AT_ONCE = 8;

/** Null when the server keeps nothing of it. @throws transient */
export async function managedHistory(link: Link, id: string): Promise<ManagedHistory | null> {
  const chain = await chainOf(link, id);
  if (chain === null) return null;
  const reader = new Reader(link.converter);
  const telling = new Telling(chain, reader);
  await telling.tell();
  const workspace = id.split('/')[1] ?? '';
  const copies = await mapLimited(telling.begun, CALLS_AT_ONCE, async (begun) => {
    const life = (await clusterHistory(link, workspace, begun.cluster, { all: true })) ?? [];
    return { copy: copyOf(begun, life, telling), life: life.map((entry) => ofTry(entry, begun, id)) };
  });
  const open = !closes(chain.runs.at(-1)?.events.at(-1));
  const place = { reader, generation: id, job: null };
  const own = open ? await stillRetrying(link, chain, place) : [];
  const told = [...telling.entries, ...own, ...copies.flatMap(({ life }) => life)];
  const entries = told.filter(({ kind }) => kind !== 'now').toSorted((a, b) => a.at - b.at);
  const { memo } = telling;
  return {
    id,
    summary: memo,
    taskId: memo?.number == null ? null : managedTaskId(memo.name, memo.number, memo.submittedAt),
    entries,
    copies: copies.map(({ copy }) => copy),
  };
}

interface Begun {
  readonly copy: number;
  readonly try: number;
  readonly cluster: string;
  readonly at: number;
}

/** An entry of a cluster among those of its job. */
function ofTry(entry: HistoryEntry, { try: tried }: Begun, id: string): HistoryEntry {
  return { ...entry, generation: id, text: `try ${tried}: ${entry.text}` };
}

function copyOf(begun: Begun, life: readonly HistoryEntry[], telling: Telling): CopyHistory {
  const up = life.findLast(({ kind }) => kind === 'up');
  const ended = life.findLast(({ kind }) => kind === 'ended');
  const cost = ended ?? life.findLast((entry) => entry.cost !== undefined);
  return {
    number: begun.copy,
    try: begun.try,
    cluster: begun.cluster,
    startedAt: begun.at,
    endedAt: ended?.at ?? null,
    infra: up?.infra ?? null,
    instanceType: up?.instanceType ?? null,
    costPerHour: up?.costPerHour ?? null,
    cost: cost?.cost ?? null,
    logs: telling.logs.get(begun.copy) ?? (up !== undefined && ended !== undefined ? 'lost' : null),
    why: telling.whyEnded(begun.copy),
  };
}

/** What the job's own events say. */
class Telling {
  readonly entries: HistoryEntry[] = [];
  readonly begun: Begun[] = [];
  readonly logs = new Map<number, 'kept' | 'lost'>();
  memo: ManagedJobMemo | null = null;
  readonly #chain: Chain;
  readonly #reader: Reader;
  /** Steps by the number of the event that asked for them: what they are, and their input. */
  #steps = new Map<number, { readonly type: string; readonly input: Record<string, unknown> }>();
  #number: number | null = null;
  #admitted = false;

  constructor(chain: Chain, reader: Reader) {
    this.#chain = chain;
    this.#reader = reader;
  }

  async tell(): Promise<void> {
    const { runs, workflowId, cut } = this.#chain;
    if (cut)
      this.#say(timeOf(runs[0]?.events[0]?.eventTime), 'gap', 'what was before is not kept by the server any more');
    for (const [index, { events }] of runs.entries()) {
      this.#steps = new Map();
      for (const event of events) await this.#event(event, index === 0 && !cut);
      this.entries.push(
        ...(await troubles(workflowId, events, { reader: this.#reader, generation: workflowId, job: null })),
      );
    }
  }

  /** The reason of the first change after its start that was not its start, and before the next one's. */
  whyEnded(copy: number): string | null {
    const began = this.begun.find((one) => one.copy === copy)?.at ?? 0;
    const next = this.begun.find((one) => one.copy === copy + 1)?.at ?? Number.POSITIVE_INFINITY;
    const over = this.entries.find(
      ({ at, kind, status }) =>
        kind === 'job-status' && at > began && at <= next && status !== 'STARTING' && status !== 'RUNNING',
    );
    return over === undefined ? null : (over.error ?? over.status ?? null);
  }

  async #event(event: RawEvent, first: boolean): Promise<void> {
    const at = timeOf(event.eventTime);
    const began = event.workflowExecutionStartedEventAttributes;
    if (began && first) {
      const input = await this.#reader.message<ManagedJobInput>(`start:${MANAGED_JOB_WORKFLOW}`, began.input?.payloads);
      if (input !== undefined) {
        const { user, task, resourcesText } = input;
        this.#say(at, 'submitted', `${user} submits ${task.name ?? 'a managed job'}: ${resourcesText}`, { user });
      } else if (await this.#reader.keyMissing(began.input?.payloads)) {
        this.#say(
          at,
          'gap',
          'this was sealed with a key that is not here: `styx keys import FILE` with a copy of the keys',
        );
      }
    }
    const fields = event.workflowPropertiesModifiedEventAttributes?.upsertedMemo?.fields ?? began?.memo?.fields;
    const memo = (await this.#reader.value(fields?.[MEMO_KEY])) as ManagedJobMemo | null | undefined;
    if (memo != null) this.#memo(memo, at);
    await this.#signal(event, at);
    await this.#update(event, at);
    await this.#child(event, at);
    await this.#relaunch(event, at);
    await this.#step(event, at);
  }

  #memo(memo: ManagedJobMemo, at: number): void {
    const before = this.memo;
    this.memo = memo;
    const { status, reason, cost, recoveries } = memo;
    if (before !== null && before.status === status && before.reason === reason) return;
    if (before === null && status === 'PENDING') return;
    const spent = cost > 0 ? `; cost so far ${dollars(cost)}` : '';
    const again = recoveries > (before?.recoveries ?? 0) ? `, recovery ${recoveries}` : '';
    const failed = reason !== '' && status !== 'SUCCEEDED';
    this.#say(at, 'job-status', `${status}${again}${reason === '' ? '' : `: ${reason}`}${spent}`, {
      status,
      cost,
      ...(failed ? { error: reason } : {}),
    });
  }

  async #signal(event: RawEvent, at: number): Promise<void> {
    const sent = event.workflowExecutionSignaledEventAttributes;
    if (sent?.signalName !== 'queueAnswer') return;
    const answer = await this.#reader.message<QueueAnswer>('signal:queueAnswer', sent.input?.payloads);
    if (answer === undefined) return;
    const { number, admitted } = answer;
    if (this.#number === null)
      this.#say(at, 'queued', `has the number ${number}${admitted ? '' : ', and waits for its turn'}`);
    if (admitted && !this.#admitted && this.#number !== null) this.#say(at, 'queued', 'its turn has come');
    this.#number = number;
    this.#admitted ||= admitted;
  }

  async #update(event: RawEvent, at: number): Promise<void> {
    const asked = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest;
    const update = Object.entries(MANAGED_UPDATES).find(([, name]) => name === asked?.input?.name);
    if (update === undefined) return;
    const [kind, name] = update;
    const command = await this.#reader.message<{ readonly user: string }>(
      `update:${name}`,
      asked?.input?.args?.payloads,
    );
    if (command !== undefined) this.#say(at, 'cancel', `${command.user} asks: ${kind}`, { user: command.user });
  }

  async #child(event: RawEvent, at: number): Promise<void> {
    const started = event.startChildWorkflowExecutionInitiatedEventAttributes;
    if (started?.workflowType?.name !== CLUSTER_WORKFLOW) return;
    const input = await this.#reader.message<ClusterInput>(`start:${CLUSTER_WORKFLOW}`, started.input?.payloads);
    if (input?.owner === undefined) return;
    const tried = Number(input.launch?.task.envs.STYX_JOB_TRY ?? input.owner.copy);
    this.begun.push({ copy: input.owner.copy, try: tried, cluster: input.name, at });
    this.#say(at, 'launch', `try ${tried}: looks for machines, on cluster ${input.name}`);
  }

  /** It goes on on the cluster that it has. */
  async #relaunch(event: RawEvent, at: number): Promise<void> {
    const sent = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
    if (sent?.signalName !== OWNER_SIGNALS.command) return;
    const command = await this.#reader.message<OwnerCommand | RelaunchCommand>(
      `signal:${OWNER_SIGNALS.command}`,
      sent.input?.payloads,
    );
    if (command?.kind !== 'relaunch') return;
    const { STYX_JOB_TRY: tried = String(command.copy) } = command.launch.task.envs;
    this.#say(at, 'launch', `try ${tried}: has the lost nodes of its cluster made anew`);
  }

  /** Those whose answers are part of the story. */
  async #step(event: RawEvent, at: number): Promise<void> {
    const asked = event.activityTaskScheduledEventAttributes;
    if (asked) {
      const [input] = await this.#reader.values(asked.input?.payloads);
      const held = typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : {};
      this.#steps.set(Number(event.eventId), { type: asked.activityType?.name ?? '', input: held });
    }
    const done = event.activityTaskCompletedEventAttributes;
    const step = this.#steps.get(Number(done?.scheduledEventId ?? -1));
    if (!done || step === undefined) return;
    const [answer] = (await this.#reader.values(done.result?.payloads)) as [{ problem?: string | null } | null];
    const problem = answer?.problem ?? null;
    if (step.type === 'collectLogs') {
      this.logs.set(Number(step.input.copy), problem === null ? 'kept' : 'lost');
      if (problem !== null)
        this.#say(at, 'logs', `some of its output could not be kept: ${problem}`, { error: problem });
    } else if (step.type === 'sendNotice' && problem !== null) {
      const { status } = step.input.notice as { readonly status: string };
      this.#say(at, 'notice', `could not tell that it is ${status}: ${problem}`, { error: problem });
    }
  }

  #say(at: number, kind: HistoryKind, text: string, details: Details = {}): void {
    const { workflowId } = this.#chain;
    this.entries.push({ at, kind, text, generation: workflowId, workflowId, job: null, ...details });
  }
}
