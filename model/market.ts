/**
 * Spot or on-demand, and when: the one decision of the strategies `on_demand_fallback` and `deadline`, for the workflow of a managed job and
 * for simulations alike. Pure. All times are milliseconds, moments count from the job's submission.
 */
import { formatDuration } from './duration.ts';
import {
  aheadMoment,
  behindMoment,
  type DeadlineRule,
  dueMoment,
  isAhead,
  isBehind,
  isDue,
  type Progress,
  slack,
} from './uniform-progress.ts';

export const MARKETS = ['spot', 'on-demand'] as const;
export type Market = (typeof MARKETS)[number];

/** `job_recovery` with the strategy `on_demand_fallback`. */
export interface FallbackRule {
  /** Times that spot failed within `within`, after which on-demand machines are taken. */
  readonly preemptions: number;
  readonly within: number;
  /** They are kept so long before spot is looked for, and between two looks. */
  readonly backAfter: number;
}

export const DEFAULT_FALLBACK: FallbackRule = { preemptions: 3, within: 3_600_000, backAfter: 3_600_000 };
export const DEADLINE_OVERHEAD = 10 * 60_000;
export const DEADLINE_BACK_AFTER = 20 * 60_000;

/** A strategy that decides about spot and on-demand. */
export type MarketRule =
  | { readonly kind: 'fallback'; readonly rule: FallbackRule }
  | { readonly kind: 'deadline'; readonly rule: DeadlineRule };

/** On-demand machines are kept: no; until spot is there again; or until the job is done. */
export const HOLDS = ['no', 'until-spot', 'until-done'] as const;
export type Hold = (typeof HOLDS)[number];

export interface MarketFacts extends Progress {
  /** What its machines are, or those that are being made; null: it has none. */
  readonly present: Market | null;
  /** Spot machines are to be had; unknown: nobody has looked since. */
  readonly spot: 'there' | 'missing' | 'unknown';
  readonly hold: Hold;
  /** When spot machines were taken away or not to be had, the latest last. */
  readonly failures: readonly number[];
}

export interface MarketDecision {
  /** wait: have no machines. */
  readonly want: Market | 'wait';
  readonly hold: Hold;
  /** For people. */
  readonly why: string;
  /** When it has to be asked again though nothing else happens; null: never. */
  readonly until: number | null;
}

const STAY = { why: '', until: null } as const;

export function decideMarket(of: MarketRule, facts: MarketFacts): MarketDecision {
  return of.kind === 'fallback' ? fallback(of.rule, facts) : underDeadline(of.rule, facts);
}

/** Never waits for spot: it is tried as long as it did not fail too often. */
function fallback({ preemptions, within }: FallbackRule, facts: MarketFacts): MarketDecision {
  const { now, present, spot, hold } = facts;
  if (present === 'spot') return { want: 'spot', hold: 'no', ...STAY };
  if (spot === 'there') return { want: 'spot', hold: 'no', why: 'spot machines are to be had again', until: null };
  if (present === 'on-demand' || hold !== 'no') return { want: 'on-demand', hold: 'until-spot', ...STAY };
  const recent = facts.failures.filter((at) => at > now - within).length;
  if (recent >= preemptions) {
    const why = `spot failed ${recent} times within ${formatDuration(within / 1_000)}`;
    return { want: 'on-demand', hold: 'until-spot', why, until: null };
  }
  if (spot === 'missing') return { want: 'wait', hold: 'no', why: 'no spot machines are to be had', until: null };
  return { want: 'spot', hold: 'no', ...STAY };
}

function underDeadline(rule: DeadlineRule, facts: MarketFacts): MarketDecision {
  const { present, spot, hold } = facts;
  const untilDone = (): MarketDecision => ({
    want: 'on-demand',
    hold: 'until-done',
    why: slackText(rule, facts),
    until: null,
  });
  if (hold === 'until-done') return { want: 'on-demand', hold, ...STAY };
  // A changeover would cost time that goes on being made good here.
  if (present === 'spot' && facts.advancing) return { want: 'spot', hold: 'no', ...STAY };
  if (isDue(rule, facts, 1)) return untilDone();
  if (present === 'spot') return { want: 'spot', hold: 'no', why: '', until: dueMoment(rule, facts, 1) };
  // To try spot may take one changeover in vain, and the one to on-demand comes after it.
  if (isDue(rule, facts, 2)) return untilDone();
  const due = dueMoment(rule, facts, 2);
  if (present === 'on-demand') {
    if (spot === 'there') return { want: 'spot', hold: 'no', why: 'spot machines are to be had again', until: null };
    if (!isAhead(rule, facts))
      return { want: 'on-demand', hold: 'no', why: '', until: least(aheadMoment(rule, facts), due) };
    if (spot === 'missing') return waits(rule, facts, due);
    return { want: 'spot', hold: 'no', why: 'enough of the work is done to look for spot machines', until: due };
  }
  if (spot !== 'missing') return { want: 'spot', hold: 'no', why: '', until: due };
  if (!isBehind(rule, facts)) return waits(rule, facts, due);
  const why = 'no spot machines are to be had, and less of the work is done than of the time has passed';
  return { want: 'on-demand', hold: 'no', why, until: due };
}

function waits(rule: DeadlineRule, facts: MarketFacts, due: number | null): MarketDecision {
  const why = 'no spot machines are to be had, and there is time to wait for them';
  return { want: 'wait', hold: 'no', why, until: least(behindMoment(rule, facts), due) };
}

function slackText(rule: DeadlineRule, facts: MarketFacts): string {
  const left = slack(rule, facts);
  if (facts.now >= rule.deadline) return 'its deadline has passed';
  const spare = left <= 0 ? 'no time' : `${formatDuration(left / 1_000)}`;
  return `${spare} to spare before its deadline, too little for anything but on-demand machines`;
}

function least(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
