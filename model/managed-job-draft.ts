/** A managed job's state while one event is applied to it, and what has to be done about it, in order. */
import { addNotice, learnReceivers, type NoticeReceiver, noticeDone } from './job-notices.ts';
import {
  type Copy,
  type CopyPhase,
  isManagedEnd,
  type JobRules,
  MANAGED_TRANSITIONS,
  type ManagedJobState,
  type ManagedStatus,
  type PastCopy,
  type QueuePhase,
  REMEMBERED_COPIES,
} from './managed-job.ts';
import { costOf, costOfCopy, infraOf } from './managed-job-view.ts';
import type { Market } from './market.ts';
import type { PlaceOrder } from './place-order.ts';

/** Plain data, may be carried out twice. `copy`: the number of the one that it is about. */
export type JobEffect =
  | {
      readonly type: 'startCluster';
      readonly copy: number;
      readonly cluster: string;
      readonly try: number;
      /** In place of what the task asks for. */
      readonly market?: Market;
      readonly order?: PlaceOrder;
      /** Its job waits for a `release`. */
      readonly held?: true;
    }
  /** Has its cluster make what it lost anew and run the task again, as this copy. */
  | { readonly type: 'relaunch'; readonly copy: number; readonly cluster: string; readonly try: number }
  /** The same spot machines without a job. */
  | { readonly type: 'startProbe'; readonly copy: number; readonly cluster: string; readonly order?: PlaceOrder }
  | { readonly type: 'cancelOnCluster' | 'endCluster' | 'release'; readonly copy: number; readonly cluster: string }
  /** Asks the cloud whether all its machines run. */
  | { readonly type: 'verify'; readonly copy: number; readonly cluster: string }
  /** Keeps what its job wrote. */
  | { readonly type: 'collect'; readonly copy: number; readonly cluster: string }
  /** Ends its machines without its cluster's workflow. */
  | { readonly type: 'fence'; readonly copy: number; readonly cluster: string }
  | { readonly type: 'tellQueue'; readonly phase: QueuePhase }
  /** Of a job in a pool: asks for a worker; says that a copy is over or not wanted, or (lost) that its worker is no good. */
  | { readonly type: 'askPool'; readonly copy: number }
  | { readonly type: 'leavePool'; readonly copy: number; readonly lost: boolean }
  /** Gives the task to the worker; has the worker forget it. */
  | { readonly type: 'submitToWorker'; readonly copy: number; readonly cluster: string; readonly try: number }
  | { readonly type: 'leaveWorker'; readonly copy: number; readonly cluster: string };

const REMEMBERED_EVENTS = 100;
const EVENT_CHARS = 240;
const REASON_CHARS = 500;

export class JobDraft {
  state: ManagedJobState;
  readonly effects: JobEffect[] = [];
  readonly rules: JobRules;
  readonly now: number;

  constructor(state: ManagedJobState, rules: JobRules, now: number) {
    this.state = state;
    this.rules = rules;
    this.now = now;
  }

  set(change: Partial<ManagedJobState>): void {
    this.state = { ...this.state, ...change };
  }

  effect(effect: JobEffect): void {
    this.effects.push(effect);
  }

  /** A line of its history. */
  tell(text: string): void {
    const event = { at: this.now, text: text.length <= EVENT_CHARS ? text : `${text.slice(0, EVENT_CHARS - 1)}…` };
    this.set({ events: [...this.state.events, event].slice(-REMEMBERED_EVENTS) });
  }

  /** `since`: when it became so, where that is known. @throws when the table does not have that step: the rules would be wrong */
  status(status: ManagedStatus, reason = '', since: number | null = null): void {
    const { status: before, runningSince, ranMs } = this.state;
    const text = reason.slice(0, REASON_CHARS);
    if (status === before) return this.set({ reason: text });
    if (!MANAGED_TRANSITIONS[before].includes(status)) throw new Error(`a ${before} job cannot become ${status}`);
    if (runningSince !== null) this.set({ ranMs: ranMs + this.now - runningSince, runningSince: null });
    if (status === 'RUNNING') {
      const runningSince = Math.min(since ?? this.now, this.now);
      this.set({ runningSince, startedAt: this.state.startedAt ?? runningSince });
    }
    if (isManagedEnd(status)) this.set({ endedAt: this.now });
    this.set({ status, reason: text, statusSince: this.now });
    this.tell(text === '' ? status : `${status}: ${text}`);
    this.notice(before, status, text);
  }

  /** Who wants to be told. */
  receivers(receivers: readonly NoticeReceiver[], problem: string | null): void {
    if (problem !== null) this.tell(`nobody is told of its states: ${problem}`);
    this.set({ notices: learnReceivers(this.state.notices, receivers) });
  }

  /** One of them was, or could not be. */
  noticed(seq: number, key: string, problem: string | null): void {
    const { notices } = this.state;
    const status = notices.pending.find((one) => one.seq === seq)?.status;
    if (problem !== null) this.tell(`could not tell that it is ${status ?? 'changed'}: ${problem}`);
    this.set({ notices: noticeDone(notices, seq, key) });
  }

  private notice(previous: ManagedStatus, status: ManagedStatus, reason: string): void {
    const { copy, past, copies, recoveries, notices } = this.state;
    const change = {
      at: this.now,
      status,
      previous,
      reason,
      try: copies === 0 ? null : (copy?.try ?? past.at(-1)?.try ?? null),
      recoveries,
      cluster: copy?.cluster ?? null,
      infra: infraOf(copy),
      cost: Math.round(costOf(this.state, this.now) * 1e4) / 1e4,
    };
    this.set({ notices: addNotice(notices, change) });
  }

  queue(phase: QueuePhase): void {
    if (this.state.queue === phase) return;
    // In a pool it has no machines of its own, and holds no slot.
    if (this.rules.pool !== undefined && phase !== 'parked' && phase !== 'ended') return;
    this.set({ queue: phase });
    this.effect({ type: 'tellQueue', phase });
  }

  copy(change: Partial<Copy>): void {
    if (this.state.copy !== null) this.set({ copy: { ...this.state.copy, ...change } });
  }

  /** It is over: remembered as one of the last, and its cost is counted. */
  past(copy: Copy): void {
    const { past, spent } = this.state;
    const { number, cluster, startedAt, logs, why, market } = copy;
    const ended: PastCopy = {
      number,
      cluster,
      try: copy.try,
      startedAt,
      endedAt: this.now,
      infra: infraOf(copy),
      logs: copy.stood ? (logs ?? 'lost') : null,
      why,
      cost: costOfCopy(copy),
      market,
    };
    this.set({ past: [...past, ended].slice(-REMEMBERED_COPIES), spent: spent + ended.cost });
  }

  phase(phase: CopyPhase): void {
    this.copy({ phase, phaseSince: this.now });
  }
}
