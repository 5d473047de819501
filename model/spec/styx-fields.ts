/** What a task of Styx may say and one of SkyPilot may not: a limit of time, a demand, a discipline of the queue, a budget. */
import type { Budget } from '../cost-budget.ts';
import { parseDuration } from '../duration.ts';
import { attempt, doc, FieldError, field, mapOf, shown } from './field.ts';
import { amount, pythonFloat, wordField } from './values.ts';

const MAX_SECONDS = 10 * 365 * 86_400;

/** Seconds of `300`, `'300'`, `'30m'`, `'1h 30m'`; a bare number counts `unitSeconds`. null: none above 0. */
export function duration(value: unknown, unitSeconds: number): number | null {
  let seconds: number | null = null;
  if (typeof value === 'number' && Number.isInteger(value)) seconds = value * unitSeconds;
  else if (typeof value === 'string') {
    seconds = /^\d{1,12}$/.test(value.trim()) ? Number(value) * unitSeconds : parseDuration(value);
  }
  return seconds !== null && seconds > 0 && seconds <= MAX_SECONDS ? seconds : null;
}

function maxDuration(value: unknown): number {
  const seconds = duration(value, 1);
  if (seconds !== null) return seconds;
  throw new FieldError(`must be seconds above 0, or such as "30m" or "2h", not ${shown(value)}`);
}

/** Minutes, as those of an autostop. */
function upTime(value: unknown): number {
  const seconds = duration(value, 60);
  if (seconds !== null) return seconds;
  throw new FieldError(`must be minutes above 0, or such as "24h" or "3d", not ${shown(value)}`);
}

const MAX_COST = 1e9;

function dollars(value: unknown): number {
  const number = numeric(value);
  if (typeof number === 'number' && number > 0 && number <= MAX_COST) return number;
  throw new FieldError(`must be US dollars above 0, not ${shown(value)}`);
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

const budgetFields = mapOf(
  {
    max_cost: doc(field(NUMBER_OR_TEXT, dollars), 'US dollars that the cluster may cost', 'any'),
    max_duration: doc(
      field({ type: ['integer', 'string'] }, upTime),
      'minutes, or `24h`, `3d`, that its machines may be up; the time in which it is stopped does not count',
      'any',
    ),
    on_exceed: doc(
      wordField(['stop', 'down', 'notify']),
      '`stop`: stop the cluster, or end it where its machines cannot be stopped; `down`: end it; `notify`: say so in `styx status`',
      '`stop`',
    ),
  },
  { nulls: 'absent' },
);

export const budgetField = budgetFields.transform(
  ({ max_cost = null, max_duration = null, on_exceed = 'stop' }, ctx): Budget =>
    attempt(ctx, () => {
      if (max_cost === null && max_duration === null) throw new FieldError('must have "max_cost" or "max_duration"');
      return { maxCost: max_cost, maxDuration: max_duration, onExceed: on_exceed };
    }),
);

export function budgetConfig({ maxCost, maxDuration, onExceed }: Budget): Record<string, unknown> {
  return {
    ...(maxCost === null ? {} : { max_cost: maxCost }),
    ...(maxDuration === null ? {} : { max_duration: `${maxDuration}s` }),
    on_exceed: onExceed,
  };
}
