/** What `styx optimize` says to people: SkyPilot's table of what was considered, and reasons. */
import type { LastCheck } from '../client/checks.ts';
import type { OptimizedTask, OptimizedTasks } from '../client/optimize.ts';
import { formatAge, formatSpan, infraName } from './format.ts';
import { ageLines } from './gpu-tables.ts';
import { formatTable } from './table.ts';

type Ranked = OptimizedTask['ranking']['placements'][number];
type Ranking = OptimizedTask['ranking'];

/** Rows of one task's table. */
const SHOWN = 10;
/** Ways out of a request that nothing meets. */
const WAYS = 4;
const COLUMNS = ['INFRA', 'INSTANCE', 'vCPUs', 'Mem(GB)', 'GPUS', 'COST ($)', 'CHOSEN'];

export function optimizedText(
  { tasks, plan, catalogs }: OptimizedTasks,
  verbose: boolean,
  checks: ReadonlyMap<string, LastCheck>,
): string {
  const sections = tasks.map(({ name, numNodes, ranking }, index) => {
    const chosen = plan.kind === 'plan' ? (plan.tasks[index]?.placement ?? null) : null;
    const title = tasks.length === 1 ? '' : `Task ${name ?? index + 1}: `;
    const nodes = `${numNodes} node${numNodes === 1 ? '' : 's'}`;
    const lines = [`${title}Considered resources (${nodes}):`, consideredTable(ranking, chosen)];
    if (verbose) lines.push(...reasonLines(ranking));
    return lines.join('\n');
  });
  const used = new Set(tasks.flatMap(({ ranking }) => shownOf(ranking, null).map(({ cloud }) => cloud)));
  const ages = ageLines(catalogs.filter(({ cloud }) => used.has(cloud)));
  const notes = [...ages, enabledLine([...used], checks)].join('\n');
  return [...sections, ...planLines(plan, tasks.length), notes].filter((part) => part !== '').join('\n\n');
}

/** Which of the clouds in the table can be used, as far as that is known. */
function enabledLine(shown: readonly string[], checks: ReadonlyMap<string, LastCheck>, now = Date.now()): string {
  const known = shown.filter((cloud) => checks.has(cloud));
  const unknown = shown.filter((cloud) => !checks.has(cloud));
  const found = known.map((cloud) => {
    const { enabled, at } = checks.get(cloud) as LastCheck;
    return `${cloud} ${enabled ? 'is' : 'is not'} enabled (checked ${formatAge(at, now)})`;
  });
  const open =
    unknown.length === 0 ? [] : [`of ${unknown.join(', ')} it was never checked whether you can launch there`];
  const text = [...found, ...open].join('; ');
  return text === '' ? '' : `${text[0]?.toUpperCase()}${text.slice(1)}: see \`styx check\`.`;
}

/** Why nothing meets a task, and what would. */
export function nothingFits({ ranking }: OptimizedTask): { message: string; hint: string } {
  const message = ['no offer of the catalogues meets the request', ...reasonLines(ranking)].join('\n');
  const ways = [...ranking.relaxations].sort((a, b) => a.relax.length - b.relax.length).slice(0, WAYS);
  if (ways.length === 0) return { message, hint: '`styx catalog status` shows what catalogues there are.' };
  const lines = ways.map(({ relax, nearest }) => {
    const { cloud, region, instanceType, accelerators, hourlyCost, useSpot } = nearest;
    const gpus = accelerators === null ? '' : ` with ${accelerators.name}:${accelerators.count}`;
    const how = useSpot ? ', spot' : '';
    return `  without ${relax.join(' and ')}: ${instanceType}${gpus} of ${cloud} in ${region}, $${hourlyCost.toFixed(2)} an hour${how}`;
  });
  return { message, hint: ['What would fit best:', ...lines].join('\n') };
}

/** The best of each cloud and kind of machine, as SkyPilot shows it, and what was chosen. */
function shownOf({ placements }: Ranking, chosen: Ranked | null): Ranked[] {
  const best = new Map<string, Ranked>();
  for (const one of placements) {
    const key = [one.cloud, one.alternative, one.useSpot].join();
    if (!best.has(key)) best.set(key, one);
  }
  const shown = [...best.values()].slice(0, SHOWN);
  return chosen === null || shown.some((one) => isSame(one, chosen)) ? shown : [chosen, ...shown];
}

function isSame(a: Ranked, b: Ranked): boolean {
  return (
    a.cloud === b.cloud &&
    a.instanceType === b.instanceType &&
    a.region === b.region &&
    a.zone === b.zone &&
    a.useSpot === b.useSpot
  );
}

function consideredTable(ranking: Ranking, chosen: Ranked | null): string {
  const rows = shownOf(ranking, chosen).map((one) => [
    infraName([one.cloud, one.region, ...(one.zone === null ? [] : [one.zone])].join('/')),
    one.instanceType + (one.useSpot ? '[Spot]' : ''),
    amount(one.cpus),
    amount(one.memory),
    one.accelerators === null ? '-' : `${one.accelerators.name}:${one.accelerators.count}`,
    (one.hourlyCost * one.numNodes).toFixed(2),
    chosen !== null && isSame(one, chosen) ? '✔' : '',
  ]);
  return formatTable(COLUMNS, rows);
}

function planLines(plan: OptimizedTasks['plan'], tasks: number): string[] {
  if (plan.kind !== 'plan') return [];
  const [only] = plan.tasks;
  if (tasks === 1 && only !== undefined) {
    const hourly = only.placement.hourlyCost * (only.placement.numNodes - only.placement.reservedNodes);
    return [`Estimated cost: $${hourly.toFixed(2)} / hour`];
  }
  const moved = plan.transfers.reduce((sum, { cost }) => sum + cost, 0);
  const data = moved > 0 ? `, of which $${moved.toFixed(2)} for data on its way` : '';
  const sure = plan.proved ? '' : ' (the best that was found; a better one was not ruled out)';
  return [
    `Estimated: $${plan.cost.toFixed(2)}${data}; ${formatSpan(0, plan.seconds * 1_000)}, an hour for each task${sure}`,
  ];
}

function reasonLines({ excluded, considered, unchecked }: Ranking): string[] {
  const reasons = excluded.map(
    ({ constraint, asked, rows, alone }) =>
      `  ${constraint}: ${asked} keeps out ${rows}${alone > 0 ? `, ${alone} of them by itself` : ''}`,
  );
  const open = unchecked.length === 0 ? [] : [`Not checked, since catalogues do not say: ${unchecked.join(', ')}`];
  return [`Of ${considered} offers:`, ...reasons, ...open];
}

function amount(value: number | null): string {
  if (value === null) return '-';
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
