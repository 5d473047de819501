/**
 * A job under a strategy, over traces of when spot machines could be had. What decides is the very function that the workflow of a managed
 * job asks (`decideMarket`), and the places are in the order that a launch tries them in. Times are milliseconds since the submission.
 */
import { nextPlaces, pauseAfter, rememberRegion } from '../model/job-recovery.ts';
import {
  decideMarket,
  type Hold,
  type Market,
  type MarketDecision,
  type MarketFacts,
  type MarketRule,
} from '../model/market.ts';
import { inPlaceOrder, type RegionRef } from '../model/place-order.ts';
import { NORMAL, type Timing } from '../model/timing.ts';
import { type DeadlineRule, dueMoment, isDue } from '../model/uniform-progress.ts';
import type { ZoneTrace } from './spot-traces.ts';

export interface Work {
  readonly work: number;
  readonly deadline: number;
  /** Of each start on other machines. */
  readonly overhead: number;
  /** Of a look for spot that finds some. Absent: LOOK_MS. */
  readonly look?: number;
  /** Dollars an hour. */
  readonly prices: Readonly<Record<Market, number>>;
  /** Of the pauses after launches that failed. Absent: NORMAL. */
  readonly timing?: Pick<Timing, 'retryUntilUpFirst' | 'retryUntilUpMax'>;
}

export interface Strategy {
  readonly name: string;
  readonly decide: (facts: MarketFacts) => MarketDecision;
  /**
   * While on on-demand machines spot is looked for so often; without machines it is tried, and tried again after the pauses that failed
   * launches are followed by. 0: it is known at each tick.
   */
  readonly looksEvery: number;
  /** Which decides where the next machines are looked for first. Absent: EAGER_NEXT_REGION, as the strategies of markets do. */
  readonly places?: 'EAGER_NEXT_REGION' | 'FAILOVER';
}

export interface Outcome {
  /** Dollars. */
  readonly cost: number;
  readonly endedAt: number;
  readonly late: boolean;
  readonly preemptions: number;
  /** ms from the start of spot machines until they were taken, of those that were taken soonest; Infinity: none were. */
  readonly soonest: number;
  /** By the strategy, from one market to another. */
  readonly moves: number;
  /** ms on on-demand machines. */
  readonly onDemand: number;
}

/** A look for spot takes as long as machines take to stand, and is over at once where there are none. */
export const LOOK_MS = 3 * 60_000;
/** A job that is not done by then never is. */
const GIVEN_UP = 6;

export function strategyOf(name: string, rule: MarketRule): Strategy {
  return { name, decide: (facts) => decideMarket(rule, facts), looksEvery: rule.rule.backAfter };
}

/** What the paper compares with: spot wherever there is some, on-demand once the deadline leaves no choice. */
export function greedy(rule: DeadlineRule): Strategy {
  const decide = (facts: MarketFacts): MarketDecision => {
    const onDemand = { want: 'on-demand', hold: 'until-done', why: 'due', until: null } as const;
    const { present, spot, hold } = facts;
    if (hold === 'until-done') return onDemand;
    if (present === 'spot' && facts.advancing) return { want: 'spot', hold: 'no', why: '', until: null };
    if (isDue(rule, facts, present === 'spot' ? 1 : 2)) return onDemand;
    const until = dueMoment(rule, facts, present === 'spot' ? 1 : 2);
    return { want: spot === 'missing' && present === null ? 'wait' : 'spot', hold: 'no', why: '', until };
  };
  return { name: 'greedy', decide, looksEvery: 0 };
}

export const SPOT_ALONE: Strategy = {
  name: 'spot alone',
  decide: ({ spot, present }) => ({
    want: present === null && spot === 'missing' ? 'wait' : 'spot',
    hold: 'no',
    why: '',
    until: null,
  }),
  looksEvery: 0,
};

interface Present {
  readonly market: Market;
  readonly zone: number;
  readonly since: number;
  /** Its script runs from then on. */
  readonly runsAt: number;
}

export function simulate(
  traces: readonly ZoneTrace[],
  { work, deadline, overhead, prices, look: lookMs = LOOK_MS, timing = NORMAL }: Work,
  strategy: Strategy,
): Outcome {
  const gap = traces[0]?.gap ?? 1;
  const zones = traces.map(({ zone }, index) => ({ cloud: 'c', region: zone.slice(0, -1), index }));
  const isThere = (zone: number, at: number) => {
    const { available = [] } = traces[zone] ?? {};
    return available[Math.floor(at / gap) % available.length] === true;
  };
  let [now, kept, cost, onDemand, preemptions, moves] = [0, 0, 0, 0, 0, 0];
  let present: Present | null = null;
  let hold: Hold = 'no';
  let failures: number[] = [];
  let lost: RegionRef[] = [];
  let last: RegionRef | null = null;
  let lookedAt = 0;
  let look: { readonly zone: number; readonly standsAt: number } | null = null;
  let soonest = Number.POSITIVE_INFINITY;
  let [tries, missingUntil] = [0, 0];
  const done = (endedAt: number): Outcome => ({
    cost,
    endedAt,
    late: endedAt > deadline,
    preemptions,
    soonest,
    moves,
    onDemand,
  });

  const zoneNow = () =>
    inPlaceOrder(
      zones.filter(({ index }) => isThere(index, now)),
      nextPlaces(strategy.places ?? 'EAGER_NEXT_REGION', last, lost),
    )[0];

  for (;;) {
    if (present?.market === 'spot' && !isThere(present.zone, now)) {
      preemptions += 1;
      soonest = Math.min(soonest, now - present.since);
      failures = [...failures, now].slice(-20);
      lost = rememberRegion(lost, zones[present.zone] as RegionRef);
      present = null;
    }
    const someThere = zones.some(({ index }) => isThere(index, now));
    const every = strategy.looksEvery;
    let answer: 'there' | 'missing' | null = every > 0 ? null : someThere ? 'there' : 'missing';
    if (present?.market !== 'on-demand' || every === 0 || hold === 'until-done') look = null;
    else if (look !== null || now >= lookedAt + every) {
      if (look === null || !isThere(look.zone, now)) {
        const zone = zoneNow();
        look = zone === undefined ? null : { zone: zone.index, standsAt: now + lookMs };
      }
      if (look === null || now >= look.standsAt) {
        answer = look === null ? 'missing' : 'there';
        [look, lookedAt] = [null, now];
      }
    }
    const at: Present | null = present;
    const decision = strategy.decide({
      now,
      kept,
      advancing: at !== null && now >= at.runsAt,
      overhead,
      present: at?.market ?? null,
      spot: answer ?? (at === null && now < missingUntil ? 'missing' : 'unknown'),
      hold,
      failures,
    });
    if (hold !== decision.hold && decision.hold === 'no') failures = [];
    hold = decision.hold;
    if (at !== null && decision.want !== at.market) {
      moves += 1;
      present = null;
      // What to have in its place is decided when it is gone.
      continue;
    }
    if (at === null && decision.want !== 'wait') {
      const zone = zoneNow();
      if (decision.want === 'on-demand' || zone !== undefined) {
        present = { market: decision.want, zone: zone?.index ?? -1, since: now, runsAt: now + overhead };
        last = zone ?? last;
        lookedAt = now;
        tries = 0;
      } else if (strategy.looksEvery > 0) {
        failures = [...failures, now].slice(-20);
        tries += 1;
        missingUntil = now + pauseAfter(tries, timing);
        continue;
      }
    }

    const tick = (Math.floor(now / gap) + 1) * gap;
    const times = [tick];
    if (decision.until !== null && decision.until > now) times.push(decision.until);
    if (present === null && missingUntil > now) times.push(missingUntil);
    const { market, runsAt }: { market?: Market; runsAt: number } = present ?? { runsAt: 0 };
    if (market !== undefined) {
      if (runsAt > now) times.push(runsAt);
      else times.push(now + work - kept);
      if (look !== null) times.push(look.standsAt);
      else if (market === 'on-demand' && every > 0 && hold !== 'until-done')
        times.push(Math.max(now + 1, lookedAt + strategy.looksEvery));
    }
    const next = Math.min(...times);
    if (market !== undefined) {
      cost += ((prices[market] + (look === null ? 0 : prices.spot)) * (next - now)) / 3_600_000;
      if (market === 'on-demand') onDemand += next - now;
      if (now >= runsAt) kept += next - now;
    }
    now = next;
    if (kept >= work) return done(now);
    if (now > deadline * GIVEN_UP) return { ...done(now), late: true };
  }
}
