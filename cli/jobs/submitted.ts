/** What follows a submission: its number, and unless it is left to itself its output and its end. */
import type { Styx } from '../../client/connect.ts';
import type { CommonOptions, Context } from '../run.ts';
import { followManaged, managedExitCode } from './follow.ts';
import { followPipeline } from './follow-pipeline.ts';

/** `ranks`: of a job by itself; null: it is a pipeline. */
export async function afterSubmission(
  context: Context,
  styx: Styx,
  id: string,
  { name, ranks }: { readonly name: string | null; readonly ranks: number | null },
  options: CommonOptions & { readonly detachRun?: boolean },
): Promise<number> {
  context.progress.update('waiting for its number');
  const number = await styx.jobs.number(id);
  context.progress.stop();
  if (options.detachRun === true) {
    const json = JSON.stringify({ id, number, name }, null, 2);
    process.stdout.write(`${options.output === 'json' ? json : number}\n`);
    context.progress.line(`Managed job ${number} submitted. Follow it: styx jobs logs ${number}`);
    return 0;
  }
  context.progress.line(`Managed job ${number} submitted.`);
  if (options.output !== 'json') {
    if (ranks === null) return await followPipeline(context, styx, id, number, {});
    return await followManaged(context, styx, id, number, { ranks });
  }
  const ended = ranks === null ? await pipelineEnd(styx, id) : await jobEnd(styx, id);
  process.stdout.write(`${JSON.stringify({ id, number, name, ...ended }, null, 2)}\n`);
  return managedExitCode(ended.status);
}

async function jobEnd(styx: Styx, id: string) {
  const { status, reason, recoveries } = await styx.jobs.wait(id);
  return { status, reason, recoveries };
}

async function pipelineEnd(styx: Styx, id: string) {
  const { status, reason, tasks } = await styx.pipelines.wait(id);
  const shown = tasks.map(({ name, status: of, reason: why, recoveries, outputs }) => {
    return { name, status: of, reason: why, recoveries, outputs };
  });
  return { status, reason, tasks: shown };
}
