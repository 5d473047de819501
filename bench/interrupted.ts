/** What a bench has started is ended when it is interrupted, too. */
let end: () => Promise<void> = async () => {};

/** From now on, in place of what was said before. */
export function whenInterrupted(clean: () => Promise<void>): void {
  end = clean;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    console.error('bench: interrupted, cleaning up');
    // Calls that were on their way fail in the timers of their retries.
    process.on('uncaughtException', () => {});
    void end().finally(() => process.exit(130));
  });
}
