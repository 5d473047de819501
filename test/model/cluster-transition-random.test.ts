import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { REMEMBERED_JOBS, REMEMBERED_OPERATIONS, REMEMBERED_REQUESTS, REMEMBERED_TRIES } from '../../model/budgets.ts';
import type { ClusterState } from '../../model/cluster.ts';
import { budgetToActOn } from '../../model/cluster-budget.ts';
import { hourlyOf, standingPlacements } from '../../model/cluster-repair.ts';
import { parseClusterState } from '../../model/cluster-schema.ts';
import { allNodesGone, generation } from '../../model/cluster-state.ts';
import { applyCommand, type Command } from '../../model/cluster-transition.ts';
import { isTerminalJob, type JobRow } from '../../model/job.ts';
import { ownersJob } from '../../model/owned-cluster.ts';
import { ANY_RAY, aCommand, NODE_CPUS } from './cluster-fixtures.ts';
import { World } from './cluster-world.ts';
import { holds } from './holds.ts';

function stands(state: ClusterState): boolean {
  return state.status === 'UP' || state.status === 'UNHEALTHY';
}

function idle(state: ClusterState): boolean {
  return state.operation === null && state.waiting.length === 0;
}

/** What must be true after every step. */
function lawful(world: World, before: ClusterState): void {
  const { state } = world;
  machinesAreKnown(world);
  jobsAreLawful(state, before, world);
  rayIsLawful(state, before, world);
  portsAreSo(world);
  relaunchIsLawful(state, before, world);
  const ending = state.operation?.kind === 'stop' || state.operation?.kind === 'down';
  expect(state.watch !== null && !state.watch.stopping).toBe(stands(state) && !ending);
  // Of one whose ports change, a stop or a down comes next then.
  const allGone = state.operation?.kind === 'ports' && state.operation.aborting && allNodesGone(state);
  expect(state.cost.since !== null || ending || allGone).toBe(stands(state) || ending);
  expect(parseClusterState(JSON.parse(JSON.stringify(state)))).toEqual(state);
  expect(state.operations.length).toBeLessThanOrEqual(REMEMBERED_OPERATIONS);
  expect(state.tries.length).toBeLessThanOrEqual(REMEMBERED_TRIES);
  expect(state.requests.length).toBeLessThanOrEqual(REMEMBERED_REQUESTS);
  expect(state.jobs.filter((job) => isTerminalJob(job.status)).length).toBeLessThanOrEqual(REMEMBERED_JOBS);
  for (const old of before.operations) {
    const same = state.operations.find(({ id }) => id === old.id);
    if (same !== undefined) expect(same).toEqual(old);
  }
}

function machinesAreKnown(world: World): void {
  const { state } = world;
  const existing = world.existing();
  const known = new Set(state.intents.map(({ key }) => key));
  expect(existing.filter(({ placement }) => !known.has(placement.key))).toEqual([]);
  const stands = new Set(standingPlacements(state).map(({ key }) => key));
  // Besides what stands, one placement is being made.
  expect(existing.filter((made) => !made.ending && !stands.has(made.placement.key)).length).toBeLessThanOrEqual(1);
  const working = world.open().filter(({ kind, duty }) => !duty && (kind === 'provision' || kind === 'retire'));
  expect(working.length).toBeLessThanOrEqual(1);
  if (!idle(state)) return;
  if (state.status === 'TERMINATED') expect(existing).toEqual([]);
  if (state.status === 'STOPPED' && state.placement === null) expect(existing).toEqual([]);
  if (state.status !== 'STOPPED') return;
  const running = existing.filter((made) => !made.ending && made.nodes.includes('running'));
  expect(running.filter(({ placement }) => stands.has(placement.key))).toEqual([]);
  // What an overtaken repair had made is being ended.
  if (running.length > 0) expect(state.duties.length).toBe(1);
}

function jobsAreLawful(state: ClusterState, before: ClusterState, world: World): void {
  const used = new Map<number, number>();
  const was = new Map<number, JobRow>(before.jobs.map((job) => [job.id, job]));
  for (const job of state.jobs) {
    const old = was.get(job.id);
    // By which name nodes know it may be heard later.
    if (old !== undefined && isTerminalJob(old.status)) expect({ ...job, life: old.life }).toEqual(old);
    if (old?.allotment != null) expect(job.allotment).toEqual(old.allotment);
    if (isTerminalJob(job.status)) continue;
    expect(world.startedJobs.has(job.id)).toBe(true);
    for (const rank of job.allotment?.nodes ?? []) {
      used.set(rank, (used.get(rank) ?? 0) + job.demand.cpus);
      const lost = state.lost.find((node) => node.rank === rank);
      if (old?.allotment == null) expect(lost).toBeUndefined();
      if (lost !== undefined && state.operation === null) expect(lost.gone).toBe(false);
    }
    expect(job.allotment === null || stands(state)).toBe(true);
  }
  for (const cpus of used.values()) expect(cpus).toBeLessThanOrEqual(NODE_CPUS);
  for (const job of before.jobs) {
    if (!isTerminalJob(job.status)) expect(state.jobs.some(({ id }) => id === job.id)).toBe(true);
  }
}

/** One that is not refused is a launch with a job, which waits for what ran before it by name. */
function relaunchIsLawful(state: ClusterState, before: ClusterState, world: World): void {
  const { relaunch } = state;
  if (relaunch === undefined || relaunch === before.relaunch) return;
  expect(relaunch.copy).toBe((before.relaunch?.copy ?? 1) + 1);
  expect(relaunch.refused === null).toBe(relaunch.opId !== null && relaunch.jobId !== null);
  if (relaunch.refused !== null) return expect({ ...state, relaunch: before.relaunch }).toEqual(before);
  expect([stands(before), idle(before)]).toEqual([true, true]);
  expect(world.startedJobs.has(relaunch.jobId ?? 0)).toBe(true);
  const last = ownersJob(before);
  if (last?.allotment != null) expect(relaunch.after.at(-1)).toBe(`${last.id}-life-${last.id}`);
}

/** What is open is what the view says, once a change of it or a start has succeeded last. */
function portsAreSo({ state, opened }: World): void {
  const [before, last] = state.operations.slice(-2);
  const changed = state.operations.at(-1)?.kind === 'ports' || (before?.kind === 'stop' && last?.kind === 'start');
  if (!changed || state.operations.at(-1)?.outcome !== 'succeeded' || !idle(state) || !stands(state)) return;
  expect(opened.get(state.placement?.key ?? '')).toEqual(state.ports ?? []);
}

function rayIsLawful(state: ClusterState, before: ClusterState, world: World): void {
  const here = `${generation(state)}/`;
  const seeing = world
    .open()
    .filter(({ id, kind, told }) => kind === 'ray' && id.startsWith(here) && told.length === 0);
  expect(seeing.length).toBeLessThanOrEqual(1);
  const placed = before.jobs.filter(({ allotment }) => allotment !== null).map(({ id }) => id);
  const now = state.jobs.filter((job) => job.ray === true && job.allotment !== null && !placed.includes(job.id));
  if (generation(state) === generation(before) && now.length > 0) expect(state.ray?.status).toBe('UP');
  if (state.status === 'TERMINATED') expect(state.ray ?? null).toBeNull();
  if (state.ray != null) expect(state.ray.wanted || state.ray.child !== null).toBe(true);
}

const anyBudget = fc.record({
  maxCost: fc.constant(null),
  maxDuration: fc.integer({ min: 1, max: 60 }),
  onExceed: fc.constantFrom('stop' as const, 'down' as const, 'notify' as const),
});
const somePorts = fc.subarray(['80', '8000-8010', '8005-8020', '65535']);
const anyCommand = fc.oneof(
  fc.record({
    kind: fc.constant('launch' as const),
    nodes: fc.constantFrom(1, 2),
    retryUntilUp: fc.boolean(),
    task: fc.oneof(fc.record({ budget: anyBudget }), fc.constant({}), fc.constant({ ray: ANY_RAY })),
  }),
  fc.record({
    kind: fc.constant('exec' as const),
    nodes: fc.constantFrom(1, 2),
    cpus: fc.constantFrom(1, 3),
    ray: fc.boolean(),
  }),
  fc.record({ kind: fc.constantFrom('cancel' as const, 'stop' as const, 'start' as const, 'down' as const) }),
  fc.record({ kind: fc.constant('autostop' as const), down: fc.boolean() }),
  fc.record({ kind: fc.constant('ports' as const), open: somePorts, close: somePorts }),
  fc.record({ kind: fc.constant('ray' as const), ray: fc.constantFrom(ANY_RAY, null) }),
);
const anyAct = fc.oneof(
  { weight: 30, arbitrary: fc.record({ act: fc.constant('steps' as const), count: fc.integer({ min: 1, max: 25 }) }) },
  { weight: 25, arbitrary: fc.record({ act: fc.constant('command' as const), command: anyCommand }) },
  {
    weight: 12,
    arbitrary: fc.record({
      act: fc.constantFrom('again', 'repeat', 'crash', 'describe', 'lose', 'due', 'spent', 'relaunch' as const),
    }),
  },
);
type Act = typeof anyAct extends fc.Arbitrary<infer T> ? T : never;

function toCommand(asked: typeof anyCommand extends fc.Arbitrary<infer T> ? T : never): Command {
  switch (asked.kind) {
    case 'exec':
      return aCommand('exec', {
        nodes: asked.nodes,
        task: { demand: { cpus: asked.cpus, gpus: 0, memory: 0 }, ...(asked.ray ? { ray: ANY_RAY } : {}) },
      });
    case 'ray':
      return aCommand('ray', { ray: asked.ray });
    case 'autostop':
      return aCommand('autostop', { autostop: { idleMinutes: 5, down: asked.down, waitFor: 'jobs' } });
    case 'ports':
    case 'launch':
      return aCommand(asked.kind, asked);
    default:
      return aCommand(asked.kind);
  }
}

/** What was done by budgets. */
const spentBudgets = new Set<string>();

/** A world led through some acts, with a record of what was accepted. */
class Run {
  readonly world: World;
  readonly ended = new Map<string, string>();
  private readonly accepted = new Set<string>();
  /** Of each launch, its job. */
  private readonly launched = new Map<string, number>();
  private readonly cancelled = new Set<number>();
  private readonly sent: Command[] = [];

  constructor(seed: number) {
    let random = seed;
    const choose = (n: number): number => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
      return n === 0 ? 0 : (random >>> 8) % n;
    };
    this.choose = choose;
    this.world = new World(choose, (world, before) => {
      lawful(world, before);
      this.record(world.state);
    });
  }

  private readonly choose: (n: number) => number;

  private record(state: ClusterState): void {
    for (const { id, outcome } of state.operations) this.ended.set(id, outcome ?? 'none');
    const open = new Set([state.operation?.id, ...state.waiting.map(({ opId }) => opId)]);
    for (const id of this.accepted) expect(this.ended.has(id) !== open.has(id)).toBe(true);
  }

  give(command: Command): void {
    const before = JSON.stringify(this.world.state);
    const answer = this.world.command(command);
    if (answer === null) return expect(JSON.stringify(this.world.state)).toBe(before);
    this.sent.push(command);
    for (const id of answer.jobIds) this.cancelled.add(id);
    if (answer.operationId === null) return;
    this.accepted.add(answer.operationId);
    if (command.kind === 'launch' && answer.jobId !== null) this.launched.set(answer.operationId, answer.jobId);
    this.record(this.world.state);
  }

  do(act: Act): void {
    const { world } = this;
    if (act.act === 'steps') for (let step = 0; step < act.count && world.step(); step++);
    else if (act.act === 'command') this.give(toCommand(act.command));
    else if (act.act === 'again') this.again();
    else if (act.act === 'due') world.event({ type: 'autostopDue' });
    else if (act.act === 'spent') this.spent();
    else world[act.act]();
  }

  private spent(): void {
    const { world } = this;
    world.now += 60_000;
    const budget = budgetToActOn(world.state, world.now + 1_000);
    world.event({ type: 'budgetDue' });
    const { operation, waiting } = world.state;
    const ending = [operation, ...waiting].find((one) => one !== null && 'why' in one);
    if (budget === null) return;
    if (budget.onExceed !== 'notify') expect(ending?.kind).toBe(budget.onExceed);
    spentBudgets.add(budget.onExceed);
    expect(budgetToActOn(world.state, world.now)).toBeNull();
  }

  private again(): void {
    const command = this.sent[this.choose(this.sent.length)];
    if (command === undefined) return;
    const { state, effects } = applyCommand(this.world.state, command, this.world.now);
    expect([state === this.world.state, effects]).toEqual([true, []]);
  }

  /** Nothing goes wrong any more, and all that is under way ends. */
  rest(): void {
    const { world } = this;
    world.trouble = false;
    for (let look = 0; look < 4; look++) {
      world.describe();
      world.settle();
      world.calm();
    }
    world.settle();
    expect(idle(world.state)).toBe(true);
    for (const [opId, jobId] of this.launched) {
      if (this.ended.get(opId) !== 'succeeded') expect(world.placedJobs.has(jobId)).toBe(false);
      else if (!this.cancelled.has(jobId)) expect(world.startedJobs.has(jobId)).toBe(true);
    }
  }
}

const anyRun = fc.tuple(fc.integer({ min: 1, max: 2 ** 31 }), fc.array(anyAct, { minLength: 5, maxLength: 60 }));

function run([seed, acts]: [number, Act[]]): Run {
  const made = new Run(seed);
  made.give(aCommand('launch', { nodes: 1 + (seed % 2) }));
  for (const act of acts) made.do(act);
  return made;
}

describe('whatever happens, in whatever order', () => {
  test('a down ends in TERMINATED, with no machine, no child and no job left', () => {
    const seen = new Set<string>();
    const law = fc.property(anyRun, (given) => {
      const made = run(given);
      const { world } = made;
      for (const { kind } of world.state.operations) seen.add(kind);
      if (world.state.status !== 'TERMINATED' || !idle(world.state)) made.give(aCommand('down'));
      made.rest();
      expect(world.state.status).toBe('TERMINATED');
      expect(world.existing()).toEqual([]);
      if (!given[1].some(({ act }) => act === 'repeat')) expect(world.state.intents).toEqual([]);
      expect(world.open().map(({ id }) => id)).toEqual([]);
      expect(world.state.jobs.filter((job) => !isTerminalJob(job.status))).toEqual([]);
    });
    holds(law, 200);
    // What is rare is looked for longer, lest chance fails the test.
    for (let more = 0; more < 40 && seen.size + spentBudgets.size < 8; more++) holds(law, 50);
    expect(seen).toEqual(new Set(['launch', 'start', 'stop', 'down', 'ports']));
    expect(spentBudgets).toEqual(new Set(['stop', 'down', 'notify']));
  });

  test('left alone, a cluster comes to rest, and where all nodes are well every job has run', () => {
    let wells = 0;
    let repaired = 0;
    let relaunched = 0;
    const rays = new Set<string>();
    const law = fc.property(anyRun, (given) => {
      const made = run(given);
      made.rest();
      const { state } = made.world;
      const live = state.jobs.filter((job) => !isTerminalJob(job.status));
      if (state.status === 'TERMINATED' || state.status === 'STOPPED') expect(live).toEqual([]);
      if (state.status !== 'UP') return;
      wells += 1;
      expect(state.lost).toEqual([]);
      expect(live).toEqual([]);
      const standing = standingPlacements(state);
      const keys = standing.map(({ key }) => key).toSorted();
      const existing = made.world.existing();
      expect(keys).toEqual(expect.arrayContaining(existing.map(({ placement }) => placement.key)));
      // One machine for each rank, whoever made it, and none besides.
      const running = existing.flatMap(({ nodes }) => nodes.filter((node) => node !== 'terminated'));
      expect(running).toEqual(state.nodes.map(() => 'running'));
      expect(state.nodes.map(({ rank }) => rank)).toEqual(state.nodes.map((_, rank) => rank));
      expect(state.nodes.length).toBe(state.placement?.numNodes);
      expect(state.cost.hourly).toBeCloseTo(hourlyOf(standing));
      repaired += made.world.repaired;
      relaunched += made.world.relaunched;
      // A recorded intent that comes again after its proof is kept until the next proof: to know too much loses nothing.
      const repeated = given[1].some(({ act }) => act === 'repeat');
      if (!repeated) expect(state.intents.map(({ key }) => key).toSorted()).toEqual(keys);
      const open = made.world.open().map(({ id }) => id);
      const { ray } = state;
      if (ray != null) rays.add(ray.status);
      // One that is wanted is seen to, whatever was going on when the last one ended.
      expect(ray?.status).not.toBe('WAITING');
      const ofRay = ray?.status === 'UP' ? [`${generation(state)}/ray-${ray.child}`] : [];
      expect(open.toSorted()).toEqual([...ofRay, `${generation(state)}/watch-${state.watch?.child}`]);
    });
    holds(law, 150);
    expect(wells).toBeGreaterThan(10);
    for (let more = 0; more < 40 && (rays.size < 2 || repaired === 0 || relaunched === 0); more++) holds(law, 50);
    expect(rays).toEqual(new Set(['UP', 'FAILED']));
    expect(repaired).toBeGreaterThan(0);
    expect(relaunched).toBeGreaterThan(0);
  });
});
