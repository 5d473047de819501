/** Several managed jobs submitted as one: launched, looked at, waited for, and taken up again where they failed. */

import { FILES_MEMO, MEMO_KEY, SEARCH } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { isManagedEnd, type ManagedJobInput, managedJobId } from '../model/managed-job.ts';
import type { WrittenPipeline, WrittenPipelineTask } from '../model/parse-pipeline.ts';
import {
  PIPELINE_KIND,
  PIPELINE_QUERIES,
  PIPELINE_WORKFLOW,
  type PipelineInput,
  type PipelineView,
  type TaskView,
  taskOf,
  withDependents,
} from '../model/pipeline.ts';
import { newPipeline } from '../model/pipeline-transition.ts';
import { pipelineMemo } from '../model/pipeline-view.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import { manifestsOf } from '../model/task-files.ts';
import { homePaths } from '../system/home.ts';
import { closeSecrets } from '../system/secret-box.ts';
import { onAllowedClouds } from './clouds.ts';
import type { CommandOptions } from './clusters.ts';
import { isUnanswered } from './errors.ts';
import { followUntil, glanceAt, LOOK_MS } from './followed.ts';
import { groupHostsObstacle } from './group-hosts.ts';
import { type JobSummary, summaryOf } from './job-lists.ts';
import type { Jobs, JobsContext } from './jobs.ts';
import { didYouMean } from './names.ts';
import { placesTogether } from './places-together.ts';
import { Pools } from './pools.ts';
import { repeat } from './repeat.ts';
import { withSnapshots } from './snapshots.ts';
import { commonInput, requestIdOf, submit } from './submit.ts';

/** Ids in one query. */
const AT_ONCE = 50;

interface Waiting<V> {
  readonly signal?: AbortSignal;
  readonly onView?: (view: V) => void;
}

export class Pipelines {
  readonly #context: JobsContext;
  readonly #jobs: Jobs;

  constructor(context: JobsContext, jobs: Jobs) {
    this.#context = context;
    this.#jobs = jobs;
  }

  /**
   * Submits all tasks with their files and secrets as they are now; answers the id under which that is durable. The number follows
   * (`jobs.number`). @throws invalid, transient
   */
  async launch(request: WrittenPipeline, options: CommandOptions = {}): Promise<{ id: string }> {
    const { link, home, allowedClouds = null } = this.#context;
    const { name, execution } = request;
    const common = await commonInput(this.#context, requestIdOf(options));
    const closed = async ({ data: _, ...it }: WrittenPipelineTask) => {
      const allowed = await onAllowedClouds(it.task, allowedClouds);
      const written = await withSnapshots(home, () => link.installation(), allowed, 'launch', options);
      return { ...it, task: { ...written, secrets: closeSecrets(link.keyring, written.secrets) } };
    };
    const closedTasks = [];
    for (const task of request.tasks) closedTasks.push(await closed(task));
    const places = await placesTogether(
      closedTasks.map((it, index) => ({ ...it, data: request.tasks[index]?.data })),
      options.onNote,
    );
    const tasks = closedTasks.map((it, index) => ({ ...it, ...places[index] }));
    const input = { ...common, name, execution, tasks };
    const hosts = (await this.#hasHosts(input, request.interConnection, options)) ? { hosts: true } : {};
    return await this.#send({ ...input, ...hosts }, options);
  }

  /** @throws invalid when host names are asked for and cannot be had */
  async #hasHosts(
    input: PipelineInput,
    wanted: WrittenPipeline['interConnection'],
    { onNote }: CommandOptions,
  ): Promise<boolean> {
    if (input.execution !== 'group' || wanted === false) return false;
    const obstacle = await groupHostsObstacle(input);
    if (obstacle === null) return true;
    if (wanted === true) {
      throw new StyxError('invalid', `inter_connection: the tasks of this group cannot have host names: ${obstacle}`, {
        hint: 'Give all of them the same infra, or leave inter_connection out.',
      });
    }
    onNote?.(`The tasks of this group have no host names for each other: ${obstacle}.`);
    return false;
  }

  async #send(input: PipelineInput, options: CommandOptions): Promise<{ id: string }> {
    const { link, workspace, user } = this.#context;
    const id = managedJobId(workspace, input.requestId);
    const manifests = [...new Set(input.tasks.flatMap(({ task }) => manifestsOf(task)))];
    const start = {
      taskQueue: CLUSTER_QUEUE,
      memo: {
        [MEMO_KEY]: pipelineMemo(input, newPipeline(input)),
        ...(manifests.length === 0 ? {} : { [FILES_MEMO]: manifests }),
      },
      searchAttributes: {
        [SEARCH.kind]: [PIPELINE_KIND],
        [SEARCH.workspace]: [workspace],
        [SEARCH.user]: [user],
        [SEARCH.status]: ['PENDING'],
        ...(input.name === null ? {} : { [SEARCH.name]: [input.name] }),
      },
      staticSummary: `Managed jobs ${input.name ?? ''}`.trim(),
    };
    await submit(link, PIPELINE_WORKFLOW, id, input, start, options);
    return { id };
  }

  /** All that is known of one; of one that ended too, while the server keeps it. @throws not-found, transient */
  async view(id: string, options: { budget?: number } = {}): Promise<PipelineView> {
    return await this.#ask<PipelineView>(id, PIPELINE_QUERIES.view, options);
  }

  async #ask<V>(id: string, query: string, options: { budget?: number } = {}): Promise<V> {
    return await repeat(
      (deadline) => this.#context.link.call(deadline, (workflow) => workflow.getHandle(id).query<V, []>(query)),
      { budget: LOOK_MS, ...options, alsoRepeat: isUnanswered },
    );
  }

  /** Looks until `decide` answers something else than undefined. */
  async until<T>(
    id: string,
    decide: (view: PipelineView) => T | undefined,
    options: Waiting<PipelineView> = {},
  ): Promise<T> {
    const { signal, onView } = options;
    const told = (view: PipelineView) => {
      onView?.(view);
      return decide(view);
    };
    const glance = () => glanceAt(this.#context.link, id);
    return await followUntil({ glance, look: () => this.view(id) }, told, { signal });
  }

  /** Waits for its end; with `gone` also until nothing of it is left. */
  async wait(id: string, options: Waiting<PipelineView> & { gone?: boolean } = {}): Promise<PipelineView> {
    const ended = (view: PipelineView) => (options.gone === true ? view.over : isManagedEnd(view.status));
    return await this.until(id, (view) => (ended(view) ? view : undefined), options);
  }

  /** What lists show of the tasks of pipelines that have begun, by pipeline. */
  async tasks(ids: readonly string[]): Promise<Map<string, JobSummary[]>> {
    const found = new Map<string, JobSummary[]>();
    for (let from = 0; from < ids.length; from += AT_ONCE) {
      const quoted = ids.slice(from, from + AT_ONCE).map((id) => `'${id}'`);
      const query = `${SEARCH.kind} = 'job' AND ${SEARCH.parent} IN (${quoted.join(', ')})`;
      await this.#context.link.read(async (workflow) => {
        for await (const info of workflow.list({ query, pageSize: 1_000 })) {
          const summary = info.status.name === 'CONTINUED_AS_NEW' ? null : summaryOf(info);
          const pipeline = taskOf(info.workflowId)?.pipeline;
          if (summary !== null && pipeline !== undefined)
            found.set(pipeline, [...(found.get(pipeline) ?? []), summary]);
        }
      });
    }
    return found;
  }

  /**
   * Takes up an ended job or pipeline in a new submission: what did not succeed, `from` (a task's name or index) and all that comes after
   * these runs again; the rest is kept, with its outputs. @throws invalid, refused, not-found
   */
  async retry(id: string, options: CommandOptions & { from?: string } = {}): Promise<{ id: string }> {
    const summary = await this.#jobs.summary(id);
    if (summary === null) throw new StyxError('not-found', `There is no managed job '${id}'`);
    const { number, status } = summary;
    if (!isManagedEnd(status) || number === null) {
      throw new StyxError('refused', `managed job ${number ?? id} is ${status}: only one that has ended is retried`, {
        hint: `Wait for its end, or cancel it: styx jobs cancel ${number ?? id}`,
      });
    }
    const retryOf = { id, number };
    const common = await commonInput(this.#context, requestIdOf(options));
    if (summary.tasks === undefined) {
      if (options.from !== undefined) {
        throw new StyxError('invalid', `--from ${options.from}: managed job ${number} is one task alone`);
      }
      if (status === 'SUCCEEDED') throw nothingFailed(number, '');
      const { task, resourcesText, recovery, pool } = await this.#ask<ManagedJobInput>(id, PIPELINE_QUERIES.submission);
      await this.#renew(manifestsOf(task), number);
      if (pool !== undefined) await new Pools(this.#context).mustBe(pool);
      const placed = pool === undefined ? {} : { pool };
      return await this.#jobs.submit({ ...common, task, resourcesText, recovery, ...placed, retryOf }, options);
    }
    const before = await this.view(id);
    const again = runAgain(before, number, options.from);
    const { name, execution, tasks, hosts } = await this.#ask<PipelineInput>(id, PIPELINE_QUERIES.submission);
    const kept = before.tasks.flatMap(({ index, outputs }) => (again.has(index) ? [] : [{ task: index, outputs }]));
    const needed = tasks.filter((_, index) => again.has(index)).flatMap(({ task }) => manifestsOf(task));
    await this.#renew([...new Set(needed)], number);
    const named = hosts === true ? { hosts } : {};
    return await this.#send({ ...common, name, execution, tasks, kept, retryOf, ...named }, options);
  }

  /** Files that nothing needed since are taken out of the store some day. @throws not-found */
  async #renew(manifests: readonly string[], number: number): Promise<void> {
    if (manifests.length === 0) return;
    const { link, home } = this.#context;
    const { DirectoryStore, storeRoot } = await import('../data/index.ts');
    const store = new DirectoryStore(storeRoot(homePaths(home).store, await link.installation()));
    for (const manifest of manifests) {
      const data = await store.readManifest(manifest).catch(() => null);
      if (data !== null && (await store.findManifest(data)) !== null) continue;
      throw new StyxError('not-found', `the files of managed job ${number} are not kept any more`, {
        hint: 'Submit it again from its task file.',
      });
    }
  }
}

/** A task by its name or index. @throws not-found */
export function taskNamed({ tasks, number }: Pick<PipelineView, 'tasks' | 'number'>, wanted: string): TaskView {
  const task = tasks.find(({ name }) => name === wanted) ?? tasks.find(({ index }) => String(index) === wanted);
  if (task !== undefined) return task;
  const names = tasks.map(({ name }) => name);
  throw new StyxError('not-found', `managed job ${number ?? ''} has no task '${wanted}'`.replace('  ', ' '), {
    hint: didYouMean(wanted, names) ?? `Its tasks are ${names.join(', ')}.`,
  });
}

function nothingFailed(number: number, hint: string): StyxError {
  return new StyxError('refused', `managed job ${number} SUCCEEDED: nothing of it has to be run again`, {
    hint: hint || 'Submit it again from its task file.',
  });
}

/** Tasks that a retry runs. */
function runAgain({ tasks, execution, status }: PipelineView, number: number, from: string | undefined): Set<number> {
  if (execution === 'group') {
    if (from !== undefined) throw new StyxError('invalid', '--from: the tasks of a group run together, or not at all');
    if (status === 'SUCCEEDED') throw nothingFailed(number, '');
    return new Set(tasks.keys());
  }
  const some = tasks.filter((task) => task.status !== 'SUCCEEDED').map(({ index }) => index);
  if (from !== undefined) {
    some.push(taskNamed({ tasks, number }, from).index);
  }
  if (some.length === 0)
    throw nothingFailed(number, 'To run a task and all that comes after it again, pass --from TASK.');
  return withDependents(tasks, some);
}
