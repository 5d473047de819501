/**
 * Host names in a job group: each machine of its tasks is `<task>-<rank>.<group>` to all others, as SkyPilot has it. The jobs of the tasks
 * say where their machines are, and the pipeline answers with the names of all, again whenever these change. Pure.
 */
import { isManagedEnd } from './managed-job.ts';
import type { TaskState } from './pipeline.ts';

/** Which place a task has in a group whose machines have names. In the task of each copy. */
export interface GroupSeat {
  /** The pipeline's workflow. */
  readonly pipeline: string;
  /** Which task, from 0. */
  readonly task: number;
  /** Which of the task's tries it is; a later one's word counts. */
  readonly copy: number;
}

/** From a task's job to its pipeline: where its machines are. */
export interface GroupNodes extends Omit<GroupSeat, 'pipeline'> {
  /** Its workflow, which is told the names. */
  readonly job: string;
  /** Internal ones, in the order of ranks. */
  readonly addresses: readonly string[];
}

/** And back: the whole of the names, each time. */
export interface GroupHosts {
  /** Counts up with each change. */
  readonly version: number;
  readonly hosts: readonly (readonly [address: string, name: string])[];
}

/** In a pipeline's state, of a group with names. */
export interface GroupState {
  /** Of the names that were told last; 0: none yet. */
  readonly version: number;
  /** Copies by task whose names were told last, -1: none of it. */
  readonly told: readonly number[];
  /** By task. */
  readonly nodes: readonly (GroupNodes | null)[];
}

/** The hosts of a group, in a hosts file that the kernel's resolver and all libraries take; see RFC 1035 for the length of a label. */
export const MOST_NAME = 63;
const LABEL = /^[A-Za-z0-9_-]+$/;

export function hostName(task: string, rank: number, group: string): string {
  return `${task}-${rank}.${group}`;
}

/** Why the machines of these tasks cannot have names; null when they can. */
export function nameProblem(group: string | null, tasks: readonly { name: string; numNodes: number }[]): string | null {
  if (group === null || !LABEL.test(group) || group.length > MOST_NAME) {
    return `the name of the group is not 1 to ${MOST_NAME} letters, digits, "-" and "_"`;
  }
  const long = tasks.find(({ name, numNodes }) => `${name}-${numNodes - 1}`.length > MOST_NAME);
  return long === undefined ? null : `with its rank the task name "${long.name}" has more than ${MOST_NAME} characters`;
}

export function newGroupState(tasks: number): GroupState {
  return {
    version: 0,
    told: Array.from({ length: tasks }, () => -1),
    nodes: Array.from({ length: tasks }, () => null),
  };
}

/** With a job's word; what an older copy says, or what is known, changes nothing. */
export function withNodes(state: GroupState, nodes: GroupNodes): GroupState {
  const known = state.nodes[nodes.task];
  if (known === undefined || (known !== null && known.copy >= nodes.copy)) return state;
  return { ...state, nodes: state.nodes.map((one, task) => (task === nodes.task ? nodes : one)) };
}

/** All machines of tasks that have not ended are to be made anew. */
export function forgetNodes(state: GroupState, tasks: readonly Pick<TaskState, 'status'>[]): GroupState {
  const ended = (task: number) => isManagedEnd(tasks[task]?.status ?? 'PENDING');
  return { ...state, nodes: state.nodes.map((nodes, task) => (ended(task) ? nodes : null)) };
}

/**
 * What is told now, when every task that has not ended has said where its machines are and this is not what was told last; null otherwise.
 * Tasks that ended have no names: their addresses may be another machine's by then.
 */
export function namesToTell(state: GroupState, tasks: readonly Pick<TaskState, 'status'>[]): GroupState | null {
  const live = tasks.map(({ status }, task) => (isManagedEnd(status) ? null : (state.nodes[task] ?? undefined)));
  if (live.includes(undefined)) return null;
  const told = live.map((nodes) => nodes?.copy ?? -1);
  if (told.every((copy, task) => copy === state.told[task])) return null;
  return { ...state, told, version: state.version + 1 };
}

/** The names that were told last. `tasks`: their names. */
export function groupHosts(state: GroupState, tasks: readonly string[], group: string): GroupHosts {
  const hosts = state.nodes.flatMap((nodes, task) => {
    if (nodes === null || state.told[task] !== nodes.copy) return [];
    return nodes.addresses.map((address, rank) => [address, hostName(tasks[task] ?? '', rank, group)] as const);
  });
  return { version: state.version, hosts };
}
