/** A managed job as it begins. */
import { submittedNotices } from './job-notices.ts';
import type { ManagedJobInput, ManagedJobState } from './managed-job.ts';
import { NEW_MARKET } from './market-state.ts';

export function newManagedJob(
  submittedAt: number,
  { part, retryOf }: Pick<ManagedJobInput, 'part' | 'retryOf'> = {},
): ManagedJobState {
  const text = retryOf === undefined ? 'PENDING' : `PENDING: retry of managed job ${retryOf.number}`;
  return {
    version: 1,
    status: 'PENDING',
    statusSince: submittedAt,
    reason: '',
    cause: null,
    number: part?.number ?? null,
    submittedAt,
    startedAt: null,
    endedAt: null,
    ranMs: 0,
    runningSince: null,
    cancelledBy: null,
    paused: null,
    pauses: 0,
    outcome: null,
    copies: 0,
    copy: null,
    past: [],
    recoveries: 0,
    errorRestarts: 0,
    failedLaunches: 0,
    preemptions: 0,
    shortRuns: 0,
    everStood: false,
    lastPlace: null,
    lostRegions: [],
    market: NEW_MARKET,
    spare: null,
    askedAhead: 0,
    queue: 'waiting',
    nextAt: null,
    spent: 0,
    outputs: {},
    progress: null,
    events: [{ at: submittedAt, text }],
    notices: submittedNotices(submittedAt),
    requests: [],
  };
}
