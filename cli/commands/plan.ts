import type { Command } from 'commander';
import { makePlan } from '../../client/plan.ts';
import { configOption, debugOption } from '../options.ts';
import { planText, withBudget } from '../plan.ts';
import { writePlan } from '../plan-file.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { readTask, type TaskOptions, taskOptions } from '../task-input.ts';

interface PlanOptions extends Omit<CommonOptions, 'output'>, TaskOptions {
  readonly outFile: string;
}

export function configure(command: Command): void {
  command
    .argument('[entrypoint...]', 'task file (.yaml, .yml, - for stdin), or a shell command')
    .option('-o, --out-file <file>', 'where the plan goes; - for stdout', '-');
  taskOptions(command);
  configOption(debugOption(command)).action((entrypoint: string[], options: PlanOptions) =>
    runCommand(options, (context) => run(context, entrypoint, options)),
  );
}

async function run(context: Context, entrypoint: string[], options: PlanOptions): Promise<number> {
  const { config } = await context.config();
  const task = readTask(entrypoint, options);
  const plan = await makePlan(task, { allowedClouds: config.allowedClouds });
  process.stderr.write(`${planText(plan.placements, task.numNodes, withBudget(task, config.budget).budget)}\n`);
  writePlan(options.outFile, plan);
  return 0;
}
