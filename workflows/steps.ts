/** How workflows call activities: one place for queues, timeouts and retries. */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { ActActivities, NoticeActivities, WatchActivities } from '../activities/types.ts';
import { ERROR_KINDS, ERROR_POLICIES } from '../model/errors.ts';
import { ACTIVITY_QUEUE, NOTICE_QUEUE, WATCH_QUEUE } from '../model/queues.ts';
import type { Timing } from '../model/timing.ts';

const NEVER_RETRIED = ERROR_KINDS.filter((kind) => !ERROR_POLICIES[kind].retried);

function retry(timing: Timing) {
  return {
    initialInterval: timing.retryFirst,
    backoffCoefficient: 2,
    maximumInterval: timing.retryMax,
    nonRetryableErrorTypes: [...NEVER_RETRIED],
  };
}

/** A short step without a heartbeat, retried until it is done (or `tries` times) or answers with a kind that is not retried. */
export function step(timing: Timing, summary: string, tries = Number.POSITIVE_INFINITY) {
  return proxyActivities<ActActivities>({
    taskQueue: ACTIVITY_QUEUE,
    startToCloseTimeout: timing.stepTimeout,
    retry: { ...retry(timing), ...(Number.isFinite(tries) ? { maximumAttempts: tries } : {}) },
    summary,
  });
}

/** Failed tries of a step that waits for machines; about a quarter of an hour of them. */
const LONG_TRIES = 40;
/** Nobody waits longer for files. */
const FILES_MS = 7 * 24 * 60 * 60_000;

/**
 * A step that waits for machines. It gives up by itself when it has waited for `budget` (ms): what counts is the time that it ran, not
 * the time during which no worker was there.
 */
export function longStep(timing: Timing, summary: string, budget: number) {
  return proxyActivities<ActActivities>({
    taskQueue: ACTIVITY_QUEUE,
    startToCloseTimeout: budget * 2,
    heartbeatTimeout: timing.heartbeatTimeout,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { ...retry(timing), maximumAttempts: LONG_TRIES },
    summary,
  });
}

/** A step that sends files: as long as it takes, since it says that it lives. */
export function fileStep(timing: Timing, summary: string) {
  return proxyActivities<ActActivities>({
    taskQueue: ACTIVITY_QUEUE,
    startToCloseTimeout: FILES_MS,
    heartbeatTimeout: timing.heartbeatTimeout,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: retry(timing),
    summary,
  });
}

/**
 * A step that takes machines away: never given up, whatever the error (expired credentials come back). Only a stop may answer that
 * these machines cannot be stopped.
 */
export function dutyStep(timing: Timing, summary: string, mode: 'stop' | 'terminate') {
  return proxyActivities<ActActivities>({
    taskQueue: ACTIVITY_QUEUE,
    startToCloseTimeout: timing.createBudget,
    heartbeatTimeout: timing.heartbeatTimeout,
    retry: { ...retry(timing), nonRetryableErrorTypes: mode === 'stop' ? ['invalid'] : [] },
    summary,
  });
}

/** A step that installs or starts Ray: as long as it takes, since a second try finds what the first one began. */
export function rayStep(timing: Timing, summary: string, tries = Number.POSITIVE_INFINITY) {
  return proxyActivities<ActActivities>({
    taskQueue: ACTIVITY_QUEUE,
    startToCloseTimeout: timing.createBudget * 2,
    heartbeatTimeout: timing.heartbeatTimeout,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { ...retry(timing), ...(Number.isFinite(tries) ? { maximumAttempts: tries } : {}) },
    summary,
  });
}

/** Receivers of notifications answer by themselves within that. */
const NOTICE_MS = 90_000;
const NOTICE_PAUSE_MS = 60_000;

/** A step that tells somebody: it gives up by itself, whatever the error was until then. */
export function noticeStep(timing: Timing, summary: string) {
  return proxyActivities<NoticeActivities>({
    taskQueue: NOTICE_QUEUE,
    startToCloseTimeout: NOTICE_MS,
    heartbeatTimeout: timing.heartbeatTimeout,
    cancellationType: ActivityCancellationType.ABANDON,
    retry: {
      initialInterval: timing.retryFirst,
      backoffCoefficient: 2,
      maximumInterval: Math.max(timing.retryMax, timing.name === 'test' ? 0 : NOTICE_PAUSE_MS),
    },
    summary,
  });
}

export function watchStep(timing: Timing, summary: string) {
  return proxyActivities<WatchActivities>({
    taskQueue: WATCH_QUEUE,
    startToCloseTimeout: timing.watchLease * 2,
    heartbeatTimeout: timing.heartbeatTimeout,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { initialInterval: timing.retryFirst, backoffCoefficient: 2, maximumInterval: timing.retryMax },
    summary,
  });
}
