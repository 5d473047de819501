/** A pipeline on its way from one state to the next, and what there is to do about it. */
import type { ManagedStatus } from './managed-job.ts';
import type { PipelineEffect, PipelineRules, PipelineState, TaskState } from './pipeline.ts';

export const REASON_CHARS = 500;
const REMEMBERED_EVENTS = 200;
const EVENT_CHARS = 240;
const REMEMBERED_REQUESTS = 20;

export class PipelineDraft {
  state: PipelineState;
  readonly effects: PipelineEffect[] = [];
  readonly rules: PipelineRules;
  readonly now: number;

  constructor(state: PipelineState, rules: PipelineRules, now: number) {
    this.state = state;
    this.rules = rules;
    this.now = now;
  }

  set(change: Partial<PipelineState>): void {
    this.state = { ...this.state, ...change };
  }

  tell(text: string): void {
    const event = { at: this.now, text: text.length <= EVENT_CHARS ? text : `${text.slice(0, EVENT_CHARS - 1)}…` };
    this.set({ events: [...this.state.events, event].slice(-REMEMBERED_EVENTS) });
  }

  effect(effect: PipelineEffect): void {
    this.effects.push(effect);
  }

  task(index: number, change: Partial<TaskState>): void {
    const before = this.state.tasks[index];
    if (before === undefined) return;
    const after = { ...before, ...change };
    this.set({ tasks: this.state.tasks.map((task, one) => (one === index ? after : task)) });
    if (after.status === before.status) return;
    this.tell(`${this.name(index)} ${after.status}${after.reason === '' ? '' : `: ${after.reason}`}`);
  }

  /** Ends a task that has no workflow. */
  never(index: number, status: ManagedStatus, reason: string): void {
    this.task(index, { status, reason: reason.slice(0, REASON_CHARS), phase: 'over', endedAt: this.now });
  }

  /** False when it was asked before. */
  isNew(requestId: string): boolean {
    const { requests } = this.state;
    if (requests.includes(requestId)) return false;
    this.set({ requests: [...requests, requestId].slice(-REMEMBERED_REQUESTS) });
    return true;
  }

  name(index: number): string {
    return this.rules.tasks[index]?.name ?? String(index);
  }
}
