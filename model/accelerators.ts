/** Names of accelerators: each card has one across clouds, whatever a cloud calls it. */

import { ACCELERATOR_TABLE } from './accelerator-table.ts';
import type { AcceleratorRequest } from './spec/accelerators.ts';
import { nearestWord } from './spelling.ts';

export interface Accelerator {
  /** The canonical name. */
  readonly name: string;
  readonly vendor: string;
  /** GiB of one; of a TPU the whole slice's. */
  readonly memory: number;
  readonly aliases: readonly string[];
}

export const ACCELERATORS: readonly Accelerator[] = ACCELERATOR_TABLE.map(([name, vendor, memory, ...aliases]) => ({
  name,
  vendor,
  memory,
  aliases,
}));

/** Clouds write one name with dashes, underscores and spaces. */
function folded(name: string): string {
  return name.toLowerCase().replace(/[_ ]/g, '-');
}

const byName = new Map(
  ACCELERATORS.flatMap((accelerator) =>
    [accelerator.name, ...accelerator.aliases].map((name) => [folded(name), accelerator] as const),
  ),
);

/** By canonical name or alias, in any case; null when the table does not have it. */
export function findAccelerator(name: string): Accelerator | null {
  return byName.get(folded(name)) ?? null;
}

/** The canonical name; of an accelerator that the table does not have the name as it is. */
export function canonicalName(name: string): string {
  return findAccelerator(name)?.name ?? name;
}

/** Of the table and of `others`, such as those of the user's own catalogues; null when none is near. */
export function nearestAccelerator(name: string, others: readonly string[] = []): string | null {
  const known = ACCELERATORS.flatMap((one) => [one.name, ...one.aliases]);
  // `nearestWord` takes a dash for an underscore, as keys of files have them; names of accelerators have dashes.
  const words = new Map([...known, ...others].map((word) => [word.toLowerCase().replaceAll('-', '_'), word]));
  const near = nearestWord(name, [...words.keys()]);
  return near === null ? null : canonicalName(words.get(near) as string);
}

/** Whole slices with one memory; they are asked for by name. */
function isTpu({ name }: Pick<Accelerator, 'name'>): boolean {
  return name.startsWith('tpu-');
}

/**
 * Does an offer of `count` accelerators of a name, each with `memory` GiB, meet a request? Counts must be equal.
 * @param memory null: as the table has it
 */
export function meetsRequest(
  offer: { readonly name: string; readonly count: number },
  memory: number | null,
  request: AcceleratorRequest,
): boolean {
  if (offer.count !== request.count) return false;
  return request.kind === 'named'
    ? folded(canonicalName(request.name)) === folded(canonicalName(offer.name))
    : hasMemory(offer.name, memory, request);
}

export interface MemoryRequest {
  /** GiB. */
  readonly gib: number;
  readonly atLeast: boolean;
  /** In any case; null: any. */
  readonly manufacturer: string | null;
}

/** Is this one of the accelerators with so much memory? TPUs never are. */
export function hasMemory(name: string, memory: number | null, request: MemoryRequest): boolean {
  const accelerator = findAccelerator(name);
  const gib = memory ?? accelerator?.memory;
  if (gib === undefined || isTpu({ name })) return false;
  const { manufacturer } = request;
  if (manufacturer !== null && accelerator?.vendor.toLowerCase() !== manufacturer.toLowerCase()) return false;
  return request.atLeast ? gib >= request.gib : gib === request.gib;
}

/** Those of the table with so much memory, of which a launch may ask for any. */
export function namesWithMemory(request: MemoryRequest): string[] {
  return ACCELERATORS.filter(({ name, memory }) => hasMemory(name, memory, request)).map(({ name }) => name);
}

/** Names that task files and `styx gpus list` begin with. The order is that of the tables. */
export const COMMON_GPUS: readonly string[] = [
  'A10',
  'A10G',
  'A100',
  'A100-80GB',
  'B200',
  'H100',
  'H200',
  'L4',
  'L40S',
  'RTX5090',
  'RTXPRO6000',
  'T4',
  'V100',
  'V100-32GB',
];

/** The smallest slices of each generation; `styx gpus list tpu` shows all. */
export const COMMON_TPUS: readonly string[] = [
  'tpu-v2-8',
  'tpu-v3-8',
  'tpu-v4-8',
  'tpu-v4-16',
  'tpu-v4-32',
  'tpu-v5litepod-1',
  'tpu-v5litepod-4',
  'tpu-v5litepod-8',
  'tpu-v5p-8',
  'tpu-v5p-16',
  'tpu-v5p-32',
  'tpu-v6e-1',
  'tpu-v6e-4',
  'tpu-v6e-8',
];
