/**
 * Clusters by office hours: two schedules of Temporal's a cluster, one that brings it up and one that stops or ends it. What takes machines
 * away is made first and removed last, so that no moment has only the other.
 */
import { randomUUID } from 'node:crypto';
import { FILES_MEMO } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { nameProblem } from '../model/identity.ts';
import {
  clusterScheduleId,
  HOURS_WORKFLOW,
  type HoursCommand,
  type HoursInput,
  hoursId,
  SIDES,
  type Side,
} from '../model/office-hours.ts';
import { CHILD_QUEUE } from '../model/queues.ts';
import type { ScheduleRules } from '../model/schedule-rules.ts';
import { manifestsOf } from '../model/task-files.ts';
import type { Timing } from '../model/timing.ts';
import type { Clusters, CommandOptions, LaunchRequest } from './clusters.ts';
import type { Link } from './link.ts';
import {
  type Action,
  ScheduleCalls,
  type ScheduleFound,
  type ScheduleState,
  type Triggered,
} from './schedule-calls.ts';

/** Either may be missing, where somebody removed it by other means. */
export interface ClusterScheduleView {
  readonly cluster: string;
  readonly up: SideView | null;
  readonly down: SideView | null;
}

export interface SideView {
  readonly does: HoursCommand['kind'];
  readonly user: string;
  readonly rules: ScheduleRules;
  readonly state: ScheduleState;
  /** ms, the soonest first. */
  readonly next: readonly number[];
  readonly counts: ScheduleFound<unknown>['counts'];
}

export interface Hours {
  readonly up: ScheduleRules;
  readonly down: ScheduleRules;
  /** What the end of the hours does. */
  readonly end: 'stop' | 'down';
  /** Null: the cluster is there, and is started. */
  readonly launch: Omit<LaunchRequest, 'name'> | null;
}

export interface ClusterSchedulesContext {
  readonly link: Link;
  readonly clusters: Clusters;
  readonly workspace: string;
  readonly user: string;
  readonly timing: Timing;
}

const LIVE: ScheduleState = { paused: false, note: '', remaining: null };

export class ClusterSchedules {
  readonly #context: ClusterSchedulesContext;
  readonly #calls: ScheduleCalls;

  constructor(context: ClusterSchedulesContext) {
    this.#context = context;
    this.#calls = new ScheduleCalls(context.link);
  }

  /** @throws invalid; refused when the cluster has a schedule */
  async create(cluster: string, hours: Hours, options: CommandOptions = {}): Promise<void> {
    const problem = nameProblem(cluster);
    if (problem !== null) throw new StyxError('invalid', `cluster name '${cluster}' ${problem}`);
    if (hours.launch === null && hours.end === 'down') {
      throw new StyxError('invalid', 'a cluster that is ended cannot be started again without a task', {
        hint: 'Name a task file, or stop the cluster at the end of its hours.',
      });
    }
    const made = randomUUID();
    const up = await this.#command(cluster, hours.launch, options);
    await this.#make(cluster, 'down', { kind: hours.end }, hours.down, made);
    await this.#make(cluster, 'up', up, hours.up, made);
  }

  /** @param change what is not given stays. @throws not-found, invalid */
  async update(
    cluster: string,
    change: Partial<Record<Side, (before: ScheduleRules) => ScheduleRules>>,
  ): Promise<void> {
    // Both are looked at before one is changed.
    for (const side of SIDES) {
      const { rules } = await this.#calls.get<HoursInput>(this.#id(cluster, side));
      change[side]?.(rules);
    }
    for (const side of SIDES) {
      const rules = change[side];
      if (rules === undefined) continue;
      await this.#calls.update<HoursInput>(this.#id(cluster, side), (found) => ({
        action: actionOf(found.input),
        rules: rules(found.rules),
        state: found.state,
      }));
    }
  }

  async list(): Promise<ClusterScheduleView[]> {
    const { workspace } = this.#context;
    const found = await this.#calls.list<HoursInput>(clusterScheduleId(workspace, ''));
    const byCluster = Map.groupBy(found, ({ input }) => input.cluster);
    return [...byCluster].map(([cluster, sides]) => viewOf(cluster, sides));
  }

  /** @throws not-found */
  async view(cluster: string): Promise<ClusterScheduleView> {
    const sides = await Promise.all(SIDES.map((side) => this.#calls.find<HoursInput>(this.#id(cluster, side))));
    const found = sides.filter((side) => side !== null);
    // Says which there are.
    if (found.length === 0) await this.#calls.get(this.#id(cluster, 'up'));
    return viewOf(cluster, found);
  }

  /** @throws not-found */
  async pause(cluster: string, paused: boolean, note = ''): Promise<void> {
    for (const side of paused ? SIDES : SIDES.toReversed()) {
      await this.#calls.pause(this.#id(cluster, side), paused, note);
    }
  }

  /** Does one side now, paused or not. @throws not-found */
  async trigger(cluster: string, side: Side): Promise<Triggered> {
    return await this.#calls.trigger(this.#id(cluster, side));
  }

  /** The cluster stays as it is. False: it had none. */
  async remove(cluster: string): Promise<boolean> {
    let had = false;
    for (const side of SIDES) had = (await this.#calls.remove(this.#id(cluster, side))) || had;
    return had;
  }

  #id(cluster: string, side: Side): string {
    return clusterScheduleId(this.#context.workspace, cluster, side);
  }

  async #command(cluster: string, launch: Hours['launch'], options: CommandOptions): Promise<HoursCommand> {
    if (launch === null) return { kind: 'start' };
    const { payload, input } = await this.#context.clusters.launchOf({ ...launch, name: cluster }, options);
    const { requestId: _requestId, ...rest } = payload;
    return { kind: 'launch', payload: rest, cluster: input };
  }

  async #make(cluster: string, side: Side, command: HoursCommand, rules: ScheduleRules, made: string): Promise<void> {
    const { workspace, user, timing } = this.#context;
    const input: HoursInput = { version: 1, workspace, cluster, made, user, side, command, timing };
    const isOurs = (found: unknown) => (found as HoursInput | undefined)?.made === made;
    await this.#calls.create(this.#id(cluster, side), actionOf(input), rules, LIVE, isOurs);
  }
}

function actionOf(input: HoursInput): Action {
  const { workspace, cluster, side, command } = input;
  const manifests = command.kind === 'launch' ? manifestsOf(command.payload.task) : [];
  return {
    workflowType: HOURS_WORKFLOW,
    workflowId: hoursId(workspace, cluster, side),
    taskQueue: CHILD_QUEUE,
    input,
    staticSummary: `${command.kind} ${cluster}`,
    ...(manifests.length === 0 ? {} : { memo: { [FILES_MEMO]: manifests } }),
  };
}

function viewOf(cluster: string, sides: readonly ScheduleFound<HoursInput>[]): ClusterScheduleView {
  const one = (side: Side): SideView | null => {
    const found = sides.find(({ input }) => input.side === side);
    if (found === undefined) return null;
    const { input, rules, state, next, counts } = found;
    return { does: input.command.kind, user: input.user, rules, state, next, counts };
  };
  return { cluster, up: one('up'), down: one('down') };
}
