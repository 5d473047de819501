/** `styx jobs schedule`: the subcommands; what they do is in cli/jobs/schedule.ts. */
import type { Command } from 'commander';
import { configOption, debugOption, outputOption, wholeNumber, yesOption } from '../options.ts';
import { runCommand } from '../run.ts';
import { overlapOption, timeOptions } from '../schedule-options.ts';
import { taskOptions } from '../task-input.ts';

const NAME = 'name of the schedule';
const OVERLAP = 'when another run goes on: skip (default), buffer-one, buffer-all, cancel or allow-all';

export function configureSchedule(command: Command): void {
  create(command.command('create').description('Have a managed job submitted at given times'));
  common(command.command('list').description('Show the schedules of jobs')).action((options) =>
    runCommand(options, async (context) => (await actions()).listSchedules(context, options)),
  );
  common(command.command('show').description('Show a schedule and its last jobs'))
    .argument('<name>', NAME)
    .option('-l, --limit <n>', 'of its jobs, the newest', wholeNumber(1), 10)
    .action((name: string, options) =>
      runCommand(options, async (context) => (await actions()).showSchedule(context, name, options)),
    );
  for (const [verb, paused] of [['pause', true] as const, ['resume', false] as const]) {
    common(command.command(verb).description(paused ? 'Submit nothing until it is resumed' : 'Submit jobs again'))
      .argument('<name>', NAME)
      .option('--note <text>', 'why, for people')
      .action((name: string, options) =>
        runCommand(options, async (context) => (await actions()).pauseSchedule(context, name, paused, options)),
      );
  }
  overlapOption(common(command.command('trigger').description('Submit one job now, paused or not')), OVERLAP)
    .argument('<name>', NAME)
    .action((name: string, options) =>
      runCommand(options, async (context) => (await actions()).triggerSchedule(context, name, options)),
    );
  backfill(command.command('backfill').description('Submit the jobs of times that went by without one'));
  update(command.command('update').description('Change a schedule; its jobs that run go on as they are'));
  common(yesOption(command.command('delete').description('End schedules; their jobs go on')))
    .argument('<names...>', 'names of schedules')
    .action((names: string[], options) =>
      runCommand(options, async (context) => (await actions()).deleteSchedules(context, names, options)),
    );
}

function actions() {
  return import('../jobs/schedule.ts');
}

function common(command: Command): Command {
  return outputOption(configOption(debugOption(command)));
}

function jobOptions(command: Command): Command {
  return taskOptions(command).option('--job-recovery <strategy>', 'EAGER_NEXT_REGION (default) or FAILOVER');
}

function stateOptions(command: Command): Command {
  return command
    .option('--max-runs <n>', 'jobs that it still submits', wholeNumber(1))
    .option('--note <text>', 'for people');
}

function create(command: Command): void {
  command
    .argument('<name>', NAME)
    .argument('<entrypoint...>', 'task file (.yaml, .yml, - for stdin), or a shell command');
  stateOptions(overlapOption(timeOptions(jobOptions(command)), OVERLAP)).option('--paused', 'begin paused');
  common(yesOption(command)).action((name: string, entrypoint: string[], options) =>
    runCommand(options, async (context) => (await actions()).createSchedule(context, name, entrypoint, options)),
  );
}

function update(command: Command): void {
  command
    .argument('<name>', NAME)
    .argument('[entrypoint...]', 'another task in place of its own, with its files and secrets as they are now');
  stateOptions(overlapOption(timeOptions(jobOptions(command)), OVERLAP)).option('--no-max-runs', 'without an end');
  common(yesOption(command)).action((name: string, entrypoint: string[], options) =>
    runCommand(options, async (context) => (await actions()).updateSchedule(context, name, entrypoint, options)),
  );
}

function backfill(command: Command): void {
  command
    .argument('<name>', NAME)
    .requiredOption('--from <date>', 'beginning of the span: 2030-01-31, 2030-01-31T15:04')
    .requiredOption('--to <date>', 'its end');
  const described = overlapOption(
    command,
    'of the runs among one another: buffer-all (default), allow-all and the others',
  );
  common(yesOption(described)).action((name: string, options) =>
    runCommand(options, async (context) => (await actions()).backfillSchedule(context, name, options)),
  );
}
