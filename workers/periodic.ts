/** What a worker does now and then besides its tasks. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Periodic {
  /** For people, when it fails: "a sweep could not be started". */
  readonly failure: string;
  /** Milliseconds until the first time. */
  readonly first: number;
  /** Milliseconds between times. */
  readonly every: number;
  work(): Promise<unknown>;
}

/** Until told to stop. A failure is told, and the next time comes all the same. */
export async function periodically(
  { failure, first, every, work }: Periodic,
  stop: AbortSignal,
  warn: (message: string) => void,
): Promise<void> {
  for (let pause = first; !stop.aborted; pause = every) {
    await sleep(pause, undefined, { signal: stop, ref: false }).catch(() => {});
    if (stop.aborted) return;
    try {
      await work();
    } catch (error) {
      warn(`${failure}: ${(error as Error).message}`);
    }
  }
}
