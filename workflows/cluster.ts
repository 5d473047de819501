/**
 * A cluster, from launch to termination: the entity that is the only writer of its state. Commands come as updates that change the
 * state at once and answer; what has to be done about it is carried out by the loop, which never waits for an operation.
 */

import type { UpdateDefinition } from '@temporalio/common';
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { jsonBytes, STATE_TARGET_BYTES } from '../model/budgets.ts';
import { displayStatus } from '../model/cluster.ts';
import { budgetDueAt } from '../model/cluster-budget.ts';
import type { QueuedEffect } from '../model/cluster-effects.ts';
import { manifestsHeld } from '../model/cluster-files.ts';
import { applyGuest, dropGuest, guestReport, type Hosted } from '../model/cluster-guests.ts';
import { applyRelaunch, type RelaunchCommand } from '../model/cluster-relaunch.ts';
import { parseClusterState } from '../model/cluster-schema.ts';
import {
  claimsOf,
  clusterIdleness,
  clusterMemo,
  clusterView,
  generation,
  infraText,
  newCluster,
} from '../model/cluster-state.ts';
import {
  applyCommand,
  applyEvent,
  type ClusterEvent,
  type Command,
  commandProblem,
  explainQueue,
} from '../model/cluster-transition.ts';
import { shapeProblem } from '../model/command-shape.ts';
import {
  type ClusterInput,
  type CommandAnswer,
  type CommandKind,
  type CommandPayloads,
  MEMO_KEY,
  SEARCH,
  UPDATES,
} from '../model/commands.ts';
import { lifeOf } from '../model/identity.ts';
import { isTerminalJob } from '../model/job.ts';
import {
  type ClusterReport,
  clusterReport,
  type OwnerCommand,
  reportDigest,
  workerSize,
} from '../model/owned-cluster.ts';
import { Alarm } from './alarm.ts';
import { clusterDetails } from './cluster-details.ts';
import { EffectCarrier, jobChild, operationChild, rayChild, watchChild } from './cluster-effects.ts';
import { GuestDesk } from './cluster-guests.ts';
import { tellChanges, tellCrashed } from './cluster-telemetry.ts';
import { refuse } from './failures.ts';
import { isHistoryFull } from './history-full.ts';
import * as messages from './messages.ts';
import { tell } from './parent.ts';
import { step } from './steps.ts';
import { knowsProgress } from './told-progress.ts';

/** How long an entity must be quiet before it continues as new, unless its history is at twice the bound. */
const QUIET_MS = 500;
const QUIET = { summary: 'go on in a new run when nothing comes' };
/** Children described in one step. */
const DESCRIBED_AT_ONCE = 200;

interface RunInput extends ClusterInput {
  /** What the run before it had decided and not yet carried out. */
  readonly outbox?: readonly QueuedEffect[];
}

export async function cluster(input: RunInput): Promise<void> {
  await new ClusterEntity(input).run();
}

class ClusterEntity {
  private readonly input: RunInput;
  private readonly id = workflowInfo().workflowId;
  private state;
  private readonly outbox: QueuedEffect[];
  private readonly alarm = new Alarm('look again: autostop, budget, operations that may have crashed');
  private readonly carrier;
  private readonly guests = new GuestDesk();
  /** Counts changes, so that the loop notices those that need nothing done. */
  private changes = 0;
  private shown = { memo: '', search: '' };
  private describing = false;
  /** What the owner was told last, where there is one. */
  private told = '';
  private describeAt: number;

  constructor(input: RunInput) {
    const now = Date.now();
    this.input = input;
    this.outbox = [...(input.outbox ?? [])];
    this.carrier = new EffectCarrier(input);
    this.state =
      input.state === undefined
        ? newCluster(input, lifeOf(workflowInfo().firstExecutionRunId), now)
        : parseClusterState(input.state);
    this.describeAt = input.state === undefined ? now + input.timing.describeOpsEvery : now;
  }

  async run(): Promise<void> {
    this.listen();
    const { state, launch } = this.input;
    if (state === undefined) {
      // That of an owner, who has seen to what may be wrong with it.
      if (launch !== undefined) this.command({ kind: 'launch', payload: launch });
      if (!(await this.accepted())) return;
    }
    for (;;) {
      // First what a list shows, in the very task that answered a command.
      this.show();
      const { owner } = this.input;
      if (owner === undefined) await this.carryOut();
      else await Promise.all([this.carryOut(), this.report(), ...(owner.guests === true ? [this.tellGuests()] : [])]);
      this.show();
      if (this.over()) return;
      if (this.mustContinueAsNew()) await this.continueAsNewWhenQuiet();
      else await this.nextChange();
    }
  }

  /** The command that started this workflow comes with its first task; when it was refused there is nothing to be. */
  private async accepted(): Promise<boolean> {
    for (let turn = 0; turn < 50 && this.state.status === 'NEW'; turn++) await Promise.resolve();
    return this.state.status !== 'NEW';
  }

  private listen(): void {
    for (const kind of Object.keys(UPDATES) as CommandKind[]) this.listenTo(kind);
    setHandler(messages.viewQuery, () =>
      clusterView(this.state, {
        installation: this.input.installation,
        timing: this.input.timing,
        now: Date.now(),
        waits: explainQueue(this.state, Date.now()),
      }),
    );
    setHandler(messages.filesQuery, () => manifestsHeld(this.state, this.outbox));
    setHandler(messages.claimsQuery, () => claimsOf(this.state));
    setHandler(messages.reportQuery, (guest) =>
      guest === undefined ? this.reportNow() : guestReport(this.state, guest, Date.now()),
    );
    const { owner } = this.input;
    if (owner !== undefined) setHandler(messages.ownerCommandSignal, (command) => this.obey(command));
    if (owner?.guests === true) setHandler(messages.guestCommandSignal, (command) => this.host(applyGuest, command));
    setHandler(messages.operationEndedSignal, (event) => this.apply({ type: 'operationEnded', ...event }));
    setHandler(messages.placingSignal, (event) => this.apply({ type: 'placing', ...event }));
    setHandler(messages.progressSignal, (event) => this.apply({ type: 'progress', ...event }));
    setHandler(messages.placementFailedSignal, (event) => this.apply({ type: 'placementFailed', ...event }));
    setHandler(messages.placementGoneSignal, (event) => this.apply({ type: 'placementGone', ...event }));
    setHandler(messages.jobChangedSignal, ({ outputs, ...event }) => {
      // Nobody but an owner asks for them, and many jobs' would be much to hold.
      const kept = outputs === undefined || this.input.owner === undefined ? {} : { outputs };
      this.apply({ type: 'jobChanged', ...event, ...kept });
    });
    setHandler(messages.watchEndedSignal, (event) => this.apply({ type: 'watchEnded', ...event }));
    setHandler(messages.observedSignal, ({ progress, ...event }) => {
      const said = progress !== undefined && knowsProgress() ? { progress } : {};
      this.apply({ type: 'observed', ...event, ...said });
    });
    setHandler(messages.machinesMissingSignal, (event) => this.apply({ type: 'machinesMissing', ...event }));
    setHandler(messages.rayChangedSignal, (event) => this.apply({ type: 'rayChanged', ...event }));
    setHandler(messages.rayEndedSignal, (event) => this.apply({ type: 'rayEnded', ...event }));
  }

  /** A command of the owner's is the same as a person's, but comes as a signal: workflows send no updates. */
  private obey(told: OwnerCommand | RelaunchCommand): void {
    if (told.kind === 'relaunch') return this.host(applyRelaunch, told);
    if (told.kind === 'release') return this.apply({ type: 'released' });
    const { kind, ...payload } = told;
    const command: Command = kind === 'down' ? { kind, payload } : { kind, payload: { ...payload, jobs: null } };
    if (commandProblem(this.state, command, Date.now()) === null) this.command(command);
  }

  private host<T>(apply: (state: ClusterEntity['state'], what: T, now: number) => Hosted, what: T): void {
    const { state, effects } = apply(this.state, what, Date.now());
    this.changed(state, effects);
  }

  private async tellGuests(): Promise<void> {
    for (const guest of await this.guests.tellAll(this.state)) this.host(dropGuest, guest);
  }

  private reportNow(): ClusterReport | null {
    const { owner } = this.input;
    if (owner === undefined) return null;
    const report = clusterReport(this.state, owner.copy, generation(this.state), Date.now());
    const size = owner.guests === true ? workerSize(this.state) : null;
    return size === null ? report : { ...report, size };
  }

  private unreported(): boolean {
    const report = this.reportNow();
    return report !== null && (reportDigest(report) !== this.told || this.guests.hasNews(this.state));
  }

  /** Tells the owner how it stands, when that has changed. Nobody's cluster ends. */
  private async report(): Promise<void> {
    const { owner } = this.input;
    const report = this.reportNow();
    if (owner === undefined || report === null || reportDigest(report) === this.told) return;
    this.told = reportDigest(report);
    if (await tell(owner.workflowId, messages.clusterReportSignal, report)) return;
    this.endOrphan();
  }

  private endOrphan(): void {
    this.obey({ kind: 'down', requestId: 'owner-gone', user: this.state.user });
  }

  private listenTo<K extends CommandKind>(kind: K): void {
    const definition = messages.commandUpdates[kind] as unknown as UpdateDefinition<
      CommandAnswer,
      [CommandPayloads[K]]
    >;
    const command = (payload: CommandPayloads[K]) => ({ kind, payload }) as unknown as Command;
    setHandler(definition, (payload) => this.command(command(payload)), {
      validator: (payload) => {
        const problem = shapeProblem(payload) ?? commandProblem(this.state, command(payload), Date.now());
        if (problem !== null) throw refuse(problem);
      },
    });
  }

  private command(command: Command): CommandAnswer {
    const { state, effects, answer } = applyCommand(this.state, command, Date.now());
    this.changed(state, effects);
    return answer;
  }

  private apply(event: ClusterEvent): void {
    const { state, effects } = applyEvent(this.state, event, Date.now());
    this.changed(state, effects);
  }

  private changed(state: ClusterEntity['state'], effects: readonly QueuedEffect[]): void {
    tellChanges(this.state, state);
    this.state = state;
    this.outbox.push(...effects);
    this.changes += 1;
  }

  private async carryOut(): Promise<void> {
    if (this.outbox.length > 0) await this.carrier.carryOut(this.outbox.splice(0));
  }

  private over(): boolean {
    const { status, operation, waiting } = this.state;
    return (
      status === 'TERMINATED' &&
      operation === null &&
      waiting.length === 0 &&
      this.outbox.length === 0 &&
      allHandlersFinished() &&
      !this.unreported()
    );
  }

  /** Sleeps until a message or the alarm, and does what the alarm is for. */
  private async nextChange(): Promise<void> {
    const seen = this.changes;
    const { timing } = this.input;
    const describeAt = this.childIds().length > 0 ? this.describeAt : null;
    const { dueAt } = clusterIdleness(this.state, timing, Date.now());
    const times = [dueAt, budgetDueAt(this.state, timing), describeAt].filter((time) => time !== null);
    if (times.length > 0) this.alarm.set(Math.min(...times));
    await condition(() => this.changes !== seen || this.outbox.length > 0 || this.alarm.rung || this.unreported());
    this.alarm.rung = false;
    const now = Date.now();
    // What is still to be carried out has no workflow yet, which is not the same as having lost it.
    if (describeAt !== null && now >= describeAt && this.outbox.length === 0) this.describe();
    const due = clusterIdleness(this.state, timing, now).dueAt;
    if (due !== null && now >= due) this.apply({ type: 'autostopDue' });
    const spentAt = budgetDueAt(this.state, timing);
    if (spentAt !== null && now >= spentAt) this.apply({ type: 'budgetDue' });
  }

  private childIds(): string[] {
    const gen = generation(this.state);
    const { operation, watch, duties, jobs, ray } = this.state;
    return [
      ...(operation === null ? [] : [operationChild(this.id, gen, operation.id, operation.child)]),
      ...(watch === null ? [] : [watchChild(this.id, gen, watch.child)]),
      ...(ray?.child == null ? [] : [rayChild(this.id, gen, ray.child)]),
      ...duties.map((duty) => operationChild(this.id, gen, duty, 1)),
      ...jobs.filter((job) => !isTerminalJob(job.status)).map((job) => jobChild(this.id, gen, job.id)),
    ];
  }

  /** Looks for children that closed without their last word (terminated from outside), beside the loop. */
  private describe(): void {
    this.describeAt = Date.now() + this.input.timing.describeOpsEvery;
    const before = this.state;
    const { owner } = this.input;
    const owners = owner === undefined ? [] : [owner.workflowId];
    const workflowIds = [...owners, ...this.childIds()].slice(0, DESCRIBED_AT_ONCE);
    if (this.describing || workflowIds.length === 0) return;
    this.describing = true;
    const asked = step(this.input.timing, 'see that all operations run').describe({ workflowIds });
    asked
      .then((found) => {
        const dead = (id: string) => found[id] !== undefined && found[id] !== 'running';
        this.crashed(before, dead);
        if (owners.some(dead)) this.endOrphan();
      })
      .catch(() => undefined)
      .finally(() => {
        this.describing = false;
        this.changes += 1;
      });
  }

  /** Of what was there when it was asked about and still is, what has closed is dead. */
  private crashed(before: ClusterEntity['state'], dead: (id: string) => boolean): void {
    const gen = generation(this.state);
    if (gen !== generation(before)) return;
    const { operation, watch, duties, jobs, ray } = this.state;
    const sameOperation = operation?.id === before.operation?.id && operation?.child === before.operation?.child;
    const found = {
      operation:
        operation !== null && sameOperation && dead(operationChild(this.id, gen, operation.id, operation.child)),
      watch: watch !== null && watch.child === before.watch?.child && dead(watchChild(this.id, gen, watch.child)),
      ray: ray?.child != null && ray.child === before.ray?.child && dead(rayChild(this.id, gen, ray.child)),
      duties: duties.filter((duty) => dead(operationChild(this.id, gen, duty, 1))),
      jobs: jobs
        .filter((job) => !isTerminalJob(job.status) && dead(jobChild(this.id, gen, job.id)))
        .map((job) => job.id),
    };
    tellCrashed(found);
    this.apply({ type: 'crashed', ...found });
  }

  private mustContinueAsNew(): boolean {
    return isHistoryFull(this.input.timing);
  }

  /**
   * Operations may be open; activities and handlers may not. Returns when something came instead. At the hard bound it does not
   * wait for a quiet moment, since a busy cluster has none for hours: what is still to be carried out goes along.
   */
  private async continueAsNewWhenQuiet(): Promise<void> {
    const hard = workflowInfo().historyLength >= this.input.timing.historyEvents * 2;
    const seen = this.changes;
    if (!hard && (await condition(() => this.changes !== seen, QUIET_MS, QUIET))) return;
    if (this.describing || !allHandlersFinished()) {
      await condition(() => this.outbox.length > 0 || (!this.describing && allHandlersFinished()));
      return;
    }
    if (this.outbox.length > 0 && jsonBytes(this.outbox) > STATE_TARGET_BYTES) return;
    const { state: _state, outbox: _outbox, launch: _launch, ...input } = this.input;
    const outbox = this.outbox.length === 0 ? {} : { outbox: this.outbox };
    await continueAsNew<typeof cluster>({ ...input, state: this.state, ...outbox });
  }

  /** Brings lists and the Web UI up to date; only what changed is written. */
  private show(): void {
    const now = Date.now();
    const { state } = this;
    const { owner } = this.input;
    const memo = { ...clusterMemo(state, now), ...(owner === undefined ? {} : { owner: owner.workflowId }) };
    const memoText = JSON.stringify({ ...memo, costSoFar: 0 });
    if (memoText !== this.shown.memo) {
      this.shown.memo = memoText;
      upsertMemo({ [MEMO_KEY]: memo });
    }
    const infra = infraText(state.placement);
    const search = {
      [SEARCH.kind]: ['cluster'],
      [SEARCH.name]: [state.name],
      [SEARCH.workspace]: [state.workspace],
      [SEARCH.user]: [state.user],
      [SEARCH.status]: [displayStatus(state)],
      [SEARCH.installation]: [this.input.installation],
      [SEARCH.infra]: infra === null ? [] : [infra],
      [SEARCH.hourlyCost]: [memo.costPerHour],
      ...(owner === undefined ? {} : { [SEARCH.parent]: [owner.workflowId] }),
    };
    const searchText = JSON.stringify(search);
    if (searchText !== this.shown.search) {
      this.shown.search = searchText;
      upsertSearchAttributes(search);
    }
    setCurrentDetails(clusterDetails(state, clusterIdleness(state, this.input.timing, now).dueAt));
  }
}
