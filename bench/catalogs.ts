/** What is asked of all catalogues: by commands, and in one warm process beside SkyPilot's optimizer. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { catalogFiles, loadCatalog } from '../catalogs/load.ts';
import { optimizeTasks } from '../client/optimize.ts';
import { parseTaskFile, tasksOf } from '../model/parse-task.ts';
import type { TaskSpec } from '../model/spec/task.ts';
import { optimize, rank } from '../optimizer/index.ts';
import { askSkypilot, CLOUDS, layComparedRows, taskTexts } from '../test/oracle/skypilot-optimizer.ts';
import { add, median, percentile, type Report } from './report.ts';
import { NO_SKY, pythonBeside, skyPath } from './sky.ts';

const ROOT = join(import.meta.dirname, '..');
const OPTIMIZE = ['optimize', '--gpus', 'A100:1'];
const ONE_GPU = 'run: x\nresources: {accelerators: "A100:1"}\n';
const RANKINGS = 400;
const REQUESTS = 60;
const PASSES = 3;

export async function catalogs(report: Report, rounds: number, sky: string | undefined): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'styx-bench-catalogs-'));
  try {
    commands(report, rounds, dir);
    memory(report, rounds, fresh(dir));
    await ranking(report, fresh(dir));
    await besideSkypilot(report, fresh(dir), sky);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function fresh(dir: string): string {
  return mkdtempSync(join(dir, 'home-'));
}

/** Each run has a data directory of its own; nothing of the user's is read. */
function commands(report: Report, rounds: number, dir: string): void {
  const cache = join(dir, 'cache');
  const run = (args: readonly string[], styxCache?: string) => {
    const home = fresh(dir);
    const env = {
      PATH: process.env.PATH,
      HOME: home,
      STYX_HOME: join(home, '.styx'),
      STYX_CACHE: styxCache ?? join(home, 'cache'),
    };
    const started = performance.now();
    const done = spawnSync(join(ROOT, 'bin', 'styx'), args, { cwd: home, env, encoding: 'utf8' });
    const seconds = (performance.now() - started) / 1_000;
    if (done.status !== 0 || !done.stdout.includes('A100')) throw new Error(`styx ${args.join(' ')}: ${done.stderr}`);
    return seconds;
  };
  for (const [args, target] of [
    [OPTIMIZE, 0.7],
    [['gpus', 'list'], 0.5],
  ] as const) {
    const subject = `styx ${args.join(' ')}`;
    const firsts = Array.from({ length: rounds }, () => run(args));
    add(report, {
      subject: `${subject}, first ever`,
      unit: 's',
      values: firsts,
      target,
      note: 'no compiled code kept',
    });
    run(args, cache);
    const values = Array.from({ length: rounds }, () => run(args, cache));
    add(report, { subject, unit: 's', values, target });
  }
}

/** Prints bytes in memory before and after. */
const LOAD = `
const [module, home] = process.argv.slice(1);
const { catalogFiles, loadCatalog } = await import(module);
const before = process.memoryUsage.rss();
const loaded = await Promise.all(catalogFiles(home).map((file) => loadCatalog(file)));
const after = process.memoryUsage.rss();
const rows = loaded.reduce((sum, { catalog }) => sum + catalog.length, 0);
console.log(JSON.stringify({ before, after, rows }));
`;

function memory(report: Report, rounds: number, home: string): void {
  const runs = Array.from({ length: rounds }, () => {
    const args = ['--input-type=module', '-e', LOAD, '--', join(ROOT, 'catalogs', 'load.ts'), home];
    const child = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (child.status !== 0) throw new Error(`loading all catalogues: ${child.stderr}`);
    return JSON.parse(child.stdout) as { before: number; after: number; rows: number };
  });
  const middle = (of: (run: (typeof runs)[number]) => number) => Math.round(median(runs.map(of)) / 1e6);
  add(report, {
    subject: 'memory of all catalogues',
    unit: 'MB',
    values: runs.map(({ before, after }) => (after - before) / 1e6),
    target: 100,
    note: `${runs[0]?.rows} rows; RSS ${middle(({ before }) => before)} before, ${middle(({ after }) => after)} after`,
  });
}

async function ranking(report: Report, home: string): Promise<void> {
  const loaded = await Promise.all(catalogFiles(home).map((file) => loadCatalog(file)));
  const rows = loaded.flatMap(({ catalog }) => [...catalog.rows()]);
  const task = taskOf(ONE_GPU);
  const once = () => rank(task, rows, { types: 'all' });
  for (let round = 0; round < RANKINGS / 4; round++) once();
  const values = Array.from({ length: RANKINGS }, () => milliseconds(once));
  const note = `${once().placements.length} of ${rows.length} rows fit; p99 ${percentile(values, 0.99).toPrecision(3)}`;
  add(report, { subject: 'rank one GPU over all catalogues', unit: 'ms', values, target: 10, note });
}

/** The same requests, from their YAML on, over the same rows; both have loaded them and answered every request before. */
async function besideSkypilot(report: Report, home: string, sky: string | undefined): Promise<void> {
  const subject = "SkyPilot's optimizer";
  const path = skyPath(sky);
  const python = path === undefined ? undefined : pythonBeside(path);
  if (python === undefined) {
    report.skips.push({ subject, why: path === undefined ? NO_SKY : `no python beside ${path}` });
    return;
  }
  const rows = await layComparedRows(home);
  const texts = taskTexts(REQUESTS);
  let theirs: number[];
  try {
    theirs = askSkypilot(python, home, texts, texts).seconds.map((seconds) => seconds * 1_000);
  } catch (error) {
    report.skips.push({ subject, why: (error as Error).message.trim().split('\n').at(-1) ?? '' });
    return;
  }
  let ours: number[] = [];
  for (let pass = 0; pass < PASSES; pass++) {
    ours = texts.map((text) =>
      milliseconds(() => optimize({ tasks: [taskOf(text)], edges: [] }, rows, { types: 'all' })),
    );
  }
  const whole = await clientTimes(texts, home);
  const note = `${REQUESTS} requests, ${rows.length} rows`;
  add(report, { subject, unit: 'ms', values: theirs, note });
  add(report, { subject: 'our optimizer, same requests', unit: 'ms', values: ours, note });
  add(report, {
    subject: 'SkyPilot / ours, by request',
    unit: '',
    values: theirs.map((one, index) => one / (ours[index] ?? Number.NaN)),
    target: 20,
    least: true,
    note: `of the sums: ${(total(theirs) / total(ours)).toFixed(0)}`,
  });
  add(report, {
    subject: 'our client, same requests',
    unit: 'ms',
    values: whole,
    note: `catalogues looked up, rows made, ranked and planned; SkyPilot / this: ${(total(theirs) / total(whole)).toFixed(0)} of the sums`,
  });
}

/** What a caller of the client waits for, over the catalogues of the same clouds. */
async function clientTimes(texts: readonly string[], home: string): Promise<number[]> {
  const clouds = Object.keys(CLOUDS);
  let times: number[] = [];
  for (let pass = 0; pass < PASSES; pass++) {
    times = [];
    for (const text of texts) {
      const started = performance.now();
      await optimizeTasks(parseTaskFile(text, { file: 'task.yaml' }), { home, clouds });
      times.push(performance.now() - started);
    }
  }
  return times;
}

function taskOf(text: string): TaskSpec {
  const [task] = tasksOf(parseTaskFile(text, { file: 'task.yaml' }));
  if (task === undefined) throw new Error(text);
  return task;
}

function milliseconds(work: () => unknown): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
