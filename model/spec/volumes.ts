/** `volumes`: what is mounted by the name of a volume, made for the task, or bound from the host. */
import { z } from 'zod';
import { attempt, doc, FieldError, field, jsonValue, mapOf, shown, within } from './field.ts';
import { isAddress } from './storage.ts';
import { text, textField, wholeGib, wordField } from './values.ts';

export type VolumeUse =
  | { readonly kind: 'named'; readonly name: string; readonly subPath: string | null }
  /** Made with the cluster and gone with it. */
  | {
      readonly kind: 'ephemeral';
      /** GiB. */
      readonly size: number;
      readonly type: string | null;
      readonly labels: Readonly<Record<string, string>> | null;
      readonly config: Readonly<Record<string, unknown>> | null;
    }
  /** A directory of the host, on Slurm. */
  | { readonly kind: 'host'; readonly hostPath: string; readonly mode: 'ro' | 'rw' };

const SUB_PATH = /^[a-zA-Z0-9._-][a-zA-Z0-9./_-]*$/;

function size(value: unknown): number {
  const gib = wholeGib(value);
  if (gib === null || gib < 1) throw new FieldError(`must be GiB from 1, or such as "100Gi", not ${shown(value)}`);
  return gib;
}

const writtenVolume = mapOf({
  name: doc(textField(), 'name of a volume that exists'),
  sub_path: doc(
    field({ type: 'string', pattern: SUB_PATH.source }, (value) => {
      if (SUB_PATH.test(text(value))) return value as string;
      throw new FieldError(`must be a path below the volume, not ${shown(value)}`);
    }),
    'of a volume by name: what of it is mounted',
    'all',
  ),
  size: doc(field({ type: ['integer', 'string'] }, size), 'GiB of a volume that lives as long as the cluster'),
  type: doc(wordField(['k8s-pvc']), 'kind of a volume that lives as long as the cluster', 'by the cloud'),
  labels: doc(z.record(z.string(), z.string()), 'its labels'),
  config: doc(z.record(z.string(), jsonValue), 'what its kind takes'),
  host_path: doc(textField(), 'on Slurm: a directory of the host'),
  mode: doc(z.enum(['ro', 'rw']), 'of a directory of the host: `ro` or `rw`', '`ro`'),
});

export const volumes = z
  .record(
    z.string(),
    z.union([z.string(), writtenVolume], { error: 'must be the name of a volume, or a map of its fields' }),
    {
      error: (issue) => (issue.code === 'invalid_type' ? 'must be a map of paths to volumes' : undefined),
    },
  )
  .transform((written, ctx): Record<string, VolumeUse> => {
    const uses: [string, VolumeUse][] = [];
    for (const [target, volume] of Object.entries(written)) {
      attempt(ctx, () => {
        if (target.endsWith('/')) throw new FieldError('cannot end with a slash', [target]);
        if (!isAddress(target) && !/^[/~]/.test(target)) throw new FieldError('must begin with "/" or "~"', [target]);
        uses.push([target, within([target], () => useOf(volume))]);
      });
    }
    return Object.fromEntries(uses);
  });

const FIELDS = {
  ephemeral: ['size', 'type', 'labels', 'config'],
  named: ['name', 'sub_path'],
  host: ['host_path', 'mode'],
};

function useOf(written: string | z.infer<typeof writtenVolume>): VolumeUse {
  if (typeof written === 'string') return { kind: 'named', name: written, subPath: null };
  const kind = written.size !== undefined ? 'ephemeral' : written.name !== undefined ? 'named' : 'host';
  const stray = Object.keys(written).find((key) => !FIELDS[kind].includes(key));
  const { name, size: gib, host_path: hostPath } = written;
  if (name === undefined && gib === undefined && hostPath === undefined)
    throw new FieldError('must have "name", "size" or "host_path"');
  if (stray !== undefined) {
    const leader = { ephemeral: 'size', named: 'name', host: 'host_path' }[kind];
    throw new FieldError(`cannot be given together with "${leader}"`, [stray]);
  }
  if (gib !== undefined) {
    const { type = null, labels = null, config = null } = written;
    const mode = config?.access_mode;
    if (mode !== undefined && typeof mode !== 'string') {
      throw new FieldError(`must be text, not ${shown(mode)}`, ['config', 'access_mode']);
    }
    return { kind: 'ephemeral', size: gib, type, labels, config };
  }
  if (name !== undefined) return { kind: 'named', name, subPath: written.sub_path ?? null };
  if (hostPath === undefined || !hostPath.startsWith('/') || hostPath === '/') {
    throw new FieldError(`must be an absolute path below "/", not ${shown(hostPath)}`, ['host_path']);
  }
  return { kind: 'host', hostPath, mode: written.mode ?? 'ro' };
}

export function volumeConfig(use: VolumeUse): unknown {
  switch (use.kind) {
    case 'named':
      return use.subPath === null ? use.name : { name: use.name, sub_path: use.subPath };
    case 'host':
      return { host_path: use.hostPath, mode: use.mode };
    case 'ephemeral': {
      const { size: gib, type, labels, config } = use;
      return {
        size: gib,
        ...(type === null ? {} : { type }),
        ...(labels === null ? {} : { labels }),
        ...(config === null ? {} : { config }),
      };
    }
  }
}
