/**
 * Clouds whose machines are taken away and jobs that go on from their checkpoints, all of it numbers, for tests of what managed jobs do over
 * days. The time is the server's, which skips what nobody works in: a watch fails until the moment of the next thing that it would see.
 */
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { WorkflowClient } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import type { ActActivities, WatchActivities, WatchInput } from '../../activities/types.ts';
import { type Observed, SIGNALS } from '../../model/commands.ts';
import { JOB_SIGNALS, type RankEnded } from '../../model/job-messages.ts';
import type { InstanceTypeOffer, Placement } from '../../model/machines.ts';
import { inPlaceOrder, type PlaceOrder } from '../../model/place-order.ts';
import { type SimulatedCluster, simulatedCluster } from './simulated-steps.ts';

const MINUTE = 60_000;
const NEVER = 1_000 * 24 * 60 * MINUTE;

/** When spot machines are to be had where, in ms of the server's time. */
export interface SpotMarket {
  readonly regions: readonly string[];
  /** Null: there is none at that time. Else when one that is made then is taken away. */
  takenAt(region: string, at: number, job: string): number | null;
}

export interface SimulatedWork {
  /** ms that a job has to run. */
  readonly work: number;
  /** It writes a checkpoint so often; a copy that ends loses as much. */
  readonly checkpointEvery: number;
  /** ms from a create call to machines. */
  readonly boot: number;
}

/** Machines of a copy, and what runs on them. */
export interface SimulatedCopy {
  /** Of the job, without the copy's number. */
  readonly job: string;
  readonly cluster: string;
  readonly region: string;
  readonly spot: boolean;
  readonly from: number;
  readonly takenAt: number;
  /** Proved gone; null: it stands. */
  endedAt: number | null;
  runsFrom: number | null;
  /** Null while it runs. */
  runsUntil: number | null;
  finished: boolean;
  /** Workflow that hears of the exit, and its phase's job on the nodes. */
  owner: string;
}

export interface SimulatedIn {
  readonly client: WorkflowClient;
  readonly environment: Pick<TestWorkflowEnvironment, 'currentTimeMs'>;
}

function later(ms: number): ApplicationFailure {
  return ApplicationFailure.create({
    message: 'nothing to see yet',
    type: 'transient',
    nextRetryDelay: Math.max(1, ms),
  });
}

function noCapacity(region: string): ApplicationFailure {
  return ApplicationFailure.create({ message: `no spot machines in ${region}`, type: 'capacity', nonRetryable: true });
}

export class SimulatedSpot {
  readonly copies: SimulatedCopy[] = [];
  /** What was done against the law. */
  readonly offences: string[] = [];
  /** Places that were asked for spot machines in vain. */
  refusals = 0;
  market: SpotMarket;
  work: SimulatedWork;
  private readonly byKey = new Map<string, SimulatedCopy>();
  /** The machines that a cluster had last. */
  private readonly byCluster = new Map<string, SimulatedCopy>();
  private readonly world: () => SimulatedIn;

  constructor(world: () => SimulatedIn, market: SpotMarket, work: SimulatedWork) {
    this.world = world;
    this.market = market;
    this.work = work;
  }

  /** The server's: what an activity is told of the time at which it was due leaves out the wait before another try. */
  private async now(): Promise<number> {
    return await this.world().environment.currentTimeMs();
  }

  /** Of one job, in the order in which they were made. */
  of(job: string): SimulatedCopy[] {
    return this.copies.filter((copy) => copy.job === job);
  }

  /** ms of work that a copy which starts now need not do again. */
  private kept(job: string): number {
    const { checkpointEvery } = this.work;
    return this.of(job).reduce((sum, { runsFrom, runsUntil }) => {
      if (runsFrom === null || runsUntil === null) return sum;
      return sum + Math.max(0, runsUntil - runsFrom - checkpointEvery);
    }, 0);
  }

  private finishAt(copy: SimulatedCopy): number {
    return (copy.runsFrom ?? 0) + Math.max(0, this.work.work - this.kept(copy.job));
  }

  private stop(copy: SimulatedCopy, at: number): void {
    if (copy.runsFrom !== null && copy.runsUntil === null) copy.runsUntil = Math.min(at, copy.takenAt);
  }

  private create(placement: Placement, cluster: string, at: number): void {
    if (this.byKey.has(placement.key)) return;
    const job = cluster.replace(/-\d+$/, '');
    const taken = placement.useSpot ? this.market.takenAt(placement.region, at, job) : NEVER + at;
    if (taken === null) {
      this.refusals += 1;
      throw noCapacity(placement.region);
    }
    const copy: SimulatedCopy = {
      job,
      cluster,
      region: placement.region,
      spot: placement.useSpot,
      from: at,
      takenAt: taken,
      endedAt: null,
      runsFrom: null,
      runsUntil: null,
      finished: false,
      owner: '',
    };
    this.copies.push(copy);
    this.byKey.set(placement.key, copy);
    this.byCluster.set(cluster, copy);
  }

  private run(cluster: string, owner: string, at: number): void {
    const copy = this.byCluster.get(cluster);
    if (copy === undefined) throw new Error(`${cluster} runs on machines that nobody made`);
    if (copy.runsFrom !== null) return;
    for (const other of this.of(copy.job)) {
      if (other === copy || other.runsFrom === null) continue;
      if (other.runsUntil === null && at < other.takenAt) this.offences.push(`two copies of ${copy.job} run at ${at}`);
      if (other.finished) this.offences.push(`${copy.job} runs again after its end`);
    }
    Object.assign(copy, { runsFrom: at, owner });
  }

  /** What a watch would tell by now, and ms until it has more to tell. */
  private async see({ cluster, child, placement }: WatchInput): Promise<number> {
    const copy = this.byKey.get(placement.key);
    const at = await this.now();
    if (copy === undefined || copy.endedAt !== null) return NEVER;
    const finishAt = copy.runsFrom === null || copy.runsUntil !== null ? Number.POSITIVE_INFINITY : this.finishAt(copy);
    if (finishAt <= Math.min(at, copy.takenAt)) {
      copy.finished = true;
      this.stop(copy, finishAt);
      const ended: RankEnded = { phase: 'run', rank: 0, exitCode: 0, lost: false, endedAt: at };
      await this.signal(copy.owner, JOB_SIGNALS.rankEnded, ended);
    } else if (copy.takenAt <= at) {
      this.stop(copy, at);
      const gone = [{ rank: 0, state: 'terminated' as const, reason: 'the cloud took it' }];
      const { generation } = cluster;
      const seen: Observed = { generation, child, at, sessions: 0, unreachable: [], gone };
      await this.signal(cluster.workflowId, SIGNALS.observed, seen);
      return NEVER;
    }
    // The run starts at about the time at which the watch does.
    if (copy.runsFrom === null) return MINUTE / 6;
    return Math.min(copy.takenAt, copy.runsUntil === null ? finishAt : Number.POSITIVE_INFINITY) - at;
  }

  private async signal(workflowId: string, name: string, payload: unknown): Promise<void> {
    await this.world().client.getHandle(workflowId).signal(name, payload);
  }

  /** The steps of workers. */
  steps(): SimulatedCluster {
    const base = simulatedCluster();
    const { market } = this;
    const offer = (region: string, useSpot: boolean): InstanceTypeOffer => ({
      cloud: 'simulated',
      region,
      zone: `${region}a`,
      instanceType: 'm',
      cpus: 4,
      memory: 16,
      accelerators: null,
      useSpot,
      hourlyCost: useSpot ? 0.6 : 2,
    });
    const act: ActActivities = {
      ...base.act,
      plan: async ({ resources }) => {
        const order: PlaceOrder | undefined = resources.order;
        const offers = market.regions.map((region) => offer(region, resources.useSpot));
        return inPlaceOrder(offers, order);
      },
      createMachines: async (input) => {
        const { placement } = input.request;
        const at = await this.now();
        this.create(placement, input.cluster.name, at);
        const takenAt = this.byKey.get(placement.key)?.takenAt ?? 0;
        if (takenAt <= at) throw noCapacity(placement.region);
        if (Context.current().info.attempt === 1) throw later(Math.min(this.work.boot, takenAt - at));
        return await base.act.createMachines(input);
      },
      terminateMachines: async ({ placement }) => {
        const copy = this.byKey.get(placement.key);
        const at = await this.now();
        if (copy !== undefined) {
          this.stop(copy, at);
          copy.endedAt ??= at;
        }
        return 'gone';
      },
      startPhase: async (input) => {
        if (input.phase === 'run') this.run(input.job.cluster.name, input.job.owner, await this.now());
        return await base.act.startPhase(input);
      },
      machinesStand: async () => true,
      cancelJob: async ({ job }) => {
        const copy = this.byCluster.get(job.cluster.name);
        if (copy === undefined || copy.runsFrom === null) return [];
        this.stop(copy, await this.now());
        const times = { startedAt: copy.runsFrom, endedAt: copy.runsUntil };
        return [{ phase: 'run', rank: 0, exitCode: copy.finished ? 0 : 143, lost: false, ...times }];
      },
    };
    const watch: WatchActivities = {
      watchNodes: async (input) => {
        throw later(await this.see(input));
      },
    };
    return { ...base, act, watch };
  }
}
