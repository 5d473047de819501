import type { Command } from 'commander';
import { jobExitCode } from '../../model/job.ts';
import { followJob } from '../follow.ts';
import { configOption, debugOption, outputOption } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { commandLineText, readTask, type TaskOptions, taskOptions } from '../task-input.ts';

interface ExecOptions extends CommonOptions, TaskOptions {
  readonly detachRun?: boolean;
}

export function configure(command: Command): void {
  command
    .argument('<cluster>', 'name of a cluster that is up')
    .argument('<entrypoint...>', 'task file (.yaml, .yml, - for stdin), or a shell command');
  taskOptions(command).option('-d, --detach-run', 'return when the job is submitted');
  outputOption(configOption(debugOption(command))).action(
    (cluster: string, entrypoint: string[], options: ExecOptions) =>
      runCommand(options, (context) => exec(context, cluster, entrypoint, options)),
  );
}

async function exec(context: Context, name: string, entrypoint: string[], options: ExecOptions): Promise<number> {
  const task = readTask(entrypoint, options);
  const styx = await context.styx();
  context.onDetach('Interrupted: the job may have been submitted; see `styx queue`.');
  const answer = await styx.clusters.exec(name, task, {
    commandLine: commandLineText(process.argv.slice(2)),
    onProgress: (text) => context.progress.update(text),
    onNote: (text) => context.progress.line(text),
  });
  const { jobId, generation } = answer;
  if (jobId === null) return 0;
  context.onDetach(
    `Detached: the job goes on.\n  follow it:    styx logs ${name} ${jobId}\n  end the job:  styx cancel ${name} ${jobId}`,
  );
  if (options.output === 'json') {
    const job = options.detachRun === true ? null : await styx.clusters.waitJob(name, jobId, { generation });
    const result = { cluster: name, jobId, jobStatus: job?.status ?? null, exitCodes: job?.exitCodes ?? null };
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    return job === null ? 0 : jobExitCode(job.status);
  }
  context.progress.line(`Job ${jobId} submitted to cluster ${name}.`);
  if (options.detachRun === true) {
    process.stdout.write(`${jobId}\n`);
    return 0;
  }
  return await followJob(context, styx, name, { id: jobId, ranks: task.numNodes, generation });
}
