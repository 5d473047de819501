/** `job_recovery` as it is carried out: what a task does not say has its default, and times are milliseconds. */
import { type CauseLimit, DEFAULT_RECOVERY, type RecoveryPolicy } from './job-recovery.ts';
import { DEADLINE_BACK_AFTER, DEADLINE_OVERHEAD, DEFAULT_FALLBACK } from './market.ts';
import type { JobRecovery, WrittenCause } from './spec/job-recovery.ts';
import { RESERVE } from './uniform-progress.ts';

/** null: the task says nothing. */
export function recoveryPolicy(written: JobRecovery | null): RecoveryPolicy {
  if (written === null) return DEFAULT_RECOVERY;
  const { strategy, maxRestartsOnErrors, recoverOnExitCodes, error } = written;
  const causes = {
    ...causeOf('noCapacity', written.noCapacity),
    ...causeOf('preemption', written.preemption),
    ...causeOf('error', error),
  };
  return {
    strategy: strategy ?? DEFAULT_RECOVERY.strategy,
    maxRestartsOnErrors: maxRestartsOnErrors ?? error?.maxRestarts ?? DEFAULT_RECOVERY.maxRestartsOnErrors,
    recoverOnExitCodes: recoverOnExitCodes ?? DEFAULT_RECOVERY.recoverOnExitCodes,
    ...(written.replaceNodes === true ? { replaceNodes: true } : {}),
    ...(strategy === 'on_demand_fallback' ? { fallback: fallbackOf(written) } : {}),
    ...(strategy === 'deadline' ? deadlineOf(written) : {}),
    ...(Object.keys(causes).length === 0 ? {} : { causes }),
  };
}

function fallbackOf({ preemptions, within, backAfter }: JobRecovery): NonNullable<RecoveryPolicy['fallback']> {
  return {
    preemptions: preemptions ?? DEFAULT_FALLBACK.preemptions,
    within: within === null ? DEFAULT_FALLBACK.within : within * 1_000,
    backAfter: backAfter === null ? DEFAULT_FALLBACK.backAfter : backAfter * 1_000,
  };
}

function deadlineOf(written: JobRecovery): Pick<RecoveryPolicy, 'deadline'> {
  const { deadline, work, overhead, checkpointEvery, backAfter } = written;
  if (deadline === null || work === null) return {};
  return {
    deadline: {
      deadline: deadline * 1_000,
      work: work * 1_000,
      overhead: overhead === null ? DEADLINE_OVERHEAD : overhead * 1_000,
      checkpointEvery: checkpointEvery === 'never' ? null : (checkpointEvery ?? 0) * 1_000,
      backAfter: backAfter === null ? DEADLINE_BACK_AFTER : backAfter * 1_000,
      reserve: RESERVE,
    },
  };
}

function causeOf<K extends string>(name: K, written: WrittenCause | null): { [name in K]?: CauseLimit } {
  if (written === null) return {};
  const { maxRestarts, backoff } = written;
  return { [name]: { maxRestarts, backoff: backoff === null ? null : backoff * 1_000 } } as { [name in K]: CauseLimit };
}
