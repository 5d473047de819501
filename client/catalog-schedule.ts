/** When catalogues are updated by themselves: a schedule of Temporal's, one an installation. */
import {
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type ScheduleSpec,
} from '@temporalio/client';
import {
  CATALOG_UPDATE_ID,
  CATALOG_UPDATE_SCHEDULE,
  CATALOG_UPDATE_WORKFLOW,
  type CatalogUpdateInput,
  type PricesUpdated,
} from '../model/catalog-update.ts';
import { envelope } from '../model/envelope.ts';
import { StyxError } from '../model/errors.ts';
import { CHILD_QUEUE } from '../model/queues.ts';
import type { Timing } from '../model/timing.ts';
import type { Link } from './link.ts';

export type CatalogTimes =
  /** Seconds. */
  | { readonly every: number }
  /** Five fields, in UTC: `0 4 * * *`. */
  | { readonly cron: string };

export interface CatalogScheduleView {
  readonly times: CatalogTimes;
  /** Milliseconds since the epoch, the soonest first. */
  readonly next: readonly number[];
  readonly last: {
    readonly workflowId: string;
    /** Milliseconds since the epoch. */
    readonly at: number;
    /** null while it runs, or when it came to no end of its own. */
    readonly clouds: readonly PricesUpdated[] | null;
    readonly status: string;
  } | null;
}

/** More often only tells clouds that we are there. */
const LEAST_SECONDS = 600;
const NEXT_SHOWN = 3;
/** A run that was due while no server was there is made up for within this. */
const CATCH_UP_MS = 24 * 3_600_000;

export class CatalogSchedule {
  readonly #link: Link;
  readonly #timing: Timing;

  constructor(link: Link, timing: Timing) {
    this.#link = link;
    this.#timing = timing;
  }

  /** In place of the one that there is. An update that is due while another one runs is left out. @throws invalid */
  async set(times: CatalogTimes, clouds: readonly string[] = []): Promise<void> {
    const spec = specOf(times);
    const { heartbeatEvery, heartbeatTimeout, retryFirst, retryMax, stepTimeout } = this.#timing;
    const timing = { heartbeatEvery, heartbeatTimeout, retryFirst, retryMax, stepTimeout };
    const input: CatalogUpdateInput = { version: 1, clouds, timing };
    await this.#link.schedules(async (schedules, strict) => {
      const action = {
        type: 'startWorkflow',
        workflowType: CATALOG_UPDATE_WORKFLOW,
        workflowId: CATALOG_UPDATE_ID,
        taskQueue: CHILD_QUEUE,
        // What clients put around the starts that they make themselves.
        args: [envelope('start', CATALOG_UPDATE_WORKFLOW, [input], { strict })],
      } as const;
      const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCH_UP_MS };
      const memo = { times };
      try {
        await schedules.create({ scheduleId: CATALOG_UPDATE_SCHEDULE, spec, action, policies, memo });
      } catch (error) {
        if (!(error instanceof ScheduleAlreadyRunning)) throw error;
        // A memo cannot be changed, and what was begun goes on without its schedule.
        await schedules.getHandle(CATALOG_UPDATE_SCHEDULE).delete();
        await schedules.create({ scheduleId: CATALOG_UPDATE_SCHEDULE, spec, action, policies, memo });
      }
    });
  }

  /** Answers whether there was one. Updates that run go on. */
  async off(): Promise<boolean> {
    return await this.#link.schedules(async (schedules) => {
      try {
        await schedules.getHandle(CATALOG_UPDATE_SCHEDULE).delete();
        return true;
      } catch (error) {
        if (error instanceof ScheduleNotFoundError) return false;
        throw error;
      }
    });
  }

  /** One update now, unless one runs. @throws not-found without a schedule */
  async trigger(): Promise<void> {
    await this.#link.schedules((schedules) =>
      schedules.getHandle(CATALOG_UPDATE_SCHEDULE).trigger(ScheduleOverlapPolicy.SKIP),
    );
  }

  /** null: there is none. */
  async view(): Promise<CatalogScheduleView | null> {
    const found = await this.#link.schedules(async (schedules) => {
      try {
        return await schedules.getHandle(CATALOG_UPDATE_SCHEDULE).describe();
      } catch (error) {
        if (error instanceof ScheduleNotFoundError) return null;
        throw error;
      }
    });
    if (found === null) return null;
    return {
      times: timesOf(found),
      next: found.info.nextActionTimes.slice(0, NEXT_SHOWN).map((time) => time.getTime()),
      last: await this.#last(found),
    };
  }

  async #last({ info }: ScheduleDescription): Promise<CatalogScheduleView['last']> {
    const last = info.recentActions.at(-1);
    if (last === undefined) return null;
    const { workflowId, firstExecutionRunId: runId } = last.action.workflow;
    const at = last.takenAt.getTime();
    return await this.#link.read(async (workflow) => {
      const handle = workflow.getHandle(workflowId, runId);
      const status = (await handle.describe()).status.name;
      const clouds = status === 'COMPLETED' ? ((await handle.result()) as PricesUpdated[]) : null;
      return { workflowId, at, status, clouds };
    });
  }
}

function specOf(times: CatalogTimes): ScheduleSpec {
  if ('cron' in times) {
    const fields = times.cron.trim().split(/\s+/);
    if (fields.length === 5 && fields.every((one) => /^[\d*,/A-Za-z-]+$/.test(one))) {
      return { cronExpressions: [fields.join(' ')] };
    }
    throw new StyxError('invalid', `${JSON.stringify(times.cron.slice(0, 100))} are no times of cron`, {
      hint: 'Five fields are: minute, hour, day of the month, month, day of the week, in UTC; such as "0 4 * * *".',
    });
  }
  if (times.every >= LEAST_SECONDS) return { intervals: [{ every: times.every * 1_000 }] };
  throw new StyxError('invalid', `catalogues cannot be updated every ${times.every} s`, {
    hint: `${LEAST_SECONDS / 60} minutes are the least; prices change less often.`,
  });
}

function timesOf({ memo, spec }: ScheduleDescription): CatalogTimes {
  const { times } = (memo ?? {}) as { times?: CatalogTimes };
  if (times !== undefined) return times;
  return { every: Math.round((spec.intervals?.[0]?.every ?? 0) / 1_000) };
}
