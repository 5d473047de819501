/** Which of the things at clouds are nobody's, and how many of them may be removed at once. Pure. */
import type { CloudResource } from './cloud-resource.ts';
import type { Timing } from './timing.ts';

export const SWEEP_WORKFLOW = 'sweep';
/** Of the sweeps that go on by themselves: one at a time. */
export const SWEEP_ID = 'sweep';
/** Named in a look; the rest is looked at next time. */
export const ORPHANS_NAMED = 100;
/** Removed by one sweep unless told otherwise, and never more than half of what is seen. */
export const MOST_REMOVED = 10;

export interface SweepInput {
  readonly version: 1;
  /** Whose things are looked at. */
  readonly installation: string;
  /** 1: say what nobody claims now. 2: look again after `timing.sweepConfirm`, which is what makes an orphan. */
  readonly looks: 1 | 2;
  /** Remove what is nobody's. `configured`: when the worker's configuration says `sweep.fix`. */
  readonly fix: boolean | 'configured';
  /** At most this many; null: MOST_REMOVED or half of what is seen, whichever is less. */
  readonly max: number | null;
  /** Ids that somebody has seen and confirmed; null: all. */
  readonly only: readonly string[] | null;
  readonly timing: Timing;
}

export interface Unclaimed extends CloudResource {
  /** Why nobody claims it, for people. */
  readonly why: string;
}

/** What one look at all clouds showed. */
export interface Look {
  /** Clouds that were looked at: those with credentials. */
  readonly looked: readonly string[];
  /** Clouds that the worker has no credentials of: nothing of them is known. Absent: a look of an earlier version. */
  readonly without?: readonly string[];
  /** Everything with the installation's tag. */
  readonly seen: number;
  /** Oldest first; ≤ ORPHANS_NAMED. */
  readonly unclaimed: readonly Unclaimed[];
  /** Younger than a sweep considers. */
  readonly young: number;
  /** What could not be looked at or asked, and why. None of it is anybody's or nobody's. */
  readonly unknown: readonly { readonly subject: string; readonly why: string }[];
}

export interface SweepReport extends Look {
  /** Unclaimed in two looks; null: there was one look only. */
  readonly orphans: readonly Unclaimed[] | null;
  readonly removed: readonly string[];
  /** Removal was asked for, and they are still there. */
  readonly left: readonly string[];
  /** Why nothing was removed although it was asked for; null otherwise. */
  readonly refusal: string | null;
}

export function keyOf({ cloud, region, kind, id }: CloudResource): string {
  return [cloud, region, kind, id].join('/');
}

/** What nobody claimed in either of two looks. What changed its state between them is looked at again next time. */
export function confirmed(first: Look, second: Look): Unclaimed[] {
  const before = new Map(first.unclaimed.map((one) => [keyOf(one), one]));
  return second.unclaimed.filter((one) => {
    const earlier = before.get(keyOf(one));
    return earlier?.workflowId === one.workflowId && earlier.generation === one.generation;
  });
}

/**
 * What of the orphans a sweep may remove: all or none, since more than the bound means that something else is wrong than a machine
 * that was left.
 */
export function removable(
  orphans: readonly Unclaimed[],
  seen: number,
  { max, only }: Pick<SweepInput, 'max' | 'only'>,
): { readonly remove: readonly Unclaimed[]; readonly refusal: string | null } {
  const wanted = only === null ? orphans : orphans.filter(({ id }) => only.includes(id));
  const most = max ?? Math.min(MOST_REMOVED, Math.ceil(seen / 2));
  if (wanted.length <= most) return { remove: wanted, refusal: null };
  const bound = max === null ? `${MOST_REMOVED}, and half of the ${seen} that are seen` : `${max}`;
  return {
    remove: [],
    refusal: `${wanted.length} would be removed, and at most ${bound} may be: look whether this is the right server, and say --max ${wanted.length} if it is`,
  };
}
