import { type Command, Option } from 'commander';
import { type LastCheck, lastChecks } from '../../client/checks.ts';
import { type OptimizedTasks, optimizeTasks } from '../../client/optimize.ts';
import { StyxError } from '../../model/errors.ts';
import { styxHome } from '../../system/home.ts';
import { nothingFits, optimizedText } from '../optimize-text.ts';
import { configOption, debugOption, outputOption } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { readSpecs, type TaskOptions, taskOptions } from '../task-input.ts';

interface OptimizeOptions extends CommonOptions, TaskOptions {
  readonly objective: 'cost' | 'time';
  readonly verbose?: boolean;
  readonly enabled?: boolean;
}

export function configure(command: Command): void {
  command
    .argument('[entrypoint...]', 'task file (.yaml, .yml, - for stdin), or a shell command')
    .addOption(new Option('--objective <what>', 'what is to be small').choices(['cost', 'time']).default('cost'))
    .option('--enabled', 'only clouds that `styx check` found to be enabled')
    .option('-v, --verbose', 'show why the other offers were left out');
  taskOptions(command);
  outputOption(configOption(debugOption(command))).action((entrypoint: string[], options: OptimizeOptions) =>
    runCommand(options, (context) => run(context, entrypoint, options)),
  );
}

async function run(context: Context, entrypoint: string[], options: OptimizeOptions): Promise<number> {
  const { config } = await context.config();
  const { objective } = options;
  const checks = lastChecks(styxHome());
  const clouds = options.enabled === true ? enabledClouds(checks, config.allowedClouds) : config.allowedClouds;
  const found = await optimizeTasks(readSpecs(entrypoint, options), { objective, clouds });
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(asJson(found), null, 2)}\n`);
  const missing = found.tasks.find(({ ranking }) => ranking.placements.length === 0);
  if (missing !== undefined) {
    const { message, hint } = nothingFits(missing);
    const which = found.tasks.length === 1 ? '' : `task ${missing.name ?? found.tasks.indexOf(missing) + 1}: `;
    throw new StyxError('capacity', which + message, { hint });
  }
  if (options.output !== 'json') process.stdout.write(`${optimizedText(found, options.verbose === true, checks)}\n`);
  return 0;
}

/** @throws invalid when no cloud was found to be enabled */
function enabledClouds(checks: ReadonlyMap<string, LastCheck>, allowed: readonly string[] | null): string[] {
  const enabled = [...checks].filter(([, { enabled }]) => enabled).map(([cloud]) => cloud);
  const clouds = enabled.filter((cloud) => allowed?.includes(cloud) ?? true);
  if (clouds.length > 0) return clouds;
  throw new StyxError('invalid', 'no cloud that may be used is known to be enabled', {
    hint: 'Run `styx check`, or leave out --enabled to look at the catalogues of all clouds.',
  });
}

/** docs/cli.md describes this shape. */
function asJson({ tasks, plan, catalogs }: OptimizedTasks) {
  return {
    tasks: tasks.map(({ name, numNodes, ranking }) => ({ name, numNodes, ...ranking })),
    plan: plan.kind === 'plan' ? plan : null,
    catalogs: catalogs.map(({ cloud, prices, spotPrices, undated, own }) => ({
      cloud,
      prices,
      spotPrices,
      undated,
      own,
    })),
  };
}
