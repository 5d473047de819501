/** What is seen of a cluster's machines from outside, and what follows for it. */
import { machinesChange } from './cluster.ts';
import type { Draft } from './cluster-draft.ts';
import { end } from './cluster-ending.ts';
import { abandonJobs, jobChanged, jobProgressed } from './cluster-jobs.ts';
import { heardNotices, interruption } from './cluster-notices.ts';
import { next } from './cluster-operations.ts';
import { disksHourlyOf, standingPlacements } from './cluster-repair.ts';
import { allNodesGone } from './cluster-state.ts';
import type { MachinesMissing, Observed } from './commands.ts';
import { keepDisks, stopCost } from './cost.ts';

export function observed(draft: Draft, event: Observed): void {
  const { watch } = draft.state;
  if (watch === null || watch.stopping || watch.child !== event.child) return;
  if (event.sessions !== undefined && event.sessions !== draft.state.sessions) {
    draft.set({
      sessions: event.sessions,
      lastSessionEndedAt: event.sessions === 0 ? draft.now : draft.state.lastSessionEndedAt,
    });
  }
  if (event.progress !== undefined) jobProgressed(draft, event.progress);
  if (machinesChange(draft.state)) return;
  if (event.notices !== undefined) heardNotices(draft, event.notices);
  if (event.unreachable !== undefined) {
    const gone = draft.state.lost.filter((node) => node.gone);
    const known = new Map(draft.state.lost.map((node) => [node.rank, node]));
    const silent = event.unreachable
      .filter(({ rank }) => !gone.some((node) => node.rank === rank))
      .map(({ rank, reason }) => ({ rank, reason, since: known.get(rank)?.since ?? event.at, gone: false }));
    draft.set({ lost: [...gone, ...silent] });
  }
  for (const end of event.ended ?? []) jobChanged(draft, end);
  if (event.gone !== undefined && event.gone.length > 0) nodesGone(draft, event.gone, event.at);
  if (machinesChange(draft.state) || (draft.state.status !== 'UP' && draft.state.status !== 'UNHEALTHY')) return;
  const [first] = draft.state.lost;
  const reason = first === undefined ? interruption(draft.state) : `node ${first.rank}: ${first.reason}`;
  draft.status(reason === null ? 'UP' : 'UNHEALTHY', reason ?? '');
}

/**
 * Of a cluster that is stopped. All gone: it is over. Some: their disks are lost, and only its user knows what was on them. One that runs
 * costs what it does: whoever started it is left to say what for.
 */
export function machinesMissing(draft: Draft, { gone, running, at }: MachinesMissing): void {
  if (draft.state.status !== 'STOPPED' || draft.state.operation !== null) return;
  if (gone.length > 0) nodesGone(draft, gone, at);
  if (running !== undefined) draft.set({ running });
  const { status, operation } = draft.state;
  if (status === 'STOPPED' && operation === null) draft.status(status, stoppedReason(draft.state));
}

function stoppedReason({ name, lost, running = [] }: Draft['state']): string {
  const gone = lost.map(({ rank }) => rank).join(', ');
  const parts = [
    ...(gone === ''
      ? []
      : [
          `node ${gone} and its disk are gone: \`styx start ${name}\` makes new ones, empty; \`styx down ${name}\` ends the rest`,
        ]),
    ...(running.length === 0
      ? []
      : [
          `the machine of node ${running.join(', ')} was started elsewhere and costs: \`styx start ${name}\` takes it, and \`styx stop\` stops it then`,
        ]),
  ];
  return parts.join('; ');
}

function nodesGone(draft: Draft, gone: NonNullable<Observed['gone']>, at: number): void {
  const ranks = new Set(gone.map(({ rank }) => rank));
  const others = draft.state.lost.filter((node) => !ranks.has(node.rank));
  const lost = gone.map(({ rank, state, reason }) => ({ rank, since: at, reason: `${state}: ${reason}`, gone: true }));
  draft.set({ lost: [...others, ...lost] });
  const all = allNodesGone(draft.state);
  const reason = gone[0]?.reason ?? '';
  abandonJobs(draft, 'FAILED_DRIVER', `node ${gone[0]?.rank} is gone (${reason})`, {
    killRest: !all,
    which: (job) => all || (job.allotment?.nodes.some((rank) => ranks.has(rank)) ?? false),
  });
  if (!all) return;
  const kind = gone.every(({ state }) => state === 'stopped') ? 'stop' : 'down';
  const { cost } = draft.state;
  const disks = disksHourlyOf(standingPlacements(draft.state));
  draft.set({ cost: kind === 'stop' ? keepDisks(cost, disks, at) : stopCost(cost, at) });
  draft.status(draft.state.status, reason);
  end(draft, kind, false);
  next(draft);
}
