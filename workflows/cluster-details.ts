/** A cluster in Markdown for Temporal's Web UI: what is happening, since when, what next. */
import { type ClusterState, displayStatus } from '../model/cluster.ts';
import { budgetView } from '../model/cluster-budget.ts';
import { infraText } from '../model/cluster-state.ts';
import { budgetText } from '../model/cost-budget.ts';
import { isTerminalJob } from '../model/job.ts';
import { tryText } from '../model/try-text.ts';
import { utc } from './details.ts';

export function clusterDetails(state: ClusterState, autostopDueAt: number | null): string {
  const lines = [`**${displayStatus(state)}** since ${utc(state.statusSince)}`];
  if (state.statusReason !== '') lines.push(state.statusReason);
  if (state.operation !== null) {
    const { kind, progress, progressSince } = state.operation;
    lines.push(`\`${kind}\`: ${progress} (since ${utc(progressSince)})`);
  }
  for (const { kind } of state.waiting) lines.push(`Next: \`${kind}\``);
  if (state.placement !== null) {
    const { numNodes, instanceType } = state.placement;
    lines.push(`${numNodes}x ${instanceType} in ${infraText(state.placement)}`);
  }
  if (state.tries.length > 0) lines.push('Places that could not give the machines:');
  for (const tried of state.tries.slice(-10)) lines.push(`- ${tryText(tried)}, ${utc(tried.at)}`);
  const live = state.jobs.filter((job) => !isTerminalJob(job.status));
  lines.push(`jobs: ${live.length} live, ${state.finishedJobs} finished`);
  for (const job of live.slice(0, 10)) lines.push(`- ${job.id} ${job.name ?? '-'}: ${job.status}`);
  if (autostopDueAt !== null) {
    lines.push(`${state.autostop?.down === true ? 'goes down' : 'stops'} at ${utc(autostopDueAt)} if nothing happens`);
  }
  if (state.ray != null) {
    const { status, reason, spec } = state.ray;
    lines.push(`Ray ${spec.version}: ${status}${reason === '' ? '' : ` (${reason})`}`);
  }
  const { budget } = budgetView(state);
  if (budget !== undefined) {
    const { exceeded, exceedsAt, onExceed } = budget;
    if (exceeded !== null) {
      if (onExceed === 'notify') lines.push(`${exceeded.why}, since ${utc(exceeded.at)}`);
    } else if (exceedsAt !== null) lines.push(`budget of ${budgetText(budget)} until ${utc(exceedsAt)} (${onExceed})`);
    else lines.push(`budget of ${budgetText(budget)} (${onExceed})`);
  }
  return lines.join('\n\n').slice(0, 15_000);
}
