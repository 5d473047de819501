/** One request ranked over 20,000 rows, and a DAG of 50 tasks with some 600 offers each, in one warm process. */
import { optimize, rank } from '../optimizer/index.ts';
import { add, percentile, type Report } from './report.ts';
import { syntheticDag, syntheticRows } from './synthetic-catalogue.ts';

const ROWS = 20_000;
const TASKS = 50;
const RANKINGS = 200;
const RANK_TARGET_MS = 10;
const DAG_TARGET_SECONDS = 1;

export function optimizer(report: Report, rounds: number): void {
  const rows = syntheticRows(ROWS);
  const dags = Array.from({ length: rounds }, (_, seed) => syntheticDag(TASKS, seed + 1));
  const request = dags[0]?.tasks[0];
  if (request === undefined) return;
  const timed = <T>(work: () => T): [T, number] => {
    const started = performance.now();
    return [work(), performance.now() - started];
  };
  for (let round = 0; round < RANKINGS / 4; round++) rank(request, rows);
  const ranked = Array.from({ length: RANKINGS }, () => timed(() => rank(request, rows)));
  const milliseconds = ranked.map(([, took]) => took);
  const offers = ranked[0]?.[0].placements.length ?? 0;
  add(report, {
    subject: `rank one GPU over ${ROWS} rows`,
    unit: 'ms',
    values: milliseconds,
    target: RANK_TARGET_MS,
    judged: percentile(milliseconds, 0.99),
    note: `${offers} fit; judged by p99`,
  });
  for (const objective of ['cost', 'time'] as const) {
    const runs = dags.map((dag) => timed(() => optimize(dag, rows, { objective })));
    const unproved = runs.filter(([plan]) => plan.kind !== 'plan' || !plan.proved).length;
    if (unproved > 0) throw new Error(`${unproved} of ${runs.length} plans for ${objective} are not proved`);
    const seconds = runs.map(([, took]) => took / 1000);
    add(report, {
      subject: `DAG of ${TASKS} tasks, ${objective}`,
      unit: 's',
      values: seconds,
      target: DAG_TARGET_SECONDS,
      judged: Math.max(...seconds),
      note: `${offers} offers a task; judged by the slowest`,
    });
  }
}
