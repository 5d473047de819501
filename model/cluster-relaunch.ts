/**
 * A managed job that goes on on the cluster that it has: a launch of its owner's makes the nodes that were lost anew and runs the task
 * again, as another copy. It begins at once or is refused, and then the owner takes other machines.
 */
import type { ClusterState, Relaunch } from './cluster.ts';
import { Draft } from './cluster-draft.ts';
import type { QueuedEffect } from './cluster-effects.ts';
import { startWatching, stopWatching } from './cluster-operations.ts';
import { applyCommand, type Command, commandProblem } from './cluster-transition.ts';
import type { LaunchCommand } from './commands.ts';
import type { Failure } from './errors.ts';
import { numberOnNodes } from './identity.ts';
import { ownersJob } from './owned-cluster.ts';

/** A signal of the owner's. The same copy is launched once. */
export interface RelaunchCommand {
  readonly kind: 'relaunch';
  readonly copy: number;
  readonly launch: LaunchCommand;
}

export function applyRelaunch(
  state: ClusterState,
  { copy, launch }: RelaunchCommand,
  now: number,
): { state: ClusterState; effects: QueuedEffect[] } {
  if ((state.relaunch?.copy ?? 0) >= copy) return { state, effects: [] };
  const command: Command = { kind: 'launch', payload: launch };
  const after = earlierRuns(state);
  const refused = problemOf(state, after) ?? commandProblem(state, command, now);
  if (refused !== null || after === null) {
    return { state: { ...state, relaunch: { copy, opId: null, jobId: null, refused, after: [] } }, effects: [] };
  }
  const launched = applyCommand(state, command, now);
  const { operationId: opId, jobId } = launched.answer;
  const relaunch: Relaunch = { copy, opId, jobId, refused: null, after };
  const effects = launched.effects.map((effect) =>
    effect.type === 'startJob' && effect.job.id === jobId ? { ...effect, job: { ...effect.job, after } } : effect,
  );
  const draft = new Draft({ ...launched.state, relaunch }, now);
  if (draft.state.operation === null) {
    // All nodes stand already. Another watch keeps what the new job writes.
    stopWatching(draft);
    startWatching(draft);
  }
  return { state: draft.state, effects: [...effects, ...draft.effects] };
}

/**
 * Runs of the same work of which processes may be there: the last one, and those that it had not seen to the end before it began itself.
 * Null: nobody knows by what name nodes know it.
 */
function earlierRuns(state: ClusterState): Relaunch['after'] | null {
  const last = ownersJob(state);
  const before = state.relaunch?.after ?? [];
  if (last?.allotment == null) return before;
  if (last.life === undefined) return null;
  const key = numberOnNodes(last.id, last.life);
  return last.startedAt === null ? [...before, key] : [key];
}

function problemOf(state: ClusterState, after: Relaunch['after'] | null): Failure | null {
  const { status, operation, waiting } = state;
  const refused = (message: string): Failure => ({ kind: 'refused', message });
  if (status !== 'UP' && status !== 'UNHEALTHY') return refused(`The cluster is ${status}.`);
  if (operation !== null || waiting.length > 0) return refused('Another command is being carried out on the cluster.');
  return after === null ? refused('What ran last is not known to have begun, or not to have.') : null;
}
