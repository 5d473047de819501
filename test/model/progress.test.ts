/** What a job says of its progress: how it is read, and what a strategy with a deadline makes of it. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_RECOVERY } from '../../model/job-recovery.ts';
import type { JobRules, ManagedJobState } from '../../model/managed-job.ts';
import { factsOf } from '../../model/managed-job-market.ts';
import { applyManagedJob, dueAt, type ManagedJobEvent, newManagedJob } from '../../model/managed-job-transition.ts';
import type { ClusterReport } from '../../model/owned-cluster.ts';
import { formatProgress, readProgress } from '../../model/progress.ts';
import { TEST } from '../../model/timing.ts';
import type { DeadlineRule } from '../../model/uniform-progress.ts';
import { holds } from './holds.ts';

const MINUTE = 60_000;
const RULE: DeadlineRule = {
  deadline: 100 * MINUTE,
  work: 60 * MINUTE,
  overhead: 10 * MINUTE,
  checkpointEvery: 0,
  backAfter: 20 * MINUTE,
};
const RULES: JobRules = {
  workflowId: 'job/w/r',
  numNodes: 1,
  recovery: { ...DEFAULT_RECOVERY, strategy: 'deadline', deadline: RULE },
  fenceAfter: MINUTE,
  timing: TEST,
};
const PLACE = { cloud: 'c', region: 'r', zone: 'z', instanceType: 't', useSpot: true };

describe('a line', () => {
  test.each([
    ['0', 0],
    ['1', 1],
    ['0.42', 0.42],
    ['.5', 0.5],
    ['1.', 1],
    ['42%', 0.42],
    ['42.5 %', 0.425],
    ['1e-05', 0.00001],
    ['  0.1  ', 0.1],
  ])('%s says %d', (line, fraction) => {
    expect(readProgress(line)).toEqual({ fraction, problem: null });
  });

  test.each(['', 'half', '1.01', '101%', '-0.1', 'nan', 'inf', '0x1', '1/2', '0.5 0.6', '30m', '1e9', '%'])(
    '%s says nothing, and why',
    (line) => {
      const { fraction, problem } = readProgress(line);
      expect(fraction).toBe(null);
      expect(problem).toContain(`'${line}' is neither a number from 0 to 1 nor a percentage`);
    },
  );

  test('whatever a program prints of a fraction is read as that fraction', () => {
    holds(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (value) => {
        expect(readProgress(String(value)).fraction).toBe(value);
      }),
      500,
    );
  });

  test('is shown rounded down: what is not done is not said to be', () => {
    expect([0, 0.42, 0.29, 0.9999, 1].map(formatProgress)).toEqual(['0 %', '42 %', '29 %', '99.9 %', '100 %']);
  });
});

/** A job with a deadline whose copies are spot machines, at a time. */
class Told {
  state: ManagedJobState = newManagedJob(0);
  now = 0;

  constructor() {
    this.apply({ type: 'queued', number: 1, admitted: true });
  }

  apply(event: ManagedJobEvent): void {
    this.state = applyManagedJob(this.state, event, RULES, this.now).state;
  }

  runs(progress?: string, change: Partial<ClusterReport> = {}): void {
    const report: ClusterReport = {
      copy: this.state.copy?.number ?? 0,
      generation: 'g-1',
      status: 'UP',
      reason: '',
      operation: null,
      launch: { outcome: 'succeeded', failure: null },
      tried: 0,
      job: { id: 1, status: 'RUNNING', reason: null, exitCodes: [], ...(progress === undefined ? {} : { progress }) },
      gone: false,
      silentSince: null,
      place: PLACE,
      cost: 0,
      hourly: 1,
      at: this.now,
      ...change,
    };
    this.apply({ type: 'report', report });
  }

  /** Its machines are taken away. */
  lost(): void {
    this.runs(undefined, { gone: true, job: { id: 1, status: 'FAILED_DRIVER', reason: 'gone', exitCodes: [] } });
    this.apply({ type: 'collected', copy: this.state.copy?.number ?? 0, problem: 'gone' });
    this.runs(undefined, { status: 'TERMINATED', place: null, job: null });
    // Its strategy looks at once, or after the pause that a place without machines is given.
    this.now = Math.max(this.now, dueAt(this.state, RULES) ?? 0);
    this.apply({ type: 'due' });
  }

  kept(): number {
    return factsOf(this.state, { kind: 'deadline', rule: RULE }, this.now).kept / MINUTE;
  }
}

describe('a job with a deadline', () => {
  test('that says how much is done is judged by that and not by its running time', () => {
    const job = new Told();
    job.runs('50%');
    job.now = 20 * MINUTE;
    job.runs('0.9');
    expect([job.state.progress, job.kept()]).toEqual([0.9, 54]);
    job.now = 83 * MINUTE;
    job.apply({ type: 'due' });
    // 17 minutes are left, of which it needs 6 and a changeover 10.
    expect(job.state.copy).toMatchObject({ market: 'spot', phase: 'live' });
    expect(dueAt(job.state, RULES)).toBe(84 * MINUTE);
    job.now = 84 * MINUTE;
    job.apply({ type: 'due' });
    expect(job.state).toMatchObject({ cause: 'moved', copy: { phase: 'cancelling' }, market: { hold: 'until-done' } });
  });

  test('that has done little of its work moves to on-demand machines as soon as no time is left for anything else', () => {
    const job = new Told();
    job.runs('0.01');
    expect(dueAt(job.state, RULES)).toBe(30.6 * MINUTE);
    job.now = 30.6 * MINUTE;
    job.apply({ type: 'due' });
    expect(job.state).toMatchObject({ cause: 'moved', market: { hold: 'until-done' } });
  });

  test('that says nothing is judged by its running time, and is not moved while it runs on spot machines', () => {
    const job = new Told();
    job.runs();
    job.now = 80 * MINUTE;
    job.apply({ type: 'due' });
    expect(job.state).toMatchObject({ progress: null, copy: { market: 'spot', phase: 'live' } });
    expect(dueAt(job.state, RULES)).toBe(null);
  });

  test('goes on from what it said last when its machines are lost, until the next try says something else', () => {
    const job = new Told();
    job.runs('0.5');
    job.now = 10 * MINUTE;
    job.lost();
    expect([job.state.recoveries, job.state.copy?.number, job.kept()]).toEqual([1, 2, 30]);
    job.now += 5 * MINUTE;
    job.runs();
    expect(job.kept(), 'running time does not count for one that speaks').toBe(30);
    job.runs('40%');
    expect(job.kept(), 'its checkpoint was older than it thought').toBe(24);
  });

  test('is told once of lines that cannot be read, and keeps what it said before', () => {
    const job = new Told();
    job.runs('0.5');
    for (const line of ['epoch 3', 'epoch 4', '0.6', 'epoch 5']) job.runs(line);
    expect(job.state.progress).toBe(0.6);
    const problems = job.state.events.filter(({ text }) => text.startsWith('STYX_PROGRESS'));
    expect(problems.map(({ text }) => text.slice(0, 24))).toEqual([
      "STYX_PROGRESS: 'epoch 3'",
      "STYX_PROGRESS: 'epoch 5'",
    ]);
  });
});
