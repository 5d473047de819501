/** `styx jobs pool`: its subcommands, which cli/jobs/pool.ts carries out. */
import type { Command } from 'commander';
import { MAX_WORKERS } from '../../model/pool.ts';
import { configOption, debugOption, outputOption, wholeNumber, yesOption } from '../options.ts';
import { runCommand } from '../run.ts';
import { taskOptions } from '../task-input.ts';

export function configurePool(command: Command): void {
  apply(command.command('apply').description('Make a pool, or change it; workers are replaced one at a time'));
  status(command.command('status').description('Show pools and their workers'));
  down(command.command('down').description('Take pools down; their jobs are cancelled'));
  logs(command.command('logs').description('What happened to a pool, or what a worker wrote while it was set up'));
}

function common(command: Command): Command {
  return outputOption(configOption(debugOption(command)));
}

function apply(command: Command): void {
  command.argument('[pool_yaml...]', 'task file with a `pool` section and without `run`; - for stdin');
  taskOptions(command)
    .option('-p, --pool <name>', 'name of the pool; default: the `name` of the file')
    .option('--workers <n>', 'change nothing but the number of workers', wholeNumber(0, MAX_WORKERS));
  common(yesOption(command)).action((entrypoint: string[], options) =>
    runCommand(options, async (context) => {
      const { applyPool } = await import('../jobs/pool.ts');
      return await applyPool(context, entrypoint, options);
    }),
  );
}

function status(command: Command): void {
  command.argument('[pools...]', 'names of pools, globs allowed; default: all').option('-v, --verbose', 'more columns');
  common(command).action((names: string[], options) =>
    runCommand(options, async (context) => {
      const { showPools } = await import('../jobs/pool.ts');
      return await showPools(context, names, options);
    }),
  );
}

function down(command: Command): void {
  command
    .argument('[pools...]', 'names of pools, globs allowed')
    .option('-a, --all', 'all pools')
    .option('-p, --purge', 'end workers at once, whatever runs there');
  common(yesOption(command)).action((names: string[], options) =>
    runCommand(options, async (context) => {
      const { downPools } = await import('../jobs/pool.ts');
      return await downPools(context, names, options);
    }),
  );
}

function logs(command: Command): void {
  command
    .argument('<pool>', 'name of the pool')
    .argument('[worker]', "a worker's ID: what its setup wrote", wholeNumber(1))
    .option('--tail <lines>', 'the last lines of what there is; 0 for all', wholeNumber(0), 0)
    .option('--follow', 'go on until the setup of the worker has ended (default)', true)
    .option('--no-follow', 'print what there is');
  configOption(debugOption(command)).action((pool: string, worker: number | undefined, options) =>
    runCommand(options, async (context) => {
      const { showPoolLogs } = await import('../jobs/pool.ts');
      return await showPoolLogs(context, pool, worker, options);
    }),
  );
}
