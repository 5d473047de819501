/** What a launch would try first, before it is confirmed. */
import type { LeftOut } from '../client/clouds.ts';
import { catalogsOf, type LaunchPreview, previewLaunch } from '../client/preview.ts';
import { budgetAct } from '../model/cluster-budget.ts';
import { type Budget, budgetLasts, foreseen } from '../model/cost-budget.ts';
import { disksHourly, type InstanceTypeOffer, nodeHourly } from '../model/machines.ts';
import type { WrittenTask } from '../model/task.ts';
import { consideredTable, consideredTitle, estimateText, nothingFits, reasonLines } from './considered.ts';
import { formatAge } from './format.ts';
import { ageLines } from './gpu-tables.ts';

const SHOWN = 5;

export interface ShowPlanOptions {
  readonly format?: 'table' | 'json';
  /** Places of a plan, instead of what there is. */
  readonly planned?: readonly InstanceTypeOffer[] | undefined;
  /** Clouds that were not asked. */
  readonly leftOut?: readonly LeftOut[];
  /** With why other machines were left out. */
  readonly verbose?: boolean;
}

type Previewed = Pick<WrittenTask, 'resources' | 'numNodes' | 'budget'>;

/** Writes what is tried; a request that nothing can meet is an error, which says what would be met. @throws invalid, capacity */
export async function showPlan(
  task: Previewed,
  stream: { write(text: string): unknown },
  options: ShowPlanOptions = {},
): Promise<void> {
  const { format = 'table', planned, leftOut = [], verbose = false } = options;
  const preview =
    planned === undefined
      ? await previewOf(task, { leftOut, verbose })
      : { offers: planned, catalogs: await catalogsOf(planned.map(({ cloud }) => cloud)), ranking: null };
  if (format === 'json') stream.write(`${JSON.stringify(planJson(preview.offers, task), null, 2)}\n`);
  else stream.write(`${planText(preview, task, { leftOut, verbose })}\n`);
}

/** With one offer at least. @throws invalid, capacity */
export async function previewOf(
  { resources }: Pick<WrittenTask, 'resources'>,
  { leftOut = [], verbose = false }: Pick<ShowPlanOptions, 'leftOut' | 'verbose'> = {},
): Promise<LaunchPreview> {
  const preview = await previewLaunch(resources, verbose);
  if (preview.offers.length > 0 || preview.ranking === null) return preview;
  const elsewhere = leftOutText(leftOut) || '`styx check` shows which clouds can be used.';
  throw nothingFits(preview.ranking, '', elsewhere);
}

/** docs/cli.md describes this shape. */
function planJson(offers: readonly InstanceTypeOffer[], { numNodes, budget }: Omit<Previewed, 'resources'>) {
  const [first] = offers;
  if (budget === undefined || first === undefined) return { numNodes, offers, budget: budget ?? null };
  const ms = budgetLasts(budget, nodeHourly(first) * numNodes);
  return { numNodes, offers, budget: { ...budget, lastsSeconds: ms === Infinity ? null : Math.floor(ms / 1_000) } };
}

/** The task with the configuration's budget where it has none of its own. */
export function withBudget<T extends Pick<WrittenTask, 'budget'>>(task: T, budget: Budget | null): T {
  return task.budget !== undefined || budget === null ? task : { ...task, budget };
}

export function planText(
  { offers, catalogs, ranking }: LaunchPreview,
  { numNodes, budget }: Omit<Previewed, 'resources'>,
  { leftOut = [], verbose = false }: Pick<ShowPlanOptions, 'leftOut' | 'verbose'> = {},
): string {
  const [first] = offers;
  if (first === undefined) return `No cloud can give this now (${numNodes} nodes).`;
  const lines = [consideredTitle(numNodes), consideredTable(offers.slice(0, SHOWN), numNodes, (one) => one === first)];
  if (offers.length > SHOWN) lines.push(`and ${offers.length - SHOWN} more`);
  if (verbose && ranking !== null) lines.push(...reasonLines(ranking));
  lines.push(...ageLines(catalogs));
  if (leftOut.length > 0) lines.push(leftOutText(leftOut));
  lines.push(estimateText(first.hourlyCost * numNodes, disksHourly({ ...first, numNodes })));
  if (budget !== undefined) {
    const onExceed = budgetAct({ placement: first }, budget);
    lines.push(foreseen({ ...budget, onExceed }, nodeHourly(first) * numNodes));
  }
  return lines.join('\n');
}

/** Empty when none is. */
function leftOutText(leftOut: readonly LeftOut[], now = Date.now()): string {
  if (leftOut.length === 0) return '';
  const clouds = leftOut.map(({ cloud, reason, at }) => `${cloud} (${reason}; checked ${formatAge(at, now)})`);
  return `Not enabled and not considered: ${clouds.join(', ')}. \`styx check\` looks again.`;
}
