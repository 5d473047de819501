/**
 * Jobs that other workflows give to a cluster of a pool. Each is a job of the cluster's own queue; whoever gave it is told how it stands,
 * until it leaves.
 */
import type { ClusterState, Guest } from './cluster.ts';
import type { QueuedEffect } from './cluster-effects.ts';
import { generation } from './cluster-state.ts';
import { applyCommand, type Command, commandProblem } from './cluster-transition.ts';
import { isTerminalJob, type JobRow } from './job.ts';
import { type ClusterReport, clusterReport, type GuestCommand, type GuestRef, jobOfReport } from './owned-cluster.ts';

/** What becomes of a cluster's state, and what has to be done. */
export interface Hosted {
  readonly state: ClusterState;
  readonly effects: readonly QueuedEffect[];
}

function sameGuest(a: GuestRef, b: GuestRef): boolean {
  return a.workflowId === b.workflowId && a.copy === b.copy;
}

export function applyGuest(state: ClusterState, command: GuestCommand, now: number): Hosted {
  const { guest } = command;
  const known = state.guests?.find((one) => sameGuest(one, guest));
  switch (command.kind) {
    case 'submit':
      return known === undefined ? submit(state, command, now) : { state, effects: [] };
    case 'cancel': {
      // Whatever comes of it later is barred.
      if (known === undefined)
        return { state: withGuest(state, { ...guest, jobId: null, refused: null }), effects: [] };
      return known.jobId === null ? { state, effects: [] } : cancel(state, known.jobId, guest, now);
    }
    case 'leave':
      return { state: withoutGuest(state, guest), effects: [] };
    case 'evict':
      return dropGuest(state, guest, now);
  }
}

function submit(state: ClusterState, command: Extract<GuestCommand, { kind: 'submit' }>, now: number): Hosted {
  const { guest, user, task, taskId, commandLine } = command;
  const requestId = `guest-${guest.workflowId}-${guest.copy}`;
  const exec: Command = { kind: 'exec', payload: { requestId, user, task, commandLine } };
  const problem = commandProblem(state, exec, now);
  if (problem !== null) return { state: withGuest(state, { ...guest, jobId: null, refused: problem }), effects: [] };
  const { state: next, effects, answer } = applyCommand(state, exec, now);
  return {
    state: withGuest(next, { ...guest, jobId: answer.jobId, refused: null }),
    effects: effects.map((effect) =>
      effect.type === 'startJob' && effect.job.id === answer.jobId
        ? { ...effect, job: { ...effect.job, taskId } }
        : effect,
    ),
  };
}

function cancel(state: ClusterState, jobId: number, guest: GuestRef, now: number): Hosted {
  const requestId = `cancel-${guest.workflowId}-${guest.copy}`;
  const command: Command = { kind: 'cancel', payload: { requestId, user: state.user, jobs: [jobId] } };
  return commandProblem(state, command, now) === null ? applyCommand(state, command, now) : { state, effects: [] };
}

function withGuest(state: ClusterState, guest: Guest): ClusterState {
  return { ...state, guests: [...(state.guests ?? []), guest] };
}

/** Its workflow has closed: what still runs of it is ended. */
export function dropGuest(state: ClusterState, guest: GuestRef, now: number): Hosted {
  const known = state.guests?.find((one) => sameGuest(one, guest));
  if (known === undefined) return { state, effects: [] };
  const ended = known.jobId === null ? { state, effects: [] } : cancel(state, known.jobId, guest, now);
  return { state: withoutGuest(ended.state, guest), effects: ended.effects };
}

function withoutGuest(state: ClusterState, guest: GuestRef): ClusterState {
  return { ...state, guests: state.guests?.filter((one) => !sameGuest(one, guest)) ?? [] };
}

/** Does nothing of it run, by the word of whoever ended it? What was abandoned with its machines may, until those are gone. */
function hasEnded(job: JobRow): boolean {
  if (!isTerminalJob(job.status)) return false;
  // Never placed.
  if (job.allotment === null) return true;
  // One that was cancelled by itself has no reason; one whose machines go says so.
  if (job.status === 'CANCELLED') return job.reason === null;
  return job.status !== 'FAILED_DRIVER' && job.exitCodes !== null;
}

/** How a guest's job stands. What the cluster costs is the pool's. Of one that is not here: null. */
export function guestReport(state: ClusterState, guest: GuestRef, now: number): ClusterReport | null {
  const known = state.guests?.find((one) => sameGuest(one, guest));
  if (known === undefined) return null;
  const job = state.jobs.find(({ id }) => id === known.jobId);
  return {
    ...clusterReport(state, guest.copy, generation(state), now),
    launch: { outcome: known.refused === null ? 'succeeded' : 'failed', failure: known.refused },
    job: jobOfReport(job),
    ended: job === undefined || hasEnded(job),
    cost: 0,
    hourly: 0,
  };
}
