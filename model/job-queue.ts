/**
 * The queue of a workspace's managed jobs: who gets which number, and who may launch now. Pure. It holds the best of those that wait, and
 * finds the rest by lists when it has room, so that tens of thousands of them cost it nothing.
 */
import { z } from 'zod';
import type { JobLimits, QueuePhase } from './managed-job.ts';

/** Number, priority, request id, whose (a place in `users`): at most 60 bytes as JSON. */
export type WaitingRow = readonly [number: number, priority: number, id: string, user: number];
/** `hourly`: dollars, once its machines stand. */
export type LiveRow = readonly [
  number: number,
  id: string,
  phase: 'launching' | 'running',
  user: number,
  hourly: number,
];

export interface JobQueueState {
  readonly version: 1;
  /** The next number. */
  readonly next: number;
  /** In the order in which they are admitted. */
  readonly waiting: readonly WaitingRow[];
  /** Those that hold a slot. */
  readonly live: readonly LiveRow[];
  /** More wait than are held here. */
  readonly more: boolean;
  readonly limits: JobLimits;
  /** Those of rows, by their places. */
  readonly users: readonly string[];
  /** Of each user, when it was last let in: a count of these, so that with one slot users take turns too. */
  readonly served: readonly number[];
}

/** What a job tells its queue: how it stands. Told again it changes nothing. */
export interface QueueTold {
  readonly id: string;
  /** Null until the queue gave it one. */
  readonly number: number | null;
  readonly priority: number;
  readonly phase: QueuePhase;
  readonly user: string;
  /** Dollars of its machines in an hour; 0 until they stand. */
  readonly hourly: number;
  /** Those of the last submission hold. */
  readonly limits?: JobLimits;
}

export interface QueueAnswer {
  readonly id: string;
  readonly number: number;
  readonly admitted: boolean;
}

export type QueueView = Pick<JobQueueState, 'waiting' | 'live' | 'more' | 'limits' | 'users'>;

export const QUEUE_WORKFLOW = 'queue';
export const QUEUE_SIGNALS = { tell: 'tell', answer: 'queueAnswer' } as const;
export const QUEUE_QUERIES = { view: 'view' } as const;

export function queueId(workspace: string): string {
  return `queue/${workspace}`;
}

/** Rows of waiting jobs that are held, and how few make it look for more. */
export const HELD_WAITING = 2_000;
const FEW_WAITING = 500;

export function newJobQueue(limits: JobLimits): JobQueueState {
  return { version: 1, next: 1, waiting: [], live: [], more: false, limits, users: [], served: [] };
}

/** Higher priorities first, then lower numbers. */
function inQueueOrder(a: WaitingRow, b: WaitingRow): number {
  return b[1] - a[1] || a[0] - b[0];
}

/**
 * Higher priorities first. Among equals whoever has fewer jobs in front of it, with those of the same user that hold a slot: so users take
 * turns, and one who submits a thousand jobs does not keep another one waiting. Then whoever was let in longest ago, then lower numbers.
 */
export function fairOrder(
  rows: readonly WaitingRow[],
  live: readonly LiveRow[],
  served: readonly number[] = [],
): WaitingRow[] {
  const last = (row: WaitingRow) => served[row[3]] ?? 0;
  const taken = new Map<number, number>();
  for (const [, , , user] of live) taken.set(user, (taken.get(user) ?? 0) + 1);
  const turns = rows.toSorted(inQueueOrder).map((row) => {
    const turn = taken.get(row[3]) ?? 0;
    taken.set(row[3], turn + 1);
    return { row, turn };
  });
  return turns
    .toSorted((a, b) => b.row[1] - a.row[1] || a.turn - b.turn || last(a.row) - last(b.row) || a.row[0] - b.row[0])
    .map(({ row }) => row);
}

/** The state with this user in it, and its place. */
function withUser<S extends { readonly users: readonly string[] }>(
  state: S,
  user: string,
): { state: S; place: number } {
  const place = state.users.indexOf(user);
  if (place >= 0) return { state, place };
  return { state: { ...state, users: [...state.users, user] }, place: state.users.length };
}

/** Applies what one job told, and what follows for others. */
export function tellQueue(state: JobQueueState, told: QueueTold): { state: JobQueueState; answers: QueueAnswer[] } {
  const { id, phase } = told;
  const known =
    state.waiting.find((row) => row[2] === id)?.[0] ?? state.live.find((row) => row[1] === id)?.[0] ?? told.number;
  const number = known ?? state.next;
  const answers: QueueAnswer[] = [];
  const { state: withOwner, place } = withUser(state, told.user);
  let next: JobQueueState = {
    ...withOwner,
    next: Math.max(state.next, number + 1),
    limits: told.limits ?? state.limits,
  };
  const isLive = next.live.some((row) => row[1] === id);
  const others = {
    waiting: next.waiting.filter((row) => row[2] !== id),
    live: next.live.filter((row) => row[1] !== id),
  };
  if (phase === 'waiting') {
    answers.push({ id, number, admitted: isLive });
    if (!isLive) next = held(next, [...others.waiting, [number, told.priority, id, place]]);
  } else if (phase === 'parked' || phase === 'ended') {
    if (told.number === null) answers.push({ id, number, admitted: false });
    next = { ...next, ...others };
  } else next = { ...next, waiting: others.waiting, live: [...others.live, [number, id, phase, place, told.hourly]] };
  const admitted = admit(next);
  return { state: admitted.state, answers: merged([...answers, ...admitted.answers]) };
}

function held(state: JobQueueState, waiting: readonly WaitingRow[]): JobQueueState {
  const ordered = fairOrder(waiting, state.live, state.served);
  return {
    ...state,
    waiting: ordered.slice(0, HELD_WAITING),
    more: state.more || ordered.length > HELD_WAITING,
  };
}

/** What keeps a user's next job waiting; null: nothing does. The first two hold for all users. */
export type Barrier = 'launching' | 'running' | 'hourlyCost' | 'userLaunching' | 'userRunning';

export function barrierFor(state: Pick<JobQueueState, 'live' | 'limits'>, user: number): Barrier | null {
  const { live, limits } = state;
  const own = live.filter((row) => row[3] === user);
  const launching = (rows: readonly LiveRow[]) => rows.filter(([, , phase]) => phase === 'launching').length;
  if (live.length >= limits.running) return 'running';
  if (launching(live) >= limits.launching) return 'launching';
  if (limits.hourlyCost !== undefined && hourlyOf(live) >= limits.hourlyCost) return 'hourlyCost';
  if (limits.userRunning !== undefined && own.length >= limits.userRunning) return 'userRunning';
  return limits.userLaunching !== undefined && launching(own) >= limits.userLaunching ? 'userLaunching' : null;
}

/** Dollars. */
export function hourlyOf(live: readonly LiveRow[]): number {
  return live.reduce((sum, row) => sum + row[4], 0);
}

/** Lets launch who may. A user at a limit of its own is passed by others, whatever their priority. */
function admit(state: JobQueueState): { state: JobQueueState; answers: QueueAnswer[] } {
  const answers: QueueAnswer[] = [];
  const atLimit = new Set<number>();
  let { live } = state;
  const served = state.users.map((_, place) => state.served[place] ?? 0);
  let waiting = fairOrder(state.waiting, live, state.served);
  while (waiting.length > 0) {
    const index = waiting.findIndex((row) => !atLimit.has(row[3]));
    const row = waiting[index];
    if (row === undefined) break;
    const [number, , id, user] = row;
    const barrier = barrierFor({ live, limits: state.limits }, user);
    if (barrier === 'userLaunching' || barrier === 'userRunning') {
      atLimit.add(user);
      continue;
    }
    if (barrier !== null) break;
    waiting = waiting.toSpliced(index, 1);
    live = [...live, [number, id, 'launching', user, 0]];
    served[user] = Math.max(0, ...served) + 1;
    answers.push({ id, number, admitted: true });
  }
  return { state: { ...state, waiting: fairOrder(waiting, live, served), live, served }, answers };
}

/** One answer a job. */
function merged(answers: readonly QueueAnswer[]): QueueAnswer[] {
  const byId = new Map<string, QueueAnswer>();
  for (const answer of answers) {
    byId.set(answer.id, { ...answer, admitted: answer.admitted || byId.get(answer.id)?.admitted === true });
  }
  return [...byId.values()];
}

/** Jobs whose workflows are no more hold nothing. */
export function dropFromQueue(
  state: JobQueueState,
  ids: readonly string[],
): { state: JobQueueState; answers: QueueAnswer[] } {
  return admit({
    ...state,
    waiting: state.waiting.filter((row) => !ids.includes(row[2])),
    live: state.live.filter((row) => !ids.includes(row[1])),
  });
}

/** Should lists be asked for more that wait? */
export function wantsMore(state: JobQueueState): boolean {
  return state.more && state.waiting.length < FEW_WAITING;
}

/** What lists know: of those that wait (or, `live`, that hold a slot). What is known here already is newer. */
export function refillQueue(
  state: JobQueueState,
  found: {
    readonly rows: readonly WaitingRow[];
    /** Of `rows`, by their places. */
    readonly users: readonly string[];
    readonly more: boolean;
    readonly last: number;
    readonly live: boolean;
  },
): { state: JobQueueState; answers: QueueAnswer[] } {
  const known = new Set([...state.waiting.map((row) => row[2]), ...state.live.map((row) => row[1])]);
  let next = { ...state, next: Math.max(state.next, found.last + 1) };
  const places = found.users.map((user) => {
    const { state: more, place } = withUser(next, user);
    next = more;
    return place;
  });
  const rows = found.rows
    .filter((row) => !known.has(row[2]))
    .map(([number, priority, id, user]): WaitingRow => [number, priority, id, places[user] ?? 0]);
  if (found.live) {
    const live = rows.map(([number, , id, user]): LiveRow => [number, id, 'running', user, 0]);
    return { state: { ...next, live: [...next.live, ...live] }, answers: [] };
  }
  return admit(held({ ...next, more: found.more }, [...next.waiting, ...rows]));
}

const limits = z.object({
  launching: z.number(),
  running: z.number(),
  userLaunching: z.number().exactOptional(),
  userRunning: z.number().exactOptional(),
  hourlyCost: z.number().exactOptional(),
});
const schema = z.object({
  version: z.literal(1),
  next: z.number(),
  waiting: z.array(z.tuple([z.number(), z.number(), z.string(), z.number()])),
  live: z.array(z.tuple([z.number(), z.string(), z.enum(['launching', 'running']), z.number(), z.number()])),
  more: z.boolean(),
  limits,
  users: z.array(z.string()),
  served: z.array(z.number()),
}) satisfies z.ZodType<JobQueueState>;

/** @throws ZodError */
export function parseJobQueue(value: unknown): JobQueueState {
  return schema.parse(value);
}
