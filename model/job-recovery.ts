/** What a managed job does when it ends before its time: where it goes next, what may be tried again, and how soon. Pure. */
import type { FallbackRule, MarketRule } from './market.ts';
import { type PlaceOrder, type RegionRef, sameRegion } from './place-order.ts';
import type { Timing } from './timing.ts';
import type { DeadlineRule } from './uniform-progress.ts';

export const STRATEGIES = ['EAGER_NEXT_REGION', 'FAILOVER', 'on_demand_fallback', 'deadline'] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** Of one cause. null: no limit; the usual pause. */
export interface CauseLimit {
  readonly maxRestarts: number | null;
  /** ms of the first pause; each one in a row doubles it. */
  readonly backoff: number | null;
}

/** `job_recovery` of a task. */
export interface RecoveryPolicy {
  readonly strategy: Strategy;
  /** Times that a job which fails by itself is started again. What the cloud did is never counted. */
  readonly maxRestartsOnErrors: number;
  /** Exit codes after which it is started again however often. */
  readonly recoverOnExitCodes: readonly number[];
  /** Lost nodes are made anew where the others stand, and the job is run again there. Absent: all of it goes elsewhere. */
  readonly replaceNodes?: true;
  /** Of on_demand_fallback. */
  readonly fallback?: FallbackRule;
  /** Of deadline. */
  readonly deadline?: DeadlineRule;
  /** Absent: without limits. */
  readonly causes?: {
    readonly noCapacity?: CauseLimit;
    readonly preemption?: CauseLimit;
    /** Its limit is `maxRestartsOnErrors`. */
    readonly error?: CauseLimit;
  };
}

export const DEFAULT_RECOVERY: RecoveryPolicy = {
  strategy: 'EAGER_NEXT_REGION',
  maxRestartsOnErrors: 0,
  recoverOnExitCodes: [],
};

/** How a strategy chooses between spot and on-demand; null: it has what the task asks for. */
export function marketRule({ strategy, fallback, deadline }: RecoveryPolicy): MarketRule | null {
  if (strategy === 'on_demand_fallback' && fallback !== undefined) return { kind: 'fallback', rule: fallback };
  if (strategy === 'deadline' && deadline !== undefined) return { kind: 'deadline', rule: deadline };
  return null;
}

/** Why a policy cannot be followed; null: it can. `useSpot`, `numNodes`: what the task asks for. */
export function recoveryProblem(policy: RecoveryPolicy, useSpot: boolean, numNodes: number): string | null {
  const { strategy, deadline, replaceNodes } = policy;
  if (replaceNodes === true && numNodes < 2) return '"replace_nodes" needs several nodes: of one, none is left to stay';
  if (replaceNodes === true && marketRule(policy) !== null)
    return `"replace_nodes" does not go with strategy ${strategy}, which takes all nodes anew`;
  if (strategy !== 'on_demand_fallback' && strategy !== 'deadline') return null;
  if (strategy === 'deadline') {
    if (deadline === undefined) return 'strategy deadline needs "deadline" and "work" of job_recovery';
    if (!(deadline.work > 0 && deadline.work < deadline.deadline)) return '"work" must be less than "deadline"';
  }
  if (marketRule(policy) === null) return `strategy ${strategy} lacks its rule`;
  return useSpot ? null : `strategy ${strategy} needs "use_spot: true": it chooses between spot and on-demand machines`;
}

/**
 * machines: the cloud took them, or says that they are gone. unreachable: silent for too long, then ended and proved gone. process: it
 * vanished without an exit code on machines that stand. error: it failed by itself. ended: somebody stopped or ended its cluster.
 * moved: its strategy wants other machines.
 */
export const LOSS_CAUSES = ['machines', 'unreachable', 'process', 'error', 'ended', 'moved'] as const;
export type LossCause = (typeof LOSS_CAUSES)[number];

/** Regions that took machines away, the latest last; older ones may be as good as any again. */
const REMEMBERED_REGIONS = 5;

export function rememberRegion(lost: readonly RegionRef[], place: RegionRef): RegionRef[] {
  const { cloud, region } = place;
  return [...lost.filter((one) => !sameRegion(one, place)), { cloud, region }].slice(-REMEMBERED_REGIONS);
}

/**
 * Where the next copy looks first. FAILOVER goes back to where the last one stood, then anywhere. All others leave a region that
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

/** ms before the next copy, after so many tries in a row that came to nothing. `first`: of the first pause. */
export function pauseAfter(
  inARow: number,
  timing: Pick<Timing, 'retryUntilUpFirst' | 'retryUntilUpMax'>,
  first: number = timing.retryUntilUpFirst,
): number {
  if (inARow <= 0) return 0;
  return Math.min(Math.max(timing.retryUntilUpMax, first), first * 2 ** Math.min(inARow - 1, 20));
}

/** ms before the next copy, after `inARow` short ones; with a backoff of its own each end is followed by one. */
export function restartPause(timing: Timing, limit: CauseLimit | undefined, inARow: number): number {
  const backoff = limit?.backoff ?? null;
  if (backoff === null) return pauseAfter(inARow - 1, timing);
  return pauseAfter(Math.max(1, inARow), timing, backoff);
}
