import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { lastChecks } from '../../client/checks.ts';
import { type LeftOut, onAllowedClouds, onEnabledClouds, onStoppable } from '../../client/clouds.ts';
import type { CommandAnswer } from '../../model/cluster.ts';
import { formatDuration } from '../../model/duration.ts';
import { StyxError } from '../../model/errors.ts';
import { nameProblem } from '../../model/identity.ts';
import type { InstanceTypeOffer } from '../../model/machines.ts';
import { resourcesText } from '../../model/resources-text.ts';
import type { WrittenTask } from '../../model/task.ts';
import { autostopNotice } from '../../model/unstoppable.ts';
import { styxHome } from '../../system/home.ts';
import { confirm } from '../confirm.ts';
import { followJob, followOperation } from '../follow.ts';
import { configOption, debugOption, outputOption, yesOption } from '../options.ts';
import { showPlan, withBudget } from '../plan.ts';
import { type RetryOptions, retriesOf, retryOptions } from '../retry-options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';
import { keepSshEntries } from '../ssh-entries.ts';
import {
  type AutostopOptions,
  autostopOptions,
  autostopRule,
  commandLineText,
  readTask,
  type TaskOptions,
  taskOptions,
} from '../task-input.ts';

interface LaunchOptions extends CommonOptions, TaskOptions, AutostopOptions, RetryOptions {
  readonly cluster?: string;
  readonly setup: boolean;
  readonly detachRun?: boolean;
  readonly dryrun?: boolean;
  readonly plan?: string;
  readonly replan?: boolean;
  readonly yes?: boolean;
  readonly verbose?: boolean;
}

export function configure(command: Command): void {
  command
    .argument('[entrypoint...]', 'task file (.yaml, .yml, - for stdin), or a shell command')
    .option('-c, --cluster <name>', 'name of the cluster; a running one is used');
  taskOptions(command);
  retryOptions(autostopOptions(command))
    .option('--no-setup', "leave out the task's setup")
    .option('-d, --detach-run', 'return when the job is submitted')
    .option('--dryrun', 'show the plan and do nothing')
    .option('-v, --verbose', 'show why other machines were left out')
    .option('--plan <file>', 'make new machines as a file of `styx plan` says, and in no other way')
    .option('--replan', 'with --plan: take the offers of now where prices or offers have changed');
  outputOption(configOption(debugOption(yesOption(command)))).action((entrypoint: string[], options: LaunchOptions) =>
    runCommand(options, (context) => launch(context, entrypoint, options)),
  );
}

async function launch(context: Context, entrypoint: string[], options: LaunchOptions): Promise<number | undefined> {
  checkPlanOptions(entrypoint, options);
  const { config } = await context.config();
  const retries = retriesOf(options);
  const written = readTask(entrypoint, options);
  const rule = autostopRule(options, written.autostop);
  const name = options.cluster ?? (await generatedName());
  const problem = nameProblem(name);
  if (problem !== null) throw new StyxError('invalid', `cluster name '${name}' ${problem}`);
  const planned = await plannedOffers(context, written, options);
  const allowed = await onAllowedClouds(written, config.allowedClouds);
  // A plan says itself where to go.
  const checks = planned === undefined ? lastChecks(styxHome()) : new Map();
  const { task: enabled, leftOut } = await onEnabledClouds(allowed, checks);
  const task = await onStoppable(enabled, rule === undefined ? enabled.autostop : rule);
  // What a new cluster has to keep to.
  const budgeted = withBudget(task, config.budget);
  if (options.dryrun === true) {
    const format = options.output === 'json' ? 'json' : 'table';
    await showPlan(budgeted, process.stdout, { format, planned, leftOut, verbose: options.verbose === true });
    return 0;
  }
  const previewed = async () => {
    await previewNew(context, budgeted, options, { planned, leftOut });
    await confirm(`Launching a new cluster '${name}'.`, options.yes);
  };
  // Nobody has a generated name: no server has to be started to say so of what may be hopeless.
  const isNew = options.cluster === undefined;
  if (isNew) await previewed();
  const styx = await context.styx();
  const existing = isNew ? null : await styx.clusters.summary(name);
  if (!isNew && existing === null) await previewed();
  context.onDetach('Interrupted: the launch may have been accepted; see `styx status`.');
  context.progress.update(existing === null ? `launching cluster ${name}` : `submitting to cluster ${name}`);
  const answer = await styx.clusters.launch(
    {
      name,
      task,
      resourcesText: resourcesText(task),
      ...retries,
      noSetup: !options.setup,
      commandLine: commandLineText(process.argv.slice(2)),
      ...(rule === undefined ? {} : { autostop: rule }),
      ...(planned === undefined ? {} : { planned }),
    },
    { onProgress: (text) => context.progress.update(text), onNote: (text) => context.progress.line(text) },
  );
  return await follow(context, name, task, answer, options);
}

/** @throws invalid */
function checkPlanOptions(entrypoint: readonly string[], { plan, replan }: LaunchOptions): void {
  if (plan === undefined && replan === true) throw new StyxError('invalid', '--replan needs --plan FILE');
  if (plan === '-' && entrypoint[0] === '-')
    throw new StyxError('invalid', 'stdin cannot be both the plan and the task file');
}

/** The places of `--plan`, once they were found to be as planned; undefined without one. @throws invalid, refused, capacity */
async function plannedOffers(
  context: Context,
  task: WrittenTask,
  options: LaunchOptions,
): Promise<readonly InstanceTypeOffer[] | undefined> {
  const { plan, replan = false } = options;
  if (plan === undefined) return undefined;
  const { allowedClouds } = (await context.config()).config;
  const { placesOf } = await import('../plan-file.ts');
  const rule = autostopRule(options, task.autostop);
  return await placesOf(plan, task, {
    replan,
    allowedClouds,
    ...(rule === undefined ? {} : { autostop: rule }),
    say: (text) => context.progress.line(text),
  });
}

/**
 * What would be chosen, before anything is made. What can never be had, or nowhere now, is refused here; a cloud that cannot be asked from here may still
 * answer the worker, which is who decides when nobody is asked.
 * @throws invalid, capacity
 */
async function previewNew(
  context: Context,
  task: WrittenTask,
  options: LaunchOptions,
  { planned, leftOut }: { planned: readonly InstanceTypeOffer[] | undefined; leftOut: readonly LeftOut[] },
): Promise<void> {
  context.progress.stop();
  try {
    await showPlan(task, process.stderr, { planned, leftOut, verbose: options.verbose === true });
  } catch (error) {
    if (options.yes !== true || !(error instanceof StyxError)) throw error;
    if (error.kind === 'invalid' || error.kind === 'capacity') throw error;
    context.progress.line(`Note: no preview from here: ${error.message}`);
  }
}

async function follow(
  context: Context,
  name: string,
  task: WrittenTask,
  answer: CommandAnswer,
  options: LaunchOptions,
): Promise<number | undefined> {
  const styx = await context.styx();
  const { jobId, generation } = answer;
  context.onDetach(
    [
      'Detached: the launch goes on.',
      `  follow it:        styx logs ${name}${jobId === null ? ' --provision' : ` ${jobId}`}`,
      ...(jobId === null ? [] : [`  end the job:      styx cancel ${name} ${jobId}`]),
      `  end the cluster:  styx down ${name}`,
    ].join('\n'),
  );
  if (answer.note !== null) context.progress.line(answer.note);
  const view = await followOperation(context, styx, name, answer);
  await keepSshEntries(context, styx, view);
  const notice = autostopNotice(view);
  if (notice !== '') context.progress.line(`Note: ${notice}`);
  const { exceedsAt = null } = view.budget ?? {};
  if (exceedsAt !== null) {
    context.progress.line(`The cluster's budget lasts ${formatDuration((exceedsAt - Date.now()) / 1_000)} from now.`);
  }
  const follows = jobId !== null && options.detachRun !== true;
  context.progress.stop();
  if (options.output === 'json') {
    const job = follows ? await styx.clusters.waitJob(name, jobId, { generation }) : null;
    const { operationId } = answer;
    const result = {
      cluster: name,
      operationId,
      jobId,
      jobStatus: job?.status ?? null,
      exitCodes: job?.exitCodes ?? null,
    };
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    const { jobExitCode } = await import('../../model/job.ts');
    return job === null ? 0 : jobExitCode(job.status);
  }
  if (jobId === null) {
    process.stdout.write(`Cluster ${name} is up.\n`);
    return 0;
  }
  context.progress.line(`Job ${jobId} submitted to cluster ${name}.`);
  if (!follows) {
    process.stdout.write(`${jobId}\n`);
    return 0;
  }
  return await followJob(context, styx, name, { id: jobId, ranks: task.numNodes, generation });
}

async function generatedName(): Promise<string> {
  const { userInfo } = await import('node:os');
  let user = 'user';
  try {
    user =
      userInfo()
        .username.toLowerCase()
        .replace(/[^a-z0-9]/g, '')
        .slice(0, 20) || user;
  } catch {
    // A process without a passwd entry.
  }
  return `styx-${randomBytes(2).toString('hex')}-${user}`;
}
