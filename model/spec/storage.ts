/** `file_mounts`: local paths, addresses of buckets, and storage objects. */
import { z } from 'zod';
import { attempt, doc, FieldError, field, isMap, mapOf, nested, shown, within } from './field.ts';
import type { LegacyVolume } from './machine-fields.ts';
import { DISK_TIERS } from './machine-fields.ts';
import { diskSize, flagField, text, textField, wholeField, wordField } from './values.ts';

export const STORES = [
  ...(['S3', 'GCS', 'AZURE', 'R2', 'IBM', 'OCI', 'NEBIUS', 'COREWEAVE', 'VASTDATA', 'HF', 'VOLUME'] as const),
] as const;
const MODES = ['MOUNT', 'COPY', 'MOUNT_CACHED'] as const;
const TYPES = ['MODEL_CHECKPOINT_RO', 'MODEL_CHECKPOINT_RW', 'DATASET_RO', 'DATASET_RW'] as const;
/** Schemes of addresses that a storage object may have as its source. */
const BUCKET_SCHEMES = ['s3', 'gs', 'https', 'r2', 'cos', 'oci', 'nebius', 'cw', 'vastdata', 'hf'];

export type FileMount =
  /** A file or directory here. */
  | { readonly kind: 'local'; readonly source: string }
  /** A file or directory in a bucket, or at an https address. */
  | { readonly kind: 'uri'; readonly source: string }
  | { readonly kind: 'storage'; readonly storage: StorageSpec };

export interface StorageSpec {
  readonly name: string | null;
  /** One directory or address, or several files and directories. */
  readonly source: string | readonly string[] | null;
  /** null: that of the cloud that is chosen. */
  readonly store: (typeof STORES)[number] | null;
  readonly persistent: boolean;
  readonly mode: (typeof MODES)[number];
  readonly type: (typeof TYPES)[number] | null;
  readonly mountCached: z.infer<typeof mountCached> | null;
  readonly mount: z.infer<typeof mount> | null;
}

export function schemeOf(source: string): string {
  return /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(source)?.[1]?.toLowerCase() ?? '';
}

/** Is it an address, `scheme://host…`, and not a path? */
export function isAddress(source: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]/.test(source);
}

const rcloneSize = field({ type: 'string', pattern: '^[0-9]+[bkmgtpBKMGTP]?$' }, (value) => {
  if (/^[0-9]+[bkmgtpBKMGTP]?$/.test(text(value))) return value as string;
  throw new FieldError(`must be a size such as 64M or 10G, not ${shown(value)}`);
});

const RCLONE_TIME = /^(?:(?:[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:ms|[smhdwMy]))+|[-+]?(?:\d+(?:\.\d+)?|\.\d+))$/;
const rcloneTime = field({ type: 'string' }, (value) => {
  if (text(value).length < 100 && RCLONE_TIME.test(value as string)) return value as string;
  throw new FieldError(`must be a time such as 1s, 10m or 1h30m, not ${shown(value)}`);
});

const mountCached = mapOf({
  transfers: doc(wholeField(1), 'files that are sent at once', 'by `type`'),
  buffer_size: doc(rcloneSize, 'memory of each open file', 'by `type`'),
  vfs_cache_max_size: doc(rcloneSize, 'size of the cache', '`10G`'),
  vfs_cache_max_age: doc(rcloneTime, 'age at which a file leaves the cache', "rclone's"),
  vfs_read_ahead: doc(rcloneSize, 'read ahead of what is asked for', 'by `type`'),
  vfs_read_chunk_size: doc(rcloneSize, 'what is read at once', 'by `type`'),
  vfs_read_chunk_streams: doc(wholeField(0), 'chunks that are read at once', 'by `type`'),
  vfs_write_back: doc(rcloneTime, 'time after which a change is sent', '`1s`'),
  read_only: doc(flagField(), 'nothing can be written', '`false`'),
});

const mount = mapOf({
  read_only: doc(flagField(), 'nothing can be written', '`false`'),
  hf_mount_args: doc(z.array(z.string()), 'arguments for `hf-mount`'),
});

const storageConfig = mapOf({
  mount_cached: doc(mountCached, 'of the mode `MOUNT_CACHED`: a map of the fields below'),
  mount: doc(mount, 'of the mode `MOUNT`: a map of the fields below'),
  disk_size: doc(field({ type: ['integer', 'string'] }, diskSize), 'of a volume: GiB'),
  disk_tier: doc(wordField(DISK_TIERS), 'of a volume: its speed', '`best`'),
  storage_type: doc(wordField(['network', 'instance']), 'of a volume: of the network or of the machine', '`network`'),
  attach_mode: doc(wordField(['read_write', 'read_only']), 'of a volume: how it is attached', '`read_write`'),
});

const source = field({ type: ['string', 'array'], items: { type: 'string' } }, (value) => {
  if (!Array.isArray(value)) return text(value);
  if (value.length === 0) throw new FieldError('must name at least one file or directory');
  for (const [index, item] of value.entries()) {
    if (typeof item !== 'string') throw new FieldError(`must be a path, not ${shown(item)}`, [index]);
  }
  return value as string[];
});

export const writtenStorage = mapOf(
  {
    name: doc(textField(), 'name of the bucket; a new one is made when there is none', 'that of `source`'),
    source: doc(source, 'a directory here, a list of files and directories here, or the address of a bucket'),
    store: doc(
      wordField(STORES),
      `the kind of store: ${STORES.map((store) => `\`${store}\``).join(', ')}, in any case`,
      'by the cloud',
    ),
    persistent: doc(flagField(), '`false`: delete the bucket with the cluster', '`true`'),
    mode: doc(wordField(MODES), '`MOUNT`, `COPY`, `MOUNT_CACHED`, in any case', '`MOUNT`'),
    type: doc(wordField(TYPES), `of the mode \`MOUNT_CACHED\`: ${TYPES.map((type) => `\`${type}\``).join(', ')}`),
    config: doc(storageConfig, 'a map of the fields below'),
  },
  { nulls: 'absent' },
);

type WrittenStorage = z.infer<typeof writtenStorage>;

/** Mounts by target, and the volumes of GCP among them. */
export interface FileMounts {
  readonly mounts: Readonly<Record<string, FileMount>>;
  readonly volumes: readonly LegacyVolume[];
}

export const fileMounts = z
  .record(z.string(), z.unknown().meta({ anyOf: [{ type: 'string' }, { $ref: '#/$defs/storage' }] }), {
    error: (issue) => (issue.code === 'invalid_type' ? 'must be a map of targets to sources' : undefined),
  })
  .transform((written, ctx): FileMounts => {
    const mounts: [string, FileMount][] = [];
    const volumes: LegacyVolume[] = [];
    for (const [target, from] of Object.entries(written)) {
      const problem = targetProblem(target);
      if (problem !== null) ctx.addIssue({ code: 'custom', message: problem, path: [target] });
      if (typeof from === 'string') {
        const ok = attempt(ctx, () => localSource(from, target));
        if (ok !== z.NEVER) mounts.push([target, ok]);
        continue;
      }
      if (!isMap(from)) {
        const message = `must be a path, the address of a bucket, or a map of storage fields, not ${shown(from)}`;
        ctx.addIssue({ code: 'custom', message, path: [target] });
        continue;
      }
      const storage = nested(ctx, writtenStorage, from, [target]);
      if (storage === null) continue;
      attempt(ctx, () => {
        if (storage.store !== 'VOLUME') {
          mounts.push([target, { kind: 'storage', storage: within([target], () => storageOf(storage)) }]);
          return;
        }
        volumes.push(within([target], () => volumeOf(target, storage)));
        const copied = storage.source;
        if (typeof copied === 'string')
          mounts.push([`${target.replace(/\/+$/, '')}/data`, localSource(copied, target)]);
      });
    }
    return { mounts: Object.fromEntries(mounts), volumes };
  });

/** What is wrong with a path on the machine to mount or copy to. */
function targetProblem(target: string): string | null {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (target === '' || /[\x00-\x1f]/.test(target)) return 'is not a path';
  if (isAddress(target)) return 'must be a path on the machine, not an address';
  return null;
}

function localSource(from: string, target: string): FileMount {
  text(from);
  if (from === '') throw new FieldError('must name a file or directory', [target]);
  for (const path of [target, from]) {
    if (path.endsWith('/')) throw new FieldError(`cannot end with a slash: ${shown(path)}`, [target]);
  }
  return isAddress(from) ? { kind: 'uri', source: from } : { kind: 'local', source: from };
}

function storageOf(written: WrittenStorage): StorageSpec {
  const { name = null, source: from = null, store = null, mode = 'MOUNT', type = null, config = {} } = written;
  const { mount_cached = null, mount: plain = null, ...ofVolume } = config;
  const [field_] = Object.keys(ofVolume);
  if (field_ !== undefined) throw new FieldError('is for "store: volume" alone', ['config', field_]);
  if (mode !== 'MOUNT_CACHED' && type !== null) throw new FieldError('is for "mode: MOUNT_CACHED" alone', ['type']);
  if (mode !== 'MOUNT_CACHED' && mount_cached !== null)
    throw new FieldError('is for "mode: MOUNT_CACHED" alone', ['config', 'mount_cached']);
  if (mode !== 'MOUNT' && plain !== null) throw new FieldError('is for "mode: MOUNT" alone', ['config', 'mount']);
  checkSource(name, from, mode);
  return {
    name,
    source: from,
    store,
    persistent: written.persistent ?? true,
    mode,
    type,
    mountCached: saying(mount_cached),
    mount: saying(plain),
  };
}

/** A map that says nothing is as good as none. */
function saying<T extends object>(map: T | null): T | null {
  return map === null || Object.keys(map).length === 0 ? null : map;
}

function checkSource(name: string | null, from: StorageSpec['source'], mode: StorageSpec['mode']): void {
  if (name !== null) {
    const scheme = (name.split('://')[0] ?? '').toLowerCase();
    if (BUCKET_SCHEMES.includes(scheme)) {
      throw new FieldError('must be a name alone; the address of a bucket that exists goes under "source"', ['name']);
    }
  }
  if (from === null) {
    if (mode === 'COPY') throw new FieldError('is missing: "mode: COPY" copies from it', ['source']);
    if (name === null || name === '') throw new FieldError('must have a name or a source');
    return;
  }
  for (const one of typeof from === 'string' ? [from] : from) checkOneSource(one, from, name, mode);
  if (typeof from !== 'string') {
    const names = from.map((one) => one.slice(one.lastIndexOf('/') + 1));
    const seen = new Set<string>();
    const twice = names.find((one) => seen.size === seen.add(one).size);
    if (twice !== undefined) throw new FieldError(`cannot hold two of the name ${shown(twice)}`, ['source']);
  }
}

function checkOneSource(
  one: string,
  from: string | readonly string[],
  name: string | null,
  mode: StorageSpec['mode'],
): void {
  const scheme = typeof from === 'string' ? schemeOf(one) : '';
  if (scheme === '') {
    if (one.endsWith('/')) throw new FieldError(`cannot end with a slash: ${shown(one)}`, ['source']);
    if (name === null || name === '') throw new FieldError('is missing: what comes from here needs one', ['name']);
    return;
  }
  if (!BUCKET_SCHEMES.includes(scheme)) {
    throw new FieldError(`must be a path here, or an address that begins with ${BUCKET_SCHEMES.join('://, ')}://`, [
      'source',
    ]);
  }
  const path = /^[^:]+:\/\/[^/?#]*([^?#]*)/.exec(one)?.[1] ?? '';
  const wholeBucket =
    scheme === 'https' ||
    scheme === 'hf' ||
    (scheme === 'cos' ? /^\/[-\w]+(?:\/\s*)?$/.test(path) : /^\/*$/.test(path));
  if (mode !== 'COPY' && !wholeBucket) {
    throw new FieldError(`must be a whole bucket to be mounted; "mode: COPY" copies a part of one`, ['source']);
  }
}

function volumeOf(path: string, written: WrittenStorage): LegacyVolume {
  const { persistent = false, config = {} } = written;
  const name = written.name ?? null;
  const { storage_type: storageType = 'network' } = config;
  if (storageType === 'network' && (name ?? '') === '')
    throw new FieldError('is missing: a network volume has a name', ['name']);
  return {
    path,
    name: storageType === 'network' ? name : null,
    storageType,
    attachMode: config.attach_mode ?? 'read_write',
    diskTier: config.disk_tier ?? (storageType === 'network' ? 'best' : null),
    diskSize: config.disk_size ?? null,
    autoDelete: !persistent,
  };
}

export function fileMountConfig(mountOf: FileMount): unknown {
  if (mountOf.kind !== 'storage') return mountOf.source;
  const { name, source: from, store, persistent, mode, type, mountCached: cached, mount: plain } = mountOf.storage;
  const config = { ...(cached === null ? {} : { mount_cached: cached }), ...(plain === null ? {} : { mount: plain }) };
  return {
    ...(name === null ? {} : { name }),
    ...(from === null ? {} : { source: from }),
    ...(store === null ? {} : { store }),
    persistent,
    mode,
    ...(type === null ? {} : { type }),
    ...(Object.keys(config).length === 0 ? {} : { config }),
  };
}
