/**
 * The queue of a workspace's managed jobs: who gets which number, and who may launch now. Pure. It holds the best of those that wait, and
 * finds the rest by lists when it has room, so that tens of thousands of them cost it nothing.
 */
import { z } from 'zod';
import type { JobLimits, QueuePhase } from './managed-job.ts';

/** Number, priority, request id: at most 60 bytes as JSON. */
export type WaitingRow = readonly [number: number, priority: number, id: string];
export type LiveRow = readonly [number: number, id: string, phase: 'launching' | 'running'];

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
}

/** What a job tells its queue: how it stands. Told again it changes nothing. */
export interface QueueTold {
  readonly id: string;
  /** Null until the queue gave it one. */
  readonly number: number | null;
  readonly priority: number;
  readonly phase: QueuePhase;
  /** Those of the last submission hold. */
  readonly limits?: JobLimits;
}

export interface QueueAnswer {
  readonly id: string;
  readonly number: number;
  readonly admitted: boolean;
}

export interface QueueView {
  readonly waiting: readonly WaitingRow[];
  readonly live: readonly LiveRow[];
  readonly more: boolean;
  readonly limits: JobLimits;
}

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
  return { version: 1, next: 1, waiting: [], live: [], more: false, limits };
}

/** Higher priorities first, then lower numbers. */
export function inQueueOrder(a: WaitingRow, b: WaitingRow): number {
  return b[1] - a[1] || a[0] - b[0];
}

/** Applies what one job told, and what follows for others. */
export function tellQueue(state: JobQueueState, told: QueueTold): { state: JobQueueState; answers: QueueAnswer[] } {
  const { id, phase } = told;
  const known =
    state.waiting.find((row) => row[2] === id)?.[0] ?? state.live.find((row) => row[1] === id)?.[0] ?? told.number;
  const number = known ?? state.next;
  const answers: QueueAnswer[] = [];
  let next: JobQueueState = {
    ...state,
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
    if (!isLive) next = held(next, [...others.waiting, [number, told.priority, id]]);
  } else if (phase === 'parked' || phase === 'ended') {
    if (told.number === null) answers.push({ id, number, admitted: false });
    next = { ...next, ...others };
  } else next = { ...next, waiting: others.waiting, live: [...others.live, [number, id, phase]] };
  const admitted = admit(next);
  return { state: admitted.state, answers: merged([...answers, ...admitted.answers]) };
}

function held(state: JobQueueState, waiting: readonly WaitingRow[]): JobQueueState {
  const ordered = waiting.toSorted(inQueueOrder);
  return {
    ...state,
    waiting: ordered.slice(0, HELD_WAITING),
    more: state.more || ordered.length > HELD_WAITING,
  };
}

/** Lets launch who may. */
function admit(state: JobQueueState): { state: JobQueueState; answers: QueueAnswer[] } {
  const launching = state.live.filter(([, , phase]) => phase === 'launching').length;
  const room = Math.min(state.limits.launching - launching, state.limits.running - state.live.length);
  if (room <= 0) return { state, answers: [] };
  const first = state.waiting.slice(0, room);
  return {
    state: {
      ...state,
      waiting: state.waiting.slice(room),
      live: [...state.live, ...first.map(([number, , id]): LiveRow => [number, id, 'launching'])],
    },
    answers: first.map(([number, , id]) => ({ id, number, admitted: true })),
  };
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
    readonly more: boolean;
    readonly last: number;
    readonly live: boolean;
  },
): { state: JobQueueState; answers: QueueAnswer[] } {
  const known = new Set([...state.waiting.map((row) => row[2]), ...state.live.map((row) => row[1])]);
  const rows = found.rows.filter((row) => !known.has(row[2]));
  const next = { ...state, next: Math.max(state.next, found.last + 1) };
  if (found.live) {
    const live = rows.map(([number, , id]): LiveRow => [number, id, 'running']);
    return { state: { ...next, live: [...next.live, ...live] }, answers: [] };
  }
  return admit(held({ ...next, more: found.more }, [...next.waiting, ...rows]));
}

const limits = z.object({ launching: z.number(), running: z.number() });
const schema = z.object({
  version: z.literal(1),
  next: z.number(),
  waiting: z.array(z.tuple([z.number(), z.number(), z.string()])),
  live: z.array(z.tuple([z.number(), z.string(), z.enum(['launching', 'running'])])),
  more: z.boolean(),
  limits,
}) satisfies z.ZodType<JobQueueState>;

/** @throws ZodError */
export function parseJobQueue(value: unknown): JobQueueState {
  return schema.parse(value);
}
