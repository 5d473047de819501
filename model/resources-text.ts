/** A task's resources in the form of SkyPilot's tables. */
import type { WrittenTask } from './task.ts';

/** `2x[A100:8]`, `1x[CPU:4+]`, `1x[CPU:0.5]` (what the job takes, when nothing was asked), `1x[A100:1][Spot]`, `1x[A100:1 or 2 more]`. */
export function resourcesText(task: Pick<WrittenTask, 'resources' | 'demand' | 'numNodes'>): string {
  const { accelerators, cpus, useSpot, others = [] } = task.resources;
  let each = `CPU:${task.demand.cpus}`;
  if (accelerators !== null) each = `${accelerators.name}:${accelerators.count}`;
  else if (cpus !== null) each = `CPU:${cpus.count}${cpus.atLeast ? '+' : ''}`;
  const more = others.length === 0 ? '' : ` or ${others.length} more`;
  return `${task.numNodes}x[${each}${more}]${useSpot ? '[Spot]' : ''}`;
}
