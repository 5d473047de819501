/**
 * Several managed jobs as one, from their submission until nothing of them is left. It starts each as a child when what it depends on has
 * succeeded, and is told by their signals how they stand; one pure function turns what happens into the next state and things to do.
 */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { FILES_MEMO, MEMO_KEY, SEARCH } from '../model/commands.ts';
import { assertNever } from '../model/errors.ts';
import { type GroupNodes, groupHosts } from '../model/group-hosts.ts';
import {
  MANAGED_JOB_WORKFLOW,
  type ManagedJobAnswer,
  type ManagedJobCommand,
  type ManagedJobInput,
  managedJobId,
  pauseAnswer,
} from '../model/managed-job.ts';
import {
  PIPELINE_KIND,
  type PipelineEffect,
  type PipelineInput,
  type TaskReport,
  taskRequestId,
} from '../model/pipeline.ts';
import { parsePipelineState } from '../model/pipeline-schema.ts';
import {
  applyPipeline,
  isPipelineOver,
  newPipeline,
  outputsFor,
  type PipelineEvent,
  pipelineDueAt,
} from '../model/pipeline-transition.ts';
import { pipelineDetails, pipelineMemo, pipelineTaskIds, pipelineView } from '../model/pipeline-view.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import { manifestsOf } from '../model/task-files.ts';
import { withOutputs } from '../model/templates.ts';
import { Alarm } from './alarm.ts';
import { isHistoryFull } from './history-full.ts';
import {
  cancelManagedJob,
  cancelTaskSignal,
  groupHostsSignal,
  groupNodesSignal,
  pauseManagedJob,
  pauseTaskSignal,
  pipelineQuery,
  queueAnswerSignal,
  resumeManagedJob,
  resumeTaskSignal,
  submittedPipelineQuery,
  taskReportSignal,
} from './messages.ts';
import { tell } from './parent.ts';
import { tellJobQueue } from './queue-told.ts';
import { step } from './steps.ts';

export async function pipeline(input: PipelineInput): Promise<void> {
  await new Pipeline(input).run();
}

class Pipeline {
  private readonly input: PipelineInput;
  private readonly id = workflowInfo().workflowId;
  private readonly outbox: PipelineEffect[] = [];
  private readonly alarm = new Alarm('look again: what is due of the pipeline');
  private state;
  private changes = 0;
  private shown = { memo: '', search: '' };
  /** When its tasks are looked at, in case one was ended from outside. */
  private lookAt: number;
  private looking = false;

  constructor(input: PipelineInput) {
    this.input = input;
    this.state = input.state === undefined ? newPipeline(input) : parsePipelineState(input.state);
    this.lookAt = Date.now() + input.timing.describeOpsEvery;
  }

  async run(): Promise<void> {
    this.listen();
    if (this.input.state === undefined) this.outbox.push({ type: 'askNumber' });
    for (;;) {
      const seen = this.changes;
      this.show();
      for (let next = this.outbox.shift(); next !== undefined; next = this.outbox.shift()) await this.carryOut(next);
      this.show();
      const idle = this.outbox.length === 0 && !this.looking && allHandlersFinished();
      if (isPipelineOver(this.state) && idle) return;
      if (this.isFull() && idle) await this.continueAsNew();
      else await this.nextChange(seen);
    }
  }

  private listen(): void {
    setHandler(pipelineQuery, () => pipelineView(this.input, this.state));
    setHandler(submittedPipelineQuery, () => this.submitted());
    setHandler(queueAnswerSignal, ({ number }) => this.apply({ type: 'numbered', number }));
    setHandler(taskReportSignal, (report: TaskReport) => this.apply({ type: 'report', report }));
    setHandler(groupNodesSignal, (nodes: GroupNodes) => this.apply({ type: 'nodes', nodes }));
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

  private apply(event: PipelineEvent): void {
    const { state, effects } = applyPipeline(this.state, event, this.input, Date.now());
    this.state = state;
    this.outbox.push(...effects);
    this.changes += 1;
  }

  private async carryOut(effect: PipelineEffect): Promise<void> {
    switch (effect.type) {
      case 'askNumber':
        return await this.askNumber();
      case 'startTask':
        return await this.startTask(effect.task);
      case 'cancelTask': {
        const requestId = `pipeline-${effect.task}`;
        const reached = await tell(this.taskId(effect.task), cancelTaskSignal, { requestId, user: effect.user });
        if (!reached) this.lookAt = Date.now();
        return;
      }
      case 'pauseTask':
      case 'resumeTask': {
        const { requestId, user } = effect;
        const signal = effect.type === 'pauseTask' ? pauseTaskSignal : resumeTaskSignal;
        if (!(await tell(this.taskId(effect.task), signal, { requestId, user }))) this.lookAt = Date.now();
        return;
      }
      case 'tellHosts':
        return await this.tellHosts(effect.task);
      default:
        assertNever(effect);
    }
  }

  /** One whose job is over needs no names. */
  private async tellHosts(task: number): Promise<void> {
    const { group } = this.state;
    const nodes = group?.nodes[task];
    if (group === undefined || nodes == null) return;
    const names = this.input.tasks.map(({ name }) => name);
    await tell(nodes.job, groupHostsSignal, groupHosts(group, names, this.input.name ?? ''));
  }

  /** What is parked has a number, and no place in the queue. */
  private async askNumber(): Promise<void> {
    const { workspace, requestId: id, user, limits, timing } = this.input;
    const { number } = this.state;
    if (number !== null) return;
    const told = { id, number, priority: 0, phase: 'parked', user, hourly: 0, limits } as const;
    await tellJobQueue({ workspace, limits, timing }, told);
  }

  private taskId(task: number): string {
    return managedJobId(this.input.workspace, taskRequestId(this.input.requestId, task));
  }

  private async startTask(index: number): Promise<void> {
    const { input, state } = this;
    const it = input.tasks[index];
    const { number } = state;
    if (it === undefined || number === null) return;
    const { workspace, installation, user, limits, fenceAfter, conda, submittedAt, timing, name } = input;
    const child: ManagedJobInput = {
      version: 1,
      workspace,
      requestId: taskRequestId(input.requestId, index),
      installation,
      user,
      task: { ...it.task, envs: withOutputs(it.task.envs, outputsFor(state, input, index)) },
      resourcesText: it.resourcesText,
      recovery: it.recovery,
      ...(it.place === undefined ? {} : { place: it.place }),
      limits,
      fenceAfter,
      conda,
      submittedAt,
      timing,
      part: {
        pipeline: this.id,
        index,
        number,
        pipelineName: name,
        taskIds: pipelineTaskIds(input, number),
        group: input.execution === 'group' ? name : null,
        ...(input.hosts === true ? { hosts: true } : {}),
      },
    };
    const started = startChild<(input: ManagedJobInput) => Promise<void>>(MANAGED_JOB_WORKFLOW, {
      workflowId: this.taskId(index),
      taskQueue: CLUSTER_QUEUE,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      args: [child],
      staticSummary: `Task ${it.name} of managed job ${number}`,
    });
    await started.catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    });
  }

  /** Sleeps until there is more than was `seen`, or the alarm, and does what the alarm is for. */
  private async nextChange(seen: number): Promise<void> {
    const due = pipelineDueAt(this.state);
    this.alarm.set(due === null ? this.lookAt : Math.min(due, this.lookAt));
    await condition(() => this.changes !== seen || this.outbox.length > 0 || this.alarm.rung);
    this.alarm.rung = false;
    const now = Date.now();
    const dueNow = pipelineDueAt(this.state);
    if (dueNow !== null && now >= dueNow) this.apply({ type: 'due' });
    if (now < this.lookAt || this.outbox.length > 0) return;
    this.lookAt = now + this.input.timing.describeOpsEvery;
    // The queue may have been ended before it answered.
    if (this.state.number === null) this.outbox.push({ type: 'askNumber' });
    this.look();
  }

  private look(): void {
    const started = [...this.state.tasks.keys()].filter((index) => this.state.tasks[index]?.phase === 'started');
    if (this.looking || started.length === 0) return;
    this.looking = true;
    const byWorkflow = new Map(started.map((index) => [this.taskId(index), index]));
    step(this.input.timing, 'see that its tasks run')
      .describe({ workflowIds: [...byWorkflow.keys()] })
      .then((found) => {
        for (const [workflowId, task] of byWorkflow) {
          if (found[workflowId] !== 'running') this.apply({ type: 'taskLost', task });
        }
      })
      .catch(() => undefined)
      .finally(() => {
        this.looking = false;
        this.changes += 1;
      });
  }

  private isFull(): boolean {
    return isHistoryFull(this.input.timing);
  }

  private async continueAsNew(): Promise<void> {
    await continueAsNew<typeof pipeline>({ ...this.submitted(), state: this.state });
  }

  /** Its input as it was, whatever has happened to it since. */
  private submitted(): PipelineInput {
    const { state: _state, ...input } = this.input;
    return input;
  }

  /** Brings lists and the Web UI up to date; only what changed is written. */
  private show(): void {
    const { input, state } = this;
    const memo = pipelineMemo(input, state);
    const memoText = JSON.stringify({ ...memo, cost: 0 });
    if (memoText !== this.shown.memo) {
      const manifests = [...new Set(input.tasks.flatMap(({ task }) => manifestsOf(task)))];
      const files = this.shown.memo !== '' || manifests.length === 0 ? {} : { [FILES_MEMO]: manifests };
      this.shown.memo = memoText;
      upsertMemo({ [MEMO_KEY]: memo, ...files });
    }
    const search = {
      [SEARCH.kind]: [PIPELINE_KIND],
      [SEARCH.name]: input.name === null ? [] : [input.name],
      [SEARCH.workspace]: [input.workspace],
      [SEARCH.user]: [input.user],
      [SEARCH.status]: [state.status],
      [SEARCH.installation]: [input.installation],
      ...(state.number === null ? {} : { [SEARCH.number]: [state.number] }),
    };
    const searchText = JSON.stringify(search);
    if (searchText !== this.shown.search) {
      this.shown.search = searchText;
      upsertSearchAttributes(search);
    }
    setCurrentDetails(pipelineDetails(input, state));
  }
}
