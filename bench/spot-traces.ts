/** When spot machines could be had: read from files, or made up. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Of one zone and one type of machine. */
export interface ZoneTrace {
  /** The region's name, and one letter. */
  readonly zone: string;
  /** Same types belong together. */
  readonly type: string;
  /** ms of one tick. */
  readonly gap: number;
  /** One a tick. */
  readonly available: readonly boolean[];
}

interface TraceFile {
  readonly metadata: { readonly gap_seconds: number };
  readonly data: readonly number[];
}

/**
 * `<zone>_<type>.json` as published with "Can't Be Late" (NSDI 2024): `metadata.gap_seconds`, and `data`, one value a tick.
 *
 * A value that is not 0 means that there was no spot machine. The data's README says that it counts the machines that are available, the
 * authors' simulator reads it as above, and what was published of the traces of October 2022 decides it: one V100 in us-west-2a is there
 * for about a third of the time at most and one K80 there hardly ever, while one K80 in us-west-2b nearly always is. Zeros make 21 %, 11 %
 * and 88 % of these three files, and order all eight files of that time as their published shares do; values that are not 0 order them
 * the other way round.
 */
export function readTraces(directory: string): ZoneTrace[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.json'));
  if (files.length === 0) throw new Error(`${directory} has no traces (<zone>_<type>.json)`);
  return files.toSorted().map((name) => {
    const { metadata, data } = JSON.parse(readFileSync(join(directory, name), 'utf8')) as TraceFile;
    const [zone = '', ...type] = basename(name, '.json').split('_');
    return {
      zone,
      type: type.join('_'),
      gap: metadata.gap_seconds * 1_000,
      available: data.map((value) => value === 0),
    };
  });
}

/** mulberry32: the same numbers for the same seed, on every machine. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface MadeUp {
  readonly seed: number;
  readonly zones: number;
  readonly days: number;
  /** Mean hours for which spot is there, and for which it is not. */
  readonly there: number;
  readonly missing: number;
}

const GAP = 5 * 60_000;

/** Times there and missing are exponential, and those of zones know nothing of each other. */
export function madeUpTraces({ seed, zones, days, there, missing }: MadeUp): ZoneTrace[] {
  const random = seeded(seed);
  return Array.from({ length: zones }, (_, index) => {
    const available: boolean[] = [];
    let up = random() < there / (there + missing);
    while (available.length < (days * 86_400_000) / GAP) {
      const hours = -Math.log(1 - random()) * (up ? there : missing);
      const ticks = Math.max(1, Math.round((hours * 3_600_000) / GAP));
      for (let tick = 0; tick < ticks; tick++) available.push(up);
      up = !up;
    }
    const zone = `r-${Math.floor(index / 3)}${'abc'[index % 3]}`;
    return { zone, type: 'made-up', gap: GAP, available: available.slice(0, (days * 86_400_000) / GAP) };
  });
}

/** The part from a tick on. */
export function traceFrom(traces: readonly ZoneTrace[], tick: number): ZoneTrace[] {
  return traces.map((trace) => ({ ...trace, available: trace.available.slice(tick) }));
}
