/** Whether the tasks of a job group can have host names for each other: where their machines will be has to be known ahead. */
import { alternativesOf } from '../model/alternatives.ts';
import { nameProblem } from '../model/group-hosts.ts';
import type { ResourceRequest } from '../model/machines.ts';
import type { PipelineInput } from '../model/pipeline.ts';
import { candidates } from './clouds.ts';

/** Why not; null when they can. */
export async function groupHostsObstacle({
  name,
  tasks,
  limits,
}: Pick<PipelineInput, 'name' | 'tasks' | 'limits'>): Promise<string | null> {
  const problem = nameProblem(
    name,
    tasks.map((it) => ({ name: it.name, numNodes: it.task.numNodes })),
  );
  if (problem !== null) return problem;
  const most = Math.min(limits.running, limits.userRunning ?? limits.running);
  if (tasks.length > most) {
    return `its ${tasks.length} tasks would wait for each other, and only ${most} jobs may run at a time`;
  }
  const places = new Set<string>();
  for (const {
    name: task,
    task: { resources },
  } of tasks) {
    const found = await placesOf(resources);
    if (typeof found === 'string') return `task ${task}: ${found}`;
    for (const place of found) places.add(place);
  }
  if (places.size <= 1) return null;
  return `they may run in different places (${[...places].slice(0, 4).join(', ')})`;
}

/** `cloud/region` of all places where machines for it may be, or why that cannot be told. */
async function placesOf(request: ResourceRequest): Promise<Set<string> | string> {
  const places = new Set<string>();
  for (const cloud of await candidates(request)) {
    const regions = alternativesOf(request).flatMap((one) =>
      one.cloud === null || one.cloud === cloud.name ? [one.region] : [],
    );
    // Empty where there are no credentials: nothing will be made there.
    const open = regions.includes(null) ? (await cloud.places()).map(({ region }) => region) : [];
    const all = new Set([...open, ...regions].filter((region) => region !== null));
    const { groupHosts } = await cloud.capabilities();
    if (all.size > 0 && groupHosts !== true) return groupHosts;
    for (const region of all) places.add(`${cloud.name}/${region}`);
  }
  return places;
}
