/** Scalars that several fields of a task share, in the forms that SkyPilot's parser takes. Each gives the normal form or throws FieldError. */
import type { Amount } from '../machines.ts';
import { FieldError, field, shown, wordProblem } from './field.ts';

const MAX_COUNT = 1e9;

export function text(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean' || value instanceof Date) {
    throw new FieldError(`must be text, not ${shown(value)}; put it in quotes`);
  }
  if (typeof value !== 'string') throw new FieldError(`must be text, not ${shown(value)}`);
  if (value.includes('\0')) throw new FieldError('must not hold NUL characters');
  return value;
}

export const textField = () => field({ type: 'string' }, text);

export function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new FieldError(`must be true or false, not ${shown(value)}`);
  return value;
}

export const flagField = () => field({ type: 'boolean' }, flag);

/** A whole number within bounds. Text is one only on the command line. */
export function wholeNumber(value: unknown, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    const range = most >= MAX_COUNT ? `from ${least}` : `from ${least} to ${most}`;
    const quoted = typeof value === 'string' && /^[-+]?\d+$/.test(value) ? '; take the quotes away' : '';
    throw new FieldError(`must be a whole number ${range}, not ${shown(value)}${quoted}`);
  }
  return value;
}

export const wholeField = (least: number, most = MAX_COUNT) =>
  field({ type: 'integer', minimum: least, ...(most < MAX_COUNT ? { maximum: most } : {}) }, (value) =>
    wholeNumber(value, least, most),
  );

export function amount(value: unknown, least = 0): number {
  if (typeof value === 'number' && value >= least && value <= MAX_COUNT) return value;
  throw new FieldError(`must be a number from ${least}, not ${shown(value)}`);
}

export const amountField = (least = 0) => field({ type: 'number', minimum: least }, (value) => amount(value, least));

/** One of some words in any case; gives it as the list has it. */
export function word<const W extends string>(value: unknown, words: readonly W[]): W {
  const wanted = typeof value === 'string' ? value.toLowerCase() : value;
  const found = words.find((candidate) => candidate.toLowerCase() === wanted);
  if (found !== undefined) return found;
  throw new FieldError(wordProblem(value, words));
}

export const wordField = <const W extends string>(words: readonly W[]) =>
  field({ type: 'string', anyOf: [{ enum: words }, { pattern: anyCase(words) }] }, (value) => word(value, words));

/** For JSON Schema, whose patterns cannot be told to ignore case. */
function anyCase(words: readonly string[]): string {
  const letter = (one: string) => `[${one.toLowerCase()}${one.toUpperCase()}]`;
  return `^(${words.map((one) => one.replace(/[a-z]/gi, letter)).join('|')})$`;
}

const FLOAT = /^\s*[-+]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][-+]?\d+)?\s*$/;

/** What Python's `float()` makes of a text, without its infinities and NaN; null when it is no number. */
export function pythonFloat(source: string): number | null {
  if (source.length > 100 || !FLOAT.test(source)) return null;
  const number = Number(source.trim().replaceAll('_', ''));
  return Number.isFinite(number) ? number : null;
}

/** The parts of `4`, `'4'`, `'4+'`. */
function plus(value: unknown): { source: string; atLeast: boolean } | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const source = String(value);
  return source.endsWith('+') ? { source: source.slice(0, -1), atLeast: true } : { source, atLeast: false };
}

/** vCPUs: `4`, `'4'`, `'4+'`. */
export function cpus(value: unknown): Amount {
  const parts = plus(value);
  const count = parts === null ? null : pythonFloat(parts.source);
  if (parts === null || count === null || !(count > 0 && count <= MAX_COUNT))
    throw new FieldError(`must be a number above 0, or such as "4+", not ${shown(value)}`);
  return { count, atLeast: parts.atLeast };
}

const KIB = 1 / 1024 ** 2;
/** GiB in each unit: GB means GiB here, as in SkyPilot. */
const SIZE_UNITS: Readonly<Record<string, number>> = { k: KIB, m: 1 / 1024, g: 1, t: 1024, p: 1024 ** 2 };

function gib(source: string): number | null {
  const unit = /^(.*?)([kmgtp])[bi]$/is.exec(source);
  const number = pythonFloat(unit?.[1] ?? source);
  if (number === null) return null;
  return unit === null ? number : number * (SIZE_UNITS[(unit[2] ?? '').toLowerCase()] ?? 1);
}

/** GiB: `32`, `'32+'`, `'32GB+'`; 0 is for Slurm alone, which `resources` checks. */
export function memory(value: unknown): Amount {
  const parts = plus(value);
  const count = parts === null ? null : gib(parts.source);
  if (parts === null || count === null || !(count >= 0 && count <= MAX_COUNT))
    throw new FieldError(`must be GiB above 0, or such as "32+" or "32GB+", not ${shown(value)}`);
  return { count, atLeast: parts.atLeast };
}

const SIZE = /^[0-9]+(?:[kmgtp][bi]|[KMGTP][BI]|[KMGTP][bi])?$/;

/** GiB as a whole number, rounded down: `100`, `'100'`, `'1TB'`, `'1500MB'`. null: not a size. */
export function wholeGib(value: unknown): number | null {
  if (typeof value === 'number') return Number.isInteger(value) ? value : null;
  if (typeof value !== 'string' || !SIZE.test(value)) return null;
  const size = gib(value);
  return size === null ? null : Math.floor(size);
}

export function diskSize(value: unknown): number {
  const size = wholeGib(value);
  if (size === null || size < 1 || size > MAX_COUNT)
    throw new FieldError(`must be GiB from 1, or such as "500GB" or "1TB", not ${shown(value)}`);
  return size;
}

export function sizeText(amountOf: Amount): string {
  return `${amountOf.count}${amountOf.atLeast ? '+' : ''}`;
}

const TIME = /^([0-9]{1,9})(s|m|h|d|w)?$/i;
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Seconds of `30`, `'30s'`, `'5m'`; a bare number counts `unitSeconds`. null: not a time. One unit, as SkyPilot has it. */
export function timeSeconds(value: unknown, unitSeconds: number): number | null {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 ? value * unitSeconds : null;
  const match = typeof value === 'string' ? TIME.exec(value) : null;
  if (match === null) return null;
  return Number(match[1]) * (SECONDS[(match[2] ?? '').toLowerCase()] ?? unitSeconds);
}

const TASK_NAME = /^[a-zA-Z0-9]+(?:[._-]{1,2}[a-zA-Z0-9]+)*$/;

export function taskName(value: unknown): string {
  const name = text(value);
  if (TASK_NAME.test(name)) return name;
  throw new FieldError(
    `${shown(name)} must begin and end with a letter or digit, and hold only letters, digits, ".", "_" and "-", never three signs in a row`,
  );
}
