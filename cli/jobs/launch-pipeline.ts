/** `styx jobs launch` of a file of several tasks. */
import { lastChecks } from '../../client/checks.ts';
import { onAllowedClouds, onEnabledClouds } from '../../client/clouds.ts';
import type { WrittenPipeline } from '../../model/parse-pipeline.ts';
import { styxHome } from '../../system/home.ts';
import { confirm } from '../confirm.ts';
import { showPlan } from '../plan.ts';
import type { Context } from '../run.ts';
import { type JobLaunchOptions, withStrategy } from './launch-options.ts';
import { afterSubmission } from './submitted.ts';

export async function launchPipeline(
  context: Context,
  written: WrittenPipeline,
  options: JobLaunchOptions,
): Promise<number> {
  const { config } = await context.config();
  const checks = lastChecks(styxHome());
  const tasks = [];
  for (const one of written.tasks) {
    const recovery = withStrategy(one.recovery, options.jobRecovery, one.task);
    const { task, leftOut } = await onEnabledClouds(await onAllowedClouds(one.task, config.allowedClouds), checks);
    if (options.yes !== true) {
      const after = one.after.map((index) => written.tasks[index]?.name).join(', ');
      process.stderr.write(`Task ${one.name}${after === '' ? '' : `, after ${after}`}\n`);
      await showPlan(task, process.stderr, { leftOut });
    }
    tasks.push({ ...one, task, recovery });
  }
  const styx = await context.styx();
  const what = written.execution === 'group' ? 'a job group' : 'a pipeline';
  const name = written.name === null ? '' : ` '${written.name}'`;
  await confirm(`Launching ${what}${name} of ${tasks.length} tasks as one managed job.`, options.yes);
  context.onDetach('Interrupted: the job may have been submitted; see `styx jobs queue`.');
  context.progress.update('submitting the job');
  const { id } = await styx.pipelines.launch(
    { ...written, tasks },
    { onProgress: (text) => context.progress.update(text), onNote: (text) => context.progress.line(text) },
  );
  return await afterSubmission(context, styx, id, { name: written.name, ranks: null }, options);
}
