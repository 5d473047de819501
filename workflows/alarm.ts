/** One timer that is re-armed only for an earlier time, so that an entity that wakes often does not fill its history with timers. */
import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';

export class Alarm {
  /** Set when the time came; whoever reads it resets it. May ring early for a time that has since moved on. */
  rung = false;
  private readonly summary: string;
  private armed: { readonly at: number; readonly scope: CancellationScope } | null = null;

  /** @param summary what it is for, in the Web UI */
  constructor(summary: string) {
    this.summary = summary;
  }

  /** Rings at `at` (ms since the epoch) or before. */
  set(at: number): void {
    if (this.armed !== null && this.armed.at <= at) return;
    this.armed?.scope.cancel();
    const armed = { at, scope: new CancellationScope() };
    this.armed = armed;
    armed.scope
      .run(() => sleep(Math.max(1, at - Date.now()), { summary: this.summary }))
      .then(
        () => {
          this.rung = true;
          if (this.armed === armed) this.armed = null;
        },
        (error: unknown) => {
          if (!isCancellation(error)) throw error;
        },
      );
  }
}
