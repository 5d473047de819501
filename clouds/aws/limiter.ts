/** Keeps the calls of one process to a region below what AWS takes: a bucket of calls that refills. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Rate {
  /** Calls that may go at once. */
  readonly burst: number;
  /** Calls a second afterwards. */
  readonly perSecond: number;
}

export class Limiter {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Resolves when a call to `bucket` may go; first come, first served. */
  async take(bucket: string): Promise<void> {
    const { burst, perSecond } = this.#rate;
    const now = Date.now();
    const known = this.#buckets.get(bucket) ?? { left: burst, at: now };
    const left = Math.min(burst, known.left + ((now - known.at) / 1_000) * perSecond) - 1;
    this.#buckets.set(bucket, { left, at: now });
    if (left < 0) await sleep((-left / perSecond) * 1_000);
  }

  /** AWS said that it was too much: the bucket is empty. */
  drained(bucket: string): void {
    const known = this.#buckets.get(bucket);
    if (known !== undefined) known.left = Math.min(known.left, 0);
  }
}
