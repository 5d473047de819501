/** `styx jobs logs`. */
import { StyxError } from '../../model/errors.ts';
import type { CommonOptions, Context } from '../run.ts';
import { followManaged } from './follow.ts';
import { followPipeline, followTask } from './follow-pipeline.ts';

export interface JobLogsOptions extends CommonOptions {
  readonly name?: string;
  readonly tail: number;
  readonly follow: boolean;
  readonly worker?: number;
}

/** SkyPilot's code for a job that there is not. */
const NOT_FOUND_EXIT = 102;

export async function showLogs(
  context: Context,
  job: string | undefined,
  task: string | undefined,
  options: JobLogsOptions,
): Promise<number> {
  if (job !== undefined && options.name !== undefined)
    throw new StyxError('invalid', '--name does not go together with a job');
  const styx = await context.styx();
  try {
    const id = await styx.jobs.find(job ?? options.name ?? (await newest()));
    const { tail, follow, worker: rank } = options;
    const summary = await styx.jobs.summary(id);
    if (summary?.tasks !== undefined) {
      if (task !== undefined) return await followTask(context, styx, id, task, { tail, follow, rank });
      return await followPipeline(context, styx, id, summary.number ?? 0, { tail, follow, rank });
    }
    const { number, numNodes } = await styx.jobs.view(id);
    if (task !== undefined && task !== '0') {
      throw new StyxError('not-found', `managed job ${number ?? id} is one task alone: there is no task '${task}'`);
    }
    if (rank !== undefined && rank >= numNodes) {
      const ranks = numNodes === 1 ? 'rank 0 alone' : `ranks 0 to ${numNodes - 1}`;
      throw new StyxError('invalid', `--worker ${rank}: managed job ${number ?? id} has ${ranks}`);
    }
    return await followManaged(context, styx, id, number ?? 0, { tail, follow, rank, ranks: numNodes });
  } catch (error) {
    if (!(error instanceof StyxError) || error.kind !== 'not-found') throw error;
    process.stderr.write(
      `Error: ${error.message}\n${error.hint ?? 'Run `styx jobs queue` to see those that there are.'}\n`,
    );
    return NOT_FOUND_EXIT;
  }

  async function newest(): Promise<string> {
    const [first] = await styx.jobs.list({ limit: 1, user: styx.user });
    if (first === undefined)
      throw new StyxError('not-found', 'You have no managed jobs', {
        hint: 'Those of all users: `styx jobs queue -u`.',
      });
    return first.id;
  }
}
