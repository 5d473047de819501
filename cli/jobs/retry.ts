/** `styx jobs retry`. */
import { confirm } from '../confirm.ts';
import type { CommonOptions, Context } from '../run.ts';
import { afterSubmission } from './submitted.ts';

export interface JobRetryOptions extends CommonOptions {
  readonly from?: string;
  readonly detachRun?: boolean;
  readonly yes?: boolean;
}

export async function retryJob(context: Context, job: string, options: JobRetryOptions): Promise<number> {
  const styx = await context.styx();
  const old = await styx.jobs.find(job);
  await confirm(`Running again what did not succeed of managed job ${job}.`, options.yes);
  context.progress.update('submitting the job');
  const { id } = await styx.pipelines.retry(old, {
    ...(options.from === undefined ? {} : { from: options.from }),
    onProgress: (text) => context.progress.update(text),
  });
  const summary = await styx.jobs.summary(id);
  const isPipeline = summary?.tasks !== undefined;
  const ranks = isPipeline ? null : (await styx.jobs.view(id)).numNodes;
  return await afterSubmission(context, styx, id, { name: summary?.name ?? null, ranks }, options);
}
