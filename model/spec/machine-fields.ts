/** Fields of `resources` that say what a machine has besides processors: ports, disks, image. */
import { z } from 'zod';
import { attempt, doc, FieldError, isMap, mapOf, shown, within } from './field.ts';
import { diskSize, flagField, pythonFloat, text, textField, wordField } from './values.ts';

export const DISK_TIERS = ['low', 'medium', 'high', 'ultra', 'best'] as const;
export const NETWORK_TIERS = ['standard', 'best'] as const;

const MAX_PORT = 65_535;

export const PORTS_FORM = {
  type: ['string', 'integer', 'array', 'null'],
  items: { type: ['string', 'integer'] },
};

type Range = readonly [from: number, to: number];

/** Sorted ranges that do not touch: `['80', '8000-8002']`; null for none. Takes `80`, `'80-90'`, `'80,90'` and lists of them. */
export function ports(value: unknown): string[] | null {
  if (value === null) return null;
  const ranges: Range[] = [];
  for (const [index, item] of (Array.isArray(value) ? value : [value]).entries()) {
    const path = Array.isArray(value) ? [index] : [];
    if (typeof item !== 'string' && !(typeof item === 'number' && Number.isInteger(item))) {
      throw new FieldError(`must be a port such as 8080 or a range such as 8080-8090, not ${shown(item)}`, path);
    }
    for (const token of String(item).split(',')) {
      if (token.trim() !== '') ranges.push(within(path, () => portRange(token.trim())));
    }
  }
  const merged: Range[] = [];
  for (const [from, to] of ranges.sort(([a], [b]) => a - b)) {
    const last = merged.at(-1);
    if (last === undefined || from > last[1] + 1) merged.push([from, to]);
    else merged[merged.length - 1] = [last[0], Math.max(last[1], to)];
  }
  return merged.length === 0 ? null : merged.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
}

function portRange(token: string): Range {
  const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(token);
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? match?.[1]);
  if (from >= 1 && to <= MAX_PORT && from <= to) return [from, to];
  throw new FieldError(`must be ports from 1 to ${MAX_PORT}, such as 8080 or 8080-8090, not ${shown(token)}`);
}

export interface LocalDisk {
  readonly kind: 'nvme' | 'ssd';
  /** GB. */
  readonly size: number;
  readonly atLeast: boolean;
}

const DEFAULT_LOCAL_DISK = { size: 100, atLeast: true };

/** `nvme`, `1000+`, `nvme:1000+`, `ssd:500`. */
export function localDisk(value: unknown): LocalDisk {
  const parts = text(value).toLowerCase().trim().split(':');
  const wrong = new FieldError(`must be such as nvme, 500+, nvme:1000+ or ssd:500, not ${shown(value)}`);
  const [first = '', second] = parts;
  const named = first === 'nvme' || first === 'ssd';
  if (parts.length > 2 || (second !== undefined && !named)) throw wrong;
  if (named && second === undefined) return { kind: first, ...DEFAULT_LOCAL_DISK };
  const written = second ?? first;
  const size = pythonFloat(written.replace(/\++$/, ''));
  if (size === null || size <= 0) throw wrong;
  return { kind: named ? first : 'nvme', size, atLeast: written.endsWith('+') };
}

export function localDiskText({ kind, size, atLeast }: LocalDisk): string {
  return `${kind}:${size}${atLeast ? '+' : ''}`;
}

export interface Images {
  /** By region. `region: null` is the image of wherever the machine stands. */
  readonly images: readonly { readonly region: string | null; readonly image: string }[];
  /** Container image beside an image of the machine. */
  readonly docker: string | null;
}

/** Text, or a map of regions to images in which `docker` names a container image. null: none. */
export function imageId(value: unknown): Images | null {
  if (value === null) return null;
  if (typeof value === 'string') return { images: [{ region: null, image: text(value).trim() }], docker: null };
  if (!isMap(value))
    throw new FieldError(`must be the name of an image, or a map of regions to images, not ${shown(value)}`);
  const entries = Object.entries(value).map(([region, image]): [string, string] => {
    if (typeof image !== 'string') throw new FieldError(`must be the name of an image, not ${shown(image)}`, [region]);
    return [region.trim(), image.trim()];
  });
  const docker = entries.find(([region]) => region === 'docker')?.[1].replace(/^docker:/, '') ?? null;
  const images = entries.filter(([region]) => region !== 'docker').map(([region, image]) => ({ region, image }));
  const both = images.find(({ image }) => image.startsWith('docker:'));
  if (docker !== null && both !== undefined) {
    throw new FieldError(
      'cannot name a container image twice: take away "docker", or the images that begin with docker:',
      [both.region],
    );
  }
  if (images.length === 0 && docker === null) return null;
  return { images, docker };
}

export const IMAGE_FORM = { type: ['string', 'object', 'null'], additionalProperties: { type: 'string' } };

export interface LegacyVolume {
  readonly path: string;
  readonly name: string | null;
  readonly storageType: 'network' | 'instance';
  readonly attachMode: 'read_write' | 'read_only';
  readonly diskTier: (typeof DISK_TIERS)[number] | null;
  /** GiB. */
  readonly diskSize: number | null;
  readonly autoDelete: boolean;
}

/** `resources.volumes`: disks of GCP. */
export const legacyVolume = mapOf({
  path: doc(textField(), 'where it is mounted', '(required)'),
  name: doc(textField(), 'its name in the cloud; a network volume needs one'),
  storage_type: doc(wordField(['network', 'instance']), 'a disk of the network or of the machine', '`network`'),
  attach_mode: doc(wordField(['read_write', 'read_only']), 'how it is attached', '`read_write`'),
  disk_tier: doc(wordField(DISK_TIERS), 'its speed', '`best` for a network volume'),
  disk_size: doc(
    z
      .unknown()
      .meta({ type: ['integer', 'string'] })
      .transform((value, ctx) => attempt(ctx, () => diskSize(value))),
    'GiB',
  ),
  auto_delete: doc(flagField(), 'delete it with the machine', '`false`'),
}).transform(
  (written, ctx): LegacyVolume =>
    attempt(ctx, () => {
      const { path, name = null, storage_type: storageType = 'network' } = written;
      if (path === undefined) throw new FieldError('is missing', ['path']);
      if (storageType === 'network' && name === null)
        throw new FieldError('is missing: a network volume has a name', ['name']);
      return {
        path,
        name: storageType === 'network' ? name : null,
        storageType,
        attachMode: written.attach_mode ?? 'read_write',
        diskTier: written.disk_tier ?? (storageType === 'network' ? 'best' : null),
        diskSize: written.disk_size ?? null,
        autoDelete: written.auto_delete ?? false,
      };
    }),
);

export function legacyVolumeConfig(volume: LegacyVolume): Record<string, unknown> {
  return {
    path: volume.path,
    ...(volume.name === null ? {} : { name: volume.name }),
    storage_type: volume.storageType,
    attach_mode: volume.attachMode,
    ...(volume.diskTier === null ? {} : { disk_tier: volume.diskTier }),
    ...(volume.diskSize === null ? {} : { disk_size: volume.diskSize }),
    auto_delete: volume.autoDelete,
  };
}
