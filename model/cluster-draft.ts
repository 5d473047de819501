/** A cluster's state while one event is applied to it: the next state, and what has to be done, in order. */
import type { ClusterState, ClusterStatus } from './cluster.ts';
import type { Effect, QueuedEffect } from './cluster-effects.ts';
import { generationOf } from './identity.ts';

export class Draft {
  state: ClusterState;
  readonly effects: QueuedEffect[] = [];
  readonly now: number;

  constructor(state: ClusterState, now: number) {
    this.state = state;
    this.now = now;
  }

  set(change: Partial<ClusterState>): void {
    this.state = { ...this.state, ...change };
  }

  status(status: ClusterStatus, reason = ''): void {
    if (status === this.state.status && reason === this.state.statusReason) return;
    this.set({ status, statusReason: reason, statusSince: this.now });
  }

  effect(effect: Effect): void {
    this.effects.push({ ...effect, generation: generationOf(this.state.life, this.state.n) });
  }
}
