/** `styx jobs launch --num-jobs N`. */
import type { Styx } from '../../client/connect.ts';
import { launchArray } from '../../client/job-arrays.ts';
import type { JobRequest } from '../../client/jobs.ts';
import type { Context } from '../run.ts';
import type { JobLaunchOptions } from './launch-options.ts';

/** Many outputs cannot be followed at once: it ends when all are submitted. */
export async function submitArray(
  context: Context,
  styx: Styx,
  request: JobRequest,
  count: number,
  options: JobLaunchOptions,
): Promise<number> {
  context.progress.update(`submitting ${count} jobs`);
  const ids = await launchArray(styx.jobs, request, count, {
    onProgress: (text) => context.progress.update(text),
    onNote: (text) => context.progress.line(text),
  });
  context.progress.update('waiting for their numbers');
  const jobs = [];
  for (const [rank, id] of ids.entries()) {
    jobs.push({ id, number: await styx.jobs.number(id), name: request.task.name, rank });
  }
  context.progress.stop();
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(jobs, null, 2)}\n`);
  else process.stdout.write(jobs.map(({ number }) => `${number}\n`).join(''));
  context.progress.line(`${count} managed jobs submitted. See them: styx jobs queue`);
  return 0;
}
