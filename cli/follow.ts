/** Following what a command started: its operation, then the job's output, then the job's end. */
import type { Styx } from '../client/connect.ts';
import type { LogOptions } from '../client/logs.ts';
import type { CommandAnswer } from '../model/cluster.ts';
import type { ClusterView } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { type JobRow, jobExitCode } from '../model/job.ts';
import type { NodeInfo } from '../model/machines.ts';
import { tryText } from '../model/try-text.ts';
import { LinePrefixer } from './lines.ts';
import { otherTypesText } from './other-types.ts';
import type { Context } from './run.ts';
import { plain } from './table.ts';
import { triesLines, triesOf } from './tries.ts';

const NEWLINE = 10;
const ROOMLESS: ReadonlySet<string> = new Set(['capacity', 'quota']);

/** Shows an operation until it ends. @throws StyxError of its failure; aborted */
export async function followOperation(
  context: Context,
  styx: Styx,
  name: string,
  answer: CommandAnswer,
  subject = '',
): Promise<ClusterView> {
  const { progress } = context;
  let shownUntil = 0;
  const end = await styx.clusters.waitOperation(name, answer, {
    onWait: (text) => progress.update(text, subject),
    onView: (view) => {
      for (const tried of triesOf(view, answer.operationId, shownUntil)) {
        progress.line(plain((subject === '' ? '' : `${subject}: `) + tryText(tried)));
        shownUntil = tried.at;
      }
      const text = operationText(view, answer.operationId);
      if (text !== null) progress.update(text, subject);
    },
  });
  if (end.outcome === 'succeeded') return end.view;
  if (end.outcome === 'unknown') {
    throw new StyxError('not-found', `the operation on cluster '${name}' ended, and how is no longer known`);
  }
  const failure = end.operation?.failure ?? null;
  if (failure !== null) {
    const tries = triesOf(end.view, answer.operationId);
    if (tries.length > 1) {
      progress.end(subject);
      for (const line of triesLines(name, tries)) progress.line(line);
    }
    const isLaunch = end.operation?.kind === 'launch';
    const others = isLaunch && ROOMLESS.has(failure.kind) ? await otherTypesText(tries) : null;
    const hints = [failure.hint, others].filter((one) => one !== undefined && one !== null);
    throw new StyxError(failure.kind, failure.message, hints.length === 0 ? {} : { hint: hints.join('\n') });
  }
  const kind = end.operation?.kind ?? 'operation';
  throw end.outcome === 'aborted'
    ? new StyxError('aborted', `the ${kind} of cluster '${name}' was ended by another command`)
    : new StyxError('internal', `the ${kind} of cluster '${name}' failed`);
}

function operationText(view: ClusterView, operationId: string | null): string | null {
  if (operationId === null) return null;
  if (view.operation?.id === operationId) return view.operation.progress || `${view.operation.kind} of ${view.name}`;
  if (!view.waiting.some(({ opId }) => opId === operationId)) return null;
  return `waiting for the ${view.operation?.kind ?? 'operation'} of ${view.name} to end`;
}

/** Writes a job's output to stdout as it comes. Lines carry node and rank when there are several. */
export async function streamLogs(
  context: Context,
  styx: Styx,
  name: string,
  ranks: number,
  options: LogOptions,
): Promise<void> {
  const prefixers = new Map<number, LinePrefixer>();
  const prefixed = ranks > 1 && options.rank === undefined;
  let last: number | undefined;
  const pieces = styx.logs(name, {
    ...options,
    onWait: (text) => (text === null ? context.progress.stop() : context.progress.update(text)),
  });
  for await (const { rank, node, data } of pieces) {
    context.progress.stop();
    if (!prefixed) {
      last = data.at(-1);
      await write(data);
    } else {
      const prefixer = prefixers.get(rank) ?? new LinePrefixer(rankPrefix(rank, node));
      prefixers.set(rank, prefixer);
      await write(prefixer.push(data));
    }
  }
  for (const prefixer of prefixers.values()) await write(prefixer.flush());
  context.progress.stop();
  // So that what is said next begins a line of its own; stdout has the job's bytes alone.
  if (last !== undefined && last !== NEWLINE) context.progress.line('');
}

/** As SkyPilot's: the cluster's first node is the head, the others are workers. */
export function rankPrefix(rank: number, node: NodeInfo): string {
  return `(${node.rank === 0 ? 'head' : `worker${node.rank}`}, rank=${rank}) `;
}

async function write(data: Buffer): Promise<void> {
  if (data.length === 0 || process.stdout.write(data)) return;
  await new Promise<void>((resolve) => process.stdout.once('drain', resolve));
}

/** Follows the output until the job ends; answers SkyPilot's exit code for it. */
export async function followJob(
  context: Context,
  styx: Styx,
  name: string,
  job: { id: number; ranks: number; generation: string },
  options: Omit<LogOptions, 'jobId' | 'follow'> = {},
): Promise<number> {
  let trouble: StyxError | null = null;
  try {
    await streamLogs(context, styx, name, job.ranks, { ...options, jobId: job.id });
  } catch (error) {
    // The machines went away: how the job ended is still known.
    if (!(error instanceof StyxError) || (error.kind !== 'unreachable' && error.kind !== 'not-found')) throw error;
    trouble = error;
  }
  const ended = await styx.clusters.waitJob(name, job.id, { generation: job.generation }).catch((error: unknown) => {
    throw trouble ?? error;
  });
  if (trouble !== null) context.progress.line(`Note: ${trouble.message}`);
  context.progress.stop();
  context.progress.line(jobEndText(ended));
  return jobExitCode(ended.status);
}

export function jobEndText(job: JobRow): string {
  const codes = job.exitCodes ?? [];
  const failed = codes.flatMap((code, rank) => (code === null || code === 0 ? [] : [{ code, rank }]));
  const text = failed.map(({ code, rank }) => (codes.length > 1 ? `rank ${rank}: ${code}` : `${code}`)).join(', ');
  const why = job.reason || (text === '' ? '' : `exit code ${text}`);
  return `Job ${job.id} ${job.status}${why === '' ? '' : `: ${why}`}`;
}
