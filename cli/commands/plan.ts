import type { Command } from 'commander';
import { lastChecks } from '../../client/checks.ts';
import { onAllowedClouds, onEnabledClouds, onStoppable } from '../../client/clouds.ts';
import { planFrom } from '../../client/plan.ts';
import { styxHome } from '../../system/home.ts';
import { configOption, debugOption } from '../options.ts';
import { planText, previewOf, withBudget } from '../plan.ts';
import { writePlan } from '../plan-file.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { readTask, type TaskOptions, taskOptions } from '../task-input.ts';

interface PlanOptions extends Omit<CommonOptions, 'output'>, TaskOptions {
  readonly outFile: string;
  readonly verbose?: boolean;
}

export function configure(command: Command): void {
  command
    .argument('[entrypoint...]', 'task file (.yaml, .yml, - for stdin), or a shell command')
    .option('-o, --out-file <file>', 'where the plan goes; - for stdout', '-');
  command.option('-v, --verbose', 'show why other machines were left out');
  taskOptions(command);
  configOption(debugOption(command)).action((entrypoint: string[], options: PlanOptions) =>
    runCommand(options, (context) => run(context, entrypoint, options)),
  );
}

async function run(context: Context, entrypoint: string[], options: PlanOptions): Promise<number> {
  const { config } = await context.config();
  const task = readTask(entrypoint, options);
  const allowed = await onAllowedClouds(task, config.allowedClouds);
  const { task: enabled, leftOut } = await onEnabledClouds(allowed, lastChecks(styxHome()));
  const asked = await onStoppable(enabled, enabled.autostop);
  const how = { leftOut, verbose: options.verbose === true };
  const preview = await previewOf(asked, how);
  process.stderr.write(`${planText(preview, withBudget(task, config.budget), how)}\n`);
  writePlan(options.outFile, planFrom(task, preview.offers));
  return 0;
}
