/**
 * Items of several sources as they come, one ahead of the reader per source. A source that fails ends the whole; all others
 * are then closed, as they are when the reader stops.
 */
export async function* merge<T>(sources: readonly AsyncIterable<T>[]): AsyncGenerator<T, void, void> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const next = (index: number) => iterators[index]?.next().then((result) => ({ index, result }));
  const pending = new Map(iterators.map((_, index) => [index, next(index)]));
  try {
    while (pending.size > 0) {
      const settled = await Promise.race(pending.values());
      if (settled === undefined) return;
      const { index, result } = settled;
      if (result.done === true) pending.delete(index);
      else {
        pending.set(index, next(index));
        yield result.value;
      }
    }
  } finally {
    for (const waiting of pending.values()) waiting?.catch(() => undefined);
    // Not awaited: a generator that waits for data ends only when its own signal aborts.
    for (const index of pending.keys()) iterators[index]?.return?.()?.catch(() => undefined);
  }
}
