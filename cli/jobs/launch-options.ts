/** What `styx jobs launch` is told besides the task. */
import { StyxError } from '../../model/errors.ts';
import { DEFAULT_RECOVERY, type RecoveryPolicy, recoveryProblem, STRATEGIES } from '../../model/job-recovery.ts';
import { DEFAULT_FALLBACK } from '../../model/market.ts';
import { nearestWord } from '../../model/spelling.ts';
import type { WrittenTask } from '../../model/task.ts';
import type { CommonOptions } from '../run.ts';
import type { TaskOptions } from '../task-input.ts';

export interface JobLaunchOptions extends CommonOptions, TaskOptions {
  readonly jobRecovery?: string;
  readonly pool?: string;
  readonly detachRun?: boolean;
  readonly numJobs?: number;
  readonly yes?: boolean;
}

/** @throws invalid */
export function withStrategy(
  recovery: RecoveryPolicy,
  asked: string | undefined,
  { resources, numNodes }: Pick<WrittenTask, 'resources' | 'numNodes'>,
): RecoveryPolicy {
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
  const problem = recoveryProblem(chosen, resources.useSpot, numNodes);
  if (problem !== null) throw new StyxError('invalid', `--job-recovery ${asked}: ${problem}`);
  return chosen;
}
