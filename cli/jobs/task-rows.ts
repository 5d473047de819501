/** The tasks of a pipeline as `styx jobs queue` lists them: those that have begun as they say themselves, the others as the pipeline does. */
import type { JobSummary } from '../../client/job-lists.ts';
import { taskOf } from '../../model/pipeline.ts';

export interface TaskRow extends JobSummary {
  readonly task: number;
  /** The group ends when these have ended; null: it is no such group. */
  readonly isPrimary: boolean | null;
}

export function taskRows(pipeline: JobSummary, begun: readonly JobSummary[]): TaskRow[] {
  const { tasks = [], primary } = pipeline;
  const byIndex = new Map(begun.map((one) => [taskOf(one.id)?.index, one]));
  return tasks.map(([name, status], task): TaskRow => {
    const isPrimary = primary === undefined ? null : primary.includes(task);
    const own = byIndex.get(task);
    if (own !== undefined) return { ...own, task, isPrimary };
    const { tasks: _tasks, primary: _primary, ...rest } = pipeline;
    return {
      ...rest,
      task,
      isPrimary,
      id: `${pipeline.id}/${task}`,
      name,
      status,
      reason: '',
      resources: '-',
      startedAt: null,
      endedAt: null,
      ranMs: 0,
      runningSince: null,
      recoveries: 0,
      cost: 0,
      // It is not the queue that it waits for.
      queue: 'ended',
    };
  });
}
