/** A managed job as it begins. */
import type { ManagedJobState } from './managed-job.ts';
import { NEW_MARKET } from './market-state.ts';

export function newManagedJob(submittedAt: number): ManagedJobState {
  return {
    version: 1,
    status: 'PENDING',
    statusSince: submittedAt,
    reason: '',
    cause: null,
    number: null,
    submittedAt,
    startedAt: null,
    endedAt: null,
    ranMs: 0,
    runningSince: null,
    cancelledBy: null,
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
    queue: 'waiting',
    nextAt: null,
    spent: 0,
    events: [{ at: submittedAt, text: 'PENDING' }],
    requests: [],
  };
}
