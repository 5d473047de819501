/** A pipeline's output as it comes, each line with its task, and then how it ended. */
import type { Styx } from '../../client/connect.ts';
import type { ManagedLogOptions } from '../../client/job-logs.ts';
import { pipelineLogs } from '../../client/pipeline-logs.ts';
import { taskNamed } from '../../client/pipelines.ts';
import { isManagedEnd } from '../../model/managed-job.ts';
import { LinePrefixer } from '../lines.ts';
import type { Context } from '../run.ts';
import { followManaged, managedExitCode, write } from './follow.ts';

type Reading = Pick<ManagedLogOptions, 'tail' | 'follow' | 'rank'>;

export async function followPipeline(
  context: Context,
  styx: Styx,
  id: string,
  number: number,
  options: Reading,
): Promise<number> {
  context.onDetach(
    `Detached: the job goes on.\n  follow it:    styx jobs logs ${number}\n  end the job:  styx jobs cancel ${number}`,
  );
  const prefixers = new Map<string, LinePrefixer>();
  const { progress } = context;
  const pieces = pipelineLogs(id, styx, {
    ...options,
    onWait: (text, { name }) => (text === null ? progress.end(name) : progress.update(text, name)),
    onNote: (text, { name }) => progress.line(`Note: ${name}: ${text}`),
  });
  for await (const { task, rank, try: tried, data } of pieces) {
    progress.end(task.name);
    const key = `${task.index}/${tried}/${rank}`;
    const of = task.numNodes > 1 ? `${task.name}, rank=${rank}` : task.name;
    const prefixer = prefixers.get(key) ?? new LinePrefixer(`(${of}) `);
    prefixers.set(key, prefixer);
    await write(prefixer.push(data));
  }
  for (const prefixer of prefixers.values()) await write(prefixer.flush());
  progress.stop();
  const { status, reason, tasks } = await styx.pipelines.view(id);
  if (isManagedEnd(status) && status !== 'SUCCEEDED') {
    for (const task of tasks) {
      progress.line(`  ${task.name} ${task.status}${task.reason === '' ? '' : `: ${task.reason}`}`);
    }
  }
  progress.line(`Managed job ${number} ${status}${reason === '' ? '' : `: ${reason}`}`);
  return managedExitCode(status);
}

/** Of one task; waits for it to begin. @throws not-found */
export async function followTask(
  context: Context,
  styx: Styx,
  id: string,
  wanted: string,
  options: Reading,
): Promise<number> {
  const begun = taskNamed(await styx.pipelines.view(id), wanted);
  if (begun.id === null && !isManagedEnd(begun.status) && options.follow !== false) {
    context.progress.update(`waiting for task ${begun.name} to begin`);
    await styx.pipelines.until(id, ({ tasks }) => {
      const task = tasks[begun.index];
      return task === undefined || task.id !== null || isManagedEnd(task.status) ? true : undefined;
    });
    context.progress.stop();
  }
  const view = await styx.pipelines.view(id);
  const task = taskNamed(view, wanted);
  if (task.id === null) {
    context.progress.line(`Task ${task.name} ${task.status}${task.reason === '' ? '' : `: ${task.reason}`}`);
    return managedExitCode(task.status);
  }
  return await followManaged(context, styx, task.id, view.number ?? 0, { ...options, ranks: task.numNodes });
}
