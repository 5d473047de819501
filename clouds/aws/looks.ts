/** Looks at many placements with few calls: those that are asked for meanwhile go together, a region at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import { PLACEMENT_TAG } from './actions.ts';
import type { Api } from './api.ts';
import { describeInstances, tagOf } from './instances.ts';

/** EC2 takes so many values in a filter. */
const KEYS_AT_ONCE = 200;

interface Round {
  readonly keys: Set<string>;
  readonly answer: Promise<ReadonlyMap<string, Ec2Instance[]>>;
}

export class Looks {
  readonly #api: Api;
  readonly #everyMs: number;
  /** The look of each region that has not begun yet. */
  readonly #next = new Map<string, Round>();
  readonly #last = new Map<string, number>();

  constructor(api: Api, everyMs: number) {
    this.#api = api;
    this.#everyMs = everyMs;
  }

  /** All machines of a placement, as a call sees them that begins after this one did. */
  async at(region: string, placementKey: string): Promise<Ec2Instance[]> {
    const round = this.#next.get(region);
    if (round !== undefined && round.keys.size < KEYS_AT_ONCE) {
      round.keys.add(placementKey);
      return (await round.answer).get(placementKey) ?? [];
    }
    const keys = new Set([placementKey]);
    const made: Round = { keys, answer: this.#look(region, keys) };
    this.#next.set(region, made);
    return (await made.answer).get(placementKey) ?? [];
  }

  async #look(region: string, keys: Set<string>): Promise<ReadonlyMap<string, Ec2Instance[]>> {
    const wait = (this.#last.get(region) ?? 0) + this.#everyMs - Date.now();
    await sleep(Math.max(0, wait));
    this.#last.set(region, Date.now());
    if (this.#next.get(region)?.keys === keys) this.#next.delete(region);
    const filter = { Name: `tag:${PLACEMENT_TAG}`, Values: [...keys] };
    const found = await describeInstances(this.#api, region, [filter]);
    return Map.groupBy(found, (one) => tagOf(one, PLACEMENT_TAG) ?? '');
  }
}
