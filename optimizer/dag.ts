/** Tasks that wait for one another. */
import { StyxError } from '../model/errors.ts';
import type { DataSize } from '../model/spec/task.ts';
import type { PlacementRequest, RankOptions } from './request.ts';

/** A `TaskSpec` is one. */
export interface DagTask extends PlacementRequest {
  readonly name: string | null;
  /** How long it runs, for all alternatives or for each by its index. Default 1. */
  readonly hours?: NonNullable<RankOptions['hours']>;
  /** What comes in; counts for tasks without predecessors. With them, what they give out comes in. */
  readonly inputs: DataSize | null;
  /** What goes to each successor; its size alone counts. null: nothing. */
  readonly outputs: DataSize | null;
}

export interface Dag {
  readonly tasks: readonly DagTask[];
  /** Indices of `tasks`: `to` starts when `from` has ended. */
  readonly edges: readonly (readonly [from: number, to: number])[];
}

export function taskName({ tasks }: Dag, index: number): string {
  return tasks[index]?.name ?? `task ${index + 1}`;
}

/**
 * Indices of the tasks, each after those that it waits for, and else in the order given.
 * @throws invalid when tasks wait for each other, or an edge or a size is none
 */
export function topologicalOrder(dag: Dag): number[] {
  const { tasks, edges } = dag;
  for (const [index, { inputs, outputs }] of tasks.entries()) {
    for (const data of [inputs, outputs]) {
      if (data !== null && !(data.gigabytes >= 0 && Number.isFinite(data.gigabytes))) {
        throw new StyxError('invalid', `${taskName(dag, index)}: the size of its data must be GB from 0`);
      }
    }
  }
  const waits = tasks.map(() => 0);
  for (const [from, to] of edges) {
    if (tasks[from] === undefined || tasks[to] === undefined) {
      throw new StyxError('invalid', `there is no edge ${from} -> ${to} among ${tasks.length} tasks`);
    }
    waits[to] = (waits[to] as number) + 1;
  }
  const order: number[] = [];
  const ready = tasks.flatMap((_, index) => (waits[index] === 0 ? [index] : []));
  for (;;) {
    const next = ready.sort((a, b) => a - b).shift();
    if (next === undefined) break;
    order.push(next);
    for (const [from, to] of edges) {
      if (from !== next) continue;
      waits[to] = (waits[to] as number) - 1;
      if (waits[to] === 0) ready.push(to);
    }
  }
  if (order.length < tasks.length) {
    const stuck = tasks.flatMap((_, index) => (order.includes(index) ? [] : [taskName(dag, index)]));
    throw new StyxError('invalid', `these tasks wait for each other: ${stuck.join(', ')}`);
  }
  return order;
}
