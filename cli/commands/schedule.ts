/** `styx schedule`: clusters by office hours. What the subcommands do is in cli/cluster-schedule.ts. */
import type { Command } from 'commander';
import { collect, configOption, debugOption, outputOption, yesOption } from '../options.ts';
import { runCommand } from '../run.ts';
import { taskOptions } from '../task-input.ts';

const CLUSTER = 'name of the cluster';

export function configure(command: Command): void {
  create(command.command('create').description('Bring a cluster up and take it away at given times'));
  common(command.command('list').description('Show the schedules of clusters')).action((options) =>
    runCommand(options, async (context) => (await actions()).listHours(context, options)),
  );
  common(command.command('show').description('Show the schedule of a cluster'))
    .argument('<cluster>', CLUSTER)
    .action((cluster: string, options) =>
      runCommand(options, async (context) => (await actions()).showHours(context, cluster, options)),
    );
  for (const [verb, paused] of [['pause', true] as const, ['resume', false] as const]) {
    const about = paused ? 'Leave the cluster as it is until it is resumed' : 'Obey the times again';
    common(command.command(verb).description(about))
      .argument('<cluster>', CLUSTER)
      .option('--note <text>', 'why, for people')
      .action((cluster: string, options) =>
        runCommand(options, async (context) => (await actions()).pauseHours(context, cluster, paused, options)),
      );
  }
  common(command.command('trigger').description('Do now what is due at the beginning or the end of the hours'))
    .argument('<cluster>', CLUSTER)
    .argument('<side>', 'up or down')
    .action((cluster: string, side: string, options) =>
      runCommand(options, async (context) => (await actions()).triggerHours(context, cluster, side, options)),
    );
  hours(common(yesOption(command.command('update').description('Change the times'))))
    .argument('<cluster>', CLUSTER)
    .action((cluster: string, options) =>
      runCommand(options, async (context) => (await actions()).updateHours(context, cluster, options)),
    );
  common(yesOption(command.command('delete').description('End schedules; the clusters stay as they are')))
    .argument('<clusters...>', 'names of clusters')
    .action((clusters: string[], options) =>
      runCommand(options, async (context) => (await actions()).deleteHours(context, clusters, options)),
    );
}

function actions() {
  return import('../cluster-schedule.ts');
}

function common(command: Command): Command {
  return outputOption(configOption(debugOption(command)));
}

function hours(command: Command): Command {
  return command
    .option('--up <cron>', 'when it comes up: five fields of cron, "0 9 * * MON-FRI"; may be repeated', collect)
    .option('--down <cron>', 'when it is stopped or ended; may be repeated', collect)
    .option('--timezone <zone>', 'of these, such as Europe/Berlin; default UTC');
}

function create(command: Command): void {
  command
    .argument('<cluster>', CLUSTER)
    .argument(
      '[entrypoint...]',
      'what to launch: task file or shell command; default: the cluster is started as it is',
    );
  hours(taskOptions(command)).option('--end', 'end the cluster at the end of its hours, in place of stopping it');
  common(yesOption(command)).action((cluster: string, entrypoint: string[], options) =>
    runCommand(options, async (context) => (await actions()).createHours(context, cluster, entrypoint, options)),
  );
}
