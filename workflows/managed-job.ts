/**
 * A managed job, from its submission to the end of its last machine. It waits for its turn, has one copy at a time on a cluster of its own,
 * follows it by the cluster's reports, and makes the next copy when the last one's machines are proved gone. Its loop never waits for any
 * of that: what happens comes as events, which one pure function turns into the next state and things to do.
 */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { FILES_MEMO, MEMO_KEY, SEARCH } from '../model/commands.ts';
import { type Failure, StyxError } from '../model/errors.ts';
import { recoveryProblem } from '../model/job-recovery.ts';
import {
  type Copy,
  JOB_KIND,
  type JobRules,
  type ManagedJobAnswer,
  type ManagedJobCommand,
  type ManagedJobInput,
  type ManagedJobResult,
  type ManagedJobState,
  pauseAnswer,
} from '../model/managed-job.ts';
import type { JobEffect } from '../model/managed-job-draft.ts';
import { parseManagedJobState } from '../model/managed-job-schema.ts';
import {
  applyManagedJob,
  dueAt,
  isManagedJobOver,
  type ManagedJobEvent,
  newManagedJob,
} from '../model/managed-job-transition.ts';
import {
  managedJobDetails,
  managedJobMemo,
  managedJobResult,
  managedJobView,
  taskReport,
  taskReportDigest,
} from '../model/managed-job-view.ts';
import { awaitsPool } from '../model/pooled-job.ts';
import { filesProblem, manifestsOf } from '../model/task-files.ts';
import { validateTask } from '../model/task-schema.ts';
import { asksAhead } from './ahead.ts';
import { Alarm } from './alarm.ts';
import { isHistoryFull } from './history-full.ts';
import { JobEffects } from './managed-job-effects.ts';
import { NoticeSender } from './managed-job-notices.ts';
import {
  cancelManagedJob,
  cancelTaskSignal,
  clusterReportSignal,
  managedJobQuery,
  pauseManagedJob,
  pauseTaskSignal,
  poolPlacedSignal,
  queueAnswerSignal,
  resumeManagedJob,
  resumeTaskSignal,
  submittedJobQuery,
  taskReportSignal,
} from './messages.ts';
import { tell } from './parent.ts';
import { reportHeard } from './told-progress.ts';

interface RunInput extends ManagedJobInput {
  /** What the run before it had decided and not yet carried out. */
  readonly outbox?: readonly JobEffect[];
}

export async function managedJob(input: RunInput): Promise<ManagedJobResult> {
  const job = new ManagedJob(scheduled(input));
  const { schedule } = input;
  if (schedule !== undefined) void cancelledBySchedule().then(() => job.cancel(`schedule ${schedule.name}`));
  else {
    // By the workflow whose child it is. Where messages have to be sealed nobody's word counts that is not: see interceptors.ts.
    const scope = CancellationScope.current();
    if (scope.cancellable) scope.cancelRequested.catch(() => job.cancel('the workflow that started it'));
  }
  // What cancels it must end its machines, and no step on the way there.
  return await CancellationScope.nonCancellable(() => job.run());
}

/** A schedule gives the same input to all of its jobs: what tells them apart is the server's. */
function scheduled(input: RunInput): RunInput {
  if (input.schedule === undefined || input.state !== undefined) return input;
  const { workflowId, startTime } = workflowInfo();
  return { ...input, requestId: workflowId.split('/')[2] ?? '', submittedAt: startTime.getTime() };
}

/** Settles when Temporal itself is asked to cancel this workflow, which is how a schedule does it. */
async function cancelledBySchedule(): Promise<void> {
  let scope = CancellationScope.current();
  while (scope.parent !== undefined) scope = scope.parent;
  await scope.cancelRequested.catch(() => undefined);
}

/** What stands in the way of ever carrying it out; the client has looked too. */
function refusal({ task, recovery }: ManagedJobInput): Failure | null {
  try {
    validateTask(task);
  } catch (error) {
    if (error instanceof StyxError) return error.toFailure();
    throw error;
  }
  const files = filesProblem(task);
  if (files !== null) return { kind: 'invalid', message: `The task's files are not there: ${files}.` };
  if (task.run === null) return { kind: 'invalid', message: 'A managed job needs a run script.' };
  const problem = recoveryProblem(recovery, task.resources.useSpot, task.numNodes);
  return problem === null ? null : { kind: 'invalid', message: `Its job_recovery cannot be followed: ${problem}.` };
}

/** Its input as it was, whatever has happened to it since. */
function submitted({ state: _state, outbox: _outbox, ...input }: RunInput): ManagedJobInput {
  return input;
}

class ManagedJob {
  private readonly input: RunInput;
  readonly rules: JobRules;
  private readonly effects;
  private readonly notices;
  private readonly outbox: JobEffect[];
  private readonly alarm = new Alarm('look again: what is due of the job');
  state: ManagedJobState;
  private changes = 0;
  /** What its pipeline was told last, where there is one. */
  private told = '';
  private shown = { memo: '', search: '' };
  /** When its cluster is looked at in case a report got lost. */
  private lookAt: number;

  constructor(input: RunInput) {
    this.input = input;
    const { recovery, fenceAfter, timing, task, pool, place } = input;
    const { workflowId } = workflowInfo();
    const { numNodes } = task;
    this.rules = {
      ...{ workflowId, numNodes, recovery, fenceAfter, timing },
      ...(pool === undefined ? {} : { pool }),
      ...(place === undefined ? {} : { place }),
    };
    this.state =
      input.state === undefined ? newManagedJob(input.submittedAt, input) : parseManagedJobState(input.state);
    this.outbox = [...(input.outbox ?? [])];
    this.lookAt = Date.now() + timing.describeOpsEvery;
    this.effects = new JobEffects(input, (event) => this.apply(event));
    this.notices = new NoticeSender(input, (event) => this.apply(event));
  }

  async run(): Promise<ManagedJobResult> {
    this.listen();
    if (this.input.state === undefined) this.begin();
    for (;;) {
      const seen = this.changes;
      this.show();
      await this.carryOut();
      this.show();
      this.notices.pump(this.state);
      await this.report(this.outbox.length === 0 && this.effects.idle && isManagedJobOver(this.state));
      if (this.isOver()) return managedJobResult(this.input, this.state, Date.now());
      if (this.mustContinueAsNew()) await this.continueAsNew();
      else await this.nextChange(seen);
    }
  }

  /** All that is left may be that somebody is to be told. */
  private isOver(): boolean {
    const done = this.outbox.length === 0 && this.effects.idle && this.state.notices.pending.length === 0;
    return isManagedJobOver(this.state) && done && allHandlersFinished();
  }

  cancel(user: string): void {
    this.apply({ type: 'cancel', requestId: 'temporal', user });
  }

  private begin(): void {
    this.outbox.push({ type: 'tellQueue', phase: 'waiting' });
    const failure = refusal(this.input);
    if (failure !== null) this.apply({ type: 'refused', failure });
  }

  private listen(): void {
    setHandler(managedJobQuery, () => managedJobView(this.input, this.state, Date.now()));
    setHandler(submittedJobQuery, () => submitted(this.input));
    setHandler(cancelTaskSignal, ({ requestId, user }) => this.apply({ type: 'cancel', requestId, user }));
    setHandler(pauseTaskSignal, (command) => this.apply({ type: 'pause', ...command }));
    setHandler(resumeTaskSignal, (command) => this.apply({ type: 'resume', ...command }));
    setHandler(clusterReportSignal, (report) => {
      this.lookAt = Date.now() + this.input.timing.describeOpsEvery;
      this.apply({ type: 'report', report });
    });
    setHandler(queueAnswerSignal, ({ number, admitted }) => this.apply({ type: 'queued', number, admitted }));
    setHandler(poolPlacedSignal, (word) => {
      this.lookAt = Date.now() + this.input.timing.describeOpsEvery;
      if (word.kind === 'placed') this.apply({ type: 'placed', copy: word.copy, cluster: word.cluster });
      else this.apply({ type: 'cancel', requestId: 'pool-down', user: word.user });
    });
    setHandler(pauseManagedJob, (command) => this.asked('pause', command));
    setHandler(resumeManagedJob, (command) => this.asked('resume', command));
    setHandler(cancelManagedJob, ({ requestId, user }) => {
      const before = this.state.status;
      this.apply({ type: 'cancel', requestId, user });
      const { status, cancelledBy } = this.state;
      return { status, note: cancelledBy === null ? `It is ${before} already.` : null };
    });
  }

  /** Answers what became of it, or why nothing had to be done. */
  private asked(type: 'pause' | 'resume', { requestId, user }: ManagedJobCommand): ManagedJobAnswer {
    const before = this.state;
    this.apply({ type, requestId, user });
    return pauseAnswer(type, requestId, before, this.state);
  }

  /** Tells the pipeline how its task stands, when that has changed. Nobody's task ends. */
  private async report(over: boolean): Promise<void> {
    const { part } = this.input;
    if (part === undefined) return;
    const report = taskReport(this.state, part.index, over, Date.now());
    if (taskReportDigest(report) === this.told) return;
    this.told = taskReportDigest(report);
    if (!(await tell(part.pipeline, taskReportSignal, report))) this.endOrphan();
  }

  private endOrphan(): void {
    this.apply({ type: 'cancel', requestId: 'pipeline-gone', user: 'its pipeline, which was ended from outside' });
  }

  private apply(told: ManagedJobEvent): void {
    const event =
      told.type === 'report' ? { ...told, report: reportHeard(told.report), ahead: asksAhead(told.report) } : told;
    const { state, effects } = applyManagedJob(this.state, event, this.rules, Date.now());
    this.state = state;
    this.outbox.push(...effects);
    this.changes += 1;
  }

  private async carryOut(): Promise<void> {
    for (let next = this.outbox.shift(); next !== undefined; next = this.outbox.shift()) {
      const reached = await this.effects.carryOut(next, this.state);
      // Nobody is there who would say what came of it.
      if (!reached) this.lookAt = Date.now();
    }
  }

  /** Sleeps until there is more than was `seen`, or the alarm, and does what the alarm is for. */
  private async nextChange(seen: number): Promise<void> {
    const lookAt = this.looksAfter() ? this.lookAt : null;
    const times = [dueAt(this.state, this.rules), lookAt].filter((time) => time !== null);
    if (times.length > 0) this.alarm.set(Math.min(...times));
    await condition(() => this.changes !== seen || this.outbox.length > 0 || this.alarm.rung);
    this.alarm.rung = false;
    const now = Date.now();
    const due = dueAt(this.state, this.rules);
    if (due !== null && now >= due) this.apply({ type: 'due' });
    const clusters = this.clusters();
    if (!this.looksAfter() || now < this.lookAt || this.outbox.length > 0) return;
    this.lookAt = now + this.input.timing.describeOpsEvery;
    for (const cluster of clusters) this.effects.look(cluster);
    if (awaitsPool(this)) this.outbox.push({ type: 'askPool', copy: this.state.copies + 1 });
    const { part } = this.input;
    if (part !== undefined) this.effects.lookAtPipeline(part.pipeline, () => this.endOrphan());
  }

  /** There is something that could have been ended from outside. */
  private looksAfter(): boolean {
    return this.clusters().length > 0 || awaitsPool(this) || this.input.part !== undefined;
  }

  private clusters(): Pick<Copy, 'number' | 'cluster'>[] {
    const { copy, spare, market } = this.state;
    return [copy, spare, market.probe].filter((one) => one !== null);
  }

  private mustContinueAsNew(): boolean {
    return isHistoryFull(this.input.timing) && this.effects.idle && allHandlersFinished();
  }

  private async continueAsNew(): Promise<void> {
    const { state: _state, outbox: _outbox, ...input } = this.input;
    const outbox = this.outbox.length === 0 ? {} : { outbox: this.outbox };
    await continueAsNew<typeof managedJob>({ ...input, state: this.state, ...outbox });
  }

  /** Brings lists and the Web UI up to date; only what changed is written. */
  private show(): void {
    const { input, state } = this;
    const memo = managedJobMemo(input, state, Date.now());
    const memoText = JSON.stringify({ ...memo, cost: 0 });
    if (memoText !== this.shown.memo) {
      const manifests = manifestsOf(input.task);
      const files = this.shown.memo !== '' || manifests.length === 0 ? {} : { [FILES_MEMO]: manifests };
      this.shown.memo = memoText;
      upsertMemo({ [MEMO_KEY]: memo, ...files });
    }
    const search = {
      [SEARCH.kind]: [JOB_KIND],
      [SEARCH.name]: input.task.name === null ? [] : [input.task.name],
      [SEARCH.workspace]: [input.workspace],
      [SEARCH.user]: [input.user],
      [SEARCH.status]: [state.status],
      [SEARCH.installation]: [input.installation],
      [SEARCH.infra]: memo.infra === null ? [] : [memo.infra],
      [SEARCH.priority]: [input.task.priority],
      ...(input.part === undefined ? {} : { [SEARCH.parent]: [input.part.pipeline] }),
      ...(state.number === null ? {} : { [SEARCH.number]: [state.number] }),
    };
    const searchText = JSON.stringify(search);
    if (searchText !== this.shown.search) {
      this.shown.search = searchText;
      upsertSearchAttributes(search);
    }
    setCurrentDetails(managedJobDetails(input, state));
  }
}
