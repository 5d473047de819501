/** Files of plans: written by `styx plan`, carried out by `styx launch --plan`. */
import { comparePlan, noPlace, type PlanOptions } from '../client/plan.ts';
import { StyxError } from '../model/errors.ts';
import { type LaunchPlan, parsePlan } from '../model/launch-plan.ts';
import { type InstanceTypeOffer, nodeHourly } from '../model/machines.ts';
import type { OfferChange } from '../model/planned-offers.ts';
import type { WrittenTask } from '../model/task.ts';
import { writeAtomically } from '../system/home.ts';
import { infraName } from './format.ts';
import { formatTable } from './table.ts';
import { readText } from './task-input.ts';

/** @throws invalid when it cannot be written */
export function writePlan(file: string, plan: LaunchPlan): void {
  const text = `${JSON.stringify(plan, null, 2)}\n`;
  if (file === '-') {
    process.stdout.write(text);
    return;
  }
  try {
    writeAtomically(file, text);
  } catch (error) {
    throw new StyxError('invalid', `cannot write the plan ${file}: ${(error as Error).message}`, { cause: error });
  }
}

export interface PlacesOptions extends PlanOptions {
  readonly replan: boolean;
  /** What has changed, when that is taken. */
  readonly say: (text: string) => void;
}

/**
 * What a launch by this plan tries, in order.
 * @throws invalid for a file that is no plan, was edited or is of another task; refused when prices or offers have changed, unless `replan`
 */
export async function placesOf(
  file: string,
  task: WrittenTask,
  options: PlacesOptions,
): Promise<readonly InstanceTypeOffer[]> {
  const name = file === '-' ? 'stdin' : file;
  const plan = parsePlan(readText(file === '-' ? 0 : file, `plan ${name}`), name);
  const { changes, additions, placements } = await comparePlan(plan, task, options);
  if (!options.replan) {
    if (changes.length === 0) return plan.placements;
    throw new StyxError(
      'refused',
      [`prices or offers have changed since ${name} was made (${plan.made}):`, changesText(changes)].join('\n'),
      {
        hint: 'Pass --replan to take what is offered now, or make a new plan by `styx plan`.',
      },
    );
  }
  if (placements.length === 0) throw noPlace(task);
  const all = [...changes, ...additions];
  if (all.length === 0) return plan.placements;
  options.say(`Planned anew; since ${name} was made (${plan.made}) this has changed:\n${changesText(all)}`);
  return placements;
}

function changesText(changes: readonly OfferChange[]): string {
  const rows = changes.map(({ planned, now }) => {
    const { cloud, region, zone, instanceType, useSpot } = (planned ?? now) as InstanceTypeOffer;
    const isOther = planned !== null && now !== null && machineText(planned) !== machineText(now);
    const cell = (offer: InstanceTypeOffer) => String(nodeHourly(offer)) + (isOther ? ` (${machineText(offer)})` : '');
    return [
      infraName([cloud, region, zone].join('/')),
      instanceType + (useSpot ? '[Spot]' : ''),
      planned === null ? 'not planned' : cell(planned),
      now === null ? 'not offered' : cell(now),
    ];
  });
  return formatTable(['INFRA', 'INSTANCE', 'PLAN ($/hr)', 'NOW ($/hr)'], rows);
}

function machineText({ cpus, memory, accelerators, disk }: InstanceTypeOffer): string {
  const gpus = accelerators === null ? '' : `, ${accelerators.name}:${accelerators.count}`;
  return `${cpus} vCPUs, ${memory} GB${gpus}${disk === undefined ? '' : `, disk of ${disk.size} GB`}`;
}
