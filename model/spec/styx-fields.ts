/** What a task of Styx may say and one of SkyPilot may not: a limit of time, a demand, a discipline of the queue. */
import { parseDuration } from '../duration.ts';
import { doc, FieldError, field, mapOf, shown } from './field.ts';
import { amount, pythonFloat, wordField } from './values.ts';

const MAX_SECONDS = 10 * 365 * 86_400;

/** Seconds: `300`, `'300'`, `'30m'`, `'1h 30m'`. */
function maxDuration(value: unknown): number {
  let seconds: number | null = null;
  if (typeof value === 'number' && Number.isInteger(value)) seconds = value;
  else if (typeof value === 'string') {
    seconds = /^\d{1,12}$/.test(value.trim()) ? Number(value) : parseDuration(value);
  }
  if (seconds !== null && seconds > 0 && seconds <= MAX_SECONDS) return seconds;
  throw new FieldError(`must be seconds above 0, or such as "30m" or "2h", not ${shown(value)}`);
}

const MAX_GPUS = 1_000_000;

/** Whole, or a fraction below 1. */
export function gpuCount(value: unknown): number {
  const number = numeric(value);
  if (typeof number === 'number' && number >= 0 && number <= MAX_GPUS && (number < 1 || Number.isInteger(number))) {
    return number;
  }
  throw new FieldError(`must be a whole number of GPUs, or a fraction between 0 and 1, not ${shown(value)}`);
}

function numeric(value: unknown): unknown {
  return typeof value === 'string' ? (pythonFloat(value) ?? value) : value;
}

const demandAmount = (value: unknown) => amount(numeric(value));
const NUMBER_OR_TEXT = { type: ['number', 'string'] };

export const maxDurationField = field({ type: ['integer', 'string'] }, maxDuration);
export const queueField = wordField(['fifo', 'backfill']);
export const demandFields = mapOf(
  {
    cpus: doc(field(NUMBER_OR_TEXT, demandAmount), 'vCPUs, fractions included', '0.5'),
    gpus: doc(
      field(NUMBER_OR_TEXT, gpuCount),
      'GPUs: a whole number, or a fraction below 1',
      'the count of `resources.accelerators`',
    ),
    memory: doc(field(NUMBER_OR_TEXT, demandAmount), 'GiB', '0: not counted'),
  },
  { nulls: 'absent' },
);
