import type { Command } from 'commander';
import type { ClusterCost, CostReport } from '../../client/costs.ts';
import { formatDuration } from '../../model/duration.ts';
import { colourStatus } from '../colour.ts';
import { formatAge, formatMoney, isoTime } from '../format.ts';
import { configOption, debugOption, outputOption, wholeNumber } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { formatTable } from '../table.ts';

interface CostReportOptions extends CommonOptions {
  readonly days: number;
  readonly all?: boolean;
}

const DEFAULT_DAYS = 30;
const MAX_DAYS = 36_500;
const SHOWN = 5;

export function configure(command: Command): void {
  command
    .option(
      '--days <number>',
      'clusters that ended in so many days, and all that are there; 0: all that the server still keeps',
      wholeNumber(0, MAX_DAYS),
      DEFAULT_DAYS,
    )
    .option('-a, --all', `show all clusters, not ${SHOWN}`);
  outputOption(configOption(debugOption(command))).action((options: CostReportOptions) =>
    runCommand(options, (context) => show(context, options)),
  );
}

async function show(context: Context, options: CostReportOptions): Promise<number> {
  const styx = await context.styx();
  const report = await styx.costs({ days: options.days });
  const { clusters, ...totals } = report;
  if (options.output === 'json') {
    process.stdout.write(`${JSON.stringify({ clusters: clusters.map(asJson), ...totals }, null, 2)}\n`);
  } else process.stdout.write(`${costReportText(report, options)}\n`);
  return 0;
}

export function costReportText(
  { clusters, total }: CostReport,
  { days, all = false }: { readonly days: number; readonly all?: boolean },
  now = Date.now(),
): string {
  const shown = all ? clusters : clusters.slice(0, SHOWN);
  const severalWorkspaces = new Set(clusters.map(({ workspace }) => workspace)).size > 1;
  const workspace = (text: string) => (severalWorkspaces ? [text] : []);
  const header = ['NAME', ...workspace('WORKSPACE'), 'LAUNCHED', 'DURATION', 'RESOURCES', 'STATUS', 'COST/hr'];
  const rows = shown.map((one) => [
    one.name,
    ...workspace(one.workspace),
    formatAge(one.launchedAt, now),
    one.upMs === null ? '-' : formatDuration(one.upMs / 1_000),
    one.resources,
    one.status,
    formatMoney(one.hourlyPrice),
    one.cost > 0 ? formatMoney(one.cost) : '-',
  ]);
  return [
    days === 0 ? 'Clusters' : `Clusters (last ${days} day${days === 1 ? '' : 's'})`,
    colourStatus(formatTable([...header, 'COST (est.)'], rows)),
    '',
    `Total Cost: ${formatMoney(total.cost)}`,
    ...(shown.length < clusters.length
      ? [`${shown.length} of ${clusters.length} clusters are shown; -a shows all.`]
      : []),
  ].join('\n');
}

/** docs/cli.md describes this shape. */
function asJson({ launchedAt, endedAt, upMs, ...rest }: ClusterCost) {
  return {
    ...rest,
    launchedAt: isoTime(launchedAt),
    endedAt: isoTime(endedAt),
    durationSeconds: upMs === null ? null : Math.round(upMs / 1_000),
  };
}
