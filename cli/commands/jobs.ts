/** Managed jobs: the subcommands, each with a file of its own in cli/jobs/. */
import { type Command, Option } from 'commander';
import { MANAGED_STATUSES } from '../../model/managed-job.ts';
import { collect, configOption, debugOption, outputOption, wholeNumber, yesOption } from '../options.ts';
import { runCommand } from '../run.ts';
import { taskOptions } from '../task-input.ts';
import { configureSchedule } from './jobs-schedule.ts';
import { configurePool } from './pool.ts';

const JOB = 'number, name or id of the job';

export function configure(command: Command): void {
  launch(command.command('launch').description('Submit a job that outlives its machines'));
  queue(command.command('queue').description('Show managed jobs'));
  logs(command.command('logs').description("Show a job's output over all its tries, and follow it"));
  cancel(command.command('cancel').description('Cancel managed jobs; their machines go'));
  configurePool(command.command('pool').description('Workers that stand ready for managed jobs'));
  configureSchedule(command.command('schedule').description('Have managed jobs submitted at given times'));
  history(command.command('history').description("Tell a job's life: its tries, what ended them, what they cost"));
}

function common(command: Command): Command {
  return outputOption(configOption(debugOption(command)));
}

function launch(command: Command): void {
  command.argument('<entrypoint...>', 'task file (.yaml, .yml, - for stdin), or a shell command');
  taskOptions(command)
    .option('-p, --pool <name>', 'run on a worker of this pool')
    .option('--job-recovery <strategy>', 'EAGER_NEXT_REGION (default) or FAILOVER')
    .option('-d, --detach-run', 'return when the job is submitted');
  common(yesOption(command)).action((entrypoint: string[], options) =>
    runCommand(options, async (context) => {
      const { launchJob } = await import('../jobs/launch.ts');
      return await launchJob(context, entrypoint, options);
    }),
  );
}

function queue(command: Command): void {
  command
    .option('-v, --verbose', 'more columns')
    .option('-s, --skip-finished', 'only jobs that have not ended')
    .addOption(
      new Option('--status <status>', 'only jobs of this status; may be repeated').argParser(
        (text: string, before: readonly string[] | undefined) => collect(text.toUpperCase(), before),
      ),
    )
    .option('-u, --all-users', 'jobs of all users')
    .option('-l, --limit <n>', 'the newest', wholeNumber(1), 50)
    .option('-a, --all', 'all, however many there are');
  common(command).action((options) =>
    runCommand(options, async (context) => {
      const { showQueue } = await import('../jobs/queue.ts');
      return await showQueue(context, options, MANAGED_STATUSES);
    }),
  );
}

function logs(command: Command): void {
  command
    .argument('[job]', `${JOB}; default: your newest`)
    .option('-n, --name <name>', 'name of the job')
    .option('--tail <lines>', 'last lines of what there is to begin with; 0 for all', wholeNumber(0), 0)
    .option('--follow', 'go on until the job has ended (default)', true)
    .option('--no-follow', 'print what there is')
    .option('-w, --worker <rank>', 'only this rank of the job', wholeNumber(0));
  configOption(debugOption(command)).action((job: string | undefined, options) =>
    runCommand(options, async (context) => {
      const { showLogs } = await import('../jobs/logs.ts');
      return await showLogs(context, job, options);
    }),
  );
}

function cancel(command: Command): void {
  command
    .argument('[jobs...]', 'numbers, names or ids of jobs')
    .option('-n, --name <name>', 'name of the job')
    .option('-p, --pool <name>', 'all jobs of this pool that have not ended')
    .option('-a, --all', 'all of your jobs that have not ended')
    .option('-u, --all-users', 'those of all users');
  common(yesOption(command)).action((jobs: string[], options) =>
    runCommand(options, async (context) => {
      const { cancelJobs } = await import('../jobs/cancel.ts');
      return await cancelJobs(context, jobs, options);
    }),
  );
}

function history(command: Command): void {
  command.argument('<job>', JOB);
  common(command).action((job: string, options) =>
    runCommand(options, async (context) => {
      const { showHistory } = await import('../jobs/history.ts');
      return await showHistory(context, job, options);
    }),
  );
}
