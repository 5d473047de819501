import type { Command } from 'commander';
import type { ClusterView } from '../../model/commands.ts';
import { isTerminalJob, type JobRow } from '../../model/job.ts';
import { mapLimited } from '../../model/map-limited.ts';
import { expand } from '../bulk.ts';
import { colourStatus } from '../colour.ts';
import { formatAge, formatSpan, isoTime } from '../format.ts';
import { configOption, debugOption, outputOption } from '../options.ts';
import { type CommonOptions, type Context, report, runCommand } from '../run.ts';
import { formatTable, plain } from '../table.ts';

interface QueueOptions extends CommonOptions {
  readonly skipFinished?: boolean;
}

export function configure(command: Command): void {
  command
    .argument('[clusters...]', 'names or globs; default: all')
    .option('-s, --skip-finished', 'only jobs that have not ended');
  outputOption(configOption(debugOption(command))).action((clusters: string[], options: QueueOptions) =>
    runCommand(options, (context) => queue(context, clusters, options)),
  );
}

async function queue(context: Context, patterns: string[], options: QueueOptions): Promise<number> {
  const styx = await context.styx();
  const names = await expand(styx, patterns);
  let code = 0;
  const views = await mapLimited(names, 8, async (name) => {
    try {
      return await styx.clusters.view(name, { budget: 30_000 });
    } catch (error) {
      if (names.length === 1) throw error;
      code ||= report(error, options.debug === true);
      return null;
    }
  });
  const known = views.filter((view) => view !== null);
  if (options.output === 'json') {
    const jobs = known.flatMap((view) => shown(view, options).map((job) => asJson(view, job)));
    process.stdout.write(`${JSON.stringify(jobs, null, 2)}\n`);
  } else if (known.length === 0) process.stdout.write('No existing clusters.\n');
  else process.stdout.write(`${known.map((view) => queueText(view, shown(view, options))).join('\n\n')}\n`);
  return code;
}

function shown(view: ClusterView, options: QueueOptions): JobRow[] {
  return view.jobs
    .filter(({ status }) => options.skipFinished !== true || !isTerminalJob(status))
    .sort((a, b) => b.id - a.id);
}

export function queueText(view: ClusterView, jobs: readonly JobRow[], now = Date.now()): string {
  const title = `Job queue of cluster ${view.name} (${view.status})`;
  if (jobs.length === 0) return `${title}\nNo jobs.`;
  const header = ['ID', 'NAME', 'USER', 'SUBMITTED', 'STARTED', 'DURATION', 'RESOURCES', 'STATUS', 'LOG', 'GIT COMMIT'];
  const rows = jobs.map((job) => [
    String(job.id),
    job.name ?? '-',
    job.user,
    formatAge(job.submittedAt, now),
    formatAge(job.startedAt, now),
    formatSpan(job.startedAt, job.endedAt, now),
    job.resources,
    job.status,
    `styx logs ${view.name} ${job.id}`,
    '-',
  ]);
  const notes = jobs.flatMap((job) => {
    const why = isTerminalJob(job.status) ? job.reason : view.waits[String(job.id)];
    return why ? [`Job ${job.id} ${isTerminalJob(job.status) ? 'ended' : 'waits'}: ${plain(why)}`] : [];
  });
  return [title, colourStatus(formatTable(header, rows)), ...notes].join('\n');
}

/** docs/cli.md describes this shape. */
function asJson(view: ClusterView, job: JobRow) {
  return {
    cluster: view.name,
    id: job.id,
    name: job.name,
    user: job.user,
    status: job.status,
    reason: job.reason,
    waitsFor: view.waits[String(job.id)] ?? null,
    submittedAt: isoTime(job.submittedAt),
    startedAt: isoTime(job.startedAt),
    endedAt: isoTime(job.endedAt),
    numNodes: job.numNodes,
    resources: job.resources,
    priority: job.priority,
    maxDuration: job.maxDuration,
    allotment: job.allotment,
    exitCodes: job.exitCodes,
  };
}
