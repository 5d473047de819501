/**
 * How a workflow is followed. A look is a query, and one that meets a workflow task can cost that task its ten seconds (decision 011): so only
 * what has changed is looked at, and when no task of it is due.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { toStyxError } from './errors.ts';
import type { Link } from './link.ts';
import type { RepeatOptions } from './repeat.ts';

/** What the server itself says of a workflow. */
export interface Glance {
  /** Another one whenever something happened to the workflow. */
  readonly version: string;
  /** No workflow task is due. */
  readonly settled: boolean;
}

export interface Followed<View> {
  /** Costs no worker anything. Null: there is no such workflow, which a look explains. */
  readonly glance: () => Promise<Glance | null>;
  /** Within `budget` milliseconds; default: LOOK_MS. */
  readonly look: (budget?: number) => Promise<View>;
}

export interface FollowPace {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds between glances; they grow from the first to the longest. */
  readonly firstPause?: number;
  readonly longestPause?: number;
}

/** An answer that takes longer means that worker and server are away; the wait then ends as `transient`. */
export const LOOK_MS = 120_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
const BACKOFF = 1.15;
/** Longer than the tasks of a workflow take that follow each other; when a worker is away the look makes that known. */
const SETTLE_MS = 2_000;

/** Looks until `decide`, which goes by the view alone, answers something else than undefined. */
export async function followUntil<View, T>(
  { glance, look }: Followed<View>,
  decide: (view: View) => T | undefined,
  { signal, firstPause = FIRST_PAUSE_MS, longestPause = LONGEST_PAUSE_MS }: FollowPace = {},
): Promise<T> {
  let seen: string | null = '';
  let unsettledSince: number | null = null;
  for (let pause = firstPause; ; pause = Math.min(pause * BACKOFF, longestPause)) {
    signal?.throwIfAborted();
    const { version, settled } = (await glance()) ?? { version: null, settled: true };
    unsettledSince = settled ? null : (unsettledSince ?? Date.now());
    if (version !== seen && (unsettledSince === null || Date.now() - unsettledSince >= SETTLE_MS)) {
      seen = version;
      unsettledSince = null;
      const decided = decide(await look());
      if (decided !== undefined) return decided;
    }
    await sleep(pause, undefined, signal === undefined ? {} : { signal });
  }
}

export async function glanceAt(link: Link, workflowId: string, options: RepeatOptions = {}): Promise<Glance | null> {
  try {
    const { runId, historyLength, status, raw } = await link.read(
      (workflow) => workflow.getHandle(workflowId).describe(),
      { budget: LOOK_MS, ...options },
    );
    return { version: `${runId} ${historyLength} ${status.name}`, settled: raw.pendingWorkflowTask == null };
  } catch (error) {
    const failure = toStyxError(error);
    if (failure.kind === 'not-found') return null;
    throw failure;
  }
}
