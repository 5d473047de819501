/** A pipeline of any shape under any sequence of what can happen to its tasks, without Temporal. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isManagedEnd, type ManagedStatus } from '../../model/managed-job.ts';
import { lets, type PipelineState, type TaskRules, withDependents } from '../../model/pipeline.ts';
import { parsePipelineState } from '../../model/pipeline-schema.ts';
import {
  applyPipeline,
  isPipelineOver,
  newPipeline,
  type PipelineEvent,
  pipelineDueAt,
} from '../../model/pipeline-transition.ts';
import { holds } from './holds.ts';

/** Any graph: a task comes after some of those before it in one order, which is then shuffled. */
const graph: fc.Arbitrary<TaskRules[]> = fc
  .array(
    fc.record({ picks: fc.array(fc.nat(20), { maxLength: 3 }), continueOnFailure: fc.boolean(), key: fc.nat(20) }),
    { minLength: 1, maxLength: 9 },
  )
  .chain((made) =>
    fc.shuffledSubarray([...made.keys()], { minLength: made.length }).map((place) => {
      const rules: TaskRules[] = [];
      for (const [order, { picks, continueOnFailure, key }] of made.entries()) {
        const earlier = order === 0 ? [] : picks.map((pick) => place[pick % order] ?? 0);
        const after = [...new Set(earlier)].toSorted((a, b) => a - b);
        const [first] = after;
        rules[place[order] ?? 0] = {
          name: `t${place[order]}`,
          after,
          continueOnFailure,
          needs: key % 7 === 0 && first !== undefined ? [{ task: first, key: 'k' }] : [],
          endsAfter: null,
        };
      }
      return rules;
    }),
  );

const ENDS = [
  'SUCCEEDED',
  'SUCCEEDED',
  'SUCCEEDED',
  'FAILED',
  'FAILED_SETUP',
  'FAILED_NO_RESOURCE',
  'CANCELLED',
] as const;
const LIVE = ['STARTING', 'RUNNING', 'RECOVERING', 'CANCELLING'] as const;

class Play {
  readonly rules: readonly TaskRules[];
  state: PipelineState;
  now = 1_000;
  /** Tasks whose workflows live. */
  readonly live = new Map<number, { cancelled: boolean; paused: boolean; ended: ManagedStatus | null }>();
  readonly started: number[] = [];
  private requests = 0;

  constructor(rules: readonly TaskRules[]) {
    this.rules = rules;
    this.state = newPipeline({ tasks: rules as never, submittedAt: this.now });
  }

  apply(event: PipelineEvent): void {
    this.now += 100;
    const before = this.state;
    const { state, effects } = applyPipeline(before, event, { tasks: this.rules }, this.now);
    this.state = state;
    expect(parsePipelineState(JSON.parse(JSON.stringify(state)))).toEqual(state);
    if (isManagedEnd(before.status)) expect(state.status).toBe(before.status);
    for (const effect of effects) {
      if (effect.type === 'cancelTask') {
        const live = this.live.get(effect.task);
        expect(live, 'only what was started is told to end').toBeDefined();
        if (live !== undefined) live.cancelled = true;
      } else if (effect.type === 'pauseTask' || effect.type === 'resumeTask') {
        const live = this.live.get(effect.task);
        expect(live, 'only what was started is paused').toBeDefined();
        expect(isManagedEnd(before.tasks[effect.task]?.status ?? 'PENDING')).toBe(false);
        if (live !== undefined) live.paused = effect.type === 'pauseTask';
      } else if (effect.type === 'startTask') {
        const { task } = effect;
        expect(this.started, 'a task is started once').not.toContain(task);
        for (const one of this.rules[task]?.after ?? []) {
          const [rule, other] = [this.rules[one], state.tasks[one]];
          if (rule === undefined || other === undefined) throw new Error('no such task');
          // By what was reported of it; one that never could start ended without a workflow.
          const live = this.live.get(one);
          const status = live === undefined ? other.status : (live.ended ?? 'PENDING');
          expect(lets(rule, { ...other, status })).toBe(true);
        }
        expect([before.cancelledBy, state.paused]).toEqual([null, null]);
        this.started.push(task);
        this.live.set(task, { cancelled: false, paused: false, ended: null });
      }
    }
  }

  report(task: number, status: ManagedStatus, over = false): void {
    const live = this.live.get(task);
    if (live === undefined) return;
    const ended = live.ended ?? (isManagedEnd(status) ? status : null);
    live.ended = ended;
    this.apply({
      type: 'report',
      report: {
        task,
        status: ended ?? status,
        reason: 'why',
        startedAt: this.now,
        endedAt: ended === null ? null : this.now,
        recoveries: 0,
        outputs: ended === 'SUCCEEDED' && task % 2 === 0 ? { k: 'v' } : {},
        over: over && ended !== null,
        cost: 1,
      },
    });
  }

  step(choice: number, pick: number): void {
    const tasks = [...this.live.keys()];
    const task = tasks[pick % Math.max(1, tasks.length)] ?? 0;
    if (choice === 0) this.apply({ type: 'numbered', number: 7 });
    else if (choice === 1) this.report(task, LIVE[pick % LIVE.length] ?? 'RUNNING');
    else if (choice === 2) this.report(task, ENDS[pick % ENDS.length] ?? 'FAILED');
    else if (choice === 3) this.report(task, ENDS[pick % ENDS.length] ?? 'FAILED', true);
    else if (choice === 4) {
      const live = this.live.get(task);
      if (live !== undefined) {
        live.ended ??= live.cancelled ? 'CANCELLED' : 'FAILED';
        this.apply({ type: 'taskLost', task });
      }
    } else if (choice === 6) this.command('pause');
    else if (choice === 7) this.command('resume');
    else {
      this.now += 60_000;
      this.apply({ type: 'due' });
    }
  }

  command(type: 'pause' | 'resume'): void {
    this.requests += 1;
    this.apply({ type, requestId: `r${this.requests}`, user: 'u' });
  }

  /** Everything that is under way comes to its end. */
  rest(status: ManagedStatus = 'SUCCEEDED'): void {
    this.apply({ type: 'numbered', number: 7 });
    this.command('resume');
    for (let turn = 0; turn < 40 && !isPipelineOver(this.state); turn++) {
      for (const [task, { cancelled, ended }] of [...this.live]) {
        const waits = this.rules[task]?.endsAfter !== null && !cancelled && ended === null;
        if (!waits) this.report(task, ended ?? (cancelled ? 'CANCELLED' : status), true);
      }
      const due = pipelineDueAt(this.state);
      if (due === null) continue;
      this.now = Math.max(this.now, due);
      this.apply({ type: 'due' });
    }
  }

  statuses(): ManagedStatus[] {
    return this.state.tasks.map(({ status }) => status);
  }
}

const acts = fc.array(fc.tuple(fc.nat(7), fc.nat(100)), { maxLength: 50 });

describe('whatever happens, in whatever order', () => {
  test('a task starts after all that it depends on and once, and left alone the whole ends with nothing left', () => {
    const seen = new Set<string>();
    const law = fc.property(graph, acts, (rules, given) => {
      const play = new Play(rules);
      for (const [choice, pick] of given) play.step(choice, pick);
      play.rest();
      expect(isPipelineOver(play.state), JSON.stringify(play.state)).toBe(true);
      seen.add(play.state.status);
    });
    holds(law, 500);
    expect([...seen].toSorted()).toEqual(expect.arrayContaining(['FAILED', 'SUCCEEDED']));
  });

  test('a cancel at any moment starts nothing more, and ends in CANCELLED unless all had ended', () => {
    const law = fc.property(graph, acts, acts, (rules, before, after) => {
      const play = new Play(rules);
      for (const [choice, pick] of before) play.step(choice, pick);
      const { status } = play.state;
      const started = play.started.length;
      play.apply({ type: 'cancel', requestId: 'c', user: 'u' });
      play.apply({ type: 'cancel', requestId: 'c', user: 'u' });
      for (const [choice, pick] of after) play.step(choice, pick);
      play.rest();
      expect(play.state.status).toBe(isManagedEnd(status) ? status : 'CANCELLED');
      expect(isPipelineOver(play.state)).toBe(true);
      if (!isManagedEnd(status)) expect(play.started.length).toBe(started);
    });
    holds(law, 300);
  });
});

describe('a pause at any moment', () => {
  test('starts nothing more, and pauses all that has begun and not ended; resumed, these go on and the whole ends', () => {
    const law = fc.property(graph, acts, acts, (rules, before, after) => {
      const play = new Play(rules);
      for (const [choice, pick] of before) play.step(choice, pick);
      if (isManagedEnd(play.state.status)) return;
      play.command('pause');
      const begun = play.started.length;
      const known = (index: number) => play.state.tasks[index]?.status ?? 'PENDING';
      for (const [index, { paused }] of play.live) if (!isManagedEnd(known(index))) expect(paused).toBe(true);
      expect([play.state.status, play.state.reason]).toEqual(['PENDING', 'paused by u']);
      for (const [choice, pick] of after) if (choice !== 7) play.step(choice, pick);
      expect(play.started.length).toBe(begun);
      if (isManagedEnd(play.state.status)) expect(play.state.paused).toBeNull();
      else expect([play.state.status, play.state.paused]).toEqual(['PENDING', 'u']);
      play.command('resume');
      for (const [index, { paused }] of play.live) if (!isManagedEnd(known(index))) expect(paused).toBe(false);
      play.rest();
      expect(isPipelineOver(play.state)).toBe(true);
    });
    holds(law, 300);
  });

  test('a command that comes twice is carried out once, and a cancel of what is paused ends it', () => {
    const play = new Play([{ name: 'a', after: [], continueOnFailure: false, needs: [], endsAfter: null }]);
    play.apply({ type: 'numbered', number: 1 });
    play.apply({ type: 'pause', requestId: 'p', user: 'u' });
    play.apply({ type: 'resume', requestId: 'r', user: 'u' });
    play.apply({ type: 'pause', requestId: 'p', user: 'u' });
    expect(play.state.paused).toBeNull();
    play.command('pause');
    play.apply({ type: 'cancel', requestId: 'c', user: 'u' });
    expect(play.state).toMatchObject({ status: 'CANCELLING', paused: null });
    expect(play.live.get(0)?.cancelled).toBe(true);
  });
});

describe('failures', () => {
  const noNeeds = graph.map((rules) => rules.map((rule) => ({ ...rule, needs: [] })));

  test('what fails cancels exactly what depends on it, and nobody when it may fail', () => {
    const law = fc.property(noNeeds, fc.nat(8), (rules, pick) => {
      const bad = pick % rules.length;
      const play = new Play(rules);
      play.apply({ type: 'numbered', number: 1 });
      for (let turn = 0; turn < 20 && !isPipelineOver(play.state); turn++) {
        for (const [task, { ended }] of [...play.live]) {
          play.report(task, ended ?? (task === bad ? 'FAILED' : 'SUCCEEDED'), true);
        }
      }
      const mayFail = rules[bad]?.continueOnFailure === true;
      const hit = mayFail ? new Set([bad]) : withDependents(rules, [bad]);
      const expected = rules.map((_, index) => (index === bad ? 'FAILED' : hit.has(index) ? 'CANCELLED' : 'SUCCEEDED'));
      expect(play.statuses()).toEqual(expected);
      expect(play.state.status).toBe(mayFail ? 'SUCCEEDED' : 'FAILED');
    });
    holds(law, 400);
  });

  test('all that can run at once does', () => {
    const law = fc.property(noNeeds, (rules) => {
      const play = new Play(rules);
      play.apply({ type: 'numbered', number: 1 });
      for (let turn = 0; turn < 20 && play.started.length < rules.length; turn++) {
        const ended = new Set(play.started.filter((task) => play.live.get(task)?.ended != null));
        const ready = rules.flatMap(({ after }, index) => (after.every((one) => ended.has(one)) ? [index] : []));
        expect(play.started.toSorted((a, b) => a - b)).toEqual(ready);
        for (const task of [...play.live.keys()]) play.report(task, 'SUCCEEDED');
      }
      expect(play.started).toHaveLength(rules.length);
    });
    holds(law, 200);
  });

  test('an output that is named and was not left fails the task before it starts; one of a task that may fail is empty', () => {
    const rules = (continueOnFailure: boolean): TaskRules[] => [
      { name: 'a', after: [], continueOnFailure, needs: [], endsAfter: null },
      { name: 'b', after: [0], continueOnFailure: false, needs: [{ task: 0, key: 'other' }], endsAfter: null },
    ];
    const play = new Play(rules(false));
    play.apply({ type: 'numbered', number: 1 });
    play.report(0, 'SUCCEEDED', true);
    expect(play.statuses()).toEqual(['SUCCEEDED', 'FAILED_PRECHECKS']);
    expect(play.state).toMatchObject({
      status: 'FAILED_PRECHECKS',
      reason: "b FAILED_PRECHECKS: a left no output 'other'",
    });
    const lenient = new Play(rules(true));
    lenient.apply({ type: 'numbered', number: 1 });
    lenient.report(0, 'FAILED', true);
    expect(lenient.started).toEqual([0, 1]);
  });
});

describe('groups', () => {
  const group = fc
    .array(fc.option(fc.nat(100_000)), { minLength: 1, maxLength: 6 })
    .filter((all) => all.includes(null));

  test('all start at once; what is not waited for has its time when the rest has ended, and none when something failed', () => {
    const law = fc.property(group, fc.boolean(), (delays, fails) => {
      const rules = delays.map(
        (endsAfter, index): TaskRules => ({
          name: `t${index}`,
          after: [],
          continueOnFailure: false,
          needs: [],
          endsAfter,
        }),
      );
      const play = new Play(rules);
      play.apply({ type: 'numbered', number: 1 });
      expect(play.started).toEqual([...rules.keys()]);
      const primary = rules.flatMap(({ endsAfter }, index) => (endsAfter === null ? [index] : []));
      for (const index of primary) {
        expect([...play.live.values()].some(({ cancelled }) => cancelled)).toBe(false);
        play.report(index, fails && index === primary[0] ? 'FAILED' : 'SUCCEEDED', true);
      }
      const { now } = play;
      for (const [index, delay] of delays.entries()) {
        const due = fails ? 0 : (delay ?? 0);
        if (delay !== null) expect(play.live.get(index)?.cancelled).toBe(due === 0);
        if (delay !== null && due > 0) expect(play.state.dueAt[index]).toBe(now + due);
      }
      play.rest();
      expect(isPipelineOver(play.state)).toBe(true);
      expect(play.state.status).toBe(fails ? 'FAILED' : 'SUCCEEDED');
    });
    holds(law, 200);
  });
});
