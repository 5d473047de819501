/** Strategies of recovery over traces of spot machines: what a job costs, whether it is late, how often it is moved. */
import { DEADLINE_BACK_AFTER, DEFAULT_FALLBACK } from '../model/market.ts';
import { type DeadlineRule, RESERVE } from '../model/uniform-progress.ts';
import { add, type Report } from './report.ts';
import { optimum } from './spot-optimum.ts';
import { greedy, type Outcome, SPOT_ALONE, type Strategy, simulate, strategyOf, type Work } from './spot-simulation.ts';
import { madeUpTraces, readTraces, traceFrom, type ZoneTrace } from './spot-traces.ts';

const HOUR = 3_600_000;
/** AWS, p3.2xlarge in us-west-2, as the paper has it. */
const PRICES = { 'on-demand': 3.06, spot: 0.918 };
const STARTS = 24;

interface Case {
  readonly name: string;
  readonly traces: readonly ZoneTrace[];
}

/** `paths`: directories of traces; without one they are made up. */
export function strategies(report: Report, paths: readonly string[], say: (text: string) => void): void {
  const made = { seed: 7, zones: 6, days: 30 };
  const groups = [
    { name: 'made up, spot there half of the time', traces: madeUpTraces({ ...made, there: 3, missing: 3 }) },
    ...paths.flatMap((path) => typesOf(path)),
  ];
  for (const { name, traces } of groups) {
    for (const [deadline, hours] of [
      ['30 h', 30],
      ['36 h', 36],
    ] as const) {
      const work: Work = { work: 24 * HOUR, deadline: hours * HOUR, overhead: 10 * 60_000, prices: PRICES };
      say(`strategies: ${name}, 24 h of work in ${deadline}`);
      const single = traces.map((trace): Case => ({ name: 'one zone', traces: [trace] }));
      compare(report, `${name}: 24 h in ${deadline}, one zone`, single, work);
      if (traces.length === 1) continue;
      compare(report, `${name}: 24 h in ${deadline}, ${traces.length} zones`, [{ name: 'all', traces }], work);
    }
  }
}

function typesOf(path: string): { name: string; traces: ZoneTrace[] }[] {
  const types = Map.groupBy(readTraces(path), ({ type }) => type);
  return [...types].map(([type, traces]) => ({ name: `${path.split('/').at(-1)} ${type}`, traces }));
}

function compare(report: Report, name: string, cases: readonly Case[], work: Work): void {
  const even: DeadlineRule = { ...work, checkpointEvery: 0, backAfter: DEADLINE_BACK_AFTER };
  const rule: DeadlineRule = { ...even, reserve: RESERVE };
  const all: Strategy[] = [
    strategyOf('deadline', { kind: 'deadline', rule }),
    { ...strategyOf('deadline, spot known at each tick', { kind: 'deadline', rule }), looksEvery: 0 },
    // As the paper has it, where spot is known at each tick.
    { ...strategyOf('Uniform Progress', { kind: 'deadline', rule: even }), looksEvery: 0 },
    greedy(rule),
    strategyOf('on_demand_fallback', { kind: 'fallback', rule: DEFAULT_FALLBACK }),
    SPOT_ALONE,
  ];
  const onDemand = ((work.work + work.overhead) / HOUR) * PRICES['on-demand'];
  const parts = cases.flatMap(({ traces }) => parted(traces, work));
  const best = parts.map((traces) => optimum(traces, work) / onDemand);
  for (const strategy of all) {
    const outcomes = parts.map((traces) => simulate(traces, work, strategy));
    const values = outcomes.map(({ cost }) => cost / onDemand);
    add(report, {
      subject: `${name}: ${strategy.name}`,
      unit: 'x on-demand',
      values,
      note: `mean ${mean(values).toFixed(2)}, ${noteOf(outcomes)}`,
      ...(strategy.name.startsWith('deadline')
        ? { target: 0, judged: outcomes.filter(({ late }) => late).length }
        : {}),
    });
  }
  add(report, {
    subject: `${name}: optimum`,
    unit: 'x on-demand',
    values: best,
    note: `mean ${mean(best).toFixed(2)}`,
  });
}

function noteOf(outcomes: readonly Outcome[]): string {
  const late = outcomes.filter((one) => one.late).length;
  const preemptions = mean(outcomes.map((one) => one.preemptions)).toFixed(1);
  const moves = mean(outcomes.map((one) => one.moves)).toFixed(1);
  return `${late} of ${outcomes.length} late, ${preemptions} preemptions, ${moves} moves`;
}

/** Evenly spread moments of submission, each with time for twice the deadline. */
function parted(traces: readonly ZoneTrace[], { deadline }: Work): ZoneTrace[][] {
  const [first] = traces;
  if (first === undefined) return [];
  const last = first.available.length - Math.ceil((deadline * 2) / first.gap);
  return Array.from({ length: STARTS }, (_, index) =>
    traceFrom(traces, Math.floor((Math.max(0, last) * index) / STARTS)),
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
