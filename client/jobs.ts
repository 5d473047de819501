/** Managed jobs: submitted, listed, looked at, waited for and cancelled. A submission is carried out once, however often it is sent. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowExecutionInfo } from '@temporalio/client';
import { MEMO_KEY, QUERIES, SEARCH } from '../model/commands.ts';
import { foreignReason } from '../model/envelope.ts';
import { StyxError } from '../model/errors.ts';
import { type QueueView, queueId } from '../model/job-queue.ts';
import { DEFAULT_RECOVERY, type RecoveryPolicy } from '../model/job-recovery.ts';
import {
  type CancelJobAnswer,
  isManagedEnd,
  JOB_KIND,
  type JobLimits,
  MANAGED_JOB_WORKFLOW,
  MANAGED_UPDATES,
  type ManagedJobInput,
  type ManagedJobMemo,
  type ManagedJobView,
  type ManagedStatus,
  managedJobId,
  requestIdProblem,
} from '../model/managed-job.ts';
import { newManagedJob } from '../model/managed-job-transition.ts';
import { managedJobMemo } from '../model/managed-job-view.ts';
import { PIPELINE_KIND, taskOf } from '../model/pipeline.ts';
import type { PipelineMemo } from '../model/pipeline-view.ts';
import type { WrittenTask } from '../model/task.ts';
import { manifestsOf } from '../model/task-files.ts';
import type { Timing } from '../model/timing.ts';
import { closeSecrets } from '../system/secret-box.ts';
import { onAllowedClouds } from './clouds.ts';
import type { CommandOptions } from './clusters.ts';
import { untilDecided } from './decided.ts';
import { isNotFound, isUnanswered, toStyxError } from './errors.ts';
import type { Link } from './link.ts';
import { didYouMean } from './names.ts';
import { repeat } from './repeat.ts';
import { withSnapshots } from './snapshots.ts';
import { commonInput, submit } from './submit.ts';

export interface JobRequest {
  readonly task: WrittenTask;
  /** For people; see `resourcesText` of model. */
  readonly resourcesText: string;
  /** Default: EAGER_NEXT_REGION, and no restarts on errors. */
  readonly recovery?: RecoveryPolicy;
}

/** A job as lists know it. */
export interface JobSummary extends ManagedJobMemo, Partial<Pick<PipelineMemo, 'tasks' | 'primary'>> {
  /** Its workflow. */
  readonly id: string;
  readonly workspace: string;
}

export interface JobListOptions {
  /** Only those that have not ended. Default false. */
  readonly skipFinished?: boolean;
  readonly statuses?: readonly ManagedStatus[];
  readonly user?: string;
  /** The newest; default: all. */
  readonly limit?: number;
}

export interface JobsContext {
  readonly link: Link;
  readonly workspace: string;
  readonly user: string;
  readonly timing: Timing;
  readonly home: string;
  readonly allowedClouds?: readonly string[] | null;
  readonly installConda?: boolean;
  /** ms; default five minutes. */
  readonly fenceAfter?: number;
  readonly limits?: JobLimits;
}

const LOOK_MS = 120_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
const BACKOFF = 1.15;

export class Jobs {
  readonly #context: JobsContext;

  constructor(context: JobsContext) {
    this.#context = context;
  }

  get workspace(): string {
    return this.#context.workspace;
  }

  /**
   * Submits a job with its files and secrets as they are now; answers its id, under which it is durable. Its number follows (`view`).
   * @throws invalid, transient
   */
  async launch(request: JobRequest, options: CommandOptions = {}): Promise<{ id: string }> {
    const { link, home, allowedClouds = null } = this.#context;
    const common = await commonInput(this.#context, options);
    const allowed = await onAllowedClouds(request.task, allowedClouds);
    const written = await withSnapshots(home, () => link.installation(), allowed, 'launch', options);
    const input: ManagedJobInput = {
      ...common,
      task: { ...written, secrets: closeSecrets(link.keyring, written.secrets) },
      resourcesText: request.resourcesText,
      recovery: request.recovery ?? DEFAULT_RECOVERY,
    };
    return await this.send(input, options);
  }

  /** Submits what is complete. @throws transient */
  async send(input: ManagedJobInput, options: CommandOptions): Promise<{ id: string }> {
    const { link, workspace, user } = this.#context;
    const id = managedJobId(workspace, input.requestId);
    const submission = {
      type: MANAGED_JOB_WORKFLOW,
      id,
      input,
      memo: managedJobMemo(input, newManagedJob(input.submittedAt, input), input.submittedAt),
      kind: JOB_KIND,
      workspace,
      user,
      name: input.task.name,
      manifests: manifestsOf(input.task),
      summary: `Managed job ${input.task.name ?? ''}`.trim(),
    };
    await submit(link, submission, options);
    return { id };
  }

  /** The workflow of a job that is given by its number, its name (of several the newest), or its id. @throws not-found */
  async find(job: number | string): Promise<string> {
    const text = String(job);
    if (text.startsWith('job/')) return text;
    const isNumber = /^\d+$/.test(text);
    const found = await this.#list(
      isNumber ? `${SEARCH.number} = ${text}` : `${SEARCH.name} = '${text.replaceAll("'", "''")}'`,
    );
    const [newest] = found.flatMap((info) => whole(info) ?? []).toSorted((x, y) => y.submittedAt - x.submittedAt);
    if (newest !== undefined) return newest.id;
    if (!isNumber && requestIdProblem(text) === null) {
      const id = managedJobId(this.workspace, text);
      if ((await this.summary(id)) !== null) return id;
    }
    const names = isNumber ? [] : (await this.list()).flatMap(({ name }) => name ?? []);
    throw new StyxError('not-found', `There is no managed job ${isNumber ? text : `'${text}'`}`, {
      hint: didYouMean(text, [...new Set(names)]) ?? 'Run `styx jobs queue` to see those that there are.',
    });
  }

  /** All that is known of a job, from its workflow; of one that ended too, while the server keeps it. @throws not-found, transient */
  async view(id: string, options: { budget?: number } = {}): Promise<ManagedJobView> {
    return await repeat(
      (deadline) =>
        this.#context.link.call(deadline, (workflow) => workflow.getHandle(id).query<ManagedJobView, []>(QUERIES.view)),
      { budget: LOOK_MS, ...options, alsoRepeat: isUnanswered },
    );
  }

  /** Its number, once the queue gave it one. @throws not-found, transient when none comes */
  async number(id: string): Promise<number> {
    const deadline = Date.now() + LOOK_MS;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * BACKOFF, LONGEST_PAUSE_MS)) {
      const summary = await this.summary(id);
      if (summary === null) throw new StyxError('not-found', `There is no managed job '${id}'`);
      if (summary.number !== null) return summary.number;
      if (Date.now() + pause >= deadline) {
        throw new StyxError('transient', 'the job is submitted, and the queue gave it no number yet', {
          hint: `No worker may be running: see \`styx server status\`. The job's id is ${id}.`,
        });
      }
      await sleep(pause);
    }
  }

  /** Looks until `decide` answers something else than undefined. */
  async until<T>(
    id: string,
    decide: (view: ManagedJobView) => T | undefined,
    options: { signal?: AbortSignal; onView?: (view: ManagedJobView) => void } = {},
  ): Promise<T> {
    return await untilDecided(this.#context.link, id, (one) => this.view(one), decide, options);
  }

  /** Waits for its end; with `gone` also until its machines are gone. */
  async wait(
    id: string,
    options: { gone?: boolean; signal?: AbortSignal; onView?: (view: ManagedJobView) => void } = {},
  ): Promise<ManagedJobView> {
    const over = (view: ManagedJobView) =>
      isManagedEnd(view.status) && (options.gone !== true || (view.copy === null && view.queue === 'ended'));
    return await this.until(id, (view) => (over(view) ? view : undefined), options);
  }

  /** Its machines go, and what it wrote is kept. @throws not-found when it has ended, or never was */
  async cancel(id: string, options: CommandOptions = {}): Promise<CancelJobAnswer> {
    const requestId = options.requestId ?? randomUUID();
    const payload = { requestId, user: this.#context.user };
    const send = (deadline: number) =>
      this.#context.link.call(deadline, (workflow) =>
        workflow.getHandle(id).executeUpdate<CancelJobAnswer, [typeof payload]>(MANAGED_UPDATES.cancel, {
          args: [payload],
          updateId: requestId,
        }),
      );
    try {
      return await repeat(send, options);
    } catch (error) {
      const failure = toStyxError(error);
      if (failure.kind !== 'not-found' || !isNotFound(failure.cause ?? error)) throw failure;
      const ended = await this.summary(id);
      if (ended === null) throw failure;
      return { status: ended.status, note: `It is ${ended.status} already.` };
    }
  }

  /** What a list shows of one job, without a worker; null when there is none. */
  async summary(id: string): Promise<JobSummary | null> {
    try {
      return summaryOf(await this.#context.link.read((workflow) => workflow.getHandle(id).describe()));
    } catch (error) {
      const failure = toStyxError(error);
      if (failure.kind === 'not-found') return null;
      throw failure;
    }
  }

  /** The newest first, without a worker; ended ones too while the server keeps them. */
  async list(options: JobListOptions = {}): Promise<JobSummary[]> {
    const { skipFinished = false, statuses = [], user, limit = Number.POSITIVE_INFINITY } = options;
    const parts = [
      ...(statuses.length === 0 ? [] : [`${SEARCH.status} IN (${statuses.map((status) => `'${status}'`).join(', ')})`]),
      ...(user === undefined ? [] : [`${SEARCH.user} = '${user.replaceAll("'", "''")}'`]),
    ];
    const found = (await this.#list(...parts)).flatMap((info) => whole(info) ?? []);
    return found
      .filter(({ status }) => !skipFinished || !isManagedEnd(status))
      .toSorted((a, b) => b.submittedAt - a.submittedAt || (b.number ?? 0) - (a.number ?? 0))
      .slice(0, limit);
  }

  /** Who waits for whom; null when nothing was ever submitted here. @throws transient without a worker */
  async queue(): Promise<QueueView | null> {
    const id = queueId(this.workspace);
    try {
      return await repeat(
        (deadline) =>
          this.#context.link.call(deadline, (workflow) => workflow.getHandle(id).query<QueueView, []>(QUERIES.view)),
        { budget: 5_000, alsoRepeat: isUnanswered },
      );
    } catch (error) {
      const failure = toStyxError(error);
      if (failure.kind === 'not-found') return null;
      throw failure;
    }
  }

  async #list(...conditions: string[]): Promise<WorkflowExecutionInfo[]> {
    const kinds = `${SEARCH.kind} IN ('${JOB_KIND}', '${PIPELINE_KIND}')`;
    const query = [kinds, `${SEARCH.workspace} = '${this.workspace}'`, ...conditions].join(' AND ');
    return await this.#context.link.read(async (workflow) => {
      const found: WorkflowExecutionInfo[] = [];
      for await (const info of workflow.list({ query, pageSize: 1_000 })) {
        if (info.status.name !== 'CONTINUED_AS_NEW') found.push(info);
      }
      return found;
    });
  }
}

/** Of a job by itself, or of a pipeline: not of a task of one. */
function whole(info: Pick<WorkflowExecutionInfo, 'workflowId' | 'memo'>): JobSummary | null {
  return taskOf(info.workflowId) === null ? summaryOf(info) : null;
}

export function summaryOf(info: Pick<WorkflowExecutionInfo, 'workflowId' | 'memo'>): JobSummary | null {
  const memo = info.memo?.[MEMO_KEY] as ManagedJobMemo | undefined;
  const [kind, workspace] = info.workflowId.split('/');
  if (kind !== 'job' || workspace === undefined) return null;
  if (memo === undefined || memo === null || foreignReason(memo) !== null) return null;
  return { ...memo, id: info.workflowId, workspace };
}
