/** `envs`, `secrets` and `managed_secrets`. */
import { z } from 'zod';
import { FieldError, isMap, shown } from './field.ts';
import { text } from './values.ts';

/** A secret that is kept elsewhere, by name. */
export interface SecretRef {
  readonly name: string;
  readonly scope: 'personal' | 'workspace' | 'global' | null;
  /** A file on the machine; null: a variable of the environment. */
  readonly mountPath: string | null;
}

export interface Secrets {
  readonly values: Readonly<Record<string, string>>;
  readonly refs: readonly SecretRef[];
}

export function envName(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name.length > 256 || name === '__proto__') {
    throw new FieldError(`${shown(name)} cannot be the name of an environment variable`);
  }
  return name;
}

/** What can be the value of an environment variable of a process. */
export function envValue(value: unknown): string {
  if (typeof value === 'object') throw new FieldError(`must be text, not ${shown(value)}`);
  return text(String(value));
}

/** Texts as Python prints the values; the command line's have been put in already. */
export const envs = z
  .unknown()
  .meta({ type: 'object', additionalProperties: { type: ['string', 'number', 'boolean', 'null'] } })
  .transform((map, ctx): Record<string, string> => {
    if (!isMap(map)) {
      ctx.addIssue({ code: 'custom', message: 'must be a map of names to values' });
      return z.NEVER;
    }
    const values: [string, string][] = [];
    for (const [name, value] of Object.entries(map)) {
      collect(ctx, name, () => {
        if (value === null) {
          throw new FieldError(
            `Environment variable '${name}' is None: give it a value here or by --env (empty text: "")`,
          );
        }
        values.push([envName(name), envValue(value)]);
      });
    }
    return Object.fromEntries(values);
  });

function collect(ctx: z.core.$RefinementCtx, step: string | number, parse: () => void): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    ctx.addIssue({ code: 'custom', message: error.message, path: [step, ...error.path] });
  }
}

const PREFIX = 'secrets:';
const SCOPE = /^(personal|workspace|global)\.([\s\S]*)$/;

function refOf(written: string, mountPath: string | null = null): SecretRef {
  const bare = written.startsWith(PREFIX) ? written.slice(PREFIX.length) : written;
  const [, scope = null, rest] = SCOPE.exec(bare) ?? [];
  const name = rest ?? bare;
  if (name === '') throw new FieldError('must name a secret');
  return { name, scope: scope as SecretRef['scope'], mountPath };
}

/** A map of names to values, in which no value means one that is kept elsewhere, or a list of `secrets:NAME`. */
export const secrets = z
  .unknown()
  .meta({
    anyOf: [
      { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean', 'null'] } },
      { type: 'array', items: { type: 'string', pattern: '^secrets:' } },
    ],
  })
  .transform((written, ctx): Secrets => {
    const values: [string, string][] = [];
    const refs: SecretRef[] = [];
    if (Array.isArray(written)) {
      for (const [index, item] of written.entries()) {
        collect(ctx, index, () => {
          if (typeof item !== 'string' || !item.startsWith(PREFIX)) {
            throw new FieldError(
              `must be such as secrets:NAME, not ${shown(item)}; a secret with a value goes into a map`,
            );
          }
          refs.push(refOf(item));
        });
      }
      return { values: {}, refs };
    }
    if (!isMap(written)) {
      ctx.addIssue({ code: 'custom', message: 'must be a map of names to values, or a list of secrets:NAME' });
      return z.NEVER;
    }
    for (const [name, value] of Object.entries(written)) {
      collect(ctx, name, () => {
        if (value === null) refs.push(refOf(name));
        else if (name.startsWith(PREFIX)) {
          throw new FieldError('must have no value: it is kept elsewhere; leave "secrets:" away to give one here');
        } else values.push([envName(name), envValue(value)]);
      });
    }
    return { values: Object.fromEntries(values), refs };
  });

export const managedSecrets = z
  .unknown()
  .meta({
    type: 'array',
    items: {
      anyOf: [
        { type: 'string' },
        {
          type: 'object',
          maxProperties: 1,
          additionalProperties: {
            type: 'object',
            properties: { mount_path: { type: 'string' } },
            additionalProperties: false,
          },
        },
      ],
    },
  })
  .transform((written, ctx): SecretRef[] => {
    if (!Array.isArray(written)) {
      ctx.addIssue({ code: 'custom', message: `must be a list of names, not ${shown(written)}` });
      return z.NEVER;
    }
    const refs: SecretRef[] = [];
    for (const [index, item] of written.entries()) {
      collect(ctx, index, () => {
        if (typeof item === 'string') refs.push(refOf(item));
        else if (isMap(item) && Object.keys(item).length <= 1) {
          for (const [name, options] of Object.entries(item)) refs.push(refOf(name, mountPathOf(name, options)));
        } else throw new FieldError(`must be a name, or a map of one name to {mount_path}, not ${shown(item)}`);
      });
    }
    return refs;
  });

function mountPathOf(name: string, options: unknown): string | null {
  const keys = isMap(options) ? Object.keys(options) : null;
  if (!isMap(options) || keys === null)
    throw new FieldError(`must be a map with "mount_path", not ${shown(options)}`, [name]);
  const stray = keys.find((key) => key !== 'mount_path');
  if (stray !== undefined) throw new FieldError('unknown field; only "mount_path" is known here', [name, stray]);
  if (options.mount_path === undefined) return null;
  if (typeof options.mount_path !== 'string') throw new FieldError('must be text', [name, 'mount_path']);
  return text(options.mount_path);
}

export function secretRefConfig({ name, scope, mountPath }: SecretRef): unknown {
  const full = scope === null ? name : `${scope}.${name}`;
  return mountPath === null ? `${PREFIX}${full}` : { [full]: { mount_path: mountPath } };
}
