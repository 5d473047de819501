/** Who gets which worker of a pool, and how many workers there are. Pure. */
import type { PoolJob, PoolState, PoolWorker } from './pool.ts';
import type { PoolDraft } from './pool-draft.ts';
import { WorkerRoom, workersFor } from './pool-room.ts';

/**
 * Gives waiting jobs the workers that have room, those with the fewest jobs first and the newest version before older ones. The first job
 * that finds none keeps one worker for itself until it fits there, so that smaller ones do not pass it for ever.
 */
export function place(draft: PoolDraft): void {
  let kept: string | null = null;
  for (const job of draft.state.waiting) {
    const open = draft.state.workers
      .filter(({ phase, draining, silentSince }) => phase === 'ready' && !draining && silentSince === null)
      .toSorted((a, b) => b.version - a.version || a.jobs.length - b.jobs.length || a.number - b.number);
    const worker = open.find((one) => one.cluster !== kept && hasRoom(one, job)) ?? tooSmall(draft, open, job);
    if (worker !== undefined) give(draft, worker, job);
    else
      kept ??=
        open.find(({ cluster, size }) => size !== null && cluster !== kept && couldHold(size, job))?.cluster ?? null;
  }
}

function hasRoom({ size, jobs }: PoolWorker, job: PoolJob): boolean {
  return size !== null && new WorkerRoom(size, jobs).has(job);
}

function couldHold(size: NonNullable<PoolWorker['size']>, job: PoolJob): boolean {
  return new WorkerRoom(size, []).has(job);
}

/** A job that no worker of the present version could hold is given to one all the same: it says what does not fit. */
function tooSmall(draft: PoolDraft, open: readonly PoolWorker[], job: PoolJob): PoolWorker | undefined {
  const { digest } = draft.state.current;
  const present = open.find((one) => one.digest === digest && one.size !== null);
  return present?.size == null || couldHold(present.size, job) ? undefined : present;
}

function give(draft: PoolDraft, { cluster, number }: PoolWorker, job: PoolJob): void {
  const worker = draft.find(cluster);
  if (worker === undefined) return;
  draft.set({ waiting: draft.state.waiting.filter(({ id }) => id !== job.id) });
  draft.worker(cluster, { jobs: [...worker.jobs, job], idleSince: null });
  draft.tell(`job ${job.number} goes to worker ${number}`);
  draft.effect({ type: 'place', id: job.id, copy: job.copy, cluster });
}

export function scale(draft: PoolDraft): void {
  crowd(draft);
  roll(draft);
  shrink(draft);
  grow(draft);
}

/** When `scale` would do something that it does not do now, nothing else happening. */
export function nextScaling(state: PoolState): number[] {
  const { crowdedSince, nextLaunchAt, current, workers, broken } = state;
  const { size } = current;
  const live = workers.filter(({ phase, draining }) => (phase === 'starting' || phase === 'ready') && !draining);
  const idle = live.map(({ idleSince }) => idleSince).filter((since) => since !== null);
  return [
    ...(crowdedSince === null || live.length >= size.max || broken !== null ? [] : [crowdedSince + size.upAfter]),
    ...(nextLaunchAt === null ? [] : [nextLaunchAt]),
    ...(live.length <= size.min || idle.length === 0 ? [] : [Math.min(...idle) + size.downAfter]),
  ];
}

function crowd(draft: PoolDraft): void {
  const { waiting, current, crowdedSince } = draft.state;
  const crowded = waiting.length >= current.size.threshold;
  if (!crowded) draft.set({ crowdedSince: null });
  else if (crowdedSince === null) draft.set({ crowdedSince: draft.now });
}

/**
 * Workers of older versions make room for new ones, one at a time: what is away is made good before the next one goes. Jobs that run are
 * never ended for it: a worker with jobs takes no more and goes when it has none.
 */
function roll(draft: PoolDraft): void {
  const { current, failures, broken } = draft.state;
  for (const worker of draft.state.workers) {
    if (worker.phase === 'starting' && worker.digest !== current.digest) draft.end(worker, 'a newer version is there');
    if (worker.phase === 'ready' && worker.draining && worker.jobs.length === 0) draft.end(worker, 'it was drained');
  }
  const { live } = draft;
  const stale = live.filter(({ digest, phase }) => digest !== current.digest && phase === 'ready');
  const startingUp = live.some(({ phase }) => phase === 'starting');
  if (stale.length === 0 || startingUp || failures > 0 || broken !== null || live.length < current.size.min) return;
  const idle = stale.find(({ jobs }) => jobs.length === 0);
  if (idle !== undefined) return draft.end(idle, `version ${current.number} takes its place`);
  if (draft.state.workers.some(({ draining, phase }) => draining && phase === 'ready')) return;
  const [least] = stale.toSorted((a, b) => a.jobs.length - b.jobs.length || a.number - b.number);
  if (least === undefined) return;
  draft.worker(least.cluster, { draining: true });
  draft.tell(`worker ${least.number}: takes no more jobs, version ${current.number} takes its place`);
}

/** Those that go first: not ready yet, older ones, those made last. */
function shrink(draft: PoolDraft): void {
  const { size, digest } = draft.state.current;
  const order = (worker: PoolWorker) => (worker.phase === 'starting' ? 0 : worker.digest === digest ? 2 : 1);
  const inOrder = draft.live.toSorted(
    (a, b) => order(a) - order(b) || a.jobs.length - b.jobs.length || b.number - a.number,
  );
  for (const worker of inOrder) {
    const surplus = draft.live.length - size.max;
    const { idleSince } = worker;
    if (surplus > 0) {
      if (worker.jobs.length === 0) draft.end(worker, `the pool has ${size.max} workers at most`);
      else draft.worker(worker.cluster, { draining: true });
    } else if (draft.live.length > size.min && draft.state.waiting.length === 0 && idleSince !== null) {
      if (draft.now >= idleSince + size.downAfter) draft.end(worker, 'it was idle');
    }
  }
}

function grow(draft: PoolDraft): void {
  const { state, now } = draft;
  const { size, digest } = state.current;
  if (state.broken !== null || (state.nextLaunchAt !== null && now < state.nextLaunchAt)) return;
  // After one that failed a single one shows whether it goes now.
  const one = state.failures > 0;
  while (draft.live.length < size.min) {
    if (one && draft.live.some(({ phase }) => phase === 'starting')) return;
    draft.start();
  }
  const { crowdedSince } = draft.state;
  const due = crowdedSince !== null && (draft.live.length === 0 || now >= crowdedSince + size.upAfter);
  if (!due) return;
  const known = state.workers.find((worker) => worker.digest === digest && worker.size !== null)?.size ?? null;
  const onTheWay = draft.live.filter(({ phase }) => phase === 'starting').length;
  const room = size.max - draft.live.length;
  const more = workersFor(state.waiting, known, room + onTheWay) - onTheWay;
  for (let count = 0; count < Math.min(room, one ? Math.min(1, more) : more); count++) draft.start();
  if (more > 0 && room > 0) draft.set({ crowdedSince: now });
}
