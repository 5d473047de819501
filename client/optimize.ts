/** Where tasks would run best, by the catalogues. Asks no cloud and starts nothing. */
import type { CatalogInfo } from '../catalogs/catalog.ts';
import { type CatalogFile, catalogFiles, loadCatalog } from '../catalogs/load.ts';
import { cloudRefusal } from '../model/config/values.ts';
import { StyxError } from '../model/errors.ts';
import { tasksOf } from '../model/parse-task.ts';
import type { TaskFile } from '../model/spec/file.ts';
import type { TaskSpec } from '../model/spec/task.ts';
import { DISK_PRICES, type NoPlan, optimize, type Plan, type Ranking, rank } from '../optimizer/index.ts';
import { offeredRows } from './preview.ts';

export interface OptimizeTasksOptions {
  /** What is to be small: US dollars, or the time until all have ended. Default `cost`. */
  readonly objective?: 'cost' | 'time';
  /** Clouds that may be used; null, which is the default: all that there are catalogues of. */
  readonly clouds?: readonly string[] | null;
  /** Of those, the ones that are looked at, besides what the tasks name; null, which is the default: all. */
  readonly only?: readonly string[] | null;
  /** Data directory, with the user's own catalogues. Default: the usual one. */
  readonly home?: string;
}

export interface OptimizedTask {
  readonly name: string | null;
  readonly numNodes: number;
  /** Every place that would do, best first, and why the others do not. */
  readonly ranking: Ranking;
}

export interface OptimizedTasks {
  readonly tasks: readonly OptimizedTask[];
  /** Of all tasks together, with data that goes between them. */
  readonly plan: Plan | NoPlan;
  /** Whose prices these are, with their age. */
  readonly catalogs: readonly (CatalogInfo & { readonly own: boolean })[];
}

/** It has no catalogue: it is asked. */
const LOCAL = 'local';

/** @throws invalid for a cloud without a catalogue, or one that may not be used */
export async function optimizeTasks(file: TaskFile, options: OptimizeTasksOptions = {}): Promise<OptimizedTasks> {
  const { objective = 'cost', clouds: allowed = null, only = null, home } = options;
  const tasks = tasksOf(file);
  const named = cloudsOf(tasks);
  for (const cloud of named ?? []) {
    const problem = cloudRefusal(cloud, allowed);
    if (problem !== null) throw new StyxError('invalid', problem);
  }
  const clouds = lookedAt(allowed, only, tasks);
  const loaded = await Promise.all(filesFor(named ?? clouds, home).map((found) => loadCatalog(found)));
  const rows = loaded.flatMap(({ catalog }) => [...catalog.rows()]);
  if ((named ?? only)?.includes(LOCAL)) rows.push(...(await offeredRows(LOCAL)));
  const rankOptions = { clouds, types: 'all', disk: DISK_PRICES } as const;
  const edges = file.kind === 'pipeline' ? tasks.slice(1).map((_, index) => [index, index + 1] as const) : [];
  const rankings = tasks.map((task) => rank(task, rows, rankOptions));
  return {
    tasks: tasks.map(({ name, numNodes }, index) => ({ name, numNodes, ranking: rankings[index] as Ranking })),
    plan: optimize({ tasks, edges }, rows, { objective, ...rankOptions, rankings }),
    catalogs: loaded.map(({ catalog, own }) => ({ ...catalog.info, own })),
  };
}

function lookedAt(
  allowed: readonly string[] | null,
  only: readonly string[] | null,
  tasks: readonly TaskSpec[],
): readonly string[] | null {
  if (only === null) return allowed;
  const named = tasks.flatMap(({ resources }) => resources.alternatives.flatMap(({ cloud }) => cloud ?? []));
  return [...new Set([...only, ...named])].filter((cloud) => allowed?.includes(cloud) ?? true);
}

/** Those that the tasks name; null: an alternative leaves it open. */
function cloudsOf(tasks: readonly TaskSpec[]): string[] | null {
  const named = tasks.flatMap(({ resources }) => resources.alternatives.map(({ cloud }) => cloud));
  return named.includes(null) ? null : [...new Set(named.filter((cloud) => cloud !== null))];
}

function filesFor(clouds: readonly string[] | null, home: string | undefined): CatalogFile[] {
  const files = catalogFiles(home);
  if (clouds === null) return files;
  const missing = clouds.find((cloud) => cloud !== LOCAL && !files.some((file) => file.cloud === cloud));
  if (missing !== undefined) {
    throw new StyxError('invalid', `there is no catalogue of ${missing}`, {
      hint: '`styx catalog status` lists those that there are.',
    });
  }
  return files.filter(({ cloud }) => clouds.includes(cloud));
}
