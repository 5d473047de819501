/** What `styx jobs launch` is told besides the task. */
import { StyxError } from '../../model/errors.ts';
import { DEFAULT_RECOVERY, type RecoveryPolicy, STRATEGIES } from '../../model/job-recovery.ts';
import { nearestWord } from '../../model/spelling.ts';
import type { CommonOptions } from '../run.ts';
import type { TaskOptions } from '../task-input.ts';

export interface JobLaunchOptions extends CommonOptions, TaskOptions {
  readonly jobRecovery?: string;
  readonly detachRun?: boolean;
  readonly yes?: boolean;
}

/** @throws invalid */
export function withStrategy(recovery: RecoveryPolicy, asked: string | undefined): RecoveryPolicy {
  if (asked === undefined) return recovery;
  if (asked.toLowerCase() === 'none') return DEFAULT_RECOVERY;
  const strategy = STRATEGIES.find((name) => name === asked.toUpperCase());
  if (strategy !== undefined) return { ...recovery, strategy };
  const near = nearestWord(asked.toUpperCase(), STRATEGIES);
  throw new StyxError('invalid', `--job-recovery ${asked}: must be ${STRATEGIES.join(' or ')}`, {
    ...(near === null ? {} : { hint: `Did you mean ${near}?` }),
  });
}
