/** A wait that an abort ends early. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Waits; returns early when the signal aborts. */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, LONGEST_TIMER));
    signal?.addEventListener('abort', done, { once: true });
  });
}
