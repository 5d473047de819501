/** What a cloud says before it takes a machine back, and what follows for the cluster. Pure. */

/** interruption: the machine goes at `at`. rebalance: the cloud warned at `at` that it may. */
export interface MachineNotice {
  readonly rank: number;
  readonly kind: 'interruption' | 'rebalance';
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** A JSON object at an address, `http://` or `file:///`; nothing is there (404) until there is something to say. */
interface NoticePlace {
  readonly url: string;
  /** Its member that holds the time, ISO 8601 in UTC. */
  readonly time: string;
}

/** Where a machine itself hears of it. */
export interface NoticeSource {
  /** Milliseconds between looks. */
  readonly every: number;
  /** Asked for by PUT with the headers `ask`, and sent along as `header`; null: none is needed. */
  readonly token: {
    readonly url: string;
    readonly ask: Readonly<Record<string, string>>;
    readonly header: string;
  } | null;
  readonly interruption: NoticePlace | null;
  readonly rebalance: NoticePlace | null;
}

/** With those that are new; the same array when none is. */
export function addNotices(known: readonly MachineNotice[], heard: readonly MachineNotice[]): readonly MachineNotice[] {
  const isKnown = (one: MachineNotice) => known.some(({ rank, kind }) => rank === one.rank && kind === one.kind);
  const added = heard.filter((one) => !isKnown(one));
  return added.length === 0 ? known : [...known, ...added];
}

/** The interruption that comes first, where there is one. */
export function firstInterruption(notices: readonly MachineNotice[] = []): MachineNotice | undefined {
  const [first] = notices.filter(({ kind }) => kind === 'interruption').toSorted((a, b) => a.at - b.at);
  return first;
}

function utc(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

/** For people. */
export function noticeText({ rank, kind, at }: MachineNotice): string {
  return kind === 'interruption'
    ? `the cloud takes node ${rank} back at ${utc(at)}`
    : `the cloud warned at ${utc(at)} that it may take node ${rank} back`;
}

/** Why a job ended that had to make way. */
export function interruptedReason(notice: MachineNotice): string {
  return `${noticeText(notice)}: the job was told to end`;
}

/** Of the time until then, what is left to the job: last words of the machine come after it. Milliseconds. */
const LAST_WORDS_MS = 2_000;

export function graceUntil(at: number, now: number): number {
  const left = Math.max(0, at - now);
  return left - Math.min(LAST_WORDS_MS, left / 4);
}
