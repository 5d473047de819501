/** A pool, its jobs and made-up clusters that say what real ones would: without Temporal, with the laws that hold after every step. */
import { expect } from 'vitest';
import { isManagedEnd, type ManagedJobState } from '../../model/managed-job.ts';
import type { JobEffect } from '../../model/managed-job-draft.ts';
import { parseManagedJobState } from '../../model/managed-job-schema.ts';
import {
  applyManagedJob,
  dueAt,
  isManagedJobOver,
  type ManagedJobEvent,
  newManagedJob,
} from '../../model/managed-job-transition.ts';
import type { ClusterReport } from '../../model/owned-cluster.ts';
import type { PoolRules, PoolSize, PoolState } from '../../model/pool.ts';
import type { PoolEffect } from '../../model/pool-draft.ts';
import { parsePoolState } from '../../model/pool-schema.ts';
import { applyPoolChange, isPoolOver, newPool, type PoolChange, poolDueAt } from '../../model/pool-transition.ts';
import { awaitsPool } from '../../model/pooled-job.ts';
import { TEST } from '../../model/timing.ts';
import { baseReport, jobRules, type MadeUpCluster, type MadeUpJob, SIZE, TASK } from './pool-fixtures.ts';

const RULES: PoolRules = { life: 'life', fenceAfter: 1_000, timing: TEST };
const JOBS = 5;

/** Messages arrive at once or later, in the order in which they were sent. */
export class PoolPlay {
  now = 0;
  pool: PoolState;
  version = 1;
  size: PoolSize;
  over = false;
  readonly clusters = new Map<string, MadeUpCluster>();
  readonly jobs = new Map<string, MadeUpJob>();
  private readonly mail: (() => void)[] = [];
  private requests = 0;

  constructor(size: PoolSize) {
    this.size = size;
    const made = newPool(this.command(), 0);
    if (made === null) throw new Error('no pool');
    this.pool = made;
    this.change({ type: 'apply', command: this.command() });
    for (let n = 1; n <= JOBS; n++) this.submit(n);
  }

  private command() {
    const workers = { digest: `d${this.version}`, task: TASK, resourcesText: '', conda: false };
    return { requestId: `a${this.now}`, user: 'u', size: this.size, workers };
  }

  private submit(n: number): void {
    const id = `job/w/${n}`;
    this.jobs.set(id, { state: newManagedJob(0), rules: jobRules(id), open: true });
    this.post(() => this.tellJob(id, { type: 'queued', number: n, admitted: false }));
  }

  change(change: PoolChange): void {
    if (this.over) return;
    this.now += 10;
    const { state, effects } = applyPoolChange(this.pool, change, RULES, this.now);
    this.pool = state;
    expect(parsePoolState(JSON.parse(JSON.stringify(state)))).toEqual(state);
    this.lawsOfPool();
    for (const effect of effects) this.carryOut(effect);
    if (isPoolOver(state)) this.over = true;
  }

  private lawsOfPool(): void {
    const { workers, waiting } = this.pool;
    const ids = [...waiting, ...workers.flatMap(({ jobs }) => jobs)].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    // Each of them takes half of what a worker has.
    for (const { jobs } of workers) expect(jobs.length).toBeLessThanOrEqual(2);
  }

  /** The one law: nothing of a job runs at two places. */
  private lawOfJobs(): void {
    for (const id of this.jobs.keys()) {
      const at = [...this.clusters].filter(
        ([, { guests, state }]) => state !== 'gone' && guests.get(id)?.runs === true,
      );
      expect(at.map(([name]) => name).length, id).toBeLessThanOrEqual(1);
    }
  }

  private carryOut(effect: PoolEffect): void {
    switch (effect.type) {
      case 'startWorker':
        expect(this.clusters.has(effect.cluster)).toBe(false);
        expect(
          this.pool.workers.filter(({ phase }) => phase === 'starting' || phase === 'ready').length,
        ).toBeLessThanOrEqual(this.pool.current.size.max);
        this.clusters.set(effect.cluster, {
          state: 'launching',
          silentSince: null,
          lost: false,
          digest: effect.version.digest,
          guests: new Map(),
        });
        return;
      case 'endWorker':
        return this.post(() => {
          const cluster = this.clusters.get(effect.cluster);
          if (cluster?.state === 'launching' || cluster?.state === 'up') cluster.state = 'ending';
          if (cluster?.state === 'ending') this.report(effect.cluster);
        });
      case 'fence':
        return this.post(() => {
          this.ended(effect.cluster);
          this.change({ type: 'fenced', cluster: effect.cluster });
        });
      case 'place':
        return this.post(() => this.tellJob(effect.id, { type: 'placed', copy: effect.copy, cluster: effect.cluster }));
      case 'cancelJob':
        return this.post(() => this.tellJob(effect.id, { type: 'cancel', requestId: 'pool', user: effect.user }));
      case 'evict':
        return;
    }
  }

  tellJob(id: string, event: ManagedJobEvent): void {
    const job = this.jobs.get(id);
    if (job === undefined || !job.open) {
      if (event.type === 'placed') this.change({ type: 'jobsGone', ids: [id] });
      return;
    }
    const before = job.state;
    const { state, effects } = applyManagedJob(before, event, job.rules, this.now);
    job.state = state;
    expect(parseManagedJobState(JSON.parse(JSON.stringify(state)))).toEqual(state);
    if (isManagedEnd(before.status)) expect(state.status).toBe(before.status);
    expect(state.queue === 'launching' || state.queue === 'running').toBe(false);
    for (const effect of effects) this.carryOutOf(id, effect);
    if (isManagedJobOver(job.state)) job.open = false;
  }

  private carryOutOf(id: string, effect: JobEffect): void {
    const { number, ...rest } = { number: Number(id.split('/')[2]), priority: 0, numNodes: 1, demand: TASK.demand };
    switch (effect.type) {
      case 'askPool':
        return this.post(() => {
          if (this.over) this.tellJob(id, { type: 'poolAway' });
          else this.change({ type: 'told', told: { phase: 'ask', id, copy: effect.copy, number, ...rest } });
        });
      case 'leavePool':
        return this.post(() =>
          this.change({ type: 'told', told: { phase: 'leave', id, copy: effect.copy, lost: effect.lost } }),
        );
      case 'submitToWorker':
        return this.post(() => {
          const cluster = this.clusters.get(effect.cluster);
          if (cluster?.state === 'gone') return this.guest(effect.cluster, id, effect.copy);
          if (cluster?.state === 'silenced') return this.tellJob(id, { type: 'clusterLost', copy: effect.copy });
          const up = cluster?.state === 'up';
          expect(cluster?.guests.get(id)?.runs ?? false, `${id} comes to a worker where it runs`).toBe(false);
          cluster?.guests.set(id, { copy: effect.copy, runs: up, status: up ? 'RUNNING' : 'CANCELLED' });
          this.lawOfJobs();
          this.guest(effect.cluster, id, effect.copy, up ? null : 'being taken down');
        });
      case 'cancelOnCluster':
        return this.post(() => this.ends(effect.cluster, id, 'CANCELLED'));
      case 'leaveWorker':
        return this.post(() => {
          const { guests } = this.clusters.get(effect.cluster) ?? {};
          expect(guests?.get(id)?.runs ?? false, `${id} leaves a worker where it runs`).toBe(false);
          guests?.delete(id);
        });
      case 'verify':
        return this.post(() => {
          const cluster = this.clusters.get(effect.cluster);
          const stands = cluster?.state === 'up' && !cluster.lost;
          this.tellJob(id, { type: 'verified', copy: effect.copy, stands });
        });
      case 'collect':
        return this.post(() => this.tellJob(id, { type: 'collected', copy: effect.copy, problem: null }));
      case 'fence':
        return this.post(() => {
          this.ended(effect.cluster);
          this.tellJob(id, { type: 'fenced', copy: effect.copy });
        });
      case 'startCluster':
      case 'endCluster':
        throw new Error(`a job of a pool must not ${effect.type}`);
      default:
        return;
    }
  }

  private post(deliver: () => void): void {
    this.mail.push(deliver);
  }

  /** Nothing is on its way, and no job waits for anything; `but`: but for one that is paused. */
  quiet(but = ''): boolean {
    return this.mail.length === 0 && [...this.jobs].every(([id, { open }]) => id === but || !open);
  }

  /** By somebody who did not ask before. */
  private asked() {
    this.requests += 1;
    return { requestId: `r${this.requests}`, user: 'u' };
  }

  stateOf(id: string): ManagedJobState {
    const job = this.jobs.get(id);
    if (job === undefined) throw new Error(`no job ${id}`);
    return job.state;
  }

  /** Workers that stand. */
  up(): string[] {
    return [...this.clusters].filter(([, { state }]) => state === 'up').map(([name]) => name);
  }

  /** Delivers up to so many words. */
  deliver(count: number): void {
    for (let n = 0; n < count; n++) this.mail.shift()?.();
  }

  /** What a cluster tells its pool. */
  private report(name: string, failed = false): void {
    const state = this.clusters.get(name)?.state;
    const launch = failed
      ? ({ outcome: 'failed', failure: { kind: 'capacity', message: 'none' } } as const)
      : state === 'launching'
        ? null
        : ({ outcome: 'succeeded', failure: null } as const);
    const report: ClusterReport = {
      ...baseReport(name, this.clusters.get(name), this.now),
      copy: 1,
      launch,
      job: null,
      size: SIZE,
    };
    this.post(() => this.change({ type: 'report', report }));
  }

  /** What it tells a guest, now. */
  private guest(name: string, id: string, copy: number, refused: string | null = null): void {
    const cluster = this.clusters.get(name);
    const known = cluster?.guests.get(id);
    const report: ClusterReport = {
      ...baseReport(name, this.clusters.get(name), this.now),
      copy,
      launch:
        refused === null
          ? { outcome: 'succeeded', failure: null }
          : { outcome: 'failed', failure: { kind: 'refused', message: refused } },
      job:
        known === undefined || refused !== null
          ? null
          : { id: 7, status: known.status, reason: null, exitCodes: known.status === 'FAILED' ? [1] : [] },
      ended: known === undefined ? cluster?.state !== 'gone' : !known.runs,
    };
    this.post(() => this.tellJob(id, { type: 'report', report }));
  }

  private ends(name: string, id: string, status: 'SUCCEEDED' | 'CANCELLED' | 'FAILED' | 'FAILED_DRIVER'): void {
    const cluster = this.clusters.get(name);
    const known = cluster?.guests.get(id);
    if (cluster === undefined || known === undefined || cluster.state === 'gone' || cluster.state === 'silenced')
      return;
    if (known.status === 'RUNNING') {
      known.status = status;
      // What its cluster gave up may still run.
      known.runs = status === 'FAILED_DRIVER';
    }
    this.guest(name, id, known.copy);
  }

  /** Its machines go. */
  private ended(name: string): void {
    const cluster = this.clusters.get(name);
    if (cluster === undefined) return;
    cluster.state = 'gone';
    for (const guest of cluster.guests.values()) guest.runs = false;
  }

  /** Its workflow is ended from outside: it says nothing any more, and its machines stay. Looks find that. */
  private silenced(name: string): void {
    const cluster = this.clusters.get(name);
    if (cluster === undefined) return;
    cluster.state = 'silenced';
    this.change({ type: 'workerLost', cluster: name });
    for (const [id, { copy }] of cluster.guests) this.tellJob(id, { type: 'clusterLost', copy });
  }

  goes(name: string): void {
    const cluster = this.clusters.get(name);
    if (cluster === undefined || cluster.state === 'gone' || cluster.state === 'silenced') return;
    this.ended(name);
    for (const [id, { copy }] of cluster.guests) this.guest(name, id, copy);
    this.report(name);
  }

  private of(state: MadeUpCluster['state'], pick: number): string {
    const names = [...this.clusters].filter(([, one]) => one.state === state).map(([name]) => name);
    return names[pick % Math.max(1, names.length)] ?? '';
  }

  private stands(pick: number): void {
    const name = this.of('launching', pick);
    const cluster = this.clusters.get(name);
    if (cluster === undefined) return;
    cluster.state = 'up';
    this.report(name);
  }

  private each(name: string, status: 'SUCCEEDED' | 'FAILED' | 'FAILED_DRIVER', some: boolean): void {
    for (const id of this.clusters.get(name)?.guests.keys() ?? []) {
      this.ends(name, id, status);
      if (some) return;
    }
  }

  step(choice: number, pick: number): void {
    const up = this.of('up', pick);
    const cluster = this.clusters.get(up);
    const id = `job/w/${(pick % JOBS) + 1}`;
    const steps: (() => void)[] = [
      () => this.stands(pick),
      () => this.stands(pick),
      () => {
        const name = this.of('launching', pick);
        if (this.clusters.has(name)) this.report(name, true);
      },
      () => this.each(up, 'SUCCEEDED', true),
      () => this.each(up, 'FAILED', true),
      () => this.each(up, 'FAILED_DRIVER', pick % 2 === 0),
      () => {
        if (cluster === undefined) return;
        cluster.lost = true;
        this.each(up, 'FAILED_DRIVER', false);
        this.report(up);
      },
      () => this.goes(up),
      () => this.goes(this.of('ending', pick)),
      () => {
        if (cluster === undefined) return;
        cluster.silentSince = pick % 2 === 0 ? this.now : null;
        this.report(up);
      },
      () => this.tellJob(id, { type: 'cancel', requestId: `c${pick}`, user: 'u' }),
      () => {
        this.version += 1;
        this.change({ type: 'apply', command: this.command() });
      },
      () => {
        const min = pick % 3;
        this.size = { ...this.size, min, max: min + (pick % 4) + (min === 0 ? 1 : 0) };
        this.change({ type: 'apply', command: this.command() });
      },
      () => this.pass(500 + pick * 100),
      () => this.silenced(up),
      () => this.deliver(20),
      () => this.deliver(20),
      () => this.tellJob(id, { type: 'pause', ...this.asked() }),
      () => this.tellJob(id, { type: 'resume', ...this.asked() }),
    ];
    steps[choice % steps.length]?.();
    this.deliver(pick % 3);
  }

  /** Time goes by. */
  private pass(ms: number): void {
    this.now += ms;
    const due = poolDueAt(this.pool, RULES, this.now - ms);
    if (due !== null && this.now >= due) this.change({ type: 'due' });
    for (const [id, { state, rules, open }] of this.jobs) {
      const at = open ? dueAt(state, rules) : null;
      if (at !== null && this.now >= at) this.tellJob(id, { type: 'due' });
      else if (open && awaitsPool({ state, rules })) this.carryOutOf(id, { type: 'askPool', copy: state.copies + 1 });
    }
  }

  /** All that is under way ends well. */
  rest(done: () => boolean): void {
    for (const [id, { state }] of this.jobs) {
      if (state.paused !== null) this.tellJob(id, { type: 'resume', ...this.asked() });
    }
    this.settle(done);
  }

  /** The same, but for what is paused. */
  settle(done: () => boolean): void {
    for (let turn = 0; turn < 200 && !done(); turn++) {
      this.deliver(200);
      for (let pick = 0; pick < 4; pick++) this.stands(0);
      this.goes(this.of('ending', turn));
      for (const [name, cluster] of this.clusters) {
        cluster.silentSince = null;
        this.each(name, 'SUCCEEDED', false);
      }
      this.pass(2_000);
    }
    this.deliver(200);
  }
}
