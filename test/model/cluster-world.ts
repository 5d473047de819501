/**
 * A cluster's surroundings as its state machine sees them: the children that its effects start, the machines they make, and mail
 * from both that comes late, twice, or from what was given up long ago. Every choice is `choose`'s.
 */
import { type ClusterState, machinesChange } from '../../model/cluster.ts';
import type { QueuedEffect } from '../../model/cluster-effects.ts';
import { applyRelaunch, type RelaunchCommand } from '../../model/cluster-relaunch.ts';
import { ranksOf, type Standing } from '../../model/cluster-repair.ts';
import { generation, newCluster } from '../../model/cluster-state.ts';
import {
  applyCommand,
  applyEvent,
  type ClusterEvent,
  type Command,
  commandProblem,
} from '../../model/cluster-transition.ts';
import type { CommandAnswer } from '../../model/commands.ts';
import { isTerminalJob } from '../../model/job.ts';
import type { NodeInfo, Placement } from '../../model/machines.ts';
import { aCommand, aPlacement, nodesOf } from './cluster-fixtures.ts';

type Machine = 'running' | 'stopped' | 'terminated';

/** Machines of one placement. */
interface Made {
  readonly placement: Placement;
  readonly nodes: Machine[];
  /** On its way out: another placement may stand. */
  ending: boolean;
}

/** Integer below n, from the test's randomness. */
export type Choose = (n: number) => number;

type Send = (event: ClusterEvent) => void;

/** A running child workflow: each `step` does one thing, unless its last message is still on its way. */
interface Child {
  readonly id: string;
  readonly kind: 'provision' | 'retire' | 'ports' | 'watch' | 'ray' | 'job';
  readonly duty: boolean;
  told: QueuedEffect[];
  outbox: ClusterEvent[];
  /** Has nothing left to do but to say its last word. */
  done: boolean;
  closed: boolean;
  step(): void;
}

export class World {
  state: ClusterState = newCluster({ workspace: 'default', name: 'c' }, 'life', 1_000_000);
  now = 1_000_000;
  readonly made = new Map<string, Made>();
  readonly children = new Map<string, Child>();
  private outbox: QueuedEffect[] = [];
  /** Delivered once; may come again. */
  private readonly old: ClusterEvent[] = [];
  /** Whether things still go wrong. */
  trouble = true;
  readonly startedJobs = new Set<number>();
  readonly placedJobs = new Set<number>();
  /** What is open, by the placement that the cluster was launched on. */
  readonly opened = new Map<string, readonly string[]>();
  /** Relaunches that were not refused. */
  relaunched = 0;
  /** Repairs that made machines. */
  repaired = 0;
  private readonly choose: Choose;
  private readonly check: (world: World, before: ClusterState) => void;

  constructor(choose: Choose, check: (world: World, before: ClusterState) => void) {
    this.choose = choose;
    this.check = check;
  }

  private maybe(oneIn: number): boolean {
    return this.trouble && this.choose(oneIn) === 0;
  }

  private become(state: ClusterState, effects: readonly QueuedEffect[]): void {
    const before = this.state;
    this.state = state;
    this.outbox.push(...effects);
    for (const effect of effects) {
      if (effect.type === 'startJob') once(this.startedJobs, effect.job.id, 'started');
      if (effect.type === 'runJob') once(this.placedJobs, effect.jobId, 'placed');
    }
    this.check(this, before);
  }

  /** Null when it was refused. */
  command(command: Command): CommandAnswer | null {
    this.now += 1_000;
    if (commandProblem(this.state, command, this.now) !== null) return null;
    const { state, effects, answer } = applyCommand(this.state, command, this.now);
    this.become(state, effects);
    return answer;
  }

  /** Its owner has it go on with what is lost made anew; the same word again changes nothing. */
  relaunch(): void {
    this.now += 1_000;
    const copy = (this.state.relaunch?.copy ?? 1) + 1;
    const { payload: launch } = aCommand('launch', { nodes: this.state.spec?.numNodes ?? 1 });
    const command = { kind: 'relaunch', copy, launch } as RelaunchCommand;
    const { state, effects } = applyRelaunch(this.state, command, this.now);
    if (state.relaunch?.refused === null) this.relaunched += 1;
    this.become(state, effects);
    const again = applyRelaunch(this.state, command, this.now);
    if (again.state !== this.state || again.effects.length > 0) throw new Error(`copy ${copy} was launched twice`);
  }

  event(event: ClusterEvent): void {
    this.now += 1_000;
    const { state, effects } = applyEvent(this.state, event, this.now);
    this.become(state, effects);
  }

  open(): Child[] {
    return [...this.children.values()].filter((child) => !child.closed);
  }

  /** One thing happens somewhere; false when nothing is left to happen. */
  step(): boolean {
    if (this.outbox.length > 0 && this.choose(2) === 0) return this.carryOut();
    const busy = this.open().filter((child) => child.outbox.length > 0 || this.hasWork(child));
    const child = busy[this.choose(busy.length)];
    if (child === undefined) return this.outbox.length > 0 && this.carryOut();
    const mail = child.outbox.shift();
    if (mail !== undefined) {
      // Its words come once and in order; unlike others they say nothing by which an old one is known.
      if (mail.type !== 'rayChanged') this.old.push(mail);
      child.closed = child.done && child.outbox.length === 0;
      this.event(mail);
      return true;
    }
    child.step();
    child.closed = child.done && child.outbox.length === 0;
    return true;
  }

  /** Runs until nothing happens any more. */
  settle(): void {
    for (let step = 0; this.step(); step++) {
      if (step > 20_000) throw new Error(`never settles: ${JSON.stringify(this.state.operation)}`);
    }
  }

  private hasWork(child: Child): boolean {
    if (child.kind === 'watch') return child.told.length > 0 || this.news() !== null;
    if (child.kind === 'job' || (child.kind === 'ray' && this.state.ray?.status === 'UP')) return child.told.length > 0;
    return true;
  }

  /** One effect, or a few to different targets in any order. */
  private carryOut(): boolean {
    const effect = this.outbox.shift();
    if (effect === undefined) return false;
    const name = `${effect.generation}/${target(effect)}`;
    if (effect.type.startsWith('start')) {
      if (this.children.has(name)) throw new Error(`${name} was started twice`);
      this.children.set(name, this.make(name, effect));
    } else {
      const child = this.children.get(name);
      if (child === undefined) throw new Error(`${effect.type} for ${name}, which was never started`);
      if (!child.closed) child.told.push(effect);
    }
    return true;
  }

  private make(id: string, effect: QueuedEffect): Child {
    const base = {
      id,
      duty: target(effect).startsWith('duty'),
      told: [] as QueuedEffect[],
      outbox: [] as ClusterEvent[],
    };
    const child: Child = { ...base, kind: 'job', done: false, closed: false, step: () => undefined };
    const send: Send = (event) => child.outbox.push(event);
    const made = (kind: Child['kind'], steps: Generator<void>): Child =>
      Object.assign(child, {
        kind,
        step: () => {
          child.done = steps.next().done === true;
        },
      });
    if (effect.type === 'startProvision') return made('provision', this.provision(effect, child, send));
    if (effect.type === 'startRetire') return made('retire', this.retire(effect, child, send));
    if (effect.type === 'startPorts') return made('ports', this.ports(effect, child, send));
    if (effect.type === 'startWatch') return made('watch', this.watch(effect, child, send));
    if (effect.type === 'startRay') return made('ray', this.ray(effect, child, send));
    if (effect.type === 'startJob') return made('job', this.job(effect, child, send));
    throw new Error(`unknown start ${effect.type}`);
  }

  private *provision(effect: Extract<QueuedEffect, { type: 'startProvision' }>, child: Child, send: Send) {
    const { generation: gen, opId } = effect;
    const ended = { type: 'operationEnded', generation: gen, opId, child: effect.child } as const;
    const aborted = () => child.told.length > 0;
    const failure = { kind: 'capacity', message: 'no room' } as const;
    const { standing } = effect;
    const survivors: NodeInfo[] = [];
    const lost: number[] = [];
    for (const { rank, machine } of standing === undefined ? [] : this.machinesOf(standing)) {
      if (aborted()) break;
      const state = machine.made.nodes[machine.index];
      if (state === 'terminated') lost.push(rank);
      else {
        if (this.maybe(6)) return send({ ...ended, outcome: 'failed', failure, stands: null });
        machine.made.nodes[machine.index] = 'running';
        survivors.push(nodesOf(machine.made.placement)[machine.index] as NodeInfo);
      }
      yield;
    }
    if (standing !== undefined && !aborted()) {
      if (survivors.length === 0) return send({ ...ended, outcome: 'failed', failure, stands: null });
      const { wants } = effect.resources;
      if (wants?.ports !== undefined) this.opened.set(standing.placement.key, wants.ports);
      if (lost.length === 0) {
        return send({ ...ended, outcome: 'succeeded', failure: null, stands: { ...standing, nodes: survivors } });
      }
    }
    const part = standing === undefined ? {} : { fills: lost, joins: standing.placement.key };
    let attempt = effect.attempt;
    for (let round = 0; !aborted(); round++) {
      const numNodes = standing === undefined ? effect.numNodes : lost.length;
      const placement = { ...aPlacement(this.state, attempt, numNodes), ...part };
      attempt += 1;
      send({ type: 'placing', generation: gen, opId, placement });
      yield;
      if (aborted()) break;
      const made: Made = { placement, nodes: nodesOf(placement).map(() => 'terminated'), ending: false };
      this.made.set(placement.key, made);
      this.opened.set(placement.key, effect.resources.wants?.ports ?? []);
      let failed = false;
      for (let index = 0; index < numNodes && !aborted() && !failed; index++) {
        failed = this.maybe(6);
        if (!failed) made.nodes[index] = 'running';
        yield;
      }
      if (!failed && !aborted()) {
        const nodes = [...survivors, ...nodesOf(placement)].toSorted((a, b) => a.rank - b.rank);
        if (standing !== undefined) this.repaired += 1;
        const stands =
          standing === undefined ? { placement, nodes } : { ...standing, added: [...standing.added, placement], nodes };
        return send({ ...ended, outcome: 'succeeded', failure: null, stands });
      }
      if (aborted()) break;
      const { cloud, region, zone, instanceType } = placement;
      const tried = { at: this.now, cloud, region, zone, instanceType, took: 1, useSpot: true as const, failure };
      send({ type: 'placementFailed', generation: gen, opId, placementKey: placement.key, tried });
      made.ending = true;
      yield;
      if (aborted()) break;
      // Sometimes the proof is left to the cluster's own duty.
      if (!this.maybe(3)) {
        made.nodes.fill('terminated');
        send({ type: 'placementGone', generation: gen, placementKey: placement.key });
        yield;
      }
      if (aborted()) break;
      if (!effect.retryUntilUp && round >= 1) return send({ ...ended, outcome: 'failed', failure, stands: null });
    }
    send({
      ...ended,
      outcome: 'aborted',
      failure: { kind: 'aborted', message: 'Another command came.' },
      stands: null,
    });
  }

  /** The machine of each rank. */
  machinesOf({ placement, added }: Pick<Standing, 'placement' | 'added'>) {
    const all = [placement, ...added];
    return all
      .flatMap((one) => {
        const made = this.made.get(one.key);
        if (made === undefined) return [];
        return ranksOf(all, one).map((rank) => {
          const index = nodesOf(one).findIndex((node) => node.rank === rank);
          return { rank, machine: { made, index } };
        });
      })
      .toSorted((a, b) => a.rank - b.rank);
  }

  private *retire(effect: Extract<QueuedEffect, { type: 'startRetire' }>, child: Child, send: Send) {
    const { generation: gen, opId, mode } = effect;
    const ended = { type: 'operationEnded', generation: gen, opId, child: effect.child, stands: null } as const;
    const failure = { kind: 'internal', message: 'no answer' } as const;
    for (const { key } of effect.placements) {
      const made = this.made.get(key);
      if (made !== undefined && mode === 'terminate') made.ending = true;
      for (let rank = 0; rank < (made?.nodes.length ?? 0); rank++) {
        yield;
        if (mode === 'stop' && child.told.length > 0) return send({ ...ended, outcome: 'aborted', failure });
        if (this.maybe(10)) return send({ ...ended, outcome: 'failed', failure });
        if (made !== undefined && made.nodes[rank] !== 'terminated') {
          made.nodes[rank] = mode === 'stop' ? 'stopped' : 'terminated';
        }
      }
      if (mode === 'terminate') send({ type: 'placementGone', generation: gen, placementKey: key });
      yield;
    }
    send({ ...ended, outcome: 'succeeded', failure: null });
  }

  private *ports(effect: Extract<QueuedEffect, { type: 'startPorts' }>, child: Child, send: Send) {
    const { generation: gen, opId, placement, ports } = effect;
    const ended = { type: 'operationEnded', generation: gen, opId, child: effect.child, stands: null } as const;
    const failed = { kind: 'internal', message: 'no answer' } as const;
    yield;
    if (child.told.length > 0) return send({ ...ended, outcome: 'aborted', failure: failed });
    if (!this.maybe(5)) this.opened.set(placement.key, ports);
    else return send({ ...ended, outcome: 'failed', failure: failed });
    yield;
    // Done, and what comes first is the abort.
    if (child.told.length > 0) return send({ ...ended, outcome: 'aborted', failure: failed });
    send({ ...ended, outcome: 'succeeded', failure: null });
  }

  /** What the watch has not told yet of nodes that stopped or vanished. */
  private news() {
    const { placement, added = [], lost, status } = this.state;
    if (placement === null || machinesChange(this.state) || (status !== 'UP' && status !== 'UNHEALTHY')) return null;
    const gone = this.machinesOf({ placement, added }).flatMap(({ rank, machine: { made, index } }) => {
      const state = made.nodes[index] ?? 'terminated';
      return state === 'running' ? [] : [{ rank, state, reason: 'its cloud' }];
    });
    return gone.some(({ rank }) => !lost.some((node) => node.gone && node.rank === rank)) ? gone : null;
  }

  private *watch(effect: Extract<QueuedEffect, { type: 'startWatch' }>, child: Child, send: Send) {
    const seen = { type: 'observed', generation: effect.generation, child: effect.child } as const;
    while (!child.told.some(({ type }) => type === 'stopWatch')) {
      child.told = [];
      const gone = this.news();
      if (gone !== null) send({ ...seen, at: this.now, gone });
      yield;
      if (gone === null && this.trouble) {
        const unreachable = this.choose(3) === 0 ? [{ rank: this.choose(effect.nodes.length), reason: 'silent' }] : [];
        send({ ...seen, at: this.now, unreachable, sessions: this.choose(2) });
        yield;
      }
    }
    send({ type: 'watchEnded', generation: effect.generation, child: effect.child });
  }

  /** All nodes answer again, and nobody is logged in. */
  calm(): void {
    const { watch } = this.state;
    if (watch === null || watch.stopping) return;
    const seen = { type: 'observed', generation: generation(this.state), child: watch.child } as const;
    this.event({ ...seen, at: this.now, unreachable: [], sessions: 0 });
  }

  private *ray(effect: Extract<QueuedEffect, { type: 'startRay' }>, child: Child, send: Send) {
    const from = { generation: effect.generation, child: effect.child };
    const head = { reason: '', address: '127.0.0.1:20000', dashboardPort: 20001 };
    for (let lasts = this.choose(4); lasts > 0 && child.told.length === 0; lasts--) yield;
    if (this.maybe(5)) return send({ type: 'rayEnded', ...from, failure: { kind: 'invalid', message: 'no such Ray' } });
    if (child.told.length === 0) send({ type: 'rayChanged', ...from, ...head, status: 'UP' });
    while (child.told.length === 0) yield;
    send({ type: 'rayEnded', ...from, failure: null });
  }

  private *job(effect: Extract<QueuedEffect, { type: 'startJob' }>, child: Child, send: Send) {
    const { id: jobId, withSetup } = effect.job;
    const changed = (
      status: 'SETTING_UP' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED' | 'FAILED_DRIVER',
      reason: string | null = null,
    ) =>
      send({
        type: 'jobChanged',
        generation: effect.generation,
        jobId,
        status,
        reason,
        at: this.now,
        exitCodes: null,
        life: `life-${jobId}`,
      });
    const early = () => child.told.some(({ type }) => type === 'cancelJob' || type === 'abandonJob');
    while (!early() && !child.told.some(({ type }) => type === 'runJob')) yield;
    if (!early() && withSetup) {
      changed('SETTING_UP');
      yield;
    }
    if (!early()) {
      changed('RUNNING');
      yield;
    }
    for (let lasts = this.choose(4); lasts > 0 && !early(); lasts--) yield;
    changed(early() ? 'CANCELLED' : this.maybe(4) ? 'FAILED' : 'SUCCEEDED');
  }

  /** An old message comes once more. */
  repeat(): void {
    const mail = this.old[this.choose(this.old.length)];
    if (mail !== undefined) this.event(mail);
  }

  /** A child is terminated from outside; what it had sent may be lost. */
  crash(): void {
    const open = this.open();
    const child = open[this.choose(open.length)];
    if (child === undefined) return;
    for (const mail of child.outbox) if (this.choose(2) === 0) this.event(mail);
    child.outbox = [];
    child.closed = true;
  }

  /** The entity looks for children that closed without a word; only when it has nothing to carry out. */
  describe(): void {
    while (this.outbox.length > 0) this.carryOut();
    const { operation, watch, ray, duties, jobs } = this.state;
    const dead = (what: string) => this.children.get(`${generation(this.state)}/${what}`)?.closed === true;
    this.event({
      type: 'crashed',
      operation: operation !== null && dead(`${operation.id}.${operation.child}`),
      watch: watch !== null && dead(`watch-${watch.child}`),
      ray: ray?.child != null && dead(`ray-${ray.child}`),
      duties: duties.filter((duty) => dead(`${duty}.1`)),
      jobs: jobs.filter((job) => !isTerminalJob(job.status) && dead(`job-${job.id}`)).map(({ id }) => id),
    });
  }

  /** The cloud takes or stops a machine. */
  lose(): void {
    const up = [...this.made.values()].filter(({ ending, nodes }) => !ending && nodes.includes('running'));
    const made = up[this.choose(up.length)];
    if (made === undefined) return;
    made.nodes[this.choose(made.nodes.length)] = this.choose(2) === 0 ? 'stopped' : 'terminated';
  }

  /** Placements with machines that exist. */
  existing(): Made[] {
    return [...this.made.values()].filter(({ nodes }) => nodes.some((node) => node !== 'terminated'));
  }
}

function once(seen: Set<number>, id: number, what: string): void {
  if (seen.has(id)) throw new Error(`job ${id} was ${what} twice`);
  seen.add(id);
}

function target(effect: QueuedEffect): string {
  switch (effect.type) {
    case 'startProvision':
    case 'startRetire':
    case 'startPorts':
    case 'abortOperation':
      return `${effect.opId}.${effect.child}`;
    case 'startWatch':
    case 'stopWatch':
    case 'setAutostop':
      return `watch-${effect.child}`;
    case 'startRay':
    case 'stopRay':
      return `ray-${effect.child}`;
    case 'startJob':
      return `job-${effect.job.id}`;
    default:
      return `job-${effect.jobId}`;
  }
}
