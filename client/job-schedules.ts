/** Schedules that submit managed jobs. Each run is a job like any other, with the task, files and secrets that its schedule was given. */
import { randomUUID } from 'node:crypto';
import { StyxError } from '../model/errors.ts';
import { nameProblem } from '../model/identity.ts';
import { MANAGED_JOB_WORKFLOW, type ManagedJobInput } from '../model/managed-job.ts';
import type { Overlap, ScheduleRules } from '../model/schedule-rules.ts';
import { jobScheduleId, scheduledId, scheduledJobsId } from '../model/scheduled.ts';
import { zoneAndUtc } from '../model/time-zone.ts';
import type { CommandOptions } from './clusters.ts';
import type { JobSummary } from './job-lists.ts';
import { type JobRequest, type Jobs, startOf } from './jobs.ts';
import type { Link } from './link.ts';
import {
  type Action,
  ScheduleCalls,
  type ScheduleFound,
  type ScheduleState,
  type Triggered,
} from './schedule-calls.ts';

export interface JobScheduleView {
  readonly name: string;
  readonly workspace: string;
  readonly user: string;
  readonly rules: ScheduleRules;
  readonly state: ScheduleState;
  /** ms, the soonest first; empty when it is never due again. */
  readonly next: readonly number[];
  readonly createdAt: number;
  /** Of jobs; missed: too late to be made up for; skipped: another one ran; waiting: until others have ended. */
  readonly counts: ScheduleFound<unknown>['counts'];
  readonly task: Pick<ManagedJobInput['task'], 'name' | 'run' | 'numNodes' | 'priority'>;
  readonly resources: string;
}

export interface Backfilled {
  /** ms. */
  readonly started: readonly number[];
  /** Had a run already. */
  readonly had: readonly number[];
}

export class JobSchedules {
  readonly #calls: ScheduleCalls;
  readonly #jobs: Jobs;

  constructor(link: Link, jobs: Jobs) {
    this.#calls = new ScheduleCalls(link);
    this.#jobs = jobs;
  }

  /** @throws invalid; refused when there is one of this name */
  async create(
    name: string,
    request: JobRequest,
    rules: ScheduleRules,
    state: ScheduleState,
    options: CommandOptions = {},
  ): Promise<void> {
    const problem = nameProblem(name);
    if (problem !== null) throw new StyxError('invalid', `schedule name '${name}' ${problem}`);
    const made = randomUUID();
    const id = this.#id(name);
    const action = await this.#action(name, made, request, options);
    await this.#calls.create(id, action, rules, state, (input) => madeOf(input as ManagedJobInput) === made);
  }

  /** What is not given stays; jobs that run go on as they are. @throws not-found, invalid */
  async update(
    name: string,
    change: {
      readonly request?: JobRequest;
      readonly rules?: (before: ScheduleRules) => ScheduleRules;
      readonly state?: Partial<ScheduleState>;
    },
    options: CommandOptions = {},
  ): Promise<void> {
    const id = this.#id(name);
    const before = await this.#calls.get<ManagedJobInput>(id);
    change.rules?.(before.rules);
    const made = madeOf(before.input);
    const action = change.request === undefined ? null : await this.#action(name, made, change.request, options);
    await this.#calls.update<ManagedJobInput>(id, (found) => ({
      action: action ?? actionOf(found.input),
      rules: change.rules?.(found.rules) ?? found.rules,
      state: { ...found.state, ...change.state },
    }));
  }

  async list(): Promise<JobScheduleView[]> {
    return (await this.#calls.list<ManagedJobInput>(this.#id(''))).map(viewOf);
  }

  /** @throws not-found */
  async view(name: string): Promise<JobScheduleView> {
    return viewOf(await this.#calls.get<ManagedJobInput>(this.#id(name)));
  }

  /** Its jobs, the newest first; those that ended too, while the server keeps them. */
  async runs(name: string, limit: number): Promise<JobSummary[]> {
    return await this.#jobs.list({ schedule: this.#id(name), limit });
  }

  /** @throws not-found */
  async pause(name: string, paused: boolean, note = ''): Promise<void> {
    await this.#calls.pause(this.#id(name), paused, note);
  }

  /** One job now, paused or not. @param overlap in place of the schedule's. @throws not-found */
  async trigger(name: string, overlap?: Overlap): Promise<Triggered> {
    return await this.#calls.trigger(this.#id(name), overlap);
  }

  /**
   * Submits a job for each time in the span at which the schedule was due and which has none: sent again it does nothing.
   * @throws not-found, invalid
   */
  async backfill(name: string, from: number, to: number, overlap: Overlap): Promise<Backfilled> {
    const id = this.#id(name);
    const { rules, input } = await this.#calls.get<ManagedJobInput>(id);
    if (from > to) throw new StyxError('invalid', 'the end of the span is before its beginning');
    if (to > Date.now()) {
      throw new StyxError('invalid', `${zoneAndUtc(to, rules.zone)} is still to come: only the past is filled in`);
    }
    const times = await this.#calls.times(id, from, to);
    const base = scheduledJobsId(this.#jobs.workspace, madeOf(input));
    const known = new Set((await this.#jobs.list({ schedule: id })).map((job) => job.id));
    const started = times.filter((at) => !known.has(scheduledId(base, at)));
    await this.#calls.backfill(id, started, overlap);
    return { started, had: times.filter((at) => !started.includes(at)) };
  }

  /** Its jobs go on. False: there was none. */
  async remove(name: string): Promise<boolean> {
    return await this.#calls.remove(this.#id(name));
  }

  #id(name: string): string {
    return jobScheduleId(this.#jobs.workspace, name);
  }

  async #action(name: string, made: string, request: JobRequest, options: CommandOptions): Promise<Action> {
    const input = await this.#jobs.input(request, '', options);
    // Its workflow knows better; see `scheduled` of workflows/managed-job.ts.
    return actionOf({ ...input, submittedAt: 0, schedule: { name, made } });
  }
}

function madeOf(input: ManagedJobInput): string {
  return input.schedule?.made ?? '';
}

function actionOf(input: ManagedJobInput): Action {
  return {
    workflowType: MANAGED_JOB_WORKFLOW,
    workflowId: scheduledJobsId(input.workspace, madeOf(input)),
    input,
    ...startOf(input),
  };
}

function viewOf(found: ScheduleFound<ManagedJobInput>): JobScheduleView {
  const { input, rules, state, next, createdAt, counts } = found;
  const { name, run, numNodes, priority } = input.task;
  return {
    name: input.schedule?.name ?? '',
    workspace: input.workspace,
    user: input.user,
    rules,
    state,
    next,
    createdAt,
    counts,
    task: { name, run, numNodes, priority },
    resources: input.resourcesText,
  };
}
