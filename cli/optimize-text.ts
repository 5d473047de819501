/** What `styx optimize` says to people: SkyPilot's table of what was considered, and reasons. */
import type { LastCheck } from '../client/checks.ts';
import type { OptimizedTask, OptimizedTasks } from '../client/optimize.ts';
import { type Considered, consideredTable, consideredTitle, estimateText, reasonLines } from './considered.ts';
import { formatAge, formatSpan } from './format.ts';
import { ageLines } from './gpu-tables.ts';

type Ranking = OptimizedTask['ranking'];
type Ranked = Ranking['placements'][number];

/** Rows of one task's table. */
const SHOWN = 10;

export function optimizedText(
  { tasks, plan, catalogs }: OptimizedTasks,
  verbose: boolean,
  checks: ReadonlyMap<string, LastCheck>,
  only: readonly string[] | null,
): string {
  const sections = tasks.map(({ name, numNodes, ranking }, index) => {
    const chosen = plan.kind === 'plan' ? (plan.tasks[index]?.placement ?? null) : null;
    const title = tasks.length === 1 ? '' : `Task ${name ?? index + 1}: `;
    const shown = shownOf(ranking, chosen);
    const isChosen = (one: Considered) => chosen !== null && isSame(one, chosen);
    const lines = [title + consideredTitle(numNodes), consideredTable(shown, numNodes, isChosen)];
    if (verbose) lines.push(...reasonLines(ranking));
    return lines.join('\n');
  });
  const used = new Set(tasks.flatMap(({ ranking }) => shownOf(ranking, null).map(({ cloud }) => cloud)));
  const ages = ageLines(catalogs.filter(({ cloud }) => used.has(cloud)));
  const enabled = only === null ? enabledLine([...used], checks) : onlyLine(only, checks);
  const notes = [...ages, enabled].join('\n');
  return [...sections, ...planLines(plan, tasks.length), notes].filter((part) => part !== '').join('\n\n');
}

/** That not all clouds were looked at, and how to. */
function onlyLine(only: readonly string[], checks: ReadonlyMap<string, LastCheck>, now = Date.now()): string {
  const oldest = Math.min(...only.map((cloud) => checks.get(cloud)?.at ?? now));
  return `Only enabled clouds were considered: ${only.join(', ')} (checked ${formatAge(oldest, now)}); --all-clouds looks at all.`;
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

function isSame(a: Considered, b: Considered): boolean {
  return (
    a.cloud === b.cloud &&
    a.instanceType === b.instanceType &&
    a.region === b.region &&
    a.zone === b.zone &&
    a.useSpot === b.useSpot
  );
}

function planLines(plan: OptimizedTasks['plan'], tasks: number): string[] {
  if (plan.kind !== 'plan') return [];
  const [only] = plan.tasks;
  if (tasks === 1 && only !== undefined) {
    const { hourlyCost, diskHourly, numNodes, reservedNodes } = only.placement;
    return [estimateText(hourlyCost * (numNodes - reservedNodes), diskHourly * numNodes)];
  }
  const moved = plan.transfers.reduce((sum, { cost }) => sum + cost, 0);
  const data = moved > 0 ? `, of which $${moved.toFixed(2)} for data on its way` : '';
  const sure = plan.proved ? '' : ' (the best that was found; a better one was not ruled out)';
  return [
    `Estimated: $${plan.cost.toFixed(2)}${data}; ${formatSpan(0, plan.seconds * 1_000)}, an hour for each task${sure}`,
  ];
}
