/** What a task asks of its machines besides their size and place: image, disk, network, labels, ports. Plain JSON; what is absent was not asked for. */
import { z } from 'zod';
import { containerImages, machineImages, type WantedContainer, wantedContainerSchema } from './container.ts';
import { DISK_TIERS, ports as joined } from './spec/machine-fields.ts';
import type { Alternative } from './spec/resources.ts';

/** GiB; SkyPilot's default. */
export const DEFAULT_DISK_GIB = 256;

export type DiskTier = (typeof DISK_TIERS)[number];

export interface MachineWants {
  /** By region; `region: null` is for wherever the machine stands. Never a container's image. */
  readonly images?: readonly WantedImage[];
  /** In which jobs run, and whoever logs in; absent: on the machine itself. */
  readonly container?: WantedContainer;
  /** GiB of the disk that the system is on. */
  readonly diskSize?: number;
  readonly diskTier?: DiskTier;
  /** The fastest network that the machine has. */
  readonly networkTier?: 'best';
  readonly labels?: Readonly<Record<string, string>>;
  /** Sorted ranges that do not touch: `80`, `8000-8010`. */
  readonly ports?: readonly string[];
  /** US dollars an hour that one machine may cost, without its disk. */
  readonly maxHourlyCost?: number;
}

export interface WantedImage {
  readonly region: string | null;
  readonly image: string;
}

/** Undefined when nothing of it is asked for. */
export function wantsOf(asked: Alternative): MachineWants | undefined {
  const { imageId, diskSize, diskTier, networkTier, labels, ports, maxHourlyCost } = asked;
  const images = imageId === null ? [] : machineImages(imageId);
  const [container] = imageId === null ? [] : containerImages(imageId);
  const wants: MachineWants = {
    ...(images.length === 0 ? {} : { images }),
    ...(container === undefined ? {} : { container: { image: container } }),
    ...(diskSize === null ? {} : { diskSize }),
    ...(diskTier === null ? {} : { diskTier }),
    ...(networkTier === 'best' ? { networkTier } : {}),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(ports === null ? {} : { ports }),
    ...(maxHourlyCost === null ? {} : { maxHourlyCost }),
  };
  return Object.keys(wants).length === 0 ? undefined : wants;
}

/** The image for a region. Null: none is asked for; undefined: images are asked for, and none is for this region. */
export function imageFor({ images }: MachineWants, region: string): string | null | undefined {
  if (images === undefined || images.length === 0) return null;
  const here = images.find((one) => one.region?.toLowerCase() === region.toLowerCase());
  return (here ?? images.find((one) => one.region === null))?.image;
}

/** Those that are not dearer than what is asked for. Whatever their cloud says, this holds. */
export function affordable<T extends { readonly hourlyCost: number }>(
  offers: readonly T[],
  { maxHourlyCost = Number.POSITIVE_INFINITY }: MachineWants = {},
): T[] {
  return offers.filter(({ hourlyCost }) => hourlyCost <= maxHourlyCost);
}

export type PortRange = readonly [from: number, to: number];

export function portRanges(ports: readonly string[]): PortRange[] {
  return ports.map((text) => {
    const [from = 0, to = from] = text.split('-').map(Number);
    return [from, to];
  });
}

/** What somebody wrote, such as `80,443`, as sorted ranges that do not touch. @throws FieldError for what are no ports */
export function wantedPorts(written: readonly string[]): readonly string[] {
  return joined([...written]) ?? [];
}

/** Both, as sorted ranges that do not touch. */
export function joinPorts(some: readonly string[], others: readonly string[]): readonly string[] {
  return wantedPorts([...some, ...others]);
}

/** What is left of `some`, as sorted ranges that do not touch. */
export function withoutPorts(some: readonly string[], closed: readonly string[]): readonly string[] {
  let left = portRanges(some);
  for (const [from, to] of portRanges(closed)) {
    left = left.flatMap(([first, last]): PortRange[] => [
      ...(first < from ? [[first, Math.min(last, from - 1)] as const] : []),
      ...(last > to ? [[Math.max(first, to + 1), last] as const] : []),
    ]);
  }
  return wantedPorts(left.map(([from, to]) => `${from}-${to}`));
}

/** Those of `wanted` that are not all among `open`. */
export function closedPorts(open: readonly string[], wanted: readonly string[]): string[] {
  const ranges = portRanges(open);
  return wanted.filter((text) => {
    const [range] = portRanges([text]);
    return range !== undefined && !ranges.some(([from, to]) => from <= range[0] && range[1] <= to);
  });
}

/** Of a boundary: a task that somebody sent, or a cluster's state. A function: workflow sandboxes freeze what a module exports. */
export function machineWantsSchema(): z.ZodType<MachineWants> {
  const image = z.object({ region: z.string().max(253).nullable(), image: z.string().min(1).max(1_024) });
  return z.object({
    images: z.array(image).max(200).exactOptional(),
    container: wantedContainerSchema().exactOptional(),
    diskSize: z.int().positive().max(1_000_000).exactOptional(),
    diskTier: z.enum(DISK_TIERS).exactOptional(),
    networkTier: z.literal('best').exactOptional(),
    labels: z.record(z.string().max(256), z.string().max(1_024)).exactOptional(),
    ports: z
      .array(z.string().regex(/^\d{1,5}(-\d{1,5})?$/))
      .max(1_000)
      .exactOptional(),
    maxHourlyCost: z.number().positive().exactOptional(),
  });
}
