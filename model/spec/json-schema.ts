/** The task file for editors and for documents: JSON Schema made from the schemas that read it. */
import { z } from 'zod';
import { autostopFields } from './autostop.ts';
import { isMap } from './field.ts';
import { rayFields } from './ray.ts';
import { probeFields } from './service.ts';
import { writtenStorage } from './storage.ts';
import { writtenTask } from './task.ts';

export type JsonSchema = { readonly [key: string]: unknown };

export function jsonOf(schema: z.ZodType): JsonSchema {
  const made = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as JsonSchema;
  return closed(made) as JsonSchema;
}

/** A map with known fields takes no others; what zod has as a check of each unknown key. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (!isMap(value)) return value;
  const inner = Object.entries(value)
    .filter(([key]) => key !== '$schema')
    .map(([key, held]) => [key, closed(held)] as const);
  const made = Object.fromEntries(inner);
  const open = isMap(value.additionalProperties) && Object.keys(value.additionalProperties).length === 0;
  return isMap(value.properties) && open && !('x-open' in value) ? { ...made, additionalProperties: false } : made;
}

/** JSON Schema of one document of a task file. */
export function taskJsonSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Styx task',
    ...jsonOf(writtenTask),
    $defs: {
      autostop: jsonOf(autostopFields),
      ray: jsonOf(rayFields),
      readinessProbe: jsonOf(probeFields),
      storage: jsonOf(writtenStorage),
    },
  };
}

/** A field as documents show it. */
export interface FieldDoc {
  /** `resources.autostop.idle_minutes`. */
  readonly path: string;
  readonly description: string;
  readonly initial: string;
}

/** Every field of a task, in order; the fields of a map follow it. */
export function fieldDocs(): FieldDoc[] {
  return docsOf(taskJsonSchema());
}

/** The same of any JSON Schema whose fields have words. */
export function docsOf(whole: JsonSchema): FieldDoc[] {
  const docs: FieldDoc[] = [];
  const visit = (schema: JsonSchema, path: string) => {
    const { properties } = schema;
    if (!isMap(properties)) return;
    for (const [name, field] of Object.entries(properties)) {
      if (!isMap(field) || typeof field.description !== 'string') continue;
      const at = path === '' ? name : `${path}.${name}`;
      docs.push({ path: at, description: field.description, initial: String(field['x-default'] ?? 'none') });
    }
    for (const [name, field] of Object.entries(properties)) {
      if (!isMap(field) || typeof field.description !== 'string') continue;
      const at = path === '' ? name : `${path}.${name}`;
      for (const [below, inner] of mapsIn(field, at, whole)) visit(inner, below);
    }
  };
  visit(whole, '');
  return docs;
}

/** Alternatives repeat the fields beside them. */
const REPEATED = new Set(['resources.any_of', 'resources.ordered']);

function mapsIn(field: JsonSchema, path: string, whole: JsonSchema): [string, JsonSchema][] {
  if (REPEATED.has(path)) return [];
  if (isMap(field.properties)) return [[path, field]];
  const inner = [...(Array.isArray(field.anyOf) ? field.anyOf : []), field.items, field.additionalProperties];
  const maps = inner.flatMap((one) => (isMap(one) && Array.isArray(one.anyOf) ? one.anyOf : [one]));
  const found = maps
    .map((one) => resolved(one, whole))
    .find((one): one is JsonSchema => isMap(one) && isMap(one.properties));
  if (found === undefined) return [];
  return [[isMap(field.additionalProperties) ? `${path}.*` : path, found]];
}

function resolved(schema: unknown, whole: JsonSchema): unknown {
  const name = isMap(schema) && typeof schema.$ref === 'string' ? schema.$ref.split('/').at(-1) : undefined;
  return name !== undefined && isMap(whole.$defs) ? whole.$defs[name] : schema;
}
