import type { Command } from 'commander';
import { StyxError } from '../../model/errors.ts';
import { isTerminalJob } from '../../model/job.ts';
import { confirm } from '../confirm.ts';
import { configOption, debugOption, outputOption, wholeNumber, yesOption } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';

interface CancelOptions extends CommonOptions {
  readonly all?: boolean;
  readonly yes?: boolean;
}

export function configure(command: Command): void {
  const id = wholeNumber(1);
  command
    .argument('<cluster>', 'name of the cluster')
    .argument(
      '[jobs...]',
      'job ids; default: the newest that has not ended',
      (text: string, before: number[] | undefined) => [...(before ?? []), id(text)],
    )
    .option('-a, --all', 'all jobs that have not ended');
  outputOption(configOption(debugOption(yesOption(command)))).action(
    (cluster: string, jobs: number[] | undefined, options: CancelOptions) =>
      runCommand(options, (context) => cancel(context, cluster, jobs ?? [], options)),
  );
}

async function cancel(context: Context, name: string, given: number[], options: CancelOptions): Promise<number> {
  if (given.length > 0 && options.all === true)
    throw new StyxError('invalid', '--all does not go together with job ids');
  const styx = await context.styx();
  let jobs: number[] | null = given;
  if (options.all === true) jobs = null;
  else if (given.length === 0) {
    const view = await styx.clusters.view(name, { budget: 30_000 });
    const live = view.jobs.filter(({ status }) => !isTerminalJob(status)).map(({ id }) => id);
    if (live.length === 0) throw new StyxError('not-found', `Cluster '${name}' has no job that could be cancelled`);
    jobs = [Math.max(...live)];
  }
  const what = jobs === null ? 'all jobs' : `job${jobs.length === 1 ? '' : 's'} ${jobs.join(', ')}`;
  await confirm(`Cancelling ${what} on cluster '${name}'.`, options.yes);
  const answer = await styx.clusters.cancel(name, jobs, { onProgress: (text) => context.progress.update(text) });
  context.progress.stop();
  if (options.output === 'json') {
    process.stdout.write(`${JSON.stringify({ cluster: name, jobIds: answer.jobIds, note: answer.note }, null, 2)}\n`);
  } else if (answer.note !== null) process.stdout.write(`${answer.note}\n`);
  else process.stdout.write(`Cancelled on cluster ${name}: ${answer.jobIds.join(', ') || 'no job'}\n`);
  return 0;
}
