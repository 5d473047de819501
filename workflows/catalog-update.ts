/** New prices of every cloud that says them, side by side: one that fails keeps none of the others from being updated. */
import { ActivityFailure, ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import type { PriceActivities } from '../activities/types.ts';
import type { CatalogUpdateInput, PricesUpdated } from '../model/catalog-update.ts';
import { ERROR_KINDS, ERROR_POLICIES, type Failure, isErrorKind } from '../model/errors.ts';
import { ACTIVITY_QUEUE } from '../model/queues.ts';

/** Lists of some gigabytes are slow, and the next update is as good as a try that comes too late. */
const LONGEST = '6h';
/** Within each the requests are repeated too. */
const TRIES = 8;

export async function catalogUpdate({ clouds, timing }: CatalogUpdateInput): Promise<PricesUpdated[]> {
  const { heartbeatTimeout, retryFirst, retryMax, stepTimeout } = timing;
  const retry = {
    initialInterval: retryFirst,
    backoffCoefficient: 2,
    maximumInterval: retryMax,
    maximumAttempts: TRIES,
    nonRetryableErrorTypes: ERROR_KINDS.filter((kind) => !ERROR_POLICIES[kind].retried),
  };
  const quick = proxyActivities<PriceActivities>({
    taskQueue: ACTIVITY_QUEUE,
    startToCloseTimeout: stepTimeout,
    retry,
    summary: 'clouds that say their prices',
  });
  const named = clouds.length > 0;
  const all = named ? clouds : await quick.pricedClouds();
  return await Promise.all(
    all.map(async (cloud): Promise<PricesUpdated> => {
      const long = proxyActivities<PriceActivities>({
        taskQueue: ACTIVITY_QUEUE,
        scheduleToCloseTimeout: LONGEST,
        heartbeatTimeout,
        retry,
        summary: `prices of ${cloud}`,
      });
      try {
        return await long.updatePrices({ cloud, named, timing });
      } catch (error) {
        if (!(error instanceof ActivityFailure)) throw error;
        return { cloud, outcome: 'failed', rows: null, changed: null, quarantined: null, problem: failureOf(error) };
      }
    }),
  );
}

function failureOf({ cause, message }: ActivityFailure): Failure {
  if (!(cause instanceof ApplicationFailure)) return { kind: 'transient', message: cause?.message ?? message };
  const hint = cause.details?.[0];
  return {
    kind: isErrorKind(cause.type) ? cause.type : 'internal',
    message: cause.message,
    ...(typeof hint === 'string' ? { hint } : {}),
  };
}
