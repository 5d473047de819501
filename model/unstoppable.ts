/** Clusters whose machines their cloud can only end: what would stop them is refused, and nothing is done to machines and jobs. */
import type { ClusterState } from './cluster.ts';
import type { Failure } from './errors.ts';
import type { AutostopRule } from './task.ts';

/** Null: the machines that stand can be stopped, or none do. */
export function stopProblem({ name, placement }: Pick<ClusterState, 'name' | 'placement'>): Failure | null {
  if (placement?.noStop === undefined) return null;
  const message = `Cluster '${name}' cannot be stopped: ${placement.noStop}. Its machines and jobs go on.`;
  const hint = `\`styx down ${name}\` ends it, disks included; \`styx autostop ${name} --down\` does so when it is idle.`;
  return { kind: 'refused', message, hint };
}

/** Null: the rule can be carried out, or there is none. */
export function autostopProblem(
  { name, placement }: Pick<ClusterState, 'name' | 'placement'>,
  rule: AutostopRule | null,
): Failure | null {
  if (placement?.noStop === undefined || rule === null || rule.down) return null;
  const message = `Cluster '${name}' cannot be stopped when it is idle: ${placement.noStop}.`;
  const hint = `\`styx autostop ${name} --down\` ends it when it is idle, disks included.`;
  return { kind: 'refused', message, hint };
}

/** Of a rule that came before the machines, for the line that says why a cluster is as it is; empty: there is nothing to say. */
export function autostopNotice(state: Pick<ClusterState, 'name' | 'placement' | 'autostop'>): string {
  const problem = autostopProblem(state, state.autostop);
  return problem === null ? '' : `${problem.message} ${problem.hint}`;
}
