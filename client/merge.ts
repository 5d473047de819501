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

/** The same of sources that open while others are read. Ends when the last one has, and no more open. */
export async function* mergeOpening<T>(opening: AsyncIterable<AsyncIterable<T>>): AsyncGenerator<T, void, void> {
  const opener = opening[Symbol.asyncIterator]();
  const open = new Set<AsyncIterator<T>>();
  type Step = { readonly from: AsyncIterator<T> | null; readonly value: T | AsyncIterable<T> | undefined };
  const pending = new Map<AsyncIterator<T> | null, Promise<Step>>();
  const next = (from: AsyncIterator<T> | null) => {
    const asked: Promise<IteratorResult<T | AsyncIterable<T>>> = (from ?? opener).next();
    const step = asked.then(({ done, value }): Step => ({ from, value: done === true ? undefined : value }));
    step.catch(() => undefined);
    pending.set(from, step);
  };
  next(null);
  try {
    while (pending.size > 0) {
      const { from, value } = await Promise.race(pending.values());
      pending.delete(from);
      if (value === undefined) {
        if (from !== null) open.delete(from);
        continue;
      }
      if (from === null) {
        const source = (value as AsyncIterable<T>)[Symbol.asyncIterator]();
        open.add(source);
        next(source);
      } else yield value as T;
      next(from);
    }
  } finally {
    // Not awaited, as above.
    for (const one of [...open, opener]) one.return?.()?.catch(() => undefined);
  }
}
