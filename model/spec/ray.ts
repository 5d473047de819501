/** Ray for a task, of which SkyPilot's files say nothing: `true`, or which one. */
import { z } from 'zod';
import { DEFAULT_RAY_VERSION, RAY_EXTRAS, type RayExtra, type RayRequest, rayVersionProblem } from '../ray.ts';
import { attempt, doc, FieldError, field, isMap, mapOf, nested, shown } from './field.ts';
import { flagField, text, word } from './values.ts';

const MAX_AMOUNT = 1e12;
/** Ray takes these by other options, or makes them up by itself. */
const OTHERS_OWN = ['memory', 'object_store_memory'];
const RESOURCE = /^[A-Za-z][A-Za-z0-9_.:-]{0,99}$/;

function version(value: unknown): string {
  const written = text(value);
  const problem = rayVersionProblem(written);
  if (problem !== null) throw new FieldError(problem);
  return written;
}

function extras(value: unknown): RayExtra[] {
  if (!Array.isArray(value)) throw new FieldError(`must be a list, not ${shown(value)}`);
  return [...new Set(value.map((one) => word(one, RAY_EXTRAS)))].toSorted();
}

function headResources(value: unknown): Record<string, number> {
  if (!isMap(value)) throw new FieldError(`must be a map of names to numbers, not ${shown(value)}`);
  for (const [name, amount] of Object.entries(value)) {
    if (!RESOURCE.test(name)) throw new FieldError('cannot be the name of a resource', [name]);
    if (OTHERS_OWN.includes(name)) throw new FieldError('is given by the size of the node', [name]);
    const canonical = ['CPU', 'GPU'].find((one) => one === name.toUpperCase());
    if (canonical !== undefined && canonical !== name) throw new FieldError(`is written ${canonical}`, [name]);
    const whole = canonical === undefined || Number.isInteger(amount);
    if (typeof amount !== 'number' || !whole || amount < 0 || amount > MAX_AMOUNT) {
      const what = canonical === undefined ? 'a number' : 'a whole number';
      throw new FieldError(`must be ${what} from 0, not ${shown(amount)}`, [name]);
    }
  }
  return value as Record<string, number>;
}

export const rayFields = mapOf(
  {
    version: doc(
      field({ type: 'string' }, version),
      'release of Ray',
      `that of the cluster, else ${DEFAULT_RAY_VERSION}`,
    ),
    extras: doc(
      field({ type: 'array', items: { enum: RAY_EXTRAS } }, extras),
      `list of parts of Ray that are installed with it, of ${RAY_EXTRAS.map((one) => `\`${one}\``).join(', ')}`,
      'what `ray[default]` has',
    ),
    head_resources: doc(
      field({ type: 'object', additionalProperties: { type: 'number', minimum: 0 } }, headResources),
      'a map of what the head offers to tasks and actors: `CPU`, `GPU`, own names. `{CPU: 0}` keeps them off it',
      'as any node: its vCPUs and GPUs',
    ),
    restart_head: doc(
      flagField(),
      'whether a head that ended is started again; all that Ray knew is lost with it',
      '`false`: that is reported, and Ray is not up any more',
    ),
  },
  { nulls: 'absent' },
);

const ANY: RayRequest = { version: null, extras: [], headResources: null, restartHead: null };

export function rayRequest(written: z.output<typeof rayFields>): RayRequest {
  return {
    version: written.version ?? null,
    extras: written.extras ?? [],
    headResources: written.head_resources ?? null,
    restartHead: written.restart_head ?? null,
  };
}

/** null: none. */
export const rayField = z
  .unknown()
  .meta({ anyOf: [{ type: 'boolean' }, { $ref: '#/$defs/ray' }] })
  .transform((value, ctx): RayRequest | null =>
    attempt(ctx, () => {
      if (typeof value === 'boolean') return value ? ANY : null;
      if (!isMap(value)) throw new FieldError(`must be true, or a map of fields, not ${shown(value)}`);
      const written = nested(ctx, rayFields, value);
      if (written === null) return z.NEVER;
      return rayRequest(written);
    }),
  );

export function rayConfig({ version: release, extras: parts, headResources: head, restartHead }: RayRequest): unknown {
  const written = {
    ...(release === null ? {} : { version: release }),
    ...(parts.length === 0 ? {} : { extras: parts }),
    ...(head === null ? {} : { head_resources: head }),
    ...(restartHead === null ? {} : { restart_head: restartHead }),
  };
  return Object.keys(written).length === 0 ? true : written;
}
