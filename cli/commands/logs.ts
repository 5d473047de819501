import type { Command } from 'commander';
import type { Styx } from '../../client/connect.ts';
import { pickJob } from '../../client/logs.ts';
import type { ClusterView } from '../../model/commands.ts';
import { StyxError } from '../../model/errors.ts';
import { isTerminalJob, type JobRow, jobExitCode } from '../../model/job.ts';
import { followJob, jobEndText, streamLogs } from '../follow.ts';
import { configOption, debugOption, outputOption, wholeNumber } from '../options.ts';
import { provisionJson, provisionText } from '../provision.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';

interface LogsOptions extends CommonOptions {
  readonly tail?: number;
  readonly follow: boolean;
  readonly status?: boolean;
  readonly syncDown?: boolean;
  readonly provision?: boolean;
  readonly worker?: number;
}

export function configure(command: Command): void {
  const id = wholeNumber(1);
  command
    .argument('<cluster>', 'name of the cluster')
    .argument('[jobs...]', 'job ids; default: the newest job', (text: string, before: number[] | undefined) => [
      ...(before ?? []),
      id(text),
    ])
    .option('--tail <lines>', 'begin with the last lines of each rank; 0 for all (default: 1000)', wholeNumber(0))
    .option('--follow', 'go on until the job has ended (default)', true)
    .option('--no-follow', 'print what there is')
    .option('-w, --worker <rank>', 'only this rank of the job', wholeNumber(0))
    .option('-s, --sync-down', 'write the whole logs to files and print where')
    .option('--status', "print only the job's status; exit code 0 when it succeeded, else 1")
    .option('--provision', 'show how the machines came to be, and what their set-up said');
  outputOption(configOption(debugOption(command))).action(
    (cluster: string, jobs: number[] | undefined, options: LogsOptions) =>
      runCommand(options, (context) => logs(context, cluster, jobs ?? [], options)),
  );
}

async function logs(context: Context, name: string, ids: number[], options: LogsOptions): Promise<number> {
  if (options.output === 'json' && options.status !== true && options.syncDown !== true && options.provision !== true) {
    throw new StyxError('invalid', 'a log is no JSON: -o json goes with --status, --sync-down or --provision');
  }
  const styx = await context.styx();
  const view = await styx.clusters.view(name, { budget: 30_000, onProgress: (text) => context.progress.update(text) });
  context.progress.stop();
  if (options.provision === true) return await provision(styx, view, options);
  const jobs = pickJobs(view, name, ids);
  if (jobs === null) return jobExitCode(null);
  if (options.status === true) return printStatus(jobs, options);
  if (options.syncDown === true) {
    const { syncDown } = await import('../sync-down.ts');
    return await syncDown(context, styx, view, jobs, options);
  }
  let code = 0;
  for (const job of jobs) {
    if (jobs.length > 1) context.progress.line(`Job ${job.id} of cluster ${name}:`);
    code ||= await show(context, styx, view, job, options);
  }
  return code;
}

/** Null, with a word about it, when there is none: that has an exit code of its own. */
function pickJobs(view: ClusterView, name: string, ids: number[]): JobRow[] | null {
  try {
    return ids.length === 0 ? [pickJob(view, name, undefined)] : ids.map((id) => pickJob(view, name, id));
  } catch (error) {
    if (!(error instanceof StyxError) || error.kind !== 'not-found') throw error;
    process.stderr.write(`Error: ${error.message}\n${error.hint ?? `Run \`styx queue ${name}\` to see its jobs.`}\n`);
    return null;
  }
}

async function show(
  context: Context,
  styx: Styx,
  view: ClusterView,
  job: JobRow,
  options: LogsOptions,
): Promise<number> {
  const { tail, worker: rank } = options;
  const { name, generation } = view;
  if (options.follow && !isTerminalJob(job.status)) {
    context.onDetach(
      `Detached: job ${job.id} goes on.\n  follow it:    styx logs ${name} ${job.id}\n  end the job:  styx cancel ${name} ${job.id}`,
    );
    return await followJob(context, styx, name, { id: job.id, ranks: job.numNodes, generation }, { tail, rank });
  }
  if (job.allotment !== null) {
    await streamLogs(context, styx, name, job.numNodes, { jobId: job.id, tail, rank, follow: false });
  }
  if (isTerminalJob(job.status)) context.progress.line(jobEndText(job));
  return jobExitCode(job.status);
}

function printStatus(jobs: readonly JobRow[], options: LogsOptions): number {
  if (options.output === 'json') {
    const rows = jobs.map(({ id, status, exitCodes }) => ({ id, status, exitCodes }));
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  } else for (const { id, status } of jobs) process.stdout.write(`Job ${id}: ${status}\n`);
  return jobs.every(({ status }) => status === 'SUCCEEDED') ? 0 : 1;
}

async function provision(styx: Styx, view: ClusterView, { output, worker }: LogsOptions): Promise<number> {
  const all = await styx.setUpLogs(view).catch((error: unknown) => {
    // What the cluster knows by itself is told nevertheless.
    if (!(error instanceof StyxError)) throw error;
    process.stderr.write(`Which machines are being set up is not known: ${error.message}\n`);
    return [];
  });
  const logs = all.filter(({ rank }) => worker === undefined || rank === worker);
  process.stdout.write(output === 'json' ? `${provisionJson(view, logs)}\n` : `${provisionText(view, logs)}\n`);
  return 0;
}
