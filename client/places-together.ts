/** Where the tasks of a pipeline look for machines first, so that machines and the data between them cost least together. */

import type { TaskData } from '../model/parse-pipeline.ts';
import type { RegionRef } from '../model/place-order.ts';
import type { Task } from '../model/task.ts';
import type { Dag, Ranking } from '../optimizer/index.ts';
import { machinesFor } from './preview.ts';

export interface PlacedTask {
  readonly name: string;
  readonly after: readonly number[];
  readonly task: Pick<Task, 'resources'>;
  /** Absent: it says nothing of data. */
  readonly data?: TaskData | undefined;
}

/** For each task its place, where data has a say in it. It is advice: nothing is wrong with a submission when it cannot be had. */
export async function placesTogether(
  tasks: readonly PlacedTask[],
  onNote?: (note: string) => void,
): Promise<{ readonly place?: RegionRef }[]> {
  if (!tasks.some(hasData)) return tasks.map(() => ({}));
  try {
    return await cheapestTogether(tasks, await rankingsOf(tasks));
  } catch (error) {
    onNote?.(`The tasks are placed one by one, whatever data goes between them: ${(error as Error).message}`);
    return tasks.map(() => ({}));
  }
}

/** Clouds and catalogues are asked once for what several tasks ask for. */
async function rankingsOf(tasks: readonly PlacedTask[]): Promise<Ranking[]> {
  const { launchRequest, rank } = await import('../optimizer/index.ts');
  const known = new Map<string, Ranking>();
  const rankings: Ranking[] = [];
  for (const {
    task: { resources },
  } of tasks) {
    const key = JSON.stringify(resources);
    const ranking = known.get(key) ?? rank(launchRequest(resources), (await machinesFor(resources)).rows);
    known.set(key, ranking);
    rankings.push(ranking);
  }
  return rankings;
}

/** `rankings`: of each task, all that fits it. Nothing is said when a task has none. */
export async function cheapestTogether(
  tasks: readonly PlacedTask[],
  rankings: readonly Ranking[],
): Promise<{ readonly place?: RegionRef }[]> {
  const { launchRequest, optimize } = await import('../optimizer/index.ts');
  const dag: Dag = {
    tasks: tasks.map(({ name, task: { resources }, data }) => ({
      ...launchRequest(resources),
      name,
      inputs: data?.inputs ?? null,
      outputs: data?.outputs ?? null,
    })),
    edges: tasks.flatMap(({ after }, to) => after.map((from) => [from, to] as const)),
  };
  const plan = optimize(dag, [], { rankings });
  if (plan.kind === 'no-plan') return tasks.map(() => ({}));
  return tasks.map((one, index) => {
    const placement = plan.tasks[index]?.placement;
    const matters = hasData(one) || one.after.some((from) => (tasks[from]?.data?.outputs?.gigabytes ?? 0) > 0);
    if (placement === undefined || !matters) return {};
    return { place: { cloud: placement.cloud, region: placement.region } };
  });
}

function hasData({ data }: PlacedTask): boolean {
  return (data?.inputs?.gigabytes ?? 0) > 0 || (data?.outputs?.gigabytes ?? 0) > 0;
}
