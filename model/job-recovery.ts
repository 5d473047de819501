/** What a managed job does when it ends before its time: where it goes next, what may be tried again, and how soon. Pure. */
import { type PlaceOrder, type RegionRef, sameRegion } from './place-order.ts';
import type { Timing } from './timing.ts';

export const STRATEGIES = ['EAGER_NEXT_REGION', 'FAILOVER'] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** `job_recovery` of a task. */
export interface RecoveryPolicy {
  readonly strategy: Strategy;
  /** Times that a job which fails by itself is started again. What the cloud did is never counted. */
  readonly maxRestartsOnErrors: number;
  /** Exit codes after which it is started again however often. */
  readonly recoverOnExitCodes: readonly number[];
}

export const DEFAULT_RECOVERY: RecoveryPolicy = {
  strategy: 'EAGER_NEXT_REGION',
  maxRestartsOnErrors: 0,
  recoverOnExitCodes: [],
};

/**
 * machines: the cloud took them, or says that they are gone. unreachable: silent for too long, then ended and proved gone. process: it
 * vanished without an exit code on machines that stand. error: it failed by itself. ended: somebody stopped or ended its cluster.
 */
export const LOSS_CAUSES = ['machines', 'unreachable', 'process', 'error', 'ended'] as const;
export type LossCause = (typeof LOSS_CAUSES)[number];

/** Regions that took machines away, the latest last; older ones may be as good as any again. */
const REMEMBERED_REGIONS = 5;

export function rememberRegion(lost: readonly RegionRef[], place: RegionRef): RegionRef[] {
  const { cloud, region } = place;
  return [...lost.filter((one) => !sameRegion(one, place)), { cloud, region }].slice(-REMEMBERED_REGIONS);
}

/**
 * Where the next copy looks first. FAILOVER goes back to where the last one stood, then anywhere. EAGER_NEXT_REGION leaves a region that
 * took machines away at once: it comes back to it only when nothing else is to be had. Undefined: by cost alone.
 */
export function nextPlaces(
  strategy: Strategy,
  last: RegionRef | null,
  lost: readonly RegionRef[],
): PlaceOrder | undefined {
  if (strategy === 'FAILOVER') return last === null ? undefined : { prefer: [last], avoid: [] };
  return lost.length === 0 ? undefined : { prefer: [], avoid: lost };
}

/** May a job that failed by itself be started again, and is that taken from its budget? `restarts`: those taken so far. */
export function restartOnError(
  policy: RecoveryPolicy,
  exitCodes: readonly number[],
  restarts: number,
): 'free' | 'counted' | 'no' {
  if (exitCodes.some((code) => policy.recoverOnExitCodes.includes(code))) return 'free';
  return restarts < policy.maxRestartsOnErrors ? 'counted' : 'no';
}

/** A copy that ended sooner after its start was not a good try. */
export const SHORT_RUN_MS = 10 * 60_000;
/** So many short ones in a row whose process vanished: the job itself is at fault, such as one that uses up the memory. */
export const VANISHED_IN_A_ROW = 5;

/** ms before the next copy, after so many tries in a row that came to nothing. */
export function pauseAfter(inARow: number, timing: Pick<Timing, 'retryUntilUpFirst' | 'retryUntilUpMax'>): number {
  if (inARow <= 0) return 0;
  return Math.min(timing.retryUntilUpMax, timing.retryUntilUpFirst * 2 ** Math.min(inARow - 1, 20));
}
