/** What a cluster's own events tell: what was asked of it and by whom, what it began by itself, and what came of either. */
import {
  type ClusterInput,
  type ClusterMemo,
  type CommandAnswer,
  type CommandKind,
  type CommandPayloads,
  MEMO_KEY,
  type Observed,
  type OperationEnded,
  type PlacementFailedSignal,
  type PlacementGoneSignal,
  type PlacingSignal,
  SIGNALS,
  UPDATES,
} from '../model/commands.ts';
import { costAt } from '../model/cost.ts';
import { spanText } from '../model/duration.ts';
import { generationOf, lifeOf } from '../model/identity.ts';
import type { Placement } from '../model/machines.ts';
import { type Chain, type RawEvent, type Reader, timeOf } from './histories.ts';
import type { HistoryEntry, HistoryKind } from './history.ts';
import type { Child } from './history-children.ts';
import { closes, troubles } from './history-steps.ts';
import { commandText, dollars, machines, placeOf, priceText } from './history-text.ts';

interface ClusterTold {
  readonly entries: HistoryEntry[];
  readonly children: readonly Child[];
  /** The last one. */
  readonly generation: string;
  /** It still runs. */
  readonly open: boolean;
}

type Details = Partial<Omit<HistoryEntry, 'at' | 'kind' | 'text' | 'generation' | 'workflowId'>>;
interface Command {
  readonly kind: CommandKind;
  readonly payload: CommandPayloads[CommandKind];
  readonly answer: CommandAnswer | null;
}

export async function tellCluster(chain: Chain, reader: Reader): Promise<ClusterTold> {
  const teller = new ClusterTeller(chain, reader);
  return await teller.tell();
}

class ClusterTeller {
  readonly #chain: Chain;
  readonly #reader: Reader;
  readonly #events: readonly RawEvent[];
  #entries: HistoryEntry[] = [];
  #generation = '';
  readonly #children = new Map<string, Child>();
  /** By event, what lists showed from then on. */
  readonly #memos: { readonly index: number; readonly memo: ClusterMemo }[] = [];
  /** What older generations of this life had cost. */
  #costBefore = 0;
  /** By the event with which they were accepted. */
  readonly #commands = new Map<number, Command>();
  readonly #requests = new Set<string>();
  /** Operations that somebody asked for. */
  readonly #asked = new Set<string>();
  readonly #began = new Map<string, number>();
  readonly #placed = new Map<string, { readonly placement: Placement; readonly at: number }>();
  readonly #gone = new Set<string>();
  #budgetToldAt = 0;
  /** Machines stand, and nobody takes them away. */
  #stands = false;
  /** Ranks of nodes that do not answer. */
  #silent = '';

  constructor(chain: Chain, reader: Reader) {
    this.#chain = chain;
    this.#reader = reader;
    this.#events = chain.runs.flatMap((run) => run.events);
  }

  async tell(): Promise<ClusterTold> {
    await this.#begin();
    await this.#readMemos();
    await this.#readCommands();
    for (const [index, event] of this.#events.entries()) {
      const at = timeOf(event.eventTime);
      this.#command(at, index);
      await this.#signal(event, at, index);
      this.#budget(at, index);
      this.#child(event, at, index);
    }
    await this.#troubles();
    const open = !closes(this.#events.at(-1));
    if (this.#entries.length > 0) this.#end(open);
    return { entries: this.#entries, children: [...this.#children.values()], generation: this.#generation, open };
  }

  async #troubles(): Promise<void> {
    const place = { reader: this.#reader, generation: this.#generation, job: null };
    const found: HistoryEntry[] = [];
    for (const { events } of this.#chain.runs) found.push(...(await troubles(this.#chain.workflowId, events, place)));
    const told = this.#entries;
    const generationAt = (at: number) => told.findLast((entry) => entry.at <= at)?.generation ?? this.#generation;
    this.#entries = [...told, ...found.map((entry) => ({ ...entry, generation: generationAt(entry.at) }))];
  }

  async #begin(): Promise<void> {
    const [first] = this.#events;
    const at = timeOf(first?.eventTime);
    const began = first?.workflowExecutionStartedEventAttributes;
    const life = lifeOf(began?.firstExecutionRunId ?? '');
    const input = await this.#reader.message<ClusterInput>('start:cluster', began?.input?.payloads);
    const state = input?.state as { readonly n?: number } | undefined;
    this.#generation = generationOf(life, state?.n ?? 1);
    if (this.#chain.cut) this.#say(at, 'gap', 'what was before is not kept by the server any more');
    if (await this.#reader.keyMissing(began?.input?.payloads)) {
      this.#say(
        at,
        'gap',
        'this was sealed with a key that is not here: `styx keys import FILE` with a copy of the keys',
      );
    }
  }

  async #readMemos(): Promise<void> {
    for (const [index, event] of this.#events.entries()) {
      const fields =
        event.workflowPropertiesModifiedEventAttributes?.upsertedMemo?.fields ??
        event.workflowExecutionStartedEventAttributes?.memo?.fields;
      const memo = (await this.#reader.value(fields?.[MEMO_KEY])) as ClusterMemo | null | undefined;
      if (memo != null) this.#memos.push({ index, memo });
    }
  }

  #say(at: number, kind: HistoryKind, text: string, details: Details = {}): void {
    const { workflowId } = this.#chain;
    this.#entries.push({ at, kind, text, generation: this.#generation, workflowId, job: null, ...details });
  }

  /** The state that an event led to; what it was before where that is not kept. */
  #memoAfter(index: number): ClusterMemo | undefined {
    return (this.#memos.find((one) => one.index >= index) ?? this.#memos.at(-1))?.memo;
  }

  #memoAt(index: number): ClusterMemo | undefined {
    return this.#memos.findLast((one) => one.index <= index)?.memo;
  }

  /** US dollars of this generation. */
  #cost(memo: ClusterMemo | undefined, at: number): { readonly cost?: number } {
    if (memo === undefined) return {};
    const all = memo.cost === undefined ? memo.costSoFar : costAt(memo.cost, at);
    return { cost: Math.max(0, all - this.#costBefore) };
  }

  /** ` after 3.0s`; nothing when it is not known since when. */
  #took(from: number | undefined, at: number): { readonly text: string; readonly details: Details } {
    if (from === undefined) return { text: '', details: {} };
    const seconds = (at - from) / 1_000;
    return { text: ` after ${spanText(at - from)}`, details: { seconds } };
  }

  /** Before all else: an answer is written down after what was begun by it. */
  async #readCommands(): Promise<void> {
    const open = new Map<
      string,
      { readonly kind: CommandKind; readonly payload: Command['payload']; readonly index: number }
    >();
    for (const [index, event] of this.#events.entries()) {
      const accepted = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest;
      const kind = (accepted?.input?.name ?? '') as CommandKind;
      if (accepted?.meta?.updateId && Object.hasOwn(UPDATES, kind)) {
        const args = accepted.input?.args?.payloads;
        const payload = await this.#reader.message<Command['payload']>(`update:${kind}`, args);
        if (payload !== undefined) open.set(accepted.meta.updateId, { kind, payload, index });
      }
      const completed = event.workflowExecutionUpdateCompletedEventAttributes;
      const command = open.get(completed?.meta?.updateId ?? '');
      // One that was sent again had its effect before.
      if (command === undefined || !completed?.outcome?.success || this.#requests.has(command.payload.requestId))
        continue;
      this.#requests.add(command.payload.requestId);
      const answer = (await this.#reader.values(completed.outcome.success.payloads))[0] as CommandAnswer | undefined;
      const known = answer?.generation === undefined ? null : answer;
      if (known?.operationId != null) this.#asked.add(known.operationId);
      this.#commands.set(command.index, { ...command, answer: known });
    }
  }

  #command(at: number, index: number): void {
    const command = this.#commands.get(index);
    if (command === undefined) return;
    const { kind, payload, answer } = command;
    const operation = answer?.operationId ?? null;
    const jobs = kind === 'cancel' ? (answer?.jobIds ?? []) : answer?.jobId == null ? [] : [answer.jobId];
    this.#say(at, kind, commandText(command), {
      user: payload.user,
      ...(operation === null ? {} : { operation }),
      job: jobs[0] ?? null,
      ...(jobs.length > 1 ? { jobs } : {}),
    });
  }

  async #signal(event: RawEvent, at: number, index: number): Promise<void> {
    const sent = event.workflowExecutionSignaledEventAttributes;
    const name = sent?.signalName ?? '';
    if (!Object.hasOwn(SIGNALS, name)) return;
    const said = await this.#reader.message<{ readonly generation: string }>(`signal:${name}`, sent?.input?.payloads);
    // What is said of another making of the cluster is dropped by it too.
    if (said === undefined || said.generation !== this.#generation) return;
    switch (name) {
      case SIGNALS.placing:
        return this.#placing(said as PlacingSignal, at);
      case SIGNALS.placementFailed:
        return this.#placementFailed(said as PlacementFailedSignal, at);
      case SIGNALS.placementGone:
        return this.#placementGone(said as PlacementGoneSignal, at);
      case SIGNALS.operationEnded:
        return this.#operationEnded(said as OperationEnded, at, index);
      case SIGNALS.observed:
        return this.#observed(said as Observed, at);
    }
  }

  #placing({ placement, opId }: PlacingSignal, at: number): void {
    if (this.#placed.has(placement.key)) return;
    this.#placed.set(placement.key, { placement, at });
    this.#say(at, 'placing', `tries ${machines(placement)}${priceText(placement)}`, {
      ...placeOf(placement),
      operation: opId,
    });
  }

  #placementFailed({ tried, placementKey, opId }: PlacementFailedSignal, at: number): void {
    const { text, details } = this.#took(this.#placed.get(placementKey ?? '')?.at, at);
    const { cloud, region, zone, instanceType, failure } = tried;
    const infra = `${cloud}/${region}/${zone}`;
    this.#say(at, 'placement-failed', `${instanceType} in ${infra} failed${text}: ${failure.message}`, {
      ...details,
      infra,
      instanceType,
      operation: opId,
      error: failure.message,
    });
  }

  #placementGone({ placementKey }: PlacementGoneSignal, at: number): void {
    const placed = this.#placed.get(placementKey);
    if (placed === undefined || this.#gone.has(placementKey)) return;
    this.#gone.add(placementKey);
    this.#say(at, 'placement-gone', `nothing is left of ${machines(placed.placement)}`, placeOf(placed.placement));
  }

  #operationEnded({ opId, outcome, failure, stands }: OperationEnded, at: number, index: number): void {
    const [kind = ''] = opId.split('-');
    // A duty's work is told as placements that are gone.
    if (kind === 'duty') return;
    const { text, details } = this.#took(this.#began.get(opId), at);
    const memo = this.#memoAfter(index);
    const all = { ...details, operation: opId };
    if (outcome !== 'succeeded') {
      const how = outcome === 'aborted' ? 'was ended early' : 'failed';
      const error = failure?.message ?? 'no reason was given';
      this.#stands ||= kind === 'stop';
      this.#say(at, 'operation-failed', `${kind} ${how}${text}: ${error}`, { ...all, error });
    } else if (kind === 'ports') {
      this.#say(at, 'ports', `its ports are as asked for${text}`, all);
    } else if (stands !== null) {
      const { placement, nodes } = stands;
      this.#silent = '';
      this.#stands = true;
      this.#say(at, 'up', `up${text}: ${machines(placement)}${priceText(placement)}`, {
        ...all,
        ...placeOf(placement),
        instances: nodes.map(({ instanceId }) => instanceId),
      });
    } else {
      const spent = this.#cost(memo, at);
      const cost =
        spent.cost === undefined ? '' : `; ${kind === 'stop' ? 'cost so far' : 'total cost'} ${dollars(spent.cost)}`;
      const done = kind === 'stop' ? 'stopped' : 'taken down, with nothing left,';
      this.#say(at, kind === 'stop' ? 'stopped' : 'ended', `${done}${text}${cost}`, { ...all, ...spent });
    }
  }

  #observed({ gone = [], unreachable }: Observed, at: number): void {
    if (!this.#stands) return;
    for (const { rank, state, reason } of gone)
      this.#say(at, 'nodes', `node ${rank} is ${state}: ${reason}`, { error: reason });
    if (unreachable === undefined) return;
    const silent = unreachable.map(({ rank }) => rank).join(', ');
    if (silent === this.#silent) return;
    this.#silent = silent;
    const error = unreachable[0]?.reason;
    if (error === undefined) this.#say(at, 'nodes', 'all nodes answer again');
    else this.#say(at, 'nodes', `node ${silent} does not answer: ${error}`, { error });
  }

  /** One that only tells: what is stopped or ended by one is told with that. */
  #budget(at: number, index: number): void {
    const budget = this.#memos.find((one) => one.index === index)?.memo.budget;
    const exceeded = budget?.exceeded;
    if (budget?.onExceed !== 'notify' || exceeded == null || exceeded.at <= this.#budgetToldAt) return;
    this.#budgetToldAt = exceeded.at;
    this.#say(at, 'budget', exceeded.why);
  }

  #child(event: RawEvent, at: number, index: number): void {
    const started = event.startChildWorkflowExecutionInitiatedEventAttributes;
    const prefix = `${this.#chain.workflowId}/`;
    const workflowId = started?.workflowId ?? '';
    const [generation, what] = workflowId.slice(prefix.length).split('/');
    if (!workflowId.startsWith(prefix) || !generation || !what) return;
    const [operation = ''] = what.split('.');
    if (generation !== this.#generation) this.#renewed(generation, operation, index);
    this.#children.set(workflowId, { workflowId, type: started?.workflowType?.name ?? '', generation });
    const [kind] = what.split('-');
    if (kind !== 'launch' && kind !== 'start' && kind !== 'stop' && kind !== 'down' && kind !== 'ports') return;
    if (what !== operation) {
      this.#say(at, 'by-itself', `what did its ${kind} closed without a word; another takes over`, { operation });
      return;
    }
    this.#began.set(operation, at);
    if (kind === 'stop' || kind === 'down') this.#stands = false;
    if (this.#asked.has(operation)) return;
    const why = this.#whyItself(index, kind);
    const doing = { stop: 'stops', down: 'ends', launch: 'launches', start: 'starts', ports: 'changes ports' }[kind];
    this.#say(at, 'by-itself', `${doing} by itself${why === '' ? '' : `: ${why}`}`, { operation });
  }

  #whyItself(index: number, kind: string): string {
    const memo = this.#memoAt(index);
    const exceeded = memo?.budget?.onExceed === 'notify' ? null : (memo?.budget?.exceeded ?? null);
    if (memo?.status === 'AUTOSTOPPING') {
      if (exceeded !== null && exceeded.at > this.#budgetToldAt) {
        this.#budgetToldAt = exceeded.at;
        return exceeded.why;
      }
      return memo.autostop === null
        ? 'its autostop rule'
        : `idle for ${memo.autostop.idleMinutes} minutes, its autostop rule`;
    }
    if (memo?.statusReason) return memo.statusReason;
    const failed = this.#entries.findLast((entry) => entry.kind === 'operation-failed');
    return failed === undefined
      ? ''
      : `its ${failed.operation?.split('-')[0] ?? 'launch'} failed${kind === 'stop' ? ', and may have left machines running' : ''}`;
  }

  /** The name was launched again while it was being taken down: that launch is the other one's. */
  #renewed(generation: string, operation: string, index: number): void {
    const memo = this.#memoAt(index);
    if (memo?.cost !== undefined) this.#costBefore = memo.cost.accrued;
    this.#generation = generation;
    this.#entries = this.#entries.map((entry) =>
      entry.kind === 'launch' && entry.operation === operation ? { ...entry, generation } : entry,
    );
  }

  #end(open: boolean): void {
    const memo = this.#memos.at(-1)?.memo;
    const last = this.#events.at(-1);
    if (open) {
      const now = Date.now();
      const spent = this.#cost(memo, now);
      const rate = memo !== undefined && memo.costPerHour > 0 ? `, ${dollars(memo.costPerHour)} an hour` : '';
      const text = `${memo?.status ?? 'its state is not known'}${spent.cost === undefined ? '' : `; cost so far ${dollars(spent.cost)}${rate}`}`;
      const details = memo === undefined ? {} : { status: memo.status, costPerHour: memo.costPerHour };
      this.#say(now, 'now', text, { ...details, ...spent });
      return;
    }
    const at = timeOf(last?.eventTime);
    const told = this.#entries.some(({ kind, generation }) => kind === 'ended' && generation === this.#generation);
    if (told) return;
    const spent = this.#cost(memo, at);
    const cost = spent.cost === undefined ? '' : `; total cost ${dollars(spent.cost)}`;
    if (last?.workflowExecutionCompletedEventAttributes) {
      const why = memo?.statusReason ? `: ${memo.statusReason}` : '';
      this.#say(at, 'ended', `ended${why}${cost}`, spent);
    } else {
      const text = `lost: its workflow closed while it was ${memo?.status ?? 'in a state that is not known'}${cost}; \`styx doctor\` looks for its machines`;
      this.#say(at, 'ended', text, { status: 'LOST', ...spent });
    }
  }
}
