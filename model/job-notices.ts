/** Who is told of a managed job's changes of state, and what they have not got yet: in order for each receiver, and each until it was taken. */
import type { ManagedStatus } from './managed-job.ts';

/** As the configuration of the workers had it when the job asked. */
export interface NoticeReceiver {
  /** Names it in the configuration, as long as its address stays. */
  readonly key: string;
  readonly statuses: readonly ManagedStatus[];
}

/** One change of state. */
export interface Notice {
  /** Counts the job's changes from 1. */
  readonly seq: number;
  readonly at: number;
  readonly status: ManagedStatus;
  /** Null: it was submitted. */
  readonly previous: ManagedStatus | null;
  readonly reason: string;
  readonly try: number | null;
  readonly recoveries: number;
  readonly cluster: string | null;
  readonly infra: string | null;
  /** Dollars of all tries. */
  readonly cost: number;
  /** Keys of those who have not got it; null: it is not known yet who wants it. */
  readonly to: readonly string[] | null;
}

export interface JobNotices {
  /** Null: not asked yet. */
  readonly receivers: readonly NoticeReceiver[] | null;
  /** Of the last change. */
  readonly seq: number;
  /** Oldest first. */
  readonly pending: readonly Notice[];
}

export const NO_NOTICES: JobNotices = { receivers: null, seq: 0, pending: [] };

/** Of a job that was submitted just now. */
export function submittedNotices(at: number): JobNotices {
  const nothing = { reason: '', try: null, recoveries: 0, cluster: null, infra: null, cost: 0 };
  return addNotice(NO_NOTICES, { at, status: 'PENDING', previous: null, ...nothing });
}

/** A job that changes more often than its receivers can be told loses the oldest. */
const MOST_PENDING = 100;
/** Of receivers that one job has. */
export const MOST_RECEIVERS = 20;

export function addNotice(notices: JobNotices, change: Omit<Notice, 'seq' | 'to'>): JobNotices {
  const seq = notices.seq + 1;
  const notice = addressed({ ...change, seq, to: null }, notices.receivers);
  const pending = notice.to?.length === 0 ? notices.pending : [...notices.pending, notice].slice(-MOST_PENDING);
  return { ...notices, seq, pending };
}

export function learnReceivers(notices: JobNotices, receivers: readonly NoticeReceiver[]): JobNotices {
  const pending = notices.pending
    .map((notice) => (notice.to === null ? addressed(notice, receivers) : notice))
    .filter(({ to }) => to?.length !== 0);
  return { ...notices, receivers, pending };
}

/** Taken, or given up. */
export function noticeDone(notices: JobNotices, seq: number, key: string): JobNotices {
  const pending = notices.pending
    .map((one) => (one.seq === seq && one.to !== null ? { ...one, to: one.to.filter((other) => other !== key) } : one))
    .filter(({ to }) => to?.length !== 0);
  return { ...notices, pending };
}

/** What can be sent now: of each receiver that is not busy the oldest. */
export function sendable(notices: JobNotices, busy: ReadonlySet<string>): { key: string; notice: Notice }[] {
  return (notices.receivers ?? []).flatMap(({ key }) => {
    const notice = busy.has(key) ? undefined : notices.pending.find(({ to }) => to?.includes(key));
    return notice === undefined ? [] : [{ key, notice }];
  });
}

function addressed(notice: Notice, receivers: readonly NoticeReceiver[] | null): Notice {
  if (receivers === null) return notice;
  const to = receivers.filter(({ statuses }) => statuses.includes(notice.status)).map(({ key }) => key);
  return { ...notice, to };
}
