/** What a managed job remembers in order to choose between spot and on-demand machines. Plain JSON. */
import { z } from 'zod';
import { HOLDS, type Hold } from './market.ts';
import type { RegionRef } from './place-order.ts';

/**
 * A cluster without a job, launched to see whether spot machines are to be had while the job runs on others. It is ended as soon as that
 * is known. fencing: its workflow was ended from outside, and the job itself ends the machines.
 */
export interface Probe {
  /** Counted with the copies: its cluster's name and its reports carry it. */
  readonly number: number;
  readonly cluster: string;
  readonly phase: 'live' | 'ending' | 'fencing';
  /** Dollars. */
  readonly cost: number;
}

export interface MarketState {
  readonly hold: Hold;
  /** What the last try to have spot machines said, and until when that is believed. */
  readonly seen: {
    readonly spot: 'there' | 'missing';
    readonly place: RegionRef | null;
    readonly until: number;
  } | null;
  /** When spot machines were taken away or not to be had; the last ones. */
  readonly failures: readonly number[];
  /** ms of work that past copies have left behind. */
  readonly kept: number;
  /** ms that the job had run when the present copy was started. */
  readonly ranBefore: number;
  /** ms of the slowest start on on-demand machines, from its launch to its script. */
  readonly slowestStart: number;
  /** When to decide again; null: when something happens. */
  readonly askAt: number | null;
  readonly probe: Probe | null;
  /** When the last probe said something. */
  readonly probedAt: number | null;
}

export const NEW_MARKET: MarketState = {
  hold: 'no',
  seen: null,
  failures: [],
  kept: 0,
  ranBefore: 0,
  slowestStart: 0,
  askAt: null,
  probe: null,
  probedAt: null,
};

export const marketState = z.object({
  hold: z.enum(HOLDS),
  seen: z
    .object({
      spot: z.enum(['there', 'missing']),
      place: z.object({ cloud: z.string(), region: z.string() }).nullable(),
      until: z.number(),
    })
    .nullable(),
  failures: z.array(z.number()),
  kept: z.number(),
  ranBefore: z.number(),
  slowestStart: z.number(),
  askAt: z.number().nullable(),
  probe: z
    .object({
      number: z.number(),
      cluster: z.string(),
      phase: z.enum(['live', 'ending', 'fencing']),
      cost: z.number(),
    })
    .nullable(),
  probedAt: z.number().nullable(),
}) satisfies z.ZodType<MarketState>;
