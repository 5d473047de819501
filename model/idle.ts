/** Since when a cluster is idle, and when its autostop is due. All times are milliseconds since the epoch. */
import type { AutostopRule } from './task.ts';

export interface ClusterActivity {
  readonly rule: AutostopRule | null;
  /** Jobs that have not ended, waiting ones included. */
  readonly liveJobs: number;
  /** SSH sessions of people. */
  readonly sessions: number;
  readonly lastJobEndedAt: number | null;
  readonly lastSessionEndedAt: number | null;
  /** When the rule was last set. */
  readonly ruleSetAt: number | null;
  /** When the cluster came up, or up again. */
  readonly upAt: number | null;
  readonly lastSubmitAt: number | null;
  readonly now: number;
  /** Length of a rule's minute. */
  readonly idleMinute: number;
}

export interface Idleness {
  /** null: busy. Never later than `now`. */
  readonly idleSince: number | null;
  /** null: no rule, or busy. Due when not later than now. */
  readonly dueAt: number | null;
}

/**
 * Without a rule, jobs and sessions count as activity. Setting the rule, a submission and coming up start the count again
 * under every rule; with `waitFor: none` nothing else does.
 */
export function idleness(activity: ClusterActivity): Idleness {
  const { rule, now, idleMinute } = activity;
  const waitFor = rule?.waitFor ?? 'jobs_and_ssh';
  const jobsCount = waitFor !== 'none';
  const sessionsCount = waitFor === 'jobs_and_ssh';
  if ((jobsCount && activity.liveJobs > 0) || (sessionsCount && activity.sessions > 0)) {
    return { idleSince: null, dueAt: null };
  }
  const last = Math.max(
    activity.upAt ?? 0,
    activity.ruleSetAt ?? 0,
    activity.lastSubmitAt ?? 0,
    (jobsCount ? activity.lastJobEndedAt : null) ?? 0,
    (sessionsCount ? activity.lastSessionEndedAt : null) ?? 0,
  );
  return { idleSince: Math.min(last, now), dueAt: rule === null ? null : last + rule.idleMinutes * idleMinute };
}
