/** What a launch would try first, before it is confirmed. */
import { previewOffers } from '../client/clouds.ts';
import { type Budget, budgetLasts, foreseen } from '../model/cost-budget.ts';
import type { InstanceTypeOffer } from '../model/machines.ts';
import type { WrittenTask } from '../model/task.ts';
import { infraName } from './format.ts';
import { formatTable } from './table.ts';

const SHOWN = 5;

/** Writes what is tried, `planned` or what there is; a request that nothing can meet is an error. @throws invalid, capacity */
export async function showPlan(
  task: Pick<WrittenTask, 'resources' | 'numNodes' | 'budget'>,
  format: 'table' | 'json',
  stream: { write(text: string): unknown },
  planned?: readonly InstanceTypeOffer[],
): Promise<void> {
  const offers = planned ?? (await previewOffers(task.resources));
  if (format === 'json') stream.write(`${JSON.stringify(planJson(offers, task), null, 2)}\n`);
  else stream.write(`${planText(offers, task.numNodes, task.budget)}\n`);
}

/** docs/cli.md describes this shape. */
function planJson(
  offers: readonly InstanceTypeOffer[],
  { numNodes, budget }: Pick<WrittenTask, 'numNodes' | 'budget'>,
) {
  const [first] = offers;
  if (budget === undefined || first === undefined) return { numNodes, offers, budget: budget ?? null };
  const ms = budgetLasts(budget, first.hourlyCost * numNodes);
  return { numNodes, offers, budget: { ...budget, lastsSeconds: ms === Infinity ? null : Math.floor(ms / 1_000) } };
}

/** The task with the configuration's budget where it has none of its own. */
export function withBudget<T extends Pick<WrittenTask, 'budget'>>(task: T, budget: Budget | null): T {
  return task.budget !== undefined || budget === null ? task : { ...task, budget };
}

export function planText(offers: readonly InstanceTypeOffer[], numNodes: number, budget?: Budget): string {
  const nodes = `${numNodes} node${numNodes === 1 ? '' : 's'}`;
  const [first] = offers;
  if (first === undefined) return `No cloud can give this now (${nodes}).`;
  const header = ['INFRA', 'INSTANCE', 'vCPUs', 'Mem(GB)', 'GPUS', 'COST ($)', 'CHOSEN'];
  const rows = offers
    .slice(0, SHOWN)
    .map((offer, index) => [
      infraName([offer.cloud, offer.region, offer.zone].join('/')),
      offer.instanceType + (offer.useSpot ? '[Spot]' : ''),
      amount(offer.cpus),
      amount(offer.memory),
      offer.accelerators === null ? '-' : `${offer.accelerators.name}:${offer.accelerators.count}`,
      (offer.hourlyCost * numNodes).toFixed(2),
      index === 0 ? '✔' : '',
    ]);
  const more = offers.length > SHOWN ? [`and ${offers.length - SHOWN} more`] : [];
  const cost = `Estimated cost: $${(first.hourlyCost * numNodes).toFixed(2)} / hour`;
  const lasts = budget === undefined ? [] : [foreseen(budget, first.hourlyCost * numNodes)];
  return [`Considered resources (${nodes}):`, formatTable(header, rows), ...more, cost, ...lasts].join('\n');
}

function amount(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
