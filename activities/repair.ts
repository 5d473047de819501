/** The step of a repair that tells what of a cluster still is: it starts what is stopped, and proves which machines are gone. */
import type { Cloud } from '../clouds/cloud.ts';
import { rankOf, ranksOf } from '../model/cluster-repair.ts';
import type { Instance, Placement } from '../model/machines.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import { answers, starting } from './machines.ts';
import type { ActActivities, LostMachine, Revived, ReviveInput } from './types.ts';
import { backoff, whileHeartbeating } from './wrap.ts';

type RepairSteps = Pick<ActActivities, 'reviveMachines'>;

export function repairSteps(context: ActivityContext): RepairSteps {
  return {
    async reviveMachines(input: ReviveInput): Promise<Revived> {
      return await whileHeartbeating(starting(input.timing), async (signal) => {
        const parts = await allOrNone(input.placements, signal, async (placement, until) => {
          const cloud = await context.cloud(placement.cloud);
          return await new Part(cloud, placement, input).revive(until);
        });
        const lost = parts.flatMap((part) => part.lost).toSorted((a, b) => a.rank - b.rank);
        return { instances: parts.map(({ instances }) => instances), lost };
      });
    },
  };
}

/** When one fails the others are told to end, and have ended before that is said. */
async function allOrNone<T, R>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const all = items.map(async (item) => {
    try {
      return await work(item, either);
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(all);
  // The first failure, which is what the others were ended by.
  if (failed.signal.aborted) throw failed.signal.reason;
  return await Promise.all(all);
}

/** What of one placement still is the cluster's. */
class Part {
  readonly #cloud: Cloud;
  readonly #placement: Placement;
  readonly #input: ReviveInput;
  /** Since when no listing shows a rank's machine, in ms. */
  readonly #unseen = new Map<number, number>();

  constructor(cloud: Cloud, placement: Placement, input: ReviveInput) {
    this.#cloud = cloud;
    this.#placement = placement;
    this.#input = input;
  }

  /** Returns when each rank's machine answers or is proved gone. */
  async revive(signal: AbortSignal): Promise<{ instances: Instance[]; lost: LostMachine[] }> {
    const ranks = ranksOf(this.#input.placements, this.#placement);
    const pause = backoff(this.#input.timing.pollEvery);
    for (;;) {
      const seen = await this.#look(ranks);
      const lost: LostMachine[] = [];
      const there: Instance[] = [];
      for (const rank of ranks) {
        const instance = seen.get(rank);
        const reason = instance === undefined ? this.#missing(rank) : goneBecause(instance);
        if (reason !== null) lost.push({ rank, reason });
        else if (instance !== undefined) there.push(instance);
      }
      const stopped = there.filter(({ state }) => state === 'stopped').map(({ id }) => id);
      signal.throwIfAborted();
      if (stopped.length > 0) {
        await this.#cloud.start(this.#placement, stopped);
        crashPoint('reviveMachines.called');
      } else if (there.length + lost.length === ranks.length && there.every(answers)) {
        return { instances: there.toSorted((a, b) => a.index - b.index), lost };
      }
      await pause();
    }
  }

  /** By rank: from the list, and by their ids those that it does not show. */
  async #look(ranks: readonly number[]): Promise<Map<number, Instance>> {
    const placement = this.#placement;
    const listed = await this.#cloud.list(placement, { placementKey: placement.key });
    const found = new Map(listed.map((one) => [rankOf(placement, one.index), one]));
    const missing = ranks.filter((rank) => !found.has(rank));
    const ids = this.#input.nodes.flatMap(({ rank, instanceId }) => (missing.includes(rank) ? [instanceId] : []));
    if (ids.length === 0) return found;
    for (const one of await this.#cloud.list(placement, { ids })) found.set(rankOf(placement, one.index), one);
    return found;
  }

  /** Absence is a question: it is believed when it lasts. */
  #missing(rank: number): string | null {
    const since = this.#unseen.get(rank) ?? Date.now();
    this.#unseen.set(rank, since);
    return Date.now() - since < this.#input.timing.unreachableAfter ? null : 'the cloud does not know it any more';
  }
}

/** Null while it is there, on its way out too: its processes may still run. */
function goneBecause({ state, stateReason }: Instance): string | null {
  return state === 'terminated' ? (stateReason ?? state) : null;
}
