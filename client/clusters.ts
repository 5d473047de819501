/** Clusters: commands, reads and waits. Every command is carried out once, however often it has to be sent. */

import { randomUUID } from 'node:crypto';
import { WithStartWorkflowOperation } from '@temporalio/client';
import { type Workflow, WorkflowNotFoundError } from '@temporalio/common';
import type { ClusterSpec, CommandAnswer } from '../model/cluster.ts';
import {
  CLUSTER_WORKFLOW,
  type ClusterInput,
  type ClusterView,
  type CommandKind,
  type CommandPayloads,
  QUERIES,
  SEARCH,
  UPDATES,
} from '../model/commands.ts';
import type { Budget } from '../model/cost-budget.ts';
import { StyxError } from '../model/errors.ts';
import { childWorkflowId, clusterWorkflowId, lifeOf, nameProblem } from '../model/identity.ts';
import { JOB_QUERIES } from '../model/job-messages.ts';
import type { InstanceTypeOffer } from '../model/machines.ts';
import { mapLimited } from '../model/map-limited.ts';
import { CLUSTER_QUEUE } from '../model/queues.ts';
import type { RayRequest } from '../model/ray.ts';
import type { AutostopRule, Task, WrittenTask } from '../model/task.ts';
import type { Timing } from '../model/timing.ts';
import { openSecrets } from '../system/secret-box.ts';
import { closedTask } from './closed-task.ts';
import { onAllowedClouds, onStoppable } from './clouds.ts';
import { isNotFound, isUnanswered, toStyxError } from './errors.ts';
import { type FollowedCluster, type FollowOptions, type OperationEnd, waitForJob, waitForOperation } from './follow.ts';
import { glanceAt, LOOK_MS } from './followed.ts';
import { clusterHistory, type HistoryEntry, type HistoryOptions } from './history.ts';
import type { Link } from './link.ts';
import { didYouMean, isGlob, matchesGlob } from './names.ts';
import { repeat } from './repeat.ts';
import { withSnapshots } from './snapshots.ts';
import { type ClusterSummary, parseClusterId, summaryNow, summaryOf } from './summary.ts';

export interface CommandOptions {
  /** The same id gives the same answer, however often it is sent. Default: a random UUID. */
  readonly requestId?: string;
  /** What a call is waiting for, when it takes longer than one attempt. */
  readonly onProgress?: (text: string) => void;
  /** What a user should know of what was submitted, such as files that were left out. */
  readonly onNote?: (text: string) => void;
  /** Milliseconds until a command that gets no answer fails as `transient`. Default 60,000. */
  readonly budget?: number;
}

/** Whether places that had no room are tried again. */
export interface Retries {
  /** Default false; with `retryFor` true. */
  readonly retryUntilUp?: boolean;
  /** Milliseconds for which that is done; all places are tried once more at the end of them. Default: for ever. */
  readonly retryFor?: number;
}

export interface LaunchRequest extends Retries {
  readonly name: string;
  /** The values of its secrets are closed here, and are seen by nothing between here and the node. */
  readonly task: WrittenTask;
  /** For people; see `resourcesText` of model. */
  readonly resourcesText: string;
  /** In place of the task's; null: none; undefined: the task's, and without one the cluster's as it is. */
  readonly autostop?: AutostopRule | null;
  /** Leave out the task's setup. Default false. */
  readonly noSetup?: boolean;
  /** How it was asked, for people. */
  readonly commandLine?: string;
  /**
   * Of a plan, at most 50: new machines are tried at these places in this order, at most at these prices, and nowhere else. A cluster that
   * is there already refuses it.
   */
  readonly planned?: readonly InstanceTypeOffer[];
}

/** A list asks the workflow itself for up to this many clusters; beyond, the index's word (a second old at most) is taken. */
const FRESH_UP_TO = 100;
const CALLS_AT_ONCE = 8;
const QUERY_MS = 2_000;

export interface ClustersContext {
  readonly link: Link;
  readonly workspace: string;
  readonly user: string;
  readonly timing: Timing;
  /** Clouds that launches may use; null, which is the default: all. */
  readonly allowedClouds?: readonly string[] | null;
  /** Jobs of new clusters find conda. Default false. */
  readonly installConda?: boolean;
  /** Of new clusters whose task has none. Default null: none. */
  readonly budget?: Budget | null;
  /** Data directory: what a task brings along is kept in its store. */
  readonly home: string;
}

function retriesOf({
  retryFor,
  retryUntilUp = retryFor !== undefined,
}: Retries): Pick<CommandPayloads['start'], 'retryUntilUp' | 'retryFor'> {
  return { retryUntilUp, ...(retryFor === undefined ? {} : { retryFor }) };
}

export class Clusters {
  readonly #context: ClustersContext;

  constructor(context: ClustersContext) {
    this.#context = context;
  }

  /**
   * Brings the cluster up when it is not and queues the task on it, with its files as they are now: relative paths are below the
   * current directory.
   * @throws invalid (a cloud that may not be used, too), refused (the cluster is there and does not fit), transient
   */
  async launch(request: LaunchRequest, options: CommandOptions = {}): Promise<CommandAnswer> {
    const { workspace, link } = this.#context;
    const { payload, input } = await this.launchOf(request, options);
    const workflowId = clusterWorkflowId(workspace, request.name);
    const send = (deadline: number) =>
      link.call(deadline, (workflow) =>
        workflow.executeUpdateWithStart<Workflow, CommandAnswer, [CommandPayloads['launch']]>(UPDATES.launch, {
          args: [payload],
          updateId: payload.requestId,
          startWorkflowOperation: new WithStartWorkflowOperation(CLUSTER_WORKFLOW, {
            workflowId,
            taskQueue: CLUSTER_QUEUE,
            args: [input],
            workflowIdConflictPolicy: 'USE_EXISTING',
            workflowIdReusePolicy: 'ALLOW_DUPLICATE',
            staticSummary: `Cluster ${request.name}`,
            staticDetails: `Cluster \`${request.name}\` of workspace \`${workspace}\`, asked for by ${payload.user}: ${request.resourcesText}`,
          }),
        }),
      );
    // Not found: the entity of this name ended between the two halves of the call; the next attempt starts one.
    return await repeat(send, { ...options, alsoRepeat: isNotFound });
  }

  /** What a launch sends, with its files and secrets as they are now. @throws invalid, transient */
  async launchOf(
    request: LaunchRequest,
    options: CommandOptions = {},
  ): Promise<{ payload: CommandPayloads['launch']; input: ClusterInput }> {
    const { workspace, timing, link, home, allowedClouds = null, installConda = false, budget = null } = this.#context;
    const problem = nameProblem(request.name);
    if (problem !== null) throw new StyxError('invalid', `cluster name '${request.name}' ${problem}`);
    const rule = request.autostop === undefined ? request.task.autostop : request.autostop;
    const allowed = await onStoppable(await onAllowedClouds(request.task, allowedClouds), rule);
    const task = this.#closed(await withSnapshots(home, () => link.installation(), allowed, 'launch', options));
    const spec: ClusterSpec = {
      resources: request.planned === undefined ? task.resources : { ...task.resources, planned: request.planned },
      numNodes: task.numNodes,
      resourcesText: request.resourcesText,
      ...(installConda ? { conda: true } : {}),
      ...(budget === null ? {} : { budget }),
    };
    const payload: CommandPayloads['launch'] = {
      ...this.#base(options),
      task,
      spec,
      ...retriesOf(request),
      ...(request.autostop === undefined ? {} : { autostop: request.autostop }),
      noSetup: request.noSetup ?? false,
      commandLine: request.commandLine ?? '',
    };
    const installation = await link.installation();
    return { payload, input: { version: 1, workspace, name: request.name, installation, timing } };
  }

  /** Queues the task, without its setup and file mounts but with its workdir as it is now, on a cluster that stands. */
  async exec(
    name: string,
    task: WrittenTask,
    options: CommandOptions & { commandLine?: string } = {},
  ): Promise<CommandAnswer> {
    const { commandLine = '' } = options;
    const { home, link } = this.#context;
    const submitted = this.#closed(await withSnapshots(home, () => link.installation(), task, 'exec', options));
    return await this.#command(name, 'exec', { ...this.#base(options), task: submitted, commandLine }, options);
  }

  /** Cancels the jobs with these ids; null: all that have not ended. */
  async cancel(name: string, jobs: readonly number[] | null, options: CommandOptions = {}): Promise<CommandAnswer> {
    return await this.#command(name, 'cancel', { ...this.#base(options), jobs }, options);
  }

  async stop(name: string, options: CommandOptions = {}): Promise<CommandAnswer> {
    return await this.#command(name, 'stop', this.#base(options), options);
  }

  async start(
    name: string,
    options: CommandOptions & Retries & { autostop?: AutostopRule | null } = {},
  ): Promise<CommandAnswer> {
    const { autostop } = options;
    const payload = { ...this.#base(options), ...retriesOf(options), ...(autostop === undefined ? {} : { autostop }) };
    return await this.#command(name, 'start', payload, options);
  }

  /** Ends the machines and the cluster. Always accepted while the cluster exists. */
  async down(name: string, options: CommandOptions = {}): Promise<CommandAnswer> {
    return await this.#command(name, 'down', this.#base(options), options);
  }

  /** null: no autostop. */
  async autostop(name: string, rule: AutostopRule | null, options: CommandOptions = {}): Promise<CommandAnswer> {
    return await this.#command(name, 'autostop', { ...this.#base(options), rule }, options);
  }

  /** Lets anybody reach ports of a cluster that stands, and nobody others; ranges such as `8000-8010`. @throws invalid, refused */
  async ports(
    name: string,
    { open = [], close = [] }: { open?: readonly string[]; close?: readonly string[] },
    options: CommandOptions = {},
  ): Promise<CommandAnswer> {
    return await this.#command(name, 'ports', { ...this.#base(options), open, close }, options);
  }

  /** Brings Ray up on a cluster that stands, or with null ends it there. `view` tells how it goes. @throws refused when another one is there */
  async ray(name: string, ray: RayRequest | null, options: CommandOptions = {}): Promise<CommandAnswer> {
    return await this.#command(name, 'ray', { ...this.#base(options), ray }, options);
  }

  /**
   * All that is known of a cluster, from its workflow; of one that ended too, while the server keeps it.
   * @throws not-found; transient when no worker answers in time: `summary` needs none
   */
  async view(
    name: string,
    options: { budget?: number; onProgress?: (text: string) => void } = {},
  ): Promise<ClusterView> {
    const workflowId = clusterWorkflowId(this.#context.workspace, name);
    try {
      return await repeat(
        (deadline) =>
          this.#context.link.call(deadline, (workflow) =>
            workflow.getHandle(workflowId).query<ClusterView, []>(QUERIES.view),
          ),
        { budget: QUERY_MS, ...options, alsoRepeat: isUnanswered },
      );
    } catch (error) {
      throw await this.#missing(name, error);
    }
  }

  /** Its life as its workflows' events tell it, without a worker; of one that ended too. Oldest first. @throws not-found, transient */
  async history(name: string, options: HistoryOptions = {}): Promise<HistoryEntry[]> {
    const { link, workspace } = this.#context;
    const told = await clusterHistory(link, workspace, name, options);
    if (told !== null) return told;
    throw await this.#missing(
      name,
      new WorkflowNotFoundError('no history', clusterWorkflowId(workspace, name), undefined),
    );
  }

  /** What a list shows of one running cluster, without a worker. Null when there is no such cluster. */
  async summary(name: string): Promise<ClusterSummary | null> {
    return await summaryNow(this.#context.link, clusterWorkflowId(this.#context.workspace, name));
  }

  /**
   * Running clusters, by name; those that match one of `names` (globs allowed), or all. Clusters of managed jobs are left out, unless they are
   * named without a glob or `managed` asks for them.
   */
  async list(names?: readonly string[], { managed = false }: { managed?: boolean } = {}): Promise<ClusterSummary[]> {
    const patterns = names ?? [];
    if (patterns.length > 0 && !patterns.some(isGlob)) {
      const found = await mapLimited([...new Set(patterns)], CALLS_AT_ONCE, (name) => this.summary(name));
      return sorted(found);
    }
    const wanted = (name: string) => patterns.length === 0 || patterns.some((pattern) => matchesGlob(pattern, name));
    const ids = await this.#ids();
    const matching = ids.filter(({ workflowId }) => wanted(parseClusterId(workflowId)?.name ?? ''));
    const summaries = await mapLimited(matching, CALLS_AT_ONCE, async (info, index) =>
      index < FRESH_UP_TO ? await summaryNow(this.#context.link, info.workflowId) : summaryOf(info),
    );
    // One whose workflow has a last word to say, such as to a job that waited, is over already.
    return sorted(
      summaries.filter((summary) => summary?.status !== 'TERMINATED' && (managed || summary?.owner === undefined)),
    );
  }

  /** The values of a job's secrets, to be masked in its output. @throws auth when they cannot be opened, transient */
  async secretValues(name: string, generation: string, jobId: number): Promise<string[]> {
    const clusterId = clusterWorkflowId(this.#context.workspace, name);
    const workflowId = childWorkflowId(clusterId, generation, `job-${jobId}`);
    const { link } = this.#context;
    const boxes = await repeat(
      (deadline) =>
        link.call(deadline, (workflow) =>
          workflow.getHandle(workflowId).query<Task['secrets'], []>(JOB_QUERIES.secrets),
        ),
      { budget: 30_000, alsoRepeat: isUnanswered },
    );
    return Object.values(openSecrets(link.keyring, boxes));
  }

  /** Of the first run of a job's workflow, without a worker; null when there is none. */
  async lifeOfJob(name: string, generation: string, jobId: number): Promise<string | null> {
    const workflowId = childWorkflowId(clusterWorkflowId(this.#context.workspace, name), generation, `job-${jobId}`);
    try {
      const { runId, raw } = await this.#context.link.read((workflow) => workflow.getHandle(workflowId).describe());
      return lifeOf(raw.workflowExecutionInfo?.firstRunId || runId);
    } catch (error) {
      const failure = toStyxError(error);
      if (failure.kind === 'not-found') return null;
      throw failure;
    }
  }

  /** Follows an operation that a command started until it ends. */
  async waitOperation(name: string, answer: CommandAnswer, options: FollowOptions = {}): Promise<OperationEnd> {
    return await waitForOperation(this.followed(name, options), answer, options);
  }

  /** Follows a job until it ends. @throws not-found when the cluster does not know it (any more) */
  async waitJob(name: string, jobId: number, options: FollowOptions & { generation?: string } = {}) {
    return await waitForJob(this.followed(name, options), name, jobId, options);
  }

  /** For `followUntil`. */
  followed(name: string, options: Pick<FollowOptions, 'onWait'> = {}): FollowedCluster {
    const progress = options.onWait === undefined ? {} : { onProgress: options.onWait };
    return {
      glance: () => glanceAt(this.#context.link, clusterWorkflowId(this.#context.workspace, name), progress),
      look: (budget = LOOK_MS) => this.view(name, { budget, ...progress }),
    };
  }

  #closed(task: WrittenTask): Task {
    return closedTask(this.#context.link.keyring, task);
  }

  #base(options: CommandOptions): { requestId: string; user: string } {
    return { requestId: options.requestId ?? randomUUID(), user: this.#context.user };
  }

  async #command<K extends CommandKind>(
    name: string,
    kind: K,
    payload: CommandPayloads[K],
    options: CommandOptions,
  ): Promise<CommandAnswer> {
    const workflowId = clusterWorkflowId(this.#context.workspace, name);
    const send = (deadline: number) =>
      this.#context.link.call(deadline, (workflow) =>
        workflow.getHandle(workflowId).executeUpdate<CommandAnswer, [CommandPayloads[K]]>(UPDATES[kind], {
          args: [payload],
          updateId: payload.requestId,
        }),
      );
    try {
      return await repeat(send, options);
    } catch (error) {
      throw await this.#missing(name, error);
    }
  }

  async #missing(name: string, error: unknown): Promise<StyxError> {
    const failure = toStyxError(error);
    const cause = failure.cause ?? error;
    if (failure.kind !== 'not-found' || !isNotFound(cause)) return failure;
    const others = await this.#ids()
      .then((infos) => infos.map(({ workflowId }) => parseClusterId(workflowId)?.name ?? ''))
      .catch(() => []);
    const hint = didYouMean(name, others);
    return new StyxError('not-found', `Cluster '${name}' does not exist`, {
      cause,
      ...(hint === null ? {} : { hint }),
    });
  }

  async #ids(): Promise<{ workflowId: string; memo?: Record<string, unknown> }[]> {
    // Workspace names hold no quotes (nameProblem).
    const query = `${SEARCH.kind} = 'cluster' AND ${SEARCH.workspace} = '${this.#context.workspace}' AND ExecutionStatus = 'Running'`;
    return await this.#context.link.read(async (workflow) => {
      const infos = [];
      for await (const info of workflow.list({ query, pageSize: 1_000 })) infos.push(info);
      return infos;
    });
  }
}

function sorted(summaries: readonly (ClusterSummary | null)[]): ClusterSummary[] {
  return summaries.filter((summary) => summary !== null).sort((a, b) => (a.name < b.name ? -1 : 1));
}
