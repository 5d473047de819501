/** A managed job's state while one event is applied to it, and what has to be done about it, in order. */
import {
  type Copy,
  type CopyPhase,
  isManagedEnd,
  type JobRules,
  MANAGED_TRANSITIONS,
  type ManagedJobState,
  type ManagedStatus,
  type QueuePhase,
} from './managed-job.ts';
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
    }
  /** The same spot machines without a job. */
  | { readonly type: 'startProbe'; readonly copy: number; readonly cluster: string; readonly order?: PlaceOrder }
  | { readonly type: 'cancelOnCluster' | 'endCluster'; readonly copy: number; readonly cluster: string }
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

  /** @throws when the table does not have that step: the rules would be wrong */
  status(status: ManagedStatus, reason = ''): void {
    const { status: before, runningSince, ranMs } = this.state;
    const text = reason.slice(0, REASON_CHARS);
    if (status === before) return this.set({ reason: text });
    if (!MANAGED_TRANSITIONS[before].includes(status)) throw new Error(`a ${before} job cannot become ${status}`);
    if (runningSince !== null) this.set({ ranMs: ranMs + this.now - runningSince, runningSince: null });
    if (status === 'RUNNING') this.set({ runningSince: this.now, startedAt: this.state.startedAt ?? this.now });
    if (isManagedEnd(status)) this.set({ endedAt: this.now });
    this.set({ status, reason: text, statusSince: this.now });
    this.tell(text === '' ? status : `${status}: ${text}`);
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

  phase(phase: CopyPhase): void {
    this.copy({ phase, phaseSince: this.now });
  }
}
