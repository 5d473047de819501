/** What is asked of Temporal about schedules, so that a call that is sent again does nothing twice. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleOptionsStartWorkflowAction,
} from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { msToTs } from '@temporalio/common/lib/time.js';
import type { temporal } from '@temporalio/proto';
import { type Envelope, envelope } from '../model/envelope.ts';
import { StyxError } from '../model/errors.ts';
import type { Overlap, ScheduleRules } from '../model/schedule-rules.ts';
import { zoneAndUtc } from '../model/time-zone.ts';
import type { Link } from './link.ts';
import { mapLimited } from './pool.ts';
import { POLICY_NUMBERS, policiesOf, rulesOf, specOf } from './schedule-spec.ts';

/** Its only argument is an envelope, as clients put around the starts that they make themselves. */
export type Action = Pick<
  ScheduleOptionsStartWorkflowAction<Workflow>,
  'workflowId' | 'taskQueue' | 'memo' | 'searchAttributes' | 'staticSummary'
> & { readonly workflowType: string; readonly input: { readonly [key: string]: unknown } | object };

export interface ScheduleState {
  readonly paused: boolean;
  readonly note: string;
  /** Null: no limit. */
  readonly remaining: number | null;
}

/** A schedule as the server has it. */
export interface ScheduleFound<Input> {
  readonly id: string;
  readonly rules: ScheduleRules;
  readonly state: ScheduleState;
  /** Of each of its runs. */
  readonly input: Input;
  /** ms, the soonest first. */
  readonly next: readonly number[];
  readonly createdAt: number;
  readonly counts: {
    readonly started: number;
    readonly missed: number;
    readonly skipped: number;
    readonly waiting: number;
  };
  /** Workflows, the newest last. */
  readonly recent: readonly string[];
  /** Another one with each change. */
  readonly version: string;
}

/** What came of a run that was asked for. `waiting`: it is kept until those before it have ended, or the server has not come to it. */
export type Triggered =
  | { readonly outcome: 'started'; readonly workflowId: string }
  | { readonly outcome: 'skipped' | 'waiting' };

const CALLS_AT_ONCE = 8;
const LOOK_MS = 10_000;
const LOOK_EVERY_MS = 150;
/** Of one backfill: the server has room for a thousand that wait. */
export const MOST_BACKFILLED = 500;

export class ScheduleCalls {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  /** @param isOurs does one that is there already come of this very call? @throws refused when it does not */
  async create(
    id: string,
    action: Action,
    rules: ScheduleRules,
    state: ScheduleState,
    isOurs: (input: unknown) => boolean,
  ): Promise<void> {
    try {
      await this.#link.schedules((schedules, strict) =>
        schedules.create({
          scheduleId: id,
          spec: specOf(rules),
          policies: policiesOf(rules),
          action: enclosed(action, strict),
          state: stateOf(state),
        }),
      );
    } catch (error) {
      if (!comesOf(error, ScheduleAlreadyRunning)) throw error;
      const found = await this.find(id);
      if (found !== null && isOurs(found.input)) return;
      throw new StyxError('refused', `There is a schedule '${nameOf(id)}' already`, {
        hint: 'Change it with `update`, or delete it first.',
        cause: error,
      });
    }
  }

  /** Returns when it holds. @param change answers what is to be in place of what there is. @throws not-found */
  async update<Input>(
    id: string,
    change: (found: ScheduleFound<Input>) => { action: Action; rules: ScheduleRules; state: ScheduleState },
  ): Promise<void> {
    let version = '';
    await this.#orMissing(id, () =>
      this.#link.schedules((schedules, strict) =>
        schedules.getHandle(id).update((before) => {
          const found = foundOf<Input>(before);
          version = found.version;
          const { action, rules, state } = change(found);
          return {
            spec: specOf(rules),
            policies: policiesOf(rules),
            action: enclosed(action, strict),
            state: stateOf(state),
          };
        }),
      ),
    );
    await this.#seen(id, (found) => found.version !== version);
  }

  /** Null: there is none. @throws auth for one that was made without our keys */
  async find<Input>(id: string): Promise<ScheduleFound<Input> | null> {
    try {
      return foundOf<Input>(await this.#link.schedules((schedules) => schedules.getHandle(id).describe()));
    } catch (error) {
      if (comesOf(error, ScheduleNotFoundError)) return null;
      throw error;
    }
  }

  /** @throws not-found */
  async get<Input>(id: string): Promise<ScheduleFound<Input>> {
    return (await this.find<Input>(id)) ?? (await this.#missing(id));
  }

  /** By name; what cannot be read is left out. Lists are a second behind. */
  async list<Input>(prefix: string): Promise<ScheduleFound<Input>[]> {
    const ids = await this.#ids(prefix);
    const found = await mapLimited(ids, CALLS_AT_ONCE, (id) =>
      this.find<Input>(id).catch((error: StyxError) => {
        if (error.kind === 'auth') return null;
        throw error;
      }),
    );
    return found.filter((one) => one !== null);
  }

  /** Returns when it holds. @throws not-found */
  async pause(id: string, paused: boolean, note: string): Promise<void> {
    await this.#patch(id, paused ? { pause: note || 'paused' } : { unpause: note || 'resumed' });
    await this.#seen(id, ({ state }) => state.paused === paused);
  }

  /** One run now, whatever the times say, paused or not. @param overlap in place of the schedule's. @throws not-found */
  async trigger(id: string, overlap?: Overlap): Promise<Triggered> {
    const before = await this.get(id);
    await this.#patch(id, {
      triggerImmediately: { overlapPolicy: overlap === undefined ? 0 : POLICY_NUMBERS[overlap] },
    });
    let outcome: Triggered = { outcome: 'waiting' };
    await this.#seen(id, ({ recent, counts }) => {
      const workflowId = recent.findLast((one) => !before.recent.includes(one));
      if (workflowId !== undefined) outcome = { outcome: 'started', workflowId };
      else if (counts.skipped > before.counts.skipped) outcome = { outcome: 'skipped' };
      return outcome.outcome !== 'waiting';
    });
    return outcome;
  }

  /**
   * Waits until the server has done what it was asked for, for a while. It takes what comes at the same moment in an order of its own, so that a
   * pause which follows an update too soon is undone by it.
   */
  async #seen(id: string, is: (found: ScheduleFound<unknown>) => boolean): Promise<void> {
    for (const end = Date.now() + LOOK_MS; Date.now() < end; await sleep(LOOK_EVERY_MS)) {
      if (is(await this.get(id))) return;
    }
  }

  /**
   * The times (ms) in a span at which it was due, by its rules of now; both ends are in it. @throws invalid when these are too many or
   * cannot be known
   */
  async times(id: string, from: number, to: number): Promise<number[]> {
    const { rules } = await this.get(id);
    if (rules.jitter > 0) {
      throw new StyxError('invalid', 'times that were put off at random cannot be told from others', {
        hint: 'Take the jitter away first: update with --jitter 0.',
      });
    }
    const { startTime = [] } = await this.#orMissing(id, () =>
      this.#link.schedules((schedules) =>
        schedules.workflowService.listScheduleMatchingTimes({
          namespace: this.#link.namespace,
          scheduleId: id,
          startTime: msToTs(from - 1),
          endTime: msToTs(to),
        }),
      ),
    );
    if (startTime.length <= MOST_BACKFILLED) return startTime.map(({ seconds }) => Number(seconds) * 1_000);
    throw new StyxError('invalid', `it was due more than ${MOST_BACKFILLED} times in that span`, {
      hint: `${zoneAndUtc(from, rules.zone)} to ${zoneAndUtc(to, rules.zone)} is too long: take several smaller ones.`,
    });
  }

  /** Starts the runs of these times. */
  async backfill(id: string, times: readonly number[], overlap: Overlap): Promise<void> {
    if (times.length === 0) return;
    await this.#patch(id, {
      backfillRequest: times.map((time) => ({
        startTime: msToTs(time),
        endTime: msToTs(time),
        overlapPolicy: POLICY_NUMBERS[overlap],
      })),
    });
  }

  /** What it started goes on. False: there was none. */
  async remove(id: string): Promise<boolean> {
    try {
      await this.#link.schedules((schedules) => schedules.getHandle(id).delete());
      return true;
    } catch (error) {
      if (comesOf(error, ScheduleNotFoundError)) return false;
      throw error;
    }
  }

  /** Under one request id, which the SDK's own calls change with each try. */
  async #patch(id: string, patch: temporal.api.schedule.v1.ISchedulePatch): Promise<void> {
    const requestId = randomUUID();
    const { namespace } = this.#link;
    await this.#orMissing(id, () =>
      this.#link.schedules((schedules) =>
        schedules.workflowService.patchSchedule({ namespace, scheduleId: id, requestId, patch }),
      ),
    );
  }

  async #orMissing<T>(id: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (error instanceof StyxError && (error.kind === 'not-found' || comesOf(error, ScheduleNotFoundError))) {
        return await this.#missing(id);
      }
      throw error;
    }
  }

  async #missing(id: string): Promise<never> {
    const { didYouMean } = await import('./names.ts');
    const others = await this.#ids(`${id.split('/').slice(0, 2).join('/')}/`).catch(() => []);
    throw new StyxError('not-found', `There is no schedule '${nameOf(id)}'`, {
      hint:
        didYouMean(nameOf(id), [...new Set(others.map(nameOf))]) ?? 'The command `list` shows those that there are.',
    });
  }

  async #ids(prefix: string): Promise<string[]> {
    return await this.#link.schedules(async (schedules) => {
      const ids: string[] = [];
      for await (const { scheduleId } of schedules.list()) if (scheduleId.startsWith(prefix)) ids.push(scheduleId);
      return ids.toSorted();
    });
  }
}

export function nameOf(id: string): string {
  return id.split('/')[2] ?? id;
}

function enclosed({ input, workflowType, ...action }: Action, strict: boolean) {
  return {
    ...action,
    type: 'startWorkflow',
    workflowType,
    args: [envelope('start', workflowType, [input], { strict })],
  } as const;
}

function stateOf({ paused, note, remaining }: ScheduleState) {
  return { paused, note, ...(remaining === null ? {} : { remainingActions: remaining }) };
}

function foundOf<Input>(description: ScheduleDescription): ScheduleFound<Input> {
  const { scheduleId, action, state, info, raw } = description;
  const [start] = (action.args ?? []) as [Envelope?];
  return {
    id: scheduleId,
    rules: rulesOf(description),
    state: { paused: state.paused, note: state.note ?? '', remaining: state.remainingActions ?? null },
    input: start?.args[0] as Input,
    next: info.nextActionTimes.map((time) => time.getTime()),
    createdAt: info.createdAt.getTime(),
    counts: {
      started: info.numActionsTaken,
      missed: info.numActionsMissedCatchupWindow,
      skipped: info.numActionsSkippedOverlap,
      waiting: Number(raw.info?.bufferSize ?? 0),
    },
    version: Buffer.from(raw.conflictToken ?? []).toString('hex'),
    recent: info.recentActions.map((one) => one.action.workflow.workflowId),
  };
}

/** `link` gives errors as StyxErrors, with what was thrown as their cause. */
function comesOf(error: unknown, type: object): boolean {
  for (let next: unknown = error; next instanceof Error; next = next.cause) {
    if (next.constructor === type) return true;
  }
  return false;
}
