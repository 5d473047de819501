/**
 * Asks for everything that carries an installation's tag whether its workflow claims it. What nobody claimed in two looks is nobody's;
 * it is reported, and removed when that was asked for.
 */
import { setCurrentDetails, sleep } from '@temporalio/workflow';
import { confirmed, removable, type SweepInput, type SweepReport } from '../model/sweep.ts';
import { longStep, step } from './steps.ts';

export async function sweep(input: SweepInput): Promise<SweepReport> {
  const { installation, timing } = input;
  const look = () =>
    longStep(timing, 'ask what is claimed', timing.createBudget).lookForOrphans({ installation, timing });
  setCurrentDetails('looking at all clouds');
  const first = await look();
  const nothing = { removed: [], left: [], refusal: null };
  const wanted = first.unclaimed.filter(({ id }) => input.only?.includes(id) ?? true);
  if (input.looks === 1 || wanted.length === 0) return { ...first, orphans: input.looks === 1 ? null : [], ...nothing };
  setCurrentDetails(
    `${wanted.length} things are claimed by nobody; looking again in ${Math.round(timing.sweepConfirm / 60_000)} min`,
  );
  await sleep(timing.sweepConfirm);
  const second = await look();
  const orphans = confirmed(first, second);
  const { fix, max } =
    input.fix === 'configured' ? await step(timing, 'read what is configured').sweepSettings() : input;
  if (!fix) return { ...second, orphans, ...nothing };
  const { remove, refusal } = removable(orphans, second.seen, { max, only: input.only });
  if (remove.length === 0) return { ...second, orphans, ...nothing, refusal };
  setCurrentDetails(`removing ${remove.length} things that are nobody's`);
  const removing = longStep(timing, `remove ${remove.length} orphans`, timing.createBudget);
  return { ...second, orphans, ...(await removing.removeOrphans({ orphans: remove, timing })), refusal };
}
