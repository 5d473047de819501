/** Waiting for something that a workflow's view shows. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Link } from './link.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
const BACKOFF = 1.15;
/** Longer than the steps of a workflow take that follow each other; a worker that is away makes the view say so. */
const SETTLE_MS = 2_000;

/**
 * Looks until `decide` answers something else than undefined. A look is a replay on the worker, and one that meets a workflow task can cost
 * that task its ten seconds (decision 011): so only what has changed is looked at, and when its workflow has settled.
 */
export async function untilDecided<V, T>(
  link: Link,
  id: string,
  look: (id: string) => Promise<V>,
  decide: (view: V) => T | undefined,
  options: { signal?: AbortSignal; onView?: (view: V) => void } = {},
): Promise<T> {
  let seen = '';
  let unsettledSince: number | null = null;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * BACKOFF, LONGEST_PAUSE_MS)) {
    options.signal?.throwIfAborted();
    const { version, settled } = await versionOf(link, id);
    unsettledSince = settled ? null : (unsettledSince ?? Date.now());
    if (version !== seen && (unsettledSince === null || Date.now() - unsettledSince >= SETTLE_MS)) {
      seen = version;
      const view = await look(id);
      options.onView?.(view);
      const decided = decide(view);
      if (decided !== undefined) return decided;
    }
    await sleep(pause, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

/** Another one whenever something happened to its workflow; settled: no workflow task is due. */
async function versionOf(link: Link, id: string): Promise<{ version: string; settled: boolean }> {
  const { runId, historyLength, status, raw } = await link.read((workflow) => workflow.getHandle(id).describe());
  return { version: `${runId} ${historyLength} ${status.name}`, settled: raw.pendingWorkflowTask == null };
}
