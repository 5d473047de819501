/** A managed job's task as one of its copies runs it. */
import type { TaskPart } from '../model/pipeline.ts';
import type { Task } from '../model/task.ts';

/** With the names that say whose copy it is, which a task cannot replace; its cluster is not its own to end. */
export function taskOfCopy(task: Task, number: number, taskId: string, tried: number, part?: TaskPart): Task {
  const own: Readonly<Record<string, string>> = {
    SKYPILOT_MANAGED_JOB_ID: String(number),
    SKYPILOT_TASK_IDS: part?.taskIds.join('\n') ?? taskId,
    ...(part?.group == null ? {} : { SKYPILOT_JOBGROUP_NAME: part.group }),
    STYX_MANAGED_JOB_ID: String(number),
    STYX_JOB_TRY: String(tried),
  };
  const { budget: _budget, ...rest } = task;
  const secrets = Object.fromEntries(Object.entries(task.secrets).filter(([name]) => !Object.hasOwn(own, name)));
  const group = part?.hosts === true ? { group: { pipeline: part.pipeline, task: part.index, copy: tried } } : {};
  return { ...rest, envs: { ...task.envs, ...own }, secrets, autostop: null, ...group };
}
