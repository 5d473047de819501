/** A managed job under any sequence of what can happen to it, without Temporal: a made-up cloud tells what each copy's cluster would. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DEFAULT_RECOVERY,
  nextPlaces,
  type RecoveryPolicy,
  rememberRegion,
  restartOnError,
} from '../../model/job-recovery.ts';
import { isManagedEnd, type JobRules, MANAGED_TRANSITIONS } from '../../model/managed-job.ts';
import { parseManagedJobState } from '../../model/managed-job-schema.ts';
import {
  applyManagedJob,
  dueAt,
  isManagedJobOver,
  type ManagedJobEvent,
  newManagedJob,
} from '../../model/managed-job-transition.ts';
import type { ClusterReport } from '../../model/owned-cluster.ts';
import { inPlaceOrder } from '../../model/place-order.ts';
import { TEST } from '../../model/timing.ts';
import { holds } from './holds.ts';

const RULES: JobRules = {
  workflowId: 'job/default/x',
  numNodes: 1,
  recovery: { ...DEFAULT_RECOVERY, maxRestartsOnErrors: 2, recoverOnExitCodes: [33] },
  fenceAfter: 1_000,
  timing: TEST,
};

const HOUR = 3_600_000;
/** What a job may be told about recovery; times are such that a play goes through all of it. */
const POLICIES: Readonly<Record<string, RecoveryPolicy>> = {
  EAGER_NEXT_REGION: RULES.recovery,
  on_demand_fallback: {
    ...RULES.recovery,
    strategy: 'on_demand_fallback',
    fallback: { preemptions: 2, within: HOUR, backAfter: 2_000 },
  },
  deadline: {
    ...RULES.recovery,
    strategy: 'deadline',
    deadline: { deadline: 300_000, work: 200_000, overhead: 3_000, checkpointEvery: 1_000, backAfter: 2_000 },
  },
  replace_nodes: { ...RULES.recovery, replaceNodes: true },
  limits: {
    ...RULES.recovery,
    causes: {
      noCapacity: { maxRestarts: 3, backoff: 500 },
      preemption: { maxRestarts: 2, backoff: null },
      error: { maxRestarts: null, backoff: 700 },
    },
  },
};

/** What a script says of its progress; of some, nothing. */
function said(code: number): { progress?: string } {
  const line = [null, '0.01', '50%', '0.99', 'much'][code % 5] ?? null;
  return line === null ? {} : { progress: line };
}

const PLACE = { cloud: 'c', region: 'r', zone: 'z', instanceType: 't', useSpot: false };

/** Machines of copies, and what is told of them. */
class Play {
  state = newManagedJob(0);
  now = 0;
  readonly seen = new Set<string>();
  private readonly rules: JobRules;
  /** Probes whose machines may exist. */
  readonly probes = new Set<number>();
  /** Copies whose machines may exist while their job is held. */
  readonly held = new Set<number>();
  /** Copies whose machines may exist, and whose job may run. */
  readonly standing = new Set<number>();
  private readonly reports = new Map<number, ClusterReport>();

  constructor(policy: RecoveryPolicy = RULES.recovery) {
    this.rules = { ...RULES, recovery: policy };
  }

  apply(event: ManagedJobEvent): void {
    this.now += 100;
    const before = this.state;
    const { state, effects } = applyManagedJob(before, event, this.rules, this.now);
    this.state = state;
    if (state.status !== before.status) expect(MANAGED_TRANSITIONS[before.status].length).toBeGreaterThan(0);
    if (isManagedEnd(before.status)) expect(state.status).toBe(before.status);
    expect(parseManagedJobState(JSON.parse(JSON.stringify(state)))).toEqual(state);
    expect(state.errorRestarts).toBeLessThanOrEqual(RULES.recovery.maxRestartsOnErrors);
    for (const effect of effects) {
      if (effect.type === 'relaunch') this.relaunched(effect.copy, before.copy?.number ?? 0);
      if (effect.type === 'release') {
        this.seen.add('ahead');
        expect([...this.standing], 'no copy may run beside the one that takes over').toEqual([]);
        expect(state.copy?.number).toBe(effect.copy);
        expect(state.copy?.try).toBe(state.recoveries + state.pauses + 1);
        if (this.held.delete(effect.copy)) this.standing.add(effect.copy);
      }
      if (effect.type !== 'startCluster' && effect.type !== 'startProbe') continue;
      expect(state.outcome).toBeNull();
      if (effect.type === 'startProbe') {
        this.seen.add('probe');
        expect([...this.probes], 'one probe at a time').toEqual([]);
        this.probes.add(effect.copy);
      } else if (effect.held === true) {
        expect([...this.held], 'one spare at a time').toEqual([]);
        this.held.add(effect.copy);
      } else {
        this.seen.add(effect.market ?? 'as asked');
        // The one law: never two copies.
        expect([...this.standing]).toEqual([]);
        this.standing.add(effect.copy);
      }
      this.reports.set(effect.copy, {
        copy: effect.copy,
        generation: 'g-1',
        status: 'INIT',
        reason: '',
        operation: 'launch',
        launch: null,
        tried: 1,
        job: { id: 1, status: 'INIT', reason: null, exitCodes: [] },
        gone: false,
        silentSince: null,
        place: null,
        cost: 1,
        hourly: 1,
        at: this.now,
      });
    }
  }

  /** The same machines are another copy's from now on, and those that are lost are made. */
  private relaunched(copy: number, before: number): void {
    this.seen.add('relaunch');
    expect(this.state.outcome).toBeNull();
    expect([...this.standing]).toEqual([before]);
    this.standing.delete(before);
    this.standing.add(copy);
    const report = this.reports.get(before) as ClusterReport;
    expect(report.gone).toBe(true);
    const job = { id: copy, status: 'INIT', reason: null, exitCodes: [] } as const;
    this.reports.set(copy, { ...report, copy, operation: 'launch', launch: null, job, cost: report.cost + 1 });
  }

  /** What a cluster says; nobody reports machines as gone while they stand. */
  report(change: Partial<ClusterReport>, copy = this.state.copy?.number): void {
    const before = copy === undefined ? undefined : this.reports.get(copy);
    if (copy === undefined || before === undefined || before.status === 'TERMINATED') return;
    const report = { ...before, ...change, at: this.now };
    this.reports.set(copy, report);
    if (report.status === 'TERMINATED') {
      this.standing.delete(copy);
      this.probes.delete(copy);
      this.held.delete(copy);
    }
    this.apply({ type: 'report', report, ahead: true });
  }

  step(choice: number, code: number): void {
    const copy = this.state.copy?.number ?? 0;
    const { probe } = this.state.market;
    const looked = probe?.number ?? 0;
    const { spare } = this.state;
    const next = spare?.number ?? 0;
    const interruption = { at: this.now + 120_000 };
    const refused = { outcome: 'failed', failure: { kind: 'capacity', message: 'm' } } as const;
    const up = {
      status: 'UP',
      operation: null,
      launch: { outcome: 'succeeded', failure: null },
      place: PLACE,
    } as const;
    const ended = (status: 'SUCCEEDED' | 'FAILED' | 'FAILED_SETUP' | 'FAILED_DRIVER' | 'CANCELLED') =>
      this.report({ ...up, job: { id: 1, status, reason: 'why', exitCodes: code === 0 ? [] : [code] } });
    const steps: (() => void)[] = [
      () => this.apply({ type: 'queued', number: 1, admitted: true }),
      () => this.report(up),
      () => this.report({ ...up, job: { id: 1, status: 'RUNNING', reason: null, exitCodes: [], ...said(code) } }),
      () => ended('SUCCEEDED'),
      () => ended('FAILED'),
      () => ended('FAILED_SETUP'),
      () => ended('FAILED_DRIVER'),
      () => this.report({ gone: true, job: { id: 1, status: 'FAILED_DRIVER', reason: 'gone', exitCodes: [] } }),
      () => this.report({ operation: 'down' }),
      () => this.report({ status: 'TERMINATED', operation: null, place: null }),
      () =>
        this.report({ operation: null, launch: { outcome: 'failed', failure: { kind: 'capacity', message: 'm' } } }),
      () => this.report({ silentSince: this.now }),
      () => this.apply({ type: 'verified', copy, stands: code % 2 === 0 }),
      () => this.apply({ type: 'collected', copy, problem: code % 2 === 0 ? null : 'p' }),
      () => {
        this.now += 5_000;
        this.apply({ type: 'due' });
      },
      // Words about copies that are no more.
      () => this.report({ job: { id: 1, status: 'SUCCEEDED', reason: null, exitCodes: [] } }, Math.max(1, copy - 1)),
      () => this.apply({ type: 'clusterLost', copy }),
      () => {
        if (this.state.copy?.phase === 'fencing') this.standing.delete(copy);
        this.apply({ type: 'fenced', copy });
      },
      () => this.report({ ...up, job: null }, looked),
      () =>
        this.report(
          { operation: null, job: null, launch: { outcome: 'failed', failure: { kind: 'capacity', message: 'm' } } },
          looked,
        ),
      () => this.report({ status: 'TERMINATED', operation: null, job: null, place: null }, looked),
      () => this.apply({ type: 'clusterLost', copy: looked }),
      () => {
        if (probe?.phase === 'fencing') this.probes.delete(looked);
        this.apply({ type: 'fenced', copy: looked });
      },
    ];
    steps.push(() => this.forward([7, 10, 14, 4][code % 4] ?? 7));
    steps.push(() => this.apply({ type: 'pause', requestId: `p-${this.now}`, user: 'u' }));
    steps.push(() => this.apply({ type: 'resume', requestId: `r-${this.now}`, user: 'u' }));
    steps.push(() => this.report({ interruption }));
    steps.push(() => this.report({ ...up, job: { id: 1, status: 'PENDING', reason: null, exitCodes: [] } }, next));
    steps.push(() => this.report({ operation: null, launch: refused }, next));
    steps.push(() => this.report({ status: 'TERMINATED', operation: null, place: null }, next));
    steps.push(() => this.apply({ type: 'clusterLost', copy: next }));
    steps.push(() => {
      if (spare?.phase === 'fencing') this.held.delete(next);
      this.apply({ type: 'fenced', copy: next });
    });
    steps[choice % steps.length]?.();
  }

  /** The next thing of a usual life; `then`: what comes to a copy that runs. */
  forward(then: number): void {
    const { copy, status } = this.state;
    const number = copy?.number ?? 0;
    if (this.state.paused !== null) this.apply({ type: 'resume', requestId: `r-${this.now}`, user: 'u' });
    else if (copy === null) {
      this.apply({ type: 'queued', number: 1, admitted: true });
      this.now = Math.max(this.now, dueAt(this.state, this.rules) ?? 0);
      if (this.state.copy === null) this.step(14, 0);
    } else if (copy.phase === 'verifying') this.apply({ type: 'verified', copy: number, stands: true });
    else if (copy.phase === 'collecting') this.apply({ type: 'collected', copy: number, problem: null });
    else if (copy.phase === 'fencing') this.step(17, 0);
    else if (copy.phase === 'replacing') {
      if (then === 7) this.report({ gone: true });
      this.step(14, 0);
    } else if (copy.phase === 'ending') this.step(9, 0);
    else if (copy.phase === 'cancelling')
      this.report({ job: { id: 1, status: 'CANCELLED', reason: null, exitCodes: [] } });
    else if (!copy.stood) this.step(then === 10 ? 10 : 1, 0);
    else if (status !== 'RUNNING') this.step(2, 0);
    else this.step(then === 10 ? 14 : then, 1);
  }

  /** All that is under way ends well. */
  rest(): void {
    for (let turn = 0; turn < 60 && !isManagedJobOver(this.state); turn++) {
      this.step(this.state.market.probe?.phase === 'fencing' ? 22 : 20, 0);
      const { spare } = this.state;
      if (spare !== null && spare.phase !== 'live') this.step(spare.phase === 'fencing' ? 31 : 29, 0);
      this.forward(3);
    }
  }
}

const acts = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 1, arbitrary: fc.nat(22) },
      { weight: 3, arbitrary: fc.constant(23) },
      { weight: 1, arbitrary: fc.constantFrom(24, 25) },
      { weight: 1, arbitrary: fc.constantFrom(26, 26, 26, 27, 28, 29, 30, 31) },
    ),
    fc.constantFrom(0, 1, 2, 33, 3),
  ),
  { maxLength: 60, size: 'max' },
);

describe('whatever happens, in whatever order', () => {
  test.each(Object.keys(POLICIES))(
    'there are never two copies, and left alone the job ends with nothing left: %s',
    (name) => {
      const seen = new Set<string>();
      const law = fc.property(acts, (given) => {
        const play = new Play(POLICIES[name]);
        for (const [choice, code] of given) play.step(choice, code);
        play.rest();
        expect(isManagedJobOver(play.state), JSON.stringify(play.state)).toBe(true);
        expect([...play.standing, ...play.probes, ...play.held]).toEqual([]);
        seen.add(play.state.status);
        for (const what of play.seen) seen.add(what);
      });
      // The rarest end, FAILED_NO_RESOURCE, is in one of fifty plays.
      holds(law, name === 'limits' ? 1_000 : 200);
      expect(seen).toContain('SUCCEEDED');
      if (name === 'EAGER_NEXT_REGION') expect([...seen], 'a spare took over').toContain('ahead');
      const moves = name === 'deadline' || name === 'on_demand_fallback';
      if (moves) expect([...seen], 'all of it was played').toEqual(expect.arrayContaining(['spot', 'on-demand']));
      if (name === 'replace_nodes') expect(seen).toContain('relaunch');
      if (name === 'limits') expect([...seen]).toEqual(expect.arrayContaining(['FAILED', 'FAILED_NO_RESOURCE']));
    },
  );

  test.each(Object.keys(POLICIES))(
    'a paused job starts nothing and holds no slot once its machines are gone; resumed, it goes on: %s',
    (name) => {
      const law = fc.property(acts, acts, (before, after) => {
        const play = new Play(POLICIES[name]);
        for (const [choice, code] of before) play.step(choice, code);
        const now = () => play.state;
        if (now().outcome !== null) return;
        play.apply({ type: 'pause', requestId: 'p', user: 'u' });
        const had = now().copy?.number ?? null;
        for (const [choice, code] of after) {
          // Neither a resume nor what includes one.
          if (choice < 23 || choice > 25) play.step(choice, code);
        }
        const { copy, outcome, paused, queue, market } = now();
        if (outcome !== null) {
          expect(outcome.status).toBe('SUCCEEDED');
          return;
        }
        expect(paused).toBe('u');
        if (copy !== null) expect(copy.number).toBe(had);
        else if (market.probe === null)
          expect([now().status, queue, dueAt(now(), RULES)]).toEqual(['PENDING', 'parked', null]);
        play.rest();
        expect(isManagedJobOver(now()), JSON.stringify(now())).toBe(true);
        expect([...play.standing, ...play.probes, ...play.held]).toEqual([]);
      });
      holds(law, 100);
    },
  );

  test.each(Object.keys(POLICIES))(
    'a cancel at any moment ends in CANCELLED, unless the job had ended, and no copy is started after it: %s',
    (name) => {
      const law = fc.property(acts, acts, (before, after) => {
        const play = new Play(POLICIES[name]);
        for (const [choice, code] of before) play.step(choice, code);
        const ended = isManagedEnd(play.state.status);
        const { status, copies } = play.state;
        play.apply({ type: 'cancel', requestId: 'c', user: 'u' });
        for (const [choice, code] of after) play.step(choice, code);
        play.rest();
        expect(play.state.status).toBe(ended ? status : 'CANCELLED');
        if (!ended) expect(play.state.copies).toBe(copies);
        expect([...play.standing, ...play.probes, ...play.held]).toEqual([]);
      });
      holds(law, 100);
    },
  );
});

const offers = fc.array(fc.record({ cloud: fc.constantFrom('a', 'b'), region: fc.constantFrom('1', '2', '3') }));
const region = fc.record({ cloud: fc.constantFrom('a', 'b'), region: fc.constantFrom('1', '2', '3') });

describe('strategies', () => {
  test('FAILOVER tries the last region first, EAGER_NEXT_REGION lost ones last, and neither leaves a place out', () => {
    const law = fc.property(offers, region, fc.array(region), (given, last, lost) => {
      const regions = lost.reduce<{ cloud: string; region: string }[]>(rememberRegion, []);
      for (const strategy of ['FAILOVER', 'EAGER_NEXT_REGION'] as const) {
        const ordered = inPlaceOrder(given, nextPlaces(strategy, last, regions));
        expect(ordered.map((one) => JSON.stringify(one)).toSorted()).toEqual(
          given.map((one) => JSON.stringify(one)).toSorted(),
        );
        const good = (one: { cloud: string; region: string }) =>
          strategy === 'FAILOVER'
            ? one.cloud === last.cloud && one.region === last.region
            : !regions.some((bad) => bad.cloud === one.cloud && bad.region === one.region);
        const firstBad = ordered.findIndex((one) => !good(one));
        if (firstBad >= 0) expect(ordered.slice(firstBad).some(good)).toBe(false);
      }
    });
    holds(law, 300);
  });

  test('what the user allows is counted, what recover_on_exit_codes names is free', () => {
    const policy = { ...DEFAULT_RECOVERY, maxRestartsOnErrors: 1, recoverOnExitCodes: [33] };
    expect(restartOnError(policy, [33], 1)).toBe('free');
    expect(restartOnError(policy, [1], 0)).toBe('counted');
    expect(restartOnError(policy, [1], 1)).toBe('no');
  });
});
