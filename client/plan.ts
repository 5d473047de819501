/** Plans of launches: made of what the clouds offer as seen from here, and held against it again before they are carried out. */
import { LAUNCH_OFFERS } from '../model/budgets.ts';
import { StyxError } from '../model/errors.ts';
import { type LaunchPlan, PLAN_VERSION, plannedTask, sealedPlan, taskDifferences } from '../model/launch-plan.ts';
import type { InstanceTypeOffer } from '../model/machines.ts';
import { additionsTo, changesOf, type OfferChange } from '../model/planned-offers.ts';
import type { AutostopRule, WrittenTask } from '../model/task.ts';
import { onAllowedClouds, onStoppable, previewOffers } from './clouds.ts';

export interface PlanOptions {
  /** Clouds that launches may use; null, which is the default: all. */
  readonly allowedClouds?: readonly string[] | null;
  /** The launch's; default: the task's own. */
  readonly autostop?: AutostopRule | null;
}

/** A plan with these offers, best first. @throws capacity without any */
export function planFrom(task: WrittenTask, placements: readonly InstanceTypeOffer[]): LaunchPlan {
  if (placements.length === 0) throw noPlace(task);
  const made = new Date().toISOString();
  const clouds = [...new Set(placements.map(({ cloud }) => cloud))];
  return sealedPlan({
    kind: 'styx-plan',
    version: PLAN_VERSION,
    made,
    task: plannedTask(task),
    placements: placements.slice(0, LAUNCH_OFFERS),
    sources: clouds.map((cloud) => ({
      cloud,
      from: 'cloud',
      prices: made,
      spotPrices: made,
      undated: false,
      own: false,
    })),
  });
}

export interface PlanNow {
  /** Planned offers that are gone or have changed, in the plan's order. */
  readonly changes: readonly OfferChange[];
  /** Offers that were not there. They are no reason to refuse a plan. */
  readonly additions: readonly OfferChange[];
  /** What a plan made now would try. */
  readonly placements: readonly InstanceTypeOffer[];
}

/** The plan held against the task and the clouds as they are now. @throws invalid when it is of another task */
export async function comparePlan(plan: LaunchPlan, task: WrittenTask, options: PlanOptions = {}): Promise<PlanNow> {
  const differences = taskDifferences(plan.task, plannedTask(task));
  if (differences.length > 0) {
    const lines = differences.map((line) => `  ${line}`);
    throw new StyxError('invalid', ['the plan is of another task:', ...lines].join('\n'), {
      hint: 'Name the task file, and the options that change it, as they were for `styx plan`; or make a new plan.',
    });
  }
  const now = await offersNow(task, options);
  const placements = now.slice(0, LAUNCH_OFFERS);
  return { changes: changesOf(plan.placements, now), additions: additionsTo(plan.placements, placements), placements };
}

async function offersNow(
  task: WrittenTask,
  { allowedClouds = null, autostop = task.autostop }: PlanOptions,
): Promise<InstanceTypeOffer[]> {
  const allowed = await onAllowedClouds(task, allowedClouds);
  return await previewOffers((await onStoppable(allowed, autostop)).resources);
}

export function noPlace({ numNodes }: Pick<WrittenTask, 'numNodes'>): StyxError {
  return new StyxError('capacity', `no cloud offers what is asked for (${numNodes} nodes)`, {
    hint: 'Run `styx check` to see which clouds are enabled, and ask for less or for another place.',
  });
}
