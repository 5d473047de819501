import type { Command } from 'commander';
import type { ClusterSummary } from '../../client/summary.ts';
import type { ClusterView } from '../../model/commands.ts';
import { type BudgetView, budgetText } from '../../model/cost-budget.ts';
import { formatDuration } from '../../model/duration.ts';
import { StyxError } from '../../model/errors.ts';
import { colourStatus } from '../colour.ts';
import { clip, formatAge, formatAutostop, formatMoney, infraName, isoTime } from '../format.ts';
import { configOption, debugOption, outputOption } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { dropSshEntries } from '../ssh-entries.ts';
import { formatTable } from '../table.ts';
import { triesLines, tryJson } from '../tries.ts';

/** Shown of each of several clusters. */
const TRIES_OF_EACH = 5;

interface StatusOptions extends CommonOptions {
  readonly verbose?: boolean;
  readonly ip?: boolean;
  readonly endpoints?: boolean;
  readonly endpoint?: string;
}

export function configure(command: Command): void {
  command
    .argument('[clusters...]', 'names or globs; default: all')
    .option('-v, --verbose', 'more columns, and places that could not give the machines')
    .option('--ip', "print only the cluster's head address")
    .option('--endpoints', 'print only where the open ports of the cluster are reached')
    .option('--endpoint <port>', 'the same of one port');
  outputOption(configOption(debugOption(command))).action((clusters: string[], options: StatusOptions) =>
    runCommand(options, (context) => status(context, clusters, options)),
  );
}

async function status(context: Context, names: string[], options: StatusOptions): Promise<number> {
  const styx = await context.styx();
  const found = await styx.clusters.list(names);
  if (names.length === 0) await dropSshEntries(context, styx, found);
  const only = [
    options.ip && '--ip',
    options.endpoints && '--endpoints',
    options.endpoint !== undefined && '--endpoint',
  ].filter((flag) => flag !== undefined && flag !== false);
  if (only.length > 1) throw new StyxError('invalid', `give one of ${only.join(' and ')}, not both`);
  if (only.length === 1) return await printOne(context, oneOf(found, names, String(only[0])), options);
  const { isGlob } = await import('../../client/names.ts');
  const missing = names.filter((name) => !isGlob(name) && !found.some((cluster) => cluster.name === name));
  const clusters = options.verbose === true ? await withProgress(context, found, missing) : found;
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(clusters.map(asJson), null, 2)}\n`);
  else if (clusters.length === 0) process.stdout.write('No existing clusters.\n');
  else process.stdout.write(`${statusText(clusters, options.verbose === true)}\n`);
  if (missing.length === 0) return 0;
  throw new StyxError('not-found', `Cluster ${missing.map((name) => `'${name}'`).join(', ')} does not exist`);
}

function statusText(clusters: readonly ClusterSummary[], verbose: boolean): string {
  const tries = verbose ? clusters.flatMap((cluster) => clusterTries(cluster, clusters.length === 1)) : [];
  return [statusTable(clusters, verbose), ...totalLine(clusters), ...budgetLines(clusters, verbose), ...tries].join(
    '\n',
  );
}

function clusterTries({ name, tries = [] }: ClusterSummary, alone: boolean): string[] {
  return triesLines(name, tries, Date.now(), alone ? tries.length : TRIES_OF_EACH);
}

/**
 * What happens at the moment is known to the cluster's workflow alone; without a worker the summary stands. Of the names without a cluster
 * those whose last launch failed come after the others.
 */
async function withProgress(
  context: Context,
  found: readonly ClusterSummary[],
  missing: readonly string[],
): Promise<ClusterSummary[]> {
  const styx = await context.styx();
  const { mapLimited } = await import('../../model/map-limited.ts');
  const { summaryOfView } = await import('../../client/summary.ts');
  let silent = false;
  const viewed = async (name: string): Promise<ClusterView | null> => {
    if (silent) return null;
    try {
      return await styx.clusters.view(name);
    } catch (error) {
      if (!(error instanceof StyxError) || error.kind === 'not-found') return null;
      if (!silent) context.progress.line('Note: no worker answers; this is the last state that was recorded.');
      silent = true;
      return null;
    }
  };
  const standing = await mapLimited(found, 8, async (summary) => {
    const view = await viewed(summary.name);
    return view === null ? summary : summaryOfView(view);
  });
  const ended = await mapLimited(missing, 8, viewed);
  return [
    ...standing,
    ...ended
      .filter((view) => view !== null)
      .filter(neverStood)
      .map(summaryOfView),
  ];
}

/** Its machines were asked for last, and could not be had. */
function neverStood({ status, operations, tries }: ClusterView): boolean {
  return status === 'TERMINATED' && operations.at(-1)?.outcome === 'failed' && tries.length > 0;
}

function oneOf(found: readonly ClusterSummary[], names: readonly string[], flag: string): ClusterSummary {
  const [cluster] = found;
  if (found.length === 1 && cluster !== undefined) return cluster;
  throw new StyxError(
    'invalid',
    `${flag} needs exactly one cluster, and ${names.join(' ') || 'nothing'} names ${found.length}`,
  );
}

async function printOne(context: Context, cluster: ClusterSummary, options: StatusOptions): Promise<number> {
  if (options.ip === true) {
    if (cluster.headIp === null) {
      throw new StyxError('refused', `Cluster '${cluster.name}' is ${cluster.status} and has no address`);
    }
    process.stdout.write(`${cluster.headIp}\n`);
    return 0;
  }
  const { endpointLines, endpointOf } = await import('../endpoints.ts');
  const { ports = [] } = await (await context.styx()).clusters.view(cluster.name);
  const ported = { ...cluster, ports };
  const lines = options.endpoint === undefined ? endpointLines(ported) : [endpointOf(ported, options.endpoint)];
  process.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

export function statusTable(clusters: readonly ClusterSummary[], verbose: boolean, now = Date.now()): string {
  const header = ['NAME', 'INFRA', 'RESOURCES', 'STATUS', 'AUTOSTOP', 'LAUNCHED'];
  if (verbose) header.push('$/HR', 'HEAD_IP', 'COMMAND', 'LAST_EVENT');
  const rows = clusters.map((cluster) => {
    const row = [
      cluster.name,
      infraName(cluster.infra),
      cluster.resources,
      cluster.status,
      formatAutostop(cluster.autostop),
      formatAge(cluster.launchedAt, now),
    ];
    if (verbose) {
      const event = cluster.progress || cluster.statusReason || '-';
      const since = cluster.statusSince > 0 ? ` (${formatAge(cluster.statusSince, now)})` : '';
      row.push(
        formatMoney(cluster.costPerHour),
        cluster.headIp ?? '-',
        clip(cluster.lastUse, 60) || '-',
        event + since,
      );
    }
    return row;
  });
  return colourStatus(formatTable(header, rows));
}

/** None while nothing costs. */
function totalLine(clusters: readonly ClusterSummary[]): string[] {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const perHour = sum(clusters.map(({ costPerHour }) => costPerHour));
  const soFar = sum(clusters.map(({ costSoFar }) => costSoFar));
  return perHour + soFar === 0 ? [] : [`Total: ${formatMoney(perHour)}/hr, ${formatMoney(soFar)} so far`];
}

/** Budgets that are spent and whose owner only wanted to be told; with `verbose` all others too. */
export function budgetLines(
  clusters: readonly Pick<ClusterSummary, 'name' | 'budget'>[],
  verbose: boolean,
  now = Date.now(),
): string[] {
  return clusters.flatMap(({ name, budget }) => {
    if (budget === undefined) return [];
    const { exceeded, exceedsAt, onExceed } = budget;
    if (exceeded !== null && onExceed === 'notify') {
      return [`Cluster ${name}: ${exceeded.why}, ${formatAge(exceeded.at, now)}`];
    }
    if (!verbose) return [];
    const lasts = exceedsAt === null ? '' : `, lasts ${formatDuration(Math.max(0, exceedsAt - now) / 1_000)} more`;
    return [`Cluster ${name} has a budget of ${budgetText(budget)} (${onExceed})${lasts}`];
  });
}

/** docs/cli.md describes this shape. */
function asJson(cluster: ClusterSummary) {
  return {
    name: cluster.name,
    workspace: cluster.workspace,
    user: cluster.user,
    infra: cluster.infra,
    resources: cluster.resources,
    numNodes: cluster.numNodes,
    status: cluster.status,
    statusReason: cluster.statusReason,
    statusSince: isoTime(cluster.statusSince),
    launchedAt: isoTime(cluster.launchedAt),
    autostop: cluster.autostop,
    headIp: cluster.headIp,
    command: cluster.lastUse,
    progress: cluster.progress,
    jobs: cluster.jobs,
    costPerHour: cluster.costPerHour,
    costSoFar: cluster.costSoFar,
    budget: cluster.budget === undefined ? null : budgetJson(cluster.budget),
    tries: cluster.tries?.map(tryJson) ?? null,
  };
}

function budgetJson({ maxCost, maxDuration, onExceed, exceedsAt, exceeded }: BudgetView) {
  return { maxCost, maxDuration, onExceed, exceedsAt: isoTime(exceedsAt), exceededAt: isoTime(exceeded?.at ?? null) };
}
