/** The one long activity of a cluster that stands: follows all nodes' events and signals what changes. */
import { Context, log, metricMeter } from '@temporalio/activity';
import { placementOf } from '../model/cluster-repair.ts';
import { type JobChanged, type JobProgressed, type Observed, SIGNALS } from '../model/commands.ts';
import { JOB_SIGNALS, type RankEnded } from '../model/job-messages.ts';
import type { MachineNotice } from '../model/machine-notices.ts';
import type { NodeInfo } from '../model/machines.ts';
import { METRICS, meterName } from '../model/metrics.ts';
import type { AgentEvent, Node } from '../nodes/node.ts';
import { Absence } from './absence.ts';
import { nodeAddress } from './addresses.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import { delay } from './delay.ts';
import { endedWell } from './ended-jobs.ts';
import { shipWhileItRuns } from './log-shipping.ts';
import type { WatchActivities, WatchInput } from './types.ts';

export function watchSteps(context: ActivityContext): WatchActivities {
  return {
    async watchNodes(input: WatchInput): Promise<number[]> {
      const { heartbeatDetails } = Context.current().info;
      const positions = positionsFrom(heartbeatDetails, input);
      const watch = new ClusterWatch(context, input, positions);
      await watch.run(Context.current().cancellationSignal);
      return watch.positions;
    },
  };
}

/** Where the attempt before this one was; a hint, checked. */
function positionsFrom(details: unknown, input: WatchInput): number[] {
  const given = Array.isArray(details) ? details : input.positions;
  return input.nodes.map((_, index) => {
    const position: unknown = given[index];
    return typeof position === 'number' && Number.isInteger(position) && position >= 0 ? position : 0;
  });
}

type Gone = NonNullable<Observed['gone']>[number];

interface Silence {
  readonly since: number;
  readonly reason: string;
  /** From what the cloud answers about the node meanwhile. */
  readonly absence: Absence;
}

class ClusterWatch {
  readonly positions: number[];
  private readonly context: ActivityContext;
  private readonly input: WatchInput;
  private readonly over = new AbortController();
  private readonly sessions: number[];
  private readonly silent = new Map<number, Silence>();
  private readonly gone = new Map<number, Gone>();
  /** Nodes that were reached or given up since this attempt began; the first report waits for all, and always goes. */
  private readonly known = new Set<number>();
  private told = { sessions: -1, unreachable: '', gone: -1 };
  /** Signals go one after the other. */
  private telling: Promise<void> = Promise.resolve();

  constructor(context: ActivityContext, input: WatchInput, positions: number[]) {
    this.context = context;
    this.input = input;
    this.positions = positions;
    this.sessions = input.nodes.map(() => 0);
  }

  async run(cancelled: AbortSignal): Promise<void> {
    const { timing } = this.input;
    const activity = Context.current();
    const { over } = this;
    const end = (): void => over.abort();
    cancelled.addEventListener('abort', end, { once: true });
    if (cancelled.aborted) end();
    const lease = setTimeout(end, timing.watchLease);
    const heartbeat = setInterval(() => activity.heartbeat([...this.positions]), timing.heartbeatEvery);
    const shipping = shipWhileItRuns(this.context, this.input, over.signal).catch((error: unknown) => {
      log.warn(`the output of the job is kept at its end only: ${(error as Error).message}`);
    });
    try {
      await Promise.all(this.input.nodes.map((node, index) => this.follow(node, index)));
      await this.telling;
    } finally {
      clearTimeout(lease);
      end();
      await shipping;
      clearInterval(heartbeat);
      cancelled.removeEventListener('abort', end);
    }
    if (cancelled.aborted) await activity.cancelled;
  }

  /** Follows one node until told to end: again and again, whatever happens to the connection. */
  private async follow(info: NodeInfo, index: number): Promise<void> {
    const over = this.over.signal;
    const { timing, cluster } = this.input;
    let pauseMs = timing.retryFirst;
    while (!over.aborted && !this.gone.has(index)) {
      try {
        const node = await this.context.pool.node(nodeAddress(this.context.secret, cluster, info), over);
        this.sessions[index] = (await node.stats()).sessions;
        this.silent.delete(index);
        this.known.add(index);
        this.report();
        pauseMs = timing.retryFirst;
        await this.listen(node, index);
      } catch (error) {
        if (over.aborted) return;
        await this.contactLost(info, index, error);
      }
      await delay(pauseMs, over);
      pauseMs = Math.min(pauseMs * 2, timing.retryMax, timing.unreachableAfter);
    }
    await delay(Number.POSITIVE_INFINITY, over);
  }

  /** Handles events as they come; a lost contact ends it with an error. */
  private async listen(node: Node, index: number): Promise<void> {
    const over = this.over.signal;
    const round = new AbortController();
    const end = (): void => round.abort();
    over.addEventListener('abort', end, { once: true });
    let failed: unknown;
    const contact = async (): Promise<void> => {
      while (!round.signal.aborted) {
        await node.contact();
        await delay(this.input.timing.contactEvery, round.signal);
      }
    };
    const contacts = contact().catch((error: unknown) => {
      failed = error;
      end();
    });
    try {
      for await (const event of node.events(this.positions[index] ?? 0, round.signal)) {
        await this.handle(event, index);
        this.positions[index] = event.seq;
      }
    } finally {
      end();
      over.removeEventListener('abort', end);
      await contacts;
    }
    if (failed !== undefined) throw failed;
  }

  private async handle(event: AgentEvent, index: number): Promise<void> {
    switch (event.type) {
      case 'exited': {
        const lag = metricMeter.createHistogram(meterName(METRICS.watchLag), 'float', 'seconds', METRICS.watchLag.help);
        const { jobKey, phase, rank, exitCode, lost, interrupted, endedAt, owner, output } = event.process;
        const ended: RankEnded = {
          jobKey,
          phase,
          rank,
          exitCode: exitCode ?? 137,
          lost,
          ...(interrupted == null ? {} : { interrupted: interrupted * 1_000 }),
          endedAt: Math.round((endedAt ?? 0) * 1_000),
          ...(output === undefined ? {} : { output }),
        };
        if (endedAt !== null) lag.record(Math.max(0, Date.now() / 1_000 - endedAt));
        crashPoint('watchNodes.exit');
        await this.signal(owner, JOB_SIGNALS.rankEnded, ended, this.over.signal);
        crashPoint('watchNodes.told');
        return;
      }
      case 'sessions':
        this.sessions[index] = event.count;
        this.report();
        return;
      case 'notice':
        // Before this event counts as read: it is not said again.
        await this.tellNotice({ rank: this.input.nodes[index]?.rank ?? 0, kind: event.kind, at: event.at * 1_000 });
        return;
      case 'progress':
        await this.tellProgress({ jobKey: event.jobKey, line: event.line });
        return;
      case 'power-off':
        // The machine says so itself; what became of it is for the cloud to say.
        return;
    }
  }

  private async tellNotice(notice: MachineNotice): Promise<void> {
    await this.tellCluster({ notices: [notice] });
  }

  /** Nobody else asks for it. */
  private async tellProgress(progress: JobProgressed): Promise<void> {
    if (this.input.owned === true) await this.tellCluster({ progress });
  }

  private async tellCluster(what: Pick<Observed, 'notices' | 'progress'>): Promise<void> {
    const { cluster, child } = this.input;
    const { generation, workflowId } = cluster;
    const observed: Observed = { generation, child, at: Date.now(), ...what };
    await this.signal(workflowId, SIGNALS.observed, observed);
  }

  /** Nothing is concluded from one failed contact: after a while it is shown, and the cloud is asked. */
  private async contactLost(info: NodeInfo, index: number, error: unknown): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error);
    const { unreachableAfter } = this.input.timing;
    const { since, absence } = this.silent.get(index) ?? { since: Date.now(), absence: new Absence(unreachableAfter) };
    this.silent.set(index, { since, reason, absence });
    await this.askCloud(info, index, absence).catch(() => undefined);
    if (this.gone.has(index) || Date.now() - since >= unreachableAfter) this.known.add(index);
    this.report();
  }

  private async askCloud(info: NodeInfo, index: number, absence: Absence): Promise<void> {
    const placement =
      placementOf([this.input.placement, ...(this.input.added ?? [])], info.rank) ?? this.input.placement;
    const cloud = await this.context.cloud(placement.cloud);
    const [instance] = await cloud.list(placement, { ids: [info.instanceId] });
    const isUnknown = absence.believed(instance === undefined);
    if (instance === undefined) {
      if (!isUnknown) return;
      this.gone.set(index, { rank: info.rank, state: 'terminated', reason: 'the cloud does not know it any more' });
    } else if (instance.state === 'stopped' || instance.state === 'terminated') {
      this.gone.set(index, { rank: info.rank, state: instance.state, reason: instance.stateReason ?? instance.state });
    }
  }

  /** Tells the cluster what is different from what it was told last. */
  private report(): void {
    if (this.known.size < this.input.nodes.length) return;
    const { generation, workflowId } = this.input.cluster;
    const now = Date.now();
    const sessions = this.sessions.reduce((sum, count) => sum + count, 0);
    const unreachable = this.input.nodes.flatMap(({ rank }, index) => {
      const silent = this.silent.get(index);
      if (silent === undefined || this.gone.has(index)) return [];
      return now - silent.since < this.input.timing.unreachableAfter ? [] : [{ rank, reason: silent.reason }];
    });
    const gone = [...this.gone.values()];
    const same =
      sessions === this.told.sessions &&
      JSON.stringify(unreachable) === this.told.unreachable &&
      gone.length === this.told.gone;
    if (same) return;
    const fresh = gone.length > Math.max(this.told.gone, 0);
    this.told = { sessions, unreachable: JSON.stringify(unreachable), gone: gone.length };
    const observed: Observed = { generation, child: this.input.child, at: now, sessions, unreachable, gone };
    this.telling = this.telling.then(async () => {
      const ended = fresh ? await this.endedOn(gone) : [];
      await this.signal(workflowId, SIGNALS.observed, ended.length === 0 ? observed : { ...observed, ended });
    });
  }

  private endedOn(gone: readonly Gone[]): Promise<JobChanged[]> {
    return endedWell(this.context, this.input, new Set(gone.map(({ rank }) => rank)), this.over.signal);
  }

  /** Delivered or, when the workflow has closed, not needed. Repeated while the server is away. */
  private async signal(workflowId: string, name: string, payload: unknown, over?: AbortSignal): Promise<void> {
    const { timing } = this.input;
    for (let pauseMs = timing.retryFirst; ; pauseMs = Math.min(pauseMs * 2, timing.retryMax)) {
      try {
        await this.context.client.workflow.getHandle(workflowId).signal(name, payload);
        return;
      } catch (error) {
        if (error instanceof Error && error.name === 'WorkflowNotFoundError') return;
        if (over?.aborted === true) throw error;
        await delay(pauseMs, over);
      }
    }
  }
}
