/** Managed jobs: submitted, listed, looked at, waited for and cancelled. A submission is carried out once, however often it is sent. */

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { FILES_MEMO, MEMO_KEY, QUERIES, SEARCH } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { type QueueView, queueId } from '../model/job-queue.ts';
import { DEFAULT_RECOVERY, type RecoveryPolicy } from '../model/job-recovery.ts';
import {
  isManagedEnd,
  JOB_KIND,
  type JobLimits,
  MANAGED_JOB_WORKFLOW,
  MANAGED_UPDATES,
  type ManagedJobAnswer,
  type ManagedJobCommand,
  type ManagedJobInput,
  type ManagedJobView,
  managedJobId,
  requestIdProblem,
} from '../model/managed-job.ts';
import { newManagedJob } from '../model/managed-job-transition.ts';
import { managedJobMemo } from '../model/managed-job-view.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import type { WrittenTask } from '../model/task.ts';
import { manifestsOf } from '../model/task-files.ts';
import type { Timing } from '../model/timing.ts';
import { closedTask } from './closed-task.ts';
import { onAllowedClouds } from './clouds.ts';
import type { CommandOptions } from './clusters.ts';
import { isNotFound, isUnanswered, toStyxError } from './errors.ts';
import { followUntil, glanceAt, LOOK_MS } from './followed.ts';
import { type ManagedHistory, managedHistory } from './history-managed.ts';
import { type JobListOptions, JobLists, type JobSummary, summaryOf } from './job-lists.ts';
import type { Link } from './link.ts';
import { didYouMean } from './names.ts';
import { Pools } from './pools.ts';
import { repeat } from './repeat.ts';
import { withSnapshots } from './snapshots.ts';
import { commonInput, requestIdOf, submit } from './submit.ts';

export interface JobRequest {
  readonly task: WrittenTask;
  /** For people; see `resourcesText` of model. */
  readonly resourcesText: string;
  /** It runs on a worker of this pool, which has to be there. */
  readonly pool?: string;
  /** Default: EAGER_NEXT_REGION, and no restarts on errors. */
  readonly recovery?: RecoveryPolicy;
}

/** Plain JSON, so that it can be the answer of an activity. */
export interface ChildJob {
  readonly type: typeof MANAGED_JOB_WORKFLOW;
  /** The workflow that starts it may end before it. */
  readonly options: ChildJobOptions & { readonly workflowId: string; readonly parentClosePolicy: 'ABANDON' };
}

interface ChildJobOptions {
  readonly taskQueue: string;
  readonly args: [ManagedJobInput];
  readonly workflowIdReusePolicy: 'REJECT_DUPLICATE';
  readonly memo: Record<string, unknown>;
  readonly searchAttributes: Record<string, string[]>;
  readonly staticSummary: string;
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

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
const BACKOFF = 1.15;

export class Jobs {
  readonly #context: JobsContext;
  readonly #lists: JobLists;

  constructor(context: JobsContext) {
    this.#context = context;
    this.#lists = new JobLists(context);
  }

  get workspace(): string {
    return this.#context.workspace;
  }

  /**
   * Submits a job with its files and secrets as they are now; answers its id, under which it is durable. Its number follows (`view`).
   * @throws invalid, transient
   */
  async launch(request: JobRequest, options: CommandOptions = {}): Promise<{ id: string }> {
    const requestId = options.requestId ?? randomUUID();
    return await this.submit(await this.input(request, requestId, options), options);
  }

  /** Of an input of `input`. @throws invalid, transient */
  async submit(input: ManagedJobInput, options: CommandOptions = {}): Promise<{ id: string }> {
    const id = managedJobId(input.workspace, input.requestId);
    await submit(this.#context.link, MANAGED_JOB_WORKFLOW, id, input, startOf(input), options);
    return { id };
  }

  /**
   * What starts the job as a child of a workflow of your own, with its files and secrets as they are now. Give a request id that stays the same when
   * this is tried again. @throws invalid
   */
  async child(request: JobRequest, options: CommandOptions & { requestId: string }): Promise<ChildJob> {
    const input = await this.input(request, options.requestId, options);
    const { id: workflowId, start } = this.#start(input);
    return {
      type: MANAGED_JOB_WORKFLOW,
      options: { workflowId, args: [input], ...start, parentClosePolicy: 'ABANDON' },
    };
  }

  #start(input: ManagedJobInput) {
    const start = { workflowIdReusePolicy: 'REJECT_DUPLICATE' as const, ...startOf(input) };
    return { id: managedJobId(input.workspace, input.requestId), start };
  }

  /** Of a workflow that carries it out, with its files and secrets as they are now. @throws invalid, not-found, transient */
  async input(request: JobRequest, requestId: string, options: CommandOptions = {}): Promise<ManagedJobInput> {
    const { link, home, allowedClouds = null } = this.#context;
    // A schedule's has none: its runs have theirs.
    if (requestId !== '') requestIdOf({ requestId });
    if (request.pool !== undefined) await new Pools(this.#context).mustBe(request.pool);
    const allowed = await onAllowedClouds(request.task, allowedClouds);
    const written = await withSnapshots(home, () => link.installation(), allowed, 'launch', options);
    return {
      ...(await commonInput(this.#context, requestId)),
      task: closedTask(link.keyring, written),
      resourcesText: request.resourcesText,
      ...(request.pool === undefined ? {} : { pool: request.pool }),
      recovery: request.recovery ?? DEFAULT_RECOVERY,
    };
  }

  /** The workflow of a job that is given by its number, its name (of several the newest), or its id. @throws not-found */
  async find(job: number | string): Promise<string> {
    const text = String(job);
    if (text.startsWith('job/')) return text;
    const isNumber = /^\d+$/.test(text);
    const found = await this.#lists.where(
      isNumber ? `${SEARCH.number} = ${text}` : `${SEARCH.name} = '${text.replaceAll("'", "''")}'`,
    );
    const [newest] = found.toSorted((x, y) => y.submittedAt - x.submittedAt);
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
    { signal, onView }: { signal?: AbortSignal; onView?: (view: ManagedJobView) => void } = {},
  ): Promise<T> {
    const glance = () => glanceAt(this.#context.link, id);
    const told = (view: ManagedJobView) => {
      onView?.(view);
      return decide(view);
    };
    return await followUntil({ glance, look: () => this.view(id) }, told, { signal });
  }

  /** Waits for its end; with `gone` also until its machines are gone. */
  async wait(
    id: string,
    options: { gone?: boolean; signal?: AbortSignal; onView?: (view: ManagedJobView) => void } = {},
  ): Promise<ManagedJobView> {
    const over = (view: ManagedJobView) =>
      isManagedEnd(view.status) &&
      (options.gone !== true || (view.copy === null && view.spare == null && view.queue === 'ended'));
    return await this.until(id, (view) => (over(view) ? view : undefined), options);
  }

  /** Its machines go, and what it wrote is kept. @throws not-found when there never was such a job */
  async cancel(id: string, options: CommandOptions = {}): Promise<ManagedJobAnswer> {
    return await this.#command('cancel', id, options);
  }

  /** Its machines go, what it wrote is kept, and it waits for `resume`. @throws as cancel */
  async pause(id: string, options: CommandOptions = {}): Promise<ManagedJobAnswer> {
    return await this.#command('pause', id, options);
  }

  /** It waits for its turn again, and its next try has the same task id. @throws as cancel */
  async resume(id: string, options: CommandOptions = {}): Promise<ManagedJobAnswer> {
    return await this.#command('resume', id, options);
  }

  async #command(kind: keyof typeof MANAGED_UPDATES, id: string, options: CommandOptions): Promise<ManagedJobAnswer> {
    const requestId = options.requestId ?? randomUUID();
    const payload: ManagedJobCommand = { requestId, user: this.#context.user };
    const send = (deadline: number) =>
      this.#context.link.call(deadline, (workflow) =>
        workflow.getHandle(id).executeUpdate<ManagedJobAnswer, [ManagedJobCommand]>(MANAGED_UPDATES[kind], {
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

  /** The newest first, by number and without a worker; ended ones too while the server keeps them. */
  async list(options: JobListOptions = {}): Promise<JobSummary[]> {
    return await this.#lists.list(options);
  }

  /** Its life, from events of its workflow and of its clusters; without a worker. @throws not-found, transient */
  async history(id: string): Promise<ManagedHistory> {
    const told = await managedHistory(this.#context.link, id);
    if (told === null) throw new StyxError('not-found', `The server keeps nothing of the managed job '${id}'`);
    return told;
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
}

/** What its start says besides, so that a list shows it before a worker has seen it. */
export function startOf(input: ManagedJobInput) {
  const { workspace, user, task, submittedAt } = input;
  const manifests = manifestsOf(task);
  return {
    taskQueue: CLUSTER_QUEUE,
    memo: {
      [MEMO_KEY]: managedJobMemo(input, newManagedJob(submittedAt, input), submittedAt),
      ...(manifests.length === 0 ? {} : { [FILES_MEMO]: manifests }),
    },
    searchAttributes: {
      [SEARCH.kind]: [JOB_KIND],
      [SEARCH.workspace]: [workspace],
      [SEARCH.user]: [user],
      [SEARCH.status]: ['PENDING'],
      ...(task.name === null ? {} : { [SEARCH.name]: [task.name] }),
    },
    staticSummary: `Managed job ${task.name ?? ''}`.trim(),
  };
}
