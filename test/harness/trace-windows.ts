/** Windows of published traces of spot that real workflows can be held against the simulation over. */
import { LOOK_MS, type Outcome, type Strategy, simulate, type Work } from '../../bench/spot-simulation.ts';
import { readTraces, traceFrom, type ZoneTrace } from '../../bench/spot-traces.ts';
import { SHORT_RUN_MS } from '../../model/job-recovery.ts';

const HOUR = 3_600_000;
/** A job that ends later would take minutes of real time. */
const LONGEST = 5 * HOUR;
/** Windows begin so many ticks apart. */
const STRIDE = 111;
/** ms that a start, a look for spot and each pause may take more. Steps of real workflows take seconds. */
const EXTRA = [15_000, 30_000, 60_000];

export interface TraceWindow {
  readonly name: string;
  /** Each zone as the one of a region of its own. */
  readonly traces: readonly ZoneTrace[];
}

/**
 * A start, a look or a pause that takes a minute more changes no decision: else luck would be compared. Machines that are taken soon are
 * left out too: a launch replaces by itself, elsewhere, those that are taken before they stand, and pauses come between short runs, neither
 * of which the simulation knows.
 */
function isSteady(traces: readonly ZoneTrace[], work: Work, strategies: readonly Strategy[]): boolean {
  return strategies.every((strategy) => {
    const wanted = simulate(traces, work, strategy);
    if (wanted.endedAt > LONGEST || wanted.soonest < SHORT_RUN_MS) return false;
    return EXTRA.every((extra) => isSame(wanted, simulate(traces, slower(work, extra), strategy), extra));
  });
}

function slower(work: Work, extra: number): Work {
  const { overhead, look = LOOK_MS, timing } = work;
  const pauses = timing && { ...timing, retryUntilUpFirst: timing.retryUntilUpFirst + extra };
  return {
    ...work,
    overhead: overhead + extra,
    look: look + extra,
    ...(pauses === undefined ? {} : { timing: pauses }),
  };
}

/** Each preemption and move delays its end by a start and a pause. */
function isSame(one: Outcome, other: Outcome, extra: number): boolean {
  const { preemptions, moves } = one;
  if (other.preemptions !== preemptions || other.moves !== moves) return false;
  return Math.abs(other.endedAt - one.endedAt) <= (1 + preemptions + moves) * 2 * extra;
}

/** Preemptions and moves of all strategies. Moves are rarer, and say more. */
function eventsOf(traces: readonly ZoneTrace[], work: Work, strategies: readonly Strategy[]): number {
  const outcomes = strategies.map((strategy) => simulate(traces, work, strategy));
  return outcomes.reduce((sum, { preemptions, moves }) => sum + preemptions + 3 * moves, 0);
}

/** Those in which most happens, each of other zones or another type, `count` at most. */
export function publishedWindows(
  directory: string,
  regions: readonly string[],
  { work, strategies, count }: { work: Work; strategies: readonly Strategy[]; count: number },
): TraceWindow[] {
  const found: (TraceWindow & { readonly events: number })[] = [];
  for (const [type, zones] of Map.groupBy(readTraces(directory), (trace) => trace.type)) {
    for (const pair of zones.flatMap((a) => zones.filter((b) => b !== a).map((b) => [a, b] as const))) {
      const windows = startsOf(pair[0]).flatMap((tick) => {
        const traces = traceFrom(pair, tick).map((trace, index) => ({
          ...trace,
          zone: `${regions[index]}a`,
          available: trace.available.slice(0, Math.ceil((3 * LONGEST) / trace.gap)),
        }));
        if (!isSteady(traces, work, strategies)) return [];
        const name = `${type} in ${pair.map(({ zone }) => zone).join(' and ')} from tick ${tick}`;
        return [{ name, traces, events: eventsOf(traces, work, strategies) }];
      });
      const [best] = windows.toSorted((a, b) => b.events - a.events);
      if (best !== undefined) found.push(best);
    }
  }
  return found.toSorted((a, b) => b.events - a.events).slice(0, count);
}

function startsOf({ available, gap }: ZoneTrace): number[] {
  const last = available.length - Math.ceil((3 * LONGEST) / gap);
  return Array.from({ length: Math.max(0, Math.floor(last / STRIDE)) }, (_, index) => index * STRIDE);
}
