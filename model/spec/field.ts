/** How a field of a task file is read: zod schemas whose messages say what was expected, and whose JSON Schema editors can use. */
import { z } from 'zod';
import { nearestWord } from '../spelling.ts';

/** Says what the value must be, to follow the field's path: `must be …`. */
export class FieldError extends Error {
  /** Below the field itself. */
  readonly path: readonly (string | number)[];

  constructor(message: string, path: readonly (string | number)[] = []) {
    super(message);
    this.name = 'FieldError';
    this.path = path;
  }
}

/** JSON Schema of what may be written. */
export type JsonForm = Readonly<Record<string, unknown>>;

/** A value for an error text, short whatever it is. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'object') return 'a map';
  return String(value);
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** Runs a parser that throws FieldError, inside a zod transform. */
export function attempt<T>(ctx: z.core.$RefinementCtx, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    ctx.addIssue({ code: 'custom', message: error.message, path: [...error.path] });
    return z.NEVER;
  }
}

/** Of a union, the problems of the one form that was meant: the one whose kind of value it is. */
export function flatIssues(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union') return [issue];
    const kind = (one: z.core.$ZodIssue) => one.path.length === 0 && /^invalid_(?:type|value)$/.test(one.code);
    const meant = issue.errors.filter((branch) => !branch.some(kind));
    const [only] = meant;
    if (only === undefined || meant.length > 1) return [issue];
    return flatIssues(only).map((one) => ({ ...one, path: [...issue.path, ...one.path] }));
  });
}

/** Any value that JSON has: free maps are passed on as they are, and a date of YAML cannot be. */
export const jsonValue = z.unknown().superRefine((value, ctx) => {
  const visit = (held: unknown, path: readonly string[]) => {
    if (held instanceof Date) {
      ctx.addIssue({ code: 'custom', message: 'must be text, not a date; put it in quotes', path: [...path] });
    } else if (typeof held === 'object' && held !== null) {
      for (const [name, item] of Object.entries(held)) visit(item, [...path, name]);
    }
  };
  visit(value, []);
});

/** Runs `parse`; what it throws is about what stands at `steps` below. */
export function within<T>(steps: readonly (string | number)[], parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof FieldError) throw new FieldError(error.message, [...steps, ...error.path]);
    throw error;
  }
}

/** Parses with another schema; its issues become those of the field, below `steps`. null: there were some. */
export function nested<T>(
  ctx: z.core.$RefinementCtx,
  schema: z.ZodType<T, unknown>,
  value: unknown,
  steps: readonly (string | number)[] = [],
): T | null {
  const parsed = schema.safeParse(value, { error: issueText });
  if (parsed.success) return parsed.data;
  for (const issue of flatIssues(parsed.error.issues)) {
    const params = issue.code === 'custom' ? issue.params : undefined;
    const path = [...steps, ...issue.path];
    ctx.addIssue({ code: 'custom', message: issue.message, path, ...(params === undefined ? {} : { params }) });
  }
  return null;
}

/** A field with a parser of its own, which the command line's options share. */
export function field<T>(form: JsonForm, parse: (value: unknown) => T) {
  return z
    .unknown()
    .meta(form)
    .transform((value, ctx): T => attempt(ctx, () => parse(value)));
}

/** The field with what documents and editors say of it; `initial` is its default in words. */
export function doc<T extends z.ZodType>(schema: T, description: string, initial = 'none') {
  return schema.optional().meta({ description, 'x-default': initial });
}

/** Names that a map knows, for whoever explains an unknown one. */
export interface UnknownField {
  readonly known: readonly string[];
}

/** An issue that stands for a key that its map does not know carries these as `params`. */
export function unknownFieldOf(params: unknown): UnknownField | null {
  return isMap(params) && Array.isArray(params.known) ? (params as unknown as UnknownField) : null;
}

/** Keys of SkyPilot's own bookkeeping begin like this. */
const INTERNAL = /^_/;
const INTERNAL_NAMES = new Set(['file_mounts_mapping', 'volume_mounts', 'ephemeral_storage']);

function unknownKeys(known: readonly string[]) {
  return z.unknown().superRefine((_, ctx) => {
    ctx.addIssue({ code: 'custom', message: 'unknown field', params: { known } satisfies UnknownField });
  });
}

export function isInternalField(name: string): boolean {
  return INTERNAL.test(name) || INTERNAL_NAMES.has(name);
}

/**
 * A map that knows its fields. With `nulls: 'absent'` a field that holds nothing is as good as absent, as SkyPilot has it at the
 * top of a task, of `resources`, of `service` and of a storage object, and nowhere else.
 */
export function mapOf<S extends z.ZodRawShape>(
  shape: S,
  options: { readonly nulls?: 'absent'; readonly what?: string } = {},
): z.ZodType<z.output<z.ZodObject<S>>, unknown> {
  const { nulls, what = 'a map of fields' } = options;
  const map = z
    .object(shape, { error: (issue) => (issue.code === 'invalid_type' ? `must be ${what}` : undefined) })
    .catchall(unknownKeys(Object.keys(shape)));
  const known = (value: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(value).filter(([name, held]) => held !== null || !Object.hasOwn(shape, name)));
  // To zod a date is a map.
  const prepared = (value: unknown) => {
    if (value instanceof Date) return value.toISOString();
    return nulls === 'absent' && isMap(value) ? known(value) : value;
  };
  return z.preprocess(prepared, map) as unknown as z.ZodType<z.output<z.ZodObject<S>>, unknown>;
}

/** Texts for the issues that zod finds by itself. */
export function issueText(issue: z.core.$ZodRawIssue): string {
  const not = `, not ${shown(issue.input)}`;
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is missing';
      return `must be ${WORDS[issue.expected] ?? issue.expected}${not}${quoteHint(issue.expected, issue.input)}`;
    case 'invalid_value':
      return wordProblem(issue.input, issue.values.map(String));
    case 'too_small':
      return `must ${bound(issue.origin, 'at least', issue.inclusive === false ? `more than ${issue.minimum}` : issue.minimum)}${sizeNot(issue)}`;
    case 'too_big':
      return `must ${bound(issue.origin, 'at most', issue.maximum)}${sizeNot(issue)}`;
    case 'invalid_format':
      return `is not of the right form${not}`;
    default:
      return issue.message ?? 'is not valid';
  }
}

/** `must be low, medium or high, not "hgh"; did you mean "high"?` */
export function wordProblem(value: unknown, words: readonly string[]): string {
  const listed = words.length === 1 ? words[0] : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
  const near = typeof value === 'string' ? nearestWord(value, words) : null;
  return `must be ${listed}, not ${shown(value)}${near === null ? '' : `; did you mean "${near}"?`}`;
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

function quoteHint(expected: string, input: unknown): string {
  const scalar = typeof input === 'number' || typeof input === 'boolean' || input instanceof Date;
  return expected === 'string' && scalar ? '; put it in quotes' : '';
}

function bound(origin: string, word: string, size: unknown): string {
  const text = String(size).startsWith('more than') ? String(size) : `${word} ${size}`;
  if (origin === 'array' || origin === 'set') return `have ${text} items`;
  if (origin === 'string') return `have ${text} characters`;
  return `be ${text}`;
}

function sizeNot(issue: z.core.$ZodRawIssue): string {
  return typeof issue.input === 'number' ? `, not ${issue.input}` : '';
}
