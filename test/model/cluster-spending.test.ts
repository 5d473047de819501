/** A cluster's budget in its state machine: a node costs $0.50 an hour there. */
import { describe, expect, test } from 'vitest';
import { displayStatus } from '../../model/cluster.ts';
import { budgetDueAt } from '../../model/cluster-budget.ts';
import { parseClusterState } from '../../model/cluster-schema.ts';
import { clusterMemo, clusterView } from '../../model/cluster-state.ts';
import type { Budget } from '../../model/cost-budget.ts';
import { NORMAL } from '../../model/timing.ts';
import { Story } from './cluster-fixtures.ts';

const HOUR = 3_600_000;
const TEN: Budget = { maxCost: 10, maxDuration: null, onExceed: 'stop' };
const TEN_DOWN: Budget = { ...TEN, onExceed: 'down' };
const TEN_TOLD: Budget = { ...TEN, onExceed: 'notify' };
const WHY = 'its budget of $10.00 is spent';

function dueAt(story: Story): number | null {
  return budgetDueAt(story.state, NORMAL);
}

/** The moment comes, as the workflow's timer has it. */
function due(story: Story): void {
  const at = dueAt(story);
  if (at === null) throw new Error('nothing is due');
  story.now = Math.max(story.now, at);
  story.event({ type: 'budgetDue' });
}

function view(story: Story) {
  return clusterView(story.state, { installation: 'i', timing: NORMAL, now: story.now, waits: {} });
}

describe('the budget of the configuration', () => {
  const spec = { budget: TEN };

  test('is that of a new cluster whose task has none, and of no other', () => {
    const story = new Story();
    story.up(1, { spec });
    expect(story.state.budget).toEqual(TEN);
    const own = new Story();
    own.up(1, { spec, task: { budget: TEN_TOLD } });
    expect(own.state.budget).toEqual(TEN_TOLD);
    own.command('launch', { spec });
    expect(own.state.budget, 'a launch on a cluster that stands leaves it as it is').toEqual(TEN_TOLD);
    const without = new Story();
    without.up(1);
    without.command('launch', { spec });
    expect(without.state.budget ?? null).toBeNull();
  });

  test('holds again for the next cluster of the name, and survives a new run', () => {
    const story = new Story();
    story.up(1, { spec, task: { budget: TEN_TOLD } });
    story.command('down');
    story.command('launch', { spec });
    story.ended('succeeded');
    expect(story.state.budget).toEqual(TEN);
    expect(parseClusterState(JSON.parse(JSON.stringify(story.state))).spec?.budget).toEqual(TEN);
  });
});

describe('a budget', () => {
  test('is due when its money is spent at the price of what stands, from when it stands', () => {
    const story = new Story();
    story.command('launch', { nodes: 2, task: { budget: TEN } });
    expect(dueAt(story)).toBeNull();
    story.stands();
    expect(dueAt(story)).toBe(story.now + 10 * HOUR);
    expect(view(story).budget).toEqual({ ...TEN, exceedsAt: story.now + 10 * HOUR, exceeded: null });
    expect(clusterMemo(story.state, story.now).budget?.exceedsAt).toBe(story.now + 10 * HOUR);
  });

  test('stops the cluster and its jobs, and says why', () => {
    const story = new Story();
    story.up(2, { task: { budget: TEN } });
    due(story);
    expect([displayStatus(story.state), story.state.operation?.kind]).toEqual(['AUTOSTOPPING', 'stop']);
    expect(story.job(1)).toMatchObject({ status: 'CANCELLED', reason: `the cluster was stopped: ${WHY}` });
    expect(dueAt(story)).toBeNull();
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'STOPPED', statusReason: `stopped: ${WHY}` });
    expect(dueAt(story)).toBeNull();
  });

  test('ends the cluster where that is asked for', () => {
    const story = new Story();
    story.up(1, { task: { budget: TEN_DOWN } });
    due(story);
    expect(story.state.operation?.kind).toBe('down');
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'TERMINATED', statusReason: `ended: ${WHY}` });
  });

  test('that stops ends a cluster whose machines can only be ended, so that its cost has an end', () => {
    const story = new Story();
    story.command('launch', { task: { budget: TEN } });
    story.stands({ ...story.placing(), useSpot: true, noStop: 'spot machines cannot be stopped' });
    due(story);
    expect(story.did('startRetire')).toMatchObject([{ mode: 'terminate' }]);
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'TERMINATED', statusReason: `ended: ${WHY}` });
  });

  test('that only tells leaves all as it is, and is told once, until it is replaced', () => {
    const story = new Story();
    story.up(1, { task: { budget: TEN_TOLD } });
    due(story);
    expect(story.effects).toEqual([]);
    const { exceeded } = story.state.budget ?? {};
    expect(exceeded).toEqual({ at: story.now, why: WHY });
    expect(story.state).toMatchObject({ status: 'UP', operation: null });
    expect([view(story).statusReason, clusterMemo(story.state, story.now).statusReason]).toEqual([WHY, WHY]);
    expect(dueAt(story)).toBeNull();
    story.event({ type: 'budgetDue' });
    story.event({ type: 'observed', child: 1, at: story.now, sessions: 1 });
    expect(story.state.budget?.exceeded).toEqual(exceeded);
    expect(view(story).statusReason).toBe(WHY);
    expect(story.problem('exec')).toBeNull();
    story.command('launch', { task: { budget: { ...TEN_TOLD, maxCost: 20 } } });
    expect([view(story).statusReason, view(story).budget?.exceeded]).toEqual(['', null]);
    due(story);
    expect(view(story).statusReason).toBe('its budget of $20.00 is spent');
  });

  test('that is not spent does nothing, whatever rings', () => {
    const story = new Story();
    story.up(1, { task: { budget: TEN } });
    story.now = (dueAt(story) ?? 0) - 2_000;
    story.event({ type: 'budgetDue' });
    expect(story.state).toMatchObject({ status: 'UP', operation: null });
    expect(story.state.budget?.exceeded).toBeUndefined();
    story.event({ type: 'budgetDue' });
    expect(story.state.operation?.kind).toBe('stop');
  });

  test('goes on over a stop and a start, counting neither the time between nor anew', () => {
    const story = new Story();
    story.up(2, { task: { budget: { ...TEN, maxDuration: 6 * 3600 } } });
    story.now += 4 * HOUR - 2_000;
    story.command('stop');
    story.ended('succeeded');
    expect(dueAt(story)).toBeNull();
    story.now += 100 * HOUR;
    story.command('start');
    story.stands();
    expect(dueAt(story)).toBe(story.now + 2 * HOUR);
  });

  test('is that of the newest launch that has one; a launch without and an exec leave it', () => {
    const story = new Story();
    story.up(1, { task: { budget: TEN } });
    const upAt = story.now;
    story.command('launch');
    story.command('exec', { task: { budget: { ...TEN, maxCost: 1 } } });
    expect(dueAt(story)).toBe(upAt + 20 * HOUR);
    story.command('launch', { task: { budget: { ...TEN, maxCost: 1 } } });
    expect(dueAt(story)).toBe(upAt + 2 * HOUR);
    story.command('launch', { task: { budget: { ...TEN, maxCost: 30 } } });
    expect(dueAt(story)).toBe(upAt + 60 * HOUR);
  });

  test('that is spent lets the cluster be neither started nor launched on, until a larger one comes', () => {
    const story = new Story();
    story.up(1, { task: { budget: TEN } });
    due(story);
    story.ended('succeeded');
    const refused = { kind: 'refused', message: "The budget of cluster 'c' ($10.00) is spent." };
    expect(story.problem('start')).toMatchObject(refused);
    expect(story.problem('launch')).toMatchObject(refused);
    expect(story.problem('launch', { task: { budget: { ...TEN, maxCost: 9 } } })).toMatchObject({ kind: 'refused' });
    expect(story.problem('down')).toBeNull();
    expect(story.problem('launch', { task: { budget: TEN_TOLD } })).toBeNull();
    story.command('launch', { task: { budget: { ...TEN, maxCost: 20 } } });
    story.stands();
    const left = ((dueAt(story) ?? 0) - story.now) / HOUR;
    expect(left).toBeCloseTo(20, 2);
    expect(story.state.statusReason).toBe('');
  });

  test('of a cluster made anew counts from nothing, and the old one does not hold for it', () => {
    const story = new Story();
    story.up(1, { task: { budget: TEN_DOWN } });
    due(story);
    story.command('launch', { task: { budget: { ...TEN, maxCost: 1 } } });
    story.ended('succeeded');
    expect(story.state.n).toBe(2);
    story.stands();
    expect(dueAt(story)).toBe(story.now + 2 * HOUR);
    story.command('down');
    story.command('launch');
    story.ended('succeeded');
    story.stands();
    expect([story.state.n, dueAt(story), view(story).budget]).toEqual([3, null, undefined]);
  });

  test('acts on a cluster whose node is lost, and under a start that repairs it', () => {
    const story = new Story();
    story.up(2, { task: { budget: TEN } });
    story.event({ type: 'observed', child: 1, at: 0, unreachable: [{ rank: 1, reason: 'silent' }] });
    story.command('start');
    due(story);
    expect(story.did('abortOperation')).toMatchObject([{ opId: 'start-2' }]);
    story.ended('aborted');
    expect(story.state.operation).toMatchObject({ kind: 'stop', auto: true, why: WHY });
  });

  test('whose stop fails is acted on again, after a while and not at once', () => {
    const story = new Story();
    story.up(1, { task: { budget: TEN } });
    due(story);
    const first = story.now;
    story.ended('failed', { failure: { kind: 'auth', message: 'the key has expired' } });
    expect(story.state).toMatchObject({ status: 'UNHEALTHY', operation: null });
    expect(dueAt(story)).toBe(first + NORMAL.describeOpsEvery);
    due(story);
    expect(story.state.operation).toMatchObject({ kind: 'stop', why: WHY });
  });

  test('comes through continue-as-new, and its absence too', () => {
    const story = new Story();
    story.up(1, { task: { budget: TEN_TOLD } });
    story.command('stop');
    story.command('launch', { task: { budget: { ...TEN_TOLD, maxDuration: 60 } } });
    const again = () => parseClusterState(JSON.parse(JSON.stringify(story.state)));
    expect(again()).toEqual(story.state);
    story.ended('succeeded');
    story.stands();
    due(story);
    expect(again()).toEqual(story.state);
    story.command('down');
    story.command('launch');
    story.ended('succeeded');
    expect(again()).toEqual(story.state);
  });
});
