/**
 * A world in which spot machines are there or not, by the server's own clock, and jobs that run there get on with their work. Nothing in it
 * takes time but the work. Each watch looks again when the next thing is due, so that no test has to.
 */
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { WorkflowClient } from '@temporalio/client';
import type { ActActivities, WatchActivities } from '../../activities/types.ts';
import { simulatedCluster } from './simulated-steps.ts';

export interface Market {
  /** Until when what holds at `at` holds: spot machines are to be had, and are not taken away. */
  readonly spot: (at: number) => { readonly there: boolean; readonly until: number };
  /** ms that the job runs, over all its copies. */
  readonly work: number;
  /** A copy on spot is taken away after so long at most. */
  readonly longest?: number;
}

interface Machines {
  readonly useSpot: boolean;
  runsSince: number | null;
  lost: boolean;
}

export interface Run {
  readonly cluster: string;
  readonly useSpot: boolean;
  readonly from: number;
  to: number | null;
}

export class SimulatedMarket {
  market: Market;
  /** ms of work that is done. */
  done = 0;
  /** Of the job's script, in order. */
  runs: Run[] = [];
  /** Two copies at the same time; there must be none. */
  readonly overlaps: string[] = [];
  private readonly clusters = new Map<string, Machines>();
  private readonly now: () => Promise<number>;
  private readonly client: () => WorkflowClient;

  /** @param now the server's clock */
  constructor(market: Market, now: () => Promise<number>, client: () => WorkflowClient) {
    this.market = market;
    this.now = now;
    this.client = client;
  }

  begin(market: Market): void {
    this.market = market;
    this.done = 0;
    this.runs = [];
    this.clusters.clear();
  }

  /** Clusters that have machines. */
  get standing(): string[] {
    return [...this.clusters.keys()];
  }

  get act(): ActActivities {
    const base = simulatedCluster().act;
    return {
      ...base,
      plan: async (input) =>
        (await base.plan(input)).map((offer) => ({ ...offer, ...priced(input.resources.useSpot) })),
      createMachines: async (input) => {
        const { placement } = input.request;
        if (placement.useSpot && !this.market.spot(await this.now()).there)
          throw ApplicationFailure.create({ message: 'no spot machines', type: 'capacity', nonRetryable: true });
        this.clusters.set(input.cluster.workflowId, { useSpot: placement.useSpot, runsSince: null, lost: false });
        return await base.createMachines(input);
      },
      startPhase: async (input) => {
        const id = input.job.cluster.workflowId;
        const machines = this.clusters.get(id);
        if (input.phase === 'run' && machines !== undefined && machines.runsSince === null) {
          const from = await this.now();
          for (const other of this.runs) if (other.to === null) this.overlaps.push(`${id} beside ${other.cluster}`);
          machines.runsSince = from;
          this.runs.push({ cluster: id, useSpot: machines.useSpot, from, to: null });
        }
        return await base.startPhase(input);
      },
      cancelJob: async ({ job }) => {
        const at = await this.now();
        this.ends(job.cluster.workflowId, at);
        return [{ phase: 'run', rank: 0, exitCode: 143, lost: false, startedAt: 0, endedAt: at }];
      },
      terminateMachines: async (input) => {
        this.ends(input.cluster.workflowId, await this.now());
        this.clusters.delete(input.cluster.workflowId);
        return 'gone';
      },
      machinesStand: async ({ workflowId }) => this.clusters.get(workflowId)?.lost === false,
    };
  }

  get watch(): WatchActivities {
    return {
      watchNodes: async (input) => {
        const { workflowId, generation } = input.cluster;
        const at = await this.now();
        const next = this.look(workflowId, at);
        if (next === 'gone') {
          const gone = [{ rank: 0, state: 'terminated' as const, reason: 'spot preemption' }];
          await this.tell(workflowId, 'observed', { generation, child: input.child, at, gone, unreachable: [] });
        } else if (next === 'done') {
          const ended = { phase: 'run', rank: 0, exitCode: 0, lost: false, endedAt: at };
          await this.tell(`${workflowId}/${generation}/job-1`, 'rankEnded', ended);
        }
        const wait = typeof next === 'number' ? Math.max(1_000, next - at) : 1_000 * 86_400_000;
        throw ApplicationFailure.create({ message: 'nothing to see', type: 'transient', nextRetryDelay: wait });
      },
    };
  }

  /** What there is to tell of a cluster; else when to look again. */
  private look(id: string, at: number): 'gone' | 'done' | number | null {
    const machines = this.clusters.get(id);
    if (machines === undefined || machines.lost) return null;
    const { there, until } = this.market.spot(at);
    const { runsSince, useSpot } = machines;
    const takenAt =
      runsSince === null ? Number.POSITIVE_INFINITY : runsSince + (this.market.longest ?? Number.POSITIVE_INFINITY);
    if (useSpot && (!there || at >= takenAt)) {
      this.ends(id, at);
      machines.lost = true;
      return 'gone';
    }
    if (runsSince === null) return at + 10_000;
    const doneAt = runsSince + this.market.work - this.done;
    if (at >= doneAt) {
      this.ends(id, at);
      return 'done';
    }
    return useSpot ? Math.min(doneAt, takenAt, until) : doneAt;
  }

  private ends(id: string, at: number): void {
    const machines = this.clusters.get(id);
    const run = this.runs.findLast(({ cluster, to }) => cluster === id && to === null);
    if (machines === undefined || run === undefined) return;
    run.to = at;
    this.done = Math.min(this.market.work, this.done + at - run.from);
  }

  private async tell(id: string, name: string, payload: unknown): Promise<void> {
    await this.client()
      .getHandle(id)
      .signal(name, payload)
      .catch(() => undefined);
    Context.current().heartbeat();
  }
}

function priced(useSpot: boolean) {
  return { useSpot, hourlyCost: useSpot ? 1 : 3 };
}
