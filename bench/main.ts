/**
 * npm run bench [-- OPTIONS]: measures a Styx of its own on this machine and prints a table; the JSON goes to a file. Figures are
 * worth something on an idle machine alone: the load average is told with each.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { accept } from './accept.ts';
import { awsLaunch } from './aws-launch.ts';
import { catalogs } from './catalogs.ts';
import { files } from './files.ts';
import { history } from './history.ts';
import { whenInterrupted } from './interrupted.ts';
import { Lab } from './lab.ts';
import { latency } from './latency.ts';
import { managedJobs, pendingJobs, tearDown } from './managed-jobs.ts';
import { idleMemory, memoryWith } from './memory.ts';
import { metrics } from './metrics.ts';
import { optimizer } from './optimizer.ts';
import { postgres } from './postgres.ts';
import { ray } from './ray.ts';
import { met, type Report, table } from './report.ts';
import { status } from './status.ts';
import { strategies } from './strategies.ts';
import { validate } from './validate.ts';

const USAGE = `Usage: npm run bench -- [OPTIONS]
  --clusters N   clusters that are up at once for the memory figures; 0 for none (default 100)
  --jobs N       managed jobs that run at once; 0 for none (default 100)
  --pending N    managed jobs that wait; 0 for none (default 500)
  --rounds N     times that each command is run (default 7)
  --only NAMES   of validate, optimizer, catalogs, strategies, latency, files, status, history, accept, metrics, ray, memory, managed-jobs, aws-launch, postgres; separated by commas (default all)
  --traces DIRS  of when spot machines could be had, <zone>_<type>.json each, separated by commas (default: made-up ones alone)
  --sky PATH     the sky program of SkyPilot, to compare with (default: the one on PATH)
  --json FILE    where the JSON goes (default: a file below the system's temporary directory)`;

function number(text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new Error(`${text} is not a whole number from ${least}\n${USAGE}`);
  return value;
}

const SUBJECTS = [
  'validate',
  'optimizer',
  'catalogs',
  'strategies',
  'latency',
  'files',
  'status',
  'history',
  'accept',
  'ray',
  'metrics',
  'memory',
  'managed-jobs',
  'aws-launch',
  'postgres',
];
const { values: options } = parseArgs({
  options: {
    clusters: { type: 'string', default: '100' },
    jobs: { type: 'string', default: '100' },
    pending: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '7' },
    only: { type: 'string', default: SUBJECTS.join(',') },
    sky: { type: 'string' },
    traces: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) {
  console.log(USAGE);
  process.exit(0);
}
const rounds = number(options.rounds, 1);
const clusters = number(options.clusters, 0);
const jobs = number(options.jobs, 0);
const pending = number(options.pending, 0);
const wanted = new Set(options.only.split(','));
for (const name of wanted) if (!SUBJECTS.includes(name)) throw new Error(`there is no subject ${name}\n${USAGE}`);

const say = (text: string) => console.error(`bench: ${text}`);
const report: Report = { figures: [], skips: [] };
const before = loadavg();
if (wanted.has('validate')) {
  say('validate');
  validate(report, rounds);
}
if (wanted.has('optimizer')) {
  say('optimizer');
  optimizer(report, rounds);
}
if (wanted.has('catalogs')) {
  say('catalogs');
  await catalogs(report, rounds, options.sky);
}
if (wanted.has('strategies')) strategies(report, options.traces?.split(',') ?? [], say);
const ALONE = ['validate', 'optimizer', 'catalogs', 'strategies', 'aws-launch', 'postgres'];
// Beside its own figures those of the embedded server, of the same minutes.
if (wanted.has('postgres')) for (const name of ['latency', 'status', 'accept']) wanted.add(name);
if (SUBJECTS.some((subject) => !ALONE.includes(subject) && wanted.has(subject))) await withServer();
if (wanted.has('aws-launch')) {
  say('launches on AWS');
  await awsLaunch(report, rounds, say);
}
if (wanted.has('postgres')) await postgres(report, rounds, say);

const machine = { cpus: availableParallelism(), model: cpus()[0]?.model ?? '', memoryGiB: totalmem() / 1024 ** 3 };
const result = {
  at: new Date().toISOString(),
  machine,
  load: { before, after: loadavg() },
  figures: report.figures.map((figure) => ({ ...figure, met: met(figure) })),
  skips: report.skips,
};
const file = options.json ?? join(tmpdir(), `styx-bench-${result.at.replace(/[:.]/g, '-')}.json`);
writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
console.log(
  `${machine.cpus} CPUs (${machine.model}), ${machine.memoryGiB.toFixed(0)} GiB; load ${before[0]?.toFixed(1)} before\n`,
);
console.log(table(report));
console.log(`\nJSON: ${file}`);

async function withServer(): Promise<void> {
  say('starting a server');
  const lab = await Lab.start();
  whenInterrupted(() => lab.end());
  try {
    if (wanted.has('memory')) await idleMemory(lab, report);
    if (wanted.has('latency')) {
      say('launch and exec');
      await latency(lab, report, rounds);
    }
    if (wanted.has('files')) {
      say('files');
      await files(lab, report, Math.min(rounds, 5), say);
    }
    if (wanted.has('status')) {
      say('status');
      await status(lab, report, rounds, options.sky);
    }
    if (wanted.has('history')) {
      say('history');
      await history(lab, report);
    }
    if (wanted.has('accept')) {
      say('acceptance of launches');
      await accept(lab, report);
    }
    if (wanted.has('ray')) await ray(lab, report, Math.min(rounds, 3), say);
    if (wanted.has('metrics')) await metrics(lab, report, say);
    if (wanted.has('memory')) {
      say(`${clusters} clusters at once`);
      await memoryWith(lab, report, clusters, say);
    }
    if (wanted.has('managed-jobs')) {
      say(`${jobs} managed jobs at once, and ${pending} that wait`);
      if (jobs > 0) await managedJobs(lab, report, jobs, say);
      await tearDown(lab, report, rounds);
      if (pending > 0) await pendingJobs(lab, report, pending, say);
    }
  } finally {
    say('cleaning up');
    await lab.end();
  }
}
