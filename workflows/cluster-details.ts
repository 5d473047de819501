/** A cluster in Markdown for Temporal's Web UI: what is happening, since when, what next. */
import { type ClusterState, displayStatus } from '../model/cluster.ts';
import { budgetView } from '../model/cluster-budget.ts';
import { infraText } from '../model/cluster-state.ts';
import { budgetText } from '../model/cost-budget.ts';
import { isTerminalJob } from '../model/job.ts';

function at(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replace('T', ' ');
}

export function clusterDetails(state: ClusterState, autostopDueAt: number | null): string {
  const lines = [`**${displayStatus(state)}** since ${at(state.statusSince)} UTC`];
  if (state.statusReason !== '') lines.push(state.statusReason);
  if (state.operation !== null) {
    const { kind, progress, progressSince } = state.operation;
    lines.push(`\`${kind}\`: ${progress} (since ${at(progressSince)})`);
  }
  for (const { kind } of state.waiting) lines.push(`then \`${kind}\``);
  if (state.placement !== null) {
    const { numNodes, instanceType } = state.placement;
    lines.push(`${numNodes}x ${instanceType} in ${infraText(state.placement)}`);
  }
  const live = state.jobs.filter((job) => !isTerminalJob(job.status));
  lines.push(`jobs: ${live.length} live, ${state.finishedJobs} finished`);
  for (const job of live.slice(0, 10)) lines.push(`- ${job.id} ${job.name ?? '-'}: ${job.status}`);
  if (autostopDueAt !== null) {
    lines.push(
      `${state.autostop?.down === true ? 'goes down' : 'stops'} at ${at(autostopDueAt)} UTC if nothing happens`,
    );
  }
  if (state.ray != null) {
    const { status, reason, spec } = state.ray;
    lines.push(`Ray ${spec.version}: ${status}${reason === '' ? '' : ` (${reason})`}`);
  }
  const { budget } = budgetView(state);
  if (budget !== undefined) {
    const { exceeded, exceedsAt, onExceed } = budget;
    if (exceeded !== null) {
      if (onExceed === 'notify') lines.push(`${exceeded.why}, since ${at(exceeded.at)} UTC`);
    } else if (exceedsAt !== null)
      lines.push(`budget of ${budgetText(budget)} until ${at(exceedsAt)} UTC (${onExceed})`);
    else lines.push(`budget of ${budgetText(budget)} (${onExceed})`);
  }
  return lines.join('\n\n').slice(0, 15_000);
}
