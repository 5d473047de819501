/** Keeps the calls of one process to a region below what AWS takes: a bucket of calls that refills. */
import { setTimeout } from 'node:timers/promises';

export interface Rate {
  /** Calls that may go at once. */
  readonly burst: number;
  /** Calls a second afterwards. */
  readonly perSecond: number;
}

export interface Clock {
  /** Milliseconds since any time. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<unknown>;
}

export class Limiter {
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor(rate: Rate, clock: Clock = { now: Date.now, sleep: setTimeout }) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** Resolves when a call to `bucket` may go; first come, first served. */
  async take(bucket: string): Promise<void> {
    const at = this.#clock.now();
    const left = this.#left(bucket, at) - 1;
    this.#buckets.set(bucket, { left, at });
    if (left < 0) await this.#clock.sleep((-left / this.#rate.perSecond) * 1_000);
  }

  /** AWS said that it was too much: the bucket is empty. */
  drained(bucket: string): void {
    const at = this.#clock.now();
    this.#buckets.set(bucket, { left: Math.min(this.#left(bucket, at), 0), at });
  }

  /** Calls that may go at `now`; below 0: so many wait. */
  #left(bucket: string, now: number): number {
    const { burst, perSecond } = this.#rate;
    const known = this.#buckets.get(bucket);
    if (known === undefined) return burst;
    return Math.min(burst, known.left + ((now - known.at) / 1_000) * perSecond);
  }
}
