/** `styx jobs launch`. */
import { lastChecks } from '../../client/checks.ts';
import { onAllowedClouds, onEnabledClouds } from '../../client/clouds.ts';
import { StyxError } from '../../model/errors.ts';
import { DEFAULT_RECOVERY, type RecoveryPolicy, recoveryProblem, STRATEGIES } from '../../model/job-recovery.ts';
import { DEFAULT_FALLBACK } from '../../model/market.ts';
import { resourcesText } from '../../model/resources-text.ts';
import { nearestWord } from '../../model/spelling.ts';
import { styxHome } from '../../system/home.ts';
import { confirm } from '../confirm.ts';
import { showPlan } from '../plan.ts';
import type { CommonOptions, Context } from '../run.ts';
import { readJob, type TaskOptions } from '../task-input.ts';
import { followManaged } from './follow.ts';

export interface JobLaunchOptions extends CommonOptions, TaskOptions {
  readonly jobRecovery?: string;
  readonly pool?: string;
  readonly detachRun?: boolean;
  readonly yes?: boolean;
}

export async function launchJob(
  context: Context,
  entrypoint: string[],
  options: JobLaunchOptions,
): Promise<number | undefined> {
  const { config } = await context.config();
  const written = readJob(entrypoint, options, options.pool !== undefined);
  const recovery = withStrategy(written.recovery, options.jobRecovery, written.task.resources.useSpot);
  const allowed = await onAllowedClouds(written.task, config.allowedClouds);
  const { task, leftOut } = await onEnabledClouds(allowed, lastChecks(styxHome()));
  const styx = await context.styx();
  const { pool } = options;
  if (pool !== undefined) await styx.pools.mustBe(pool);
  else if (options.yes !== true) await showPlan(task, process.stderr, { leftOut });
  const where = pool === undefined ? '' : ` in pool '${pool}'`;
  await confirm(`Launching a managed job${task.name === null ? '' : ` '${task.name}'`}${where}.`, options.yes);
  context.onDetach('Interrupted: the job may have been submitted; see `styx jobs queue`.');
  context.progress.update('submitting the job');
  const { id } = await styx.jobs.launch(
    { task, recovery, ...(pool === undefined ? {} : { pool }), resourcesText: resourcesText(task) },
    { onProgress: (text) => context.progress.update(text), onNote: (text) => context.progress.line(text) },
  );
  context.progress.update('waiting for its number');
  const number = await styx.jobs.number(id);
  context.progress.stop();
  if (options.detachRun === true) {
    const json = JSON.stringify({ id, number, name: task.name }, null, 2);
    process.stdout.write(`${options.output === 'json' ? json : number}\n`);
    context.progress.line(`Managed job ${number} submitted. Follow it: styx jobs logs ${number}`);
    return 0;
  }
  context.progress.line(`Managed job ${number} submitted.`);
  if (options.output !== 'json') return await followManaged(context, styx, id, number, { ranks: task.numNodes });
  const { managedExitCode } = await import('./follow.ts');
  const ended = await styx.jobs.wait(id);
  const { status, reason, recoveries } = ended;
  process.stdout.write(`${JSON.stringify({ id, number, name: task.name, status, reason, recoveries }, null, 2)}\n`);
  return managedExitCode(status);
}

/** @throws invalid */
export function withStrategy(recovery: RecoveryPolicy, asked: string | undefined, useSpot: boolean): RecoveryPolicy {
  if (asked === undefined) return recovery;
  if (asked.toLowerCase() === 'none') return DEFAULT_RECOVERY;
  const strategy = STRATEGIES.find((name) => name.toLowerCase() === asked.toLowerCase());
  if (strategy === undefined) {
    const near = nearestWord(asked, STRATEGIES);
    throw new StyxError('invalid', `--job-recovery ${asked}: must be one of ${STRATEGIES.join(', ')}`, {
      ...(near === null ? {} : { hint: `Did you mean ${near}?` }),
    });
  }
  const fallback = strategy === 'on_demand_fallback' ? { fallback: recovery.fallback ?? DEFAULT_FALLBACK } : {};
  const chosen = { ...recovery, ...fallback, strategy };
  const problem = recoveryProblem(chosen, useSpot);
  if (problem !== null) throw new StyxError('invalid', `--job-recovery ${asked}: ${problem}`);
  return chosen;
}
