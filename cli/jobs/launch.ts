/** `styx jobs launch`. */
import { lastChecks } from '../../client/checks.ts';
import { onAllowedClouds, onEnabledClouds } from '../../client/clouds.ts';
import { StyxError } from '../../model/errors.ts';
import { resourcesText } from '../../model/resources-text.ts';
import { styxHome } from '../../system/home.ts';
import { confirm } from '../confirm.ts';
import { showPlan } from '../plan.ts';
import type { Context } from '../run.ts';
import { readSubmission } from '../task-input.ts';
import { type JobLaunchOptions, withStrategy } from './launch-options.ts';
import { afterSubmission } from './submitted.ts';

export async function launchJob(
  context: Context,
  entrypoint: string[],
  options: JobLaunchOptions,
): Promise<number | undefined> {
  const written = readSubmission(entrypoint, options, options.pool !== undefined);
  if (written.kind === 'pipeline') {
    if (options.numJobs !== undefined) throw new StyxError('invalid', '--num-jobs is for files of one task');
    const { launchPipeline } = await import('./launch-pipeline.ts');
    return await launchPipeline(context, written, options);
  }
  const { config } = await context.config();
  const recovery = withStrategy(written.recovery, options.jobRecovery, written.task);
  const allowed = await onAllowedClouds(written.task, config.allowedClouds);
  const { task, leftOut } = await onEnabledClouds(allowed, lastChecks(styxHome()));
  const styx = await context.styx();
  const { pool } = options;
  if (pool !== undefined) await styx.pools.mustBe(pool);
  else if (options.yes !== true) await showPlan(task, process.stderr, { leftOut });
  const where = pool === undefined ? '' : ` in pool '${pool}'`;
  await confirm(`Launching a managed job${task.name === null ? '' : ` '${task.name}'`}${where}.`, options.yes);
  context.onDetach('Interrupted: the job may have been submitted; see `styx jobs queue`.');
  const request = { task, recovery, ...(pool === undefined ? {} : { pool }), resourcesText: resourcesText(task) };
  if (options.numJobs !== undefined) {
    const { submitArray } = await import('./launch-array.ts');
    return await submitArray(context, styx, request, options.numJobs, options);
  }
  context.progress.update('submitting the job');
  const { id } = await styx.jobs.launch(request, {
    onProgress: (text) => context.progress.update(text),
    onNote: (text) => context.progress.line(text),
  });
  return await afterSubmission(context, styx, id, { name: task.name, ranks: task.numNodes }, options);
}
