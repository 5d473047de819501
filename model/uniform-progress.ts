/**
 * Uniform Progress, the policy of "Can't Be Late: Optimizing Spot Instance Savings under Deadlines" (NSDI 2024), with its safety net, and
 * with a reserve. Pure.
 *
 * The job should have done as much of its work as of the time until its deadline has passed: so its spare time is used up evenly. It runs
 * on spot machines wherever there are any, behind or not, and stays there until they are taken. Without spot it waits while it is ahead of
 * that line and takes on-demand machines when it is behind, which it keeps until it is two changeovers ahead. The safety net: once what is
 * left of the time is only what on-demand machines need from a fresh start, it has them until it is done.
 *
 * The reserve (decision 024): spare time serves to wait for spot now, or to change over to spot later. What of it is more than later
 * changeovers will need is used up first, so that it is not left over, and on-demand machines are not left in vain meanwhile. All times
 * are milliseconds.
 */

/** `job_recovery` with the strategy `deadline`. */
export interface DeadlineRule {
  /** From its submission. */
  readonly deadline: number;
  /** What it takes on machines that are never taken away, without their start. */
  readonly work: number;
  /** What one changeover takes: the old machines go, new ones come, setup, and the last checkpoint is read. */
  readonly overhead: number;
  /** It writes a checkpoint so often: a copy that ends loses as much. 0: nothing is lost. null: all is. */
  readonly checkpointEvery: number | null;
  /** On-demand machines are kept so long before spot is looked for, and between two looks. */
  readonly backAfter: number;
  /**
   * It is not behind as long as it has `reserve` · √(overhead · work) to spare: changeovers grow in number with the work, and so does,
   * slower, what they may differ by. Absent: the even line alone, as in the paper and for jobs of older builds.
   */
  readonly reserve?: number;
}

/** The least cost on average over the traces of `bench/strategies.ts`, for work from 6 to 160 hours and changeovers from 2 to 30 minutes. */
export const RESERVE = 1.5;

/** How a job stands at a moment. */
export interface Progress {
  /** Since its submission. */
  readonly now: number;
  /** Of its work, what a new copy need not do again. */
  readonly kept: number;
  /** Its scripts run, and `kept` grows as time goes. */
  readonly advancing: boolean;
  /** Of one changeover, as far as is known. */
  readonly overhead: number;
}

/** Of `ran` ms of one copy, what the next one need not do again. */
export function keptOf(ran: number, { checkpointEvery }: Pick<DeadlineRule, 'checkpointEvery'>): number {
  return checkpointEvery === null ? 0 : Math.max(0, ran - checkpointEvery);
}

/** Work that should have been done. */
function line({ work, deadline }: DeadlineRule, at: number): number {
  return (work / deadline) * at;
}

/** Time that could be lost without missing the deadline, were no more changeover needed. */
export function slack({ work, deadline }: DeadlineRule, { now, kept }: Progress): number {
  return deadline - now - Math.max(0, work - kept);
}

/** Has to have on-demand machines from now on: no time is left for anything else, after `changeovers` of them. */
export function isDue(rule: DeadlineRule, at: Progress, changeovers: number): boolean {
  return slack(rule, at) <= at.overhead * changeovers;
}

/** When `isDue` becomes true; null: not while it advances. */
export function dueMoment(rule: DeadlineRule, at: Progress, changeovers: number): number | null {
  if (at.advancing) return null;
  return Math.ceil(at.now + slack(rule, at) - at.overhead * changeovers);
}

/** Time to spare that suffices though less of the work is done than of the time has passed. */
function reserveOf({ work, reserve }: DeadlineRule, { overhead }: Pick<Progress, 'overhead'>): number {
  return reserve === undefined ? Number.POSITIVE_INFINITY : reserve * Math.sqrt(overhead * work);
}

export function isBehind(rule: DeadlineRule, at: Progress): boolean {
  return at.kept < line(rule, at.now) && slack(rule, at) < reserveOf(rule, at);
}

/** When it falls behind while it does nothing. */
export function behindMoment(rule: DeadlineRule, at: Progress): number {
  const uneven = (at.kept / rule.work) * rule.deadline;
  const spent = at.now + slack(rule, at) - reserveOf(rule, at);
  return after(Math.max(uneven, spent));
}

/** The next ms but one: so that it is past the moment however that was rounded. */
function after(moment: number): number {
  return Math.floor(moment) + 2;
}

/** Two changeovers ahead: it may leave on-demand machines, wait for spot and come back, and not be behind. */
export function isAhead(rule: DeadlineRule, at: Progress): boolean {
  const { now, kept, overhead } = at;
  if (kept >= line(rule, now + 2 * overhead)) return true;
  return slack(rule, at) - 2 * overhead >= reserveOf(rule, at);
}

/** When it will be, while it is not; null: never, or not while it stands. */
export function aheadMoment(rule: DeadlineRule, at: Progress): number | null {
  const gained = 1 - rule.work / rule.deadline;
  if (!at.advancing || gained <= 0) return null;
  return after(at.now + (line(rule, at.now + 2 * at.overhead) - at.kept) / gained);
}
