/** What one field of a task may hold, in all the forms that people write. Each function gives the normal form or throws FieldError. */
import { parseDuration } from './duration.ts';
import { nameProblem } from './identity.ts';
import type { Amount } from './machines.ts';
import type { AutostopRule } from './task.ts';

/** Says what the value must be, to follow the field's path: `must be …`. */
export class FieldError extends Error {
  /** Below the field itself. */
  readonly path: readonly string[];

  constructor(message: string, path: readonly string[] = []) {
    super(message);
    this.name = 'FieldError';
    this.path = path;
  }
}

const MAX_SECONDS = 10 * 365 * 86_400;
const MAX_COUNT = 1_000_000;

/** A value for an error text, short whatever it is. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map';
  return String(value);
}

export function text(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') {
    throw new FieldError(`must be text, not ${shown(value)}; put it in quotes`);
  }
  if (typeof value !== 'string') throw new FieldError(`must be text, not ${shown(value)}`);
  if (value.includes('\0')) throw new FieldError('must not hold NUL characters');
  return value;
}

export function taskName(value: unknown): string {
  const name = text(value);
  const problem = nameProblem(name);
  if (problem !== null) throw new FieldError(`${shown(name)} ${problem}`);
  return name;
}

export function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new FieldError(`must be true or false, not ${shown(value)}`);
  return value;
}

/** A whole number, also as text (`'4'`), within bounds. */
function wholeNumber(value: unknown, least: number, most: number): number {
  const number = typeof value === 'string' && /^[-+]?\d{1,15}$/.test(value.trim()) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < least || number > most) {
    throw new FieldError(`must be a whole number from ${least} to ${most}, not ${shown(value)}`);
  }
  return number;
}

export function numNodes(value: unknown): number {
  return wholeNumber(value, 1, 10_000);
}

export function priority(value: unknown): number {
  return wholeNumber(value, -1000, 1000);
}

const AMOUNT = /^(\d+(?:\.\d+)?)\s*([a-z]*)\s*(\+?)$/i;
/** GiB in a unit; SkyPilot reads GB as GiB too. */
const MEMORY_UNITS: Readonly<Record<string, number>> = { k: 1 / 1024 ** 2, m: 1 / 1024, g: 1, t: 1024, p: 1024 ** 2 };

/** vCPUs: `4`, `'4'`, `'4+'`. */
export function cpus(value: unknown): Amount {
  const amount = amountOf(value);
  if (amount === null || amount.unit !== '')
    throw new FieldError(`must be a number above 0, or such as "4+", not ${shown(value)}`);
  return { count: amount.count, atLeast: amount.atLeast };
}

/** GiB: `32`, `'32+'`, `'32GB+'`. */
export function memory(value: unknown): Amount {
  const amount = amountOf(value);
  const unit = amount === null ? null : /^([kmgtp])i?b?$/i.exec(amount.unit || 'g');
  if (amount === null || unit === null) {
    throw new FieldError(`must be GiB above 0, or such as "32+" or "32GB+", not ${shown(value)}`);
  }
  return { count: amount.count * (MEMORY_UNITS[(unit[1] ?? '').toLowerCase()] ?? 1), atLeast: amount.atLeast };
}

function amountOf(value: unknown): { count: number; unit: string; atLeast: boolean } | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const match = AMOUNT.exec(String(value).trim().slice(0, 50));
  const count = Number(match?.[1]);
  if (match === null || !(count > 0 && count <= MAX_COUNT)) return null;
  return { count, unit: match[2] ?? '', atLeast: match[3] === '+' };
}

/** Whole, or a fraction below 1. */
export function gpuCount(value: unknown, least: 'some' | 'none' = 'some'): number {
  const number = typeof value === 'string' && /^\d+(?:\.\d+)?$/.test(value.trim()) ? Number(value) : value;
  const ok = typeof number === 'number' && number <= MAX_COUNT && (number < 1 || Number.isInteger(number));
  if (ok && (number > 0 || (least === 'none' && number === 0))) return number;
  throw new FieldError(`must be a whole number of GPUs, or a fraction between 0 and 1, not ${shown(value)}`);
}

/** `A100`, `A100:8`, `A100:0.5`, `{A100: 8}`. */
export function accelerators(value: unknown): { name: string; count: number } {
  if (Array.isArray(value)) throw new FieldError('a list of alternatives is not supported yet by this version of Styx');
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    const [first] = entries;
    if (first === undefined) throw new FieldError('must name an accelerator, such as A100:8');
    if (entries.length > 1) throw new FieldError('a set of alternatives is not supported yet by this version of Styx');
    return first[1] === null ? accelerators(first[0]) : { name: gpuName(first[0]), count: gpuCount(first[1]) };
  }
  const [name = '', count = '1', ...more] = text(value).trim().split(':');
  if (more.length > 0 || /^\d+(?:\.\d+)?[KMGT]i?B?\+?$/i.test(name) || /[a-z]/i.test(count)) {
    throw new FieldError(`must be such as A100:8, not ${shown(value)}; asking by memory or maker is not supported yet`);
  }
  return { name: gpuName(name), count: gpuCount(count.trim()) };
}

function gpuName(name: string): string {
  const trimmed = name.trim();
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(trimmed))
    throw new FieldError(`${shown(name)} is not the name of an accelerator`);
  return trimmed;
}

/** A name of a cloud, region or instance type; null for `*`. */
export function placeName(value: unknown): string | null {
  const name = text(value).trim();
  if (name === '*') return null;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name))
    throw new FieldError(`${shown(name)} is not a name of a place or machine`);
  return name;
}

export function cloudName(value: unknown): string | null {
  return placeName(value)?.toLowerCase() ?? null;
}

export interface Place {
  readonly cloud: string | null;
  readonly region: string | null;
  readonly zone: string | null;
}

/** `cloud`, `cloud/region`, `cloud/region/zone`; `*` stands for any. */
export function infra(value: unknown): Place {
  const parts = text(value).trim().split('/');
  if (parts.length > 3) throw new FieldError(`must be cloud, cloud/region or cloud/region/zone, not ${shown(value)}`);
  const [cloud = '*', region = '*', zone = '*'] = parts;
  return { cloud: cloudName(cloud), region: placeName(region), zone: placeName(zone) };
}

/** Seconds: `300`, `'300'`, `'30m'`, `'1h 30m'`. */
export function maxDuration(value: unknown): number {
  const seconds = timeOf(value, 1);
  if (seconds === null || seconds <= 0)
    throw new FieldError(`must be seconds above 0, or such as "30m" or "2h", not ${shown(value)}`);
  return seconds;
}

/** Whole minutes, at least 1: `10`, `'10'`, `'10h'`. 0 is raised to 1; seconds are rounded up. */
export function idleMinutes(value: unknown): number {
  const seconds = timeOf(value, 60);
  if (seconds === null) throw new FieldError(`must be minutes from 0, or such as "90m" or "10h", not ${shown(value)}`);
  return Math.max(1, Math.ceil(seconds / 60));
}

function timeOf(value: unknown, unitSeconds: number): number | null {
  let seconds: number | null = null;
  if (typeof value === 'number' && Number.isInteger(value)) seconds = value * unitSeconds;
  else if (typeof value === 'string') {
    seconds = /^\d{1,12}$/.test(value.trim()) ? Number(value) * unitSeconds : parseDuration(value);
  }
  return seconds !== null && seconds >= 0 && seconds <= MAX_SECONDS ? seconds : null;
}

export const DEFAULT_AUTOSTOP: AutostopRule = { idleMinutes: 5, down: false, waitFor: 'jobs_and_ssh' };

export function waitFor(value: unknown): AutostopRule['waitFor'] {
  if (value === 'jobs_and_ssh' || value === 'jobs' || value === 'none') return value;
  throw new FieldError(`must be jobs_and_ssh, jobs or none, not ${shown(value)}`);
}

export function queueDiscipline(value: unknown): 'fifo' | 'backfill' {
  if (value === 'fifo' || value === 'backfill') return value;
  throw new FieldError(`must be fifo or backfill, not ${shown(value)}`);
}

/** A number of vCPUs or GiB that a job takes. */
export function demandAmount(value: unknown): number {
  const number = typeof value === 'string' && /^\d+(?:\.\d+)?$/.test(value.trim()) ? Number(value) : value;
  if (typeof number === 'number' && number >= 0 && number <= MAX_COUNT) return number;
  throw new FieldError(`must be a number from 0, not ${shown(value)}`);
}

/** What can be the value of an environment variable of a process. */
export function envValue(name: string, value: unknown): string {
  if (value === null || value === undefined) {
    throw new FieldError(`Environment variable '${name}' is None: give it a value here or by --env (empty text: "")`);
  }
  if (typeof value === 'object') throw new FieldError(`must be text, not ${shown(value)}`);
  return text(String(value));
}

export function envName(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name.length > 256 || name === '__proto__') {
    throw new FieldError(`${shown(name)} cannot be the name of an environment variable`);
  }
  return name;
}
