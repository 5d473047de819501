import { type Command, Option } from 'commander';
import { type LastCheck, lastChecks } from '../../client/checks.ts';
import { type OptimizedTasks, optimizeTasks } from '../../client/optimize.ts';
import { StyxError } from '../../model/errors.ts';
import { styxHome } from '../../system/home.ts';
import { nothingFits } from '../considered.ts';
import { optimizedText } from '../optimize-text.ts';
import { configOption, debugOption, outputOption } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { readSpecs, type TaskOptions, taskOptions } from '../task-input.ts';

interface OptimizeOptions extends CommonOptions, TaskOptions {
  readonly objective: 'cost' | 'time';
  readonly verbose?: boolean;
  readonly enabled?: boolean;
  readonly allClouds?: boolean;
}

export function configure(command: Command): void {
  command
    .argument('[entrypoint...]', 'task file (.yaml, .yml, - for stdin), or a shell command')
    .addOption(new Option('--objective <what>', 'what is to be small').choices(['cost', 'time']).default('cost'))
    .option('--enabled', 'only clouds that `styx check` found to be enabled: the default once one besides local is')
    .option('--all-clouds', 'all clouds that there are catalogues of')
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
  const only = onlyClouds(checks, config.allowedClouds, options);
  const found = await optimizeTasks(readSpecs(entrypoint, options), { objective, clouds: config.allowedClouds, only });
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(asJson(found, only), null, 2)}\n`);
  const missing = found.tasks.find(({ ranking }) => ranking.placements.length === 0);
  if (missing !== undefined) {
    const which = found.tasks.length === 1 ? '' : `task ${missing.name ?? found.tasks.indexOf(missing) + 1}: `;
    const elsewhere =
      only === null ? '' : `Only enabled clouds were considered (${only.join(', ')}): --all-clouds looks at all.`;
    throw nothingFits(missing.ranking, which, elsewhere);
  }
  if (options.output !== 'json')
    process.stdout.write(`${optimizedText(found, options.verbose === true, checks, only)}\n`);
  return 0;
}

/**
 * The clouds that are enabled, as launches take them; null: all. Who can launch nowhere else than here wants to look at the others.
 * @throws invalid when no cloud was found to be enabled, and that is asked for
 */
function onlyClouds(
  checks: ReadonlyMap<string, LastCheck>,
  allowed: readonly string[] | null,
  { enabled: asked = false, allClouds = false }: OptimizeOptions,
): string[] | null {
  if (asked && allClouds) throw new StyxError('invalid', '--enabled and --all-clouds exclude each other');
  const enabled = [...checks].filter(([, { enabled }]) => enabled).map(([cloud]) => cloud);
  const clouds = enabled.filter((cloud) => allowed?.includes(cloud) ?? true);
  if (allClouds || (!asked && !clouds.some((cloud) => cloud !== 'local'))) return null;
  if (clouds.length > 0) return clouds;
  throw new StyxError('invalid', 'no cloud that may be used is known to be enabled', {
    hint: 'Run `styx check`, or leave out --enabled to look at the catalogues of all clouds.',
  });
}

/** docs/cli.md describes this shape. */
function asJson({ tasks, plan, catalogs }: OptimizedTasks, only: readonly string[] | null) {
  return {
    clouds: only,
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
