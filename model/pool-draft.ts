/** A pool's state while one event is applied to it, and what has to be done about it, in order. */
import type { PoolJob, PoolRules, PoolState, PoolVersion, PoolWorker } from './pool.ts';
import { workerCluster } from './pool.ts';

/** Plain data, may be carried out twice. */
export type PoolEffect =
  | { readonly type: 'startWorker'; readonly number: number; readonly cluster: string; readonly version: PoolVersion }
  | { readonly type: 'endWorker'; readonly cluster: string }
  /** Ends its machines without its cluster's workflow. */
  | { readonly type: 'fence'; readonly cluster: string }
  | { readonly type: 'place'; readonly id: string; readonly copy: number; readonly cluster: string }
  | { readonly type: 'cancelJob'; readonly id: string; readonly user: string }
  /** Ends what runs on a worker of a job whose workflow is no more. */
  | { readonly type: 'evict'; readonly id: string; readonly copy: number; readonly cluster: string };

const REMEMBERED_EVENTS = 100;
const EVENT_CHARS = 240;
const WHY_CHARS = 200;

export class PoolDraft {
  state: PoolState;
  readonly effects: PoolEffect[] = [];
  readonly rules: PoolRules;
  readonly now: number;

  constructor(state: PoolState, rules: PoolRules, now: number) {
    this.state = state;
    this.rules = rules;
    this.now = now;
  }

  set(change: Partial<PoolState>): void {
    this.state = { ...this.state, ...change };
  }

  effect(effect: PoolEffect): void {
    this.effects.push(effect);
  }

  /** A line of its history. */
  tell(text: string): void {
    const event = { at: this.now, text: text.length <= EVENT_CHARS ? text : `${text.slice(0, EVENT_CHARS - 1)}…` };
    this.set({ events: [...this.state.events, event].slice(-REMEMBERED_EVENTS) });
  }

  worker(cluster: string, change: Partial<PoolWorker>): void {
    const workers = this.state.workers.map((one) => (one.cluster === cluster ? { ...one, ...change } : one));
    this.set({ workers });
  }

  find(cluster: string): PoolWorker | undefined {
    return this.state.workers.find((one) => one.cluster === cluster);
  }

  /** Those that are there for jobs, or will be. */
  get live(): PoolWorker[] {
    return this.state.workers.filter(({ phase, draining }) => (phase === 'starting' || phase === 'ready') && !draining);
  }

  start(): void {
    const { current, made, workers } = this.state;
    const number = made + 1;
    const cluster = workerCluster(this.rules.life, number);
    const worker: PoolWorker = {
      number,
      cluster,
      version: current.number,
      digest: current.digest,
      phase: 'starting',
      phaseSince: this.now,
      launchedAt: this.now,
      draining: false,
      size: null,
      jobs: [],
      idleSince: null,
      status: 'NEW',
      infra: null,
      instanceType: null,
      silentSince: null,
      why: '',
      cost: 0,
      hourly: 0,
      costAt: this.now,
    };
    this.set({ made: number, workers: [...workers, worker], nextLaunchAt: null });
    this.tell(`worker ${number}: launching cluster ${cluster}`);
    this.effect({ type: 'startWorker', number, cluster, version: current });
  }

  end(worker: PoolWorker, why: string): void {
    if (worker.phase === 'ending' || worker.phase === 'fencing') return;
    this.worker(worker.cluster, {
      phase: 'ending',
      phaseSince: this.now,
      idleSince: null,
      why: why.slice(0, WHY_CHARS),
    });
    this.tell(`worker ${worker.number}: ending, ${why}`);
    this.effect({ type: 'endWorker', cluster: worker.cluster });
  }

  /** Takes a job from wherever it is. */
  release(id: string): void {
    const { waiting, workers } = this.state;
    const without = (jobs: readonly PoolJob[]) => jobs.filter((job) => job.id !== id);
    this.set({
      waiting: without(waiting),
      workers: workers.map((worker) => {
        const jobs = without(worker.jobs);
        if (jobs.length === worker.jobs.length) return worker;
        const idle = worker.phase === 'ready' && jobs.length === 0;
        return { ...worker, jobs, ...(idle ? { idleSince: this.now } : {}) };
      }),
    });
  }
}
