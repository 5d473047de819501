/** `resources.job_recovery`: what is done about a managed job that ends before its time. */
import { z } from 'zod';
import { attempt, doc, FieldError, field, mapOf, shown } from './field.ts';
import { duration } from './styx-fields.ts';
import { flagField, wholeField, word } from './values.ts';

const STRATEGIES = ['EAGER_NEXT_REGION', 'FAILOVER', 'on_demand_fallback', 'deadline'] as const;
type StrategyName = (typeof STRATEGIES)[number];

/** Of one cause. null: not said. */
export interface WrittenCause {
  readonly maxRestarts: number | null;
  /** Seconds. */
  readonly backoff: number | null;
}

/** null: not said. Times are seconds. */
export interface JobRecovery {
  readonly strategy: StrategyName | null;
  readonly maxRestartsOnErrors: number | null;
  readonly recoverOnExitCodes: readonly number[] | null;
  readonly replaceNodes: boolean | null;
  readonly preemptions: number | null;
  readonly within: number | null;
  readonly backAfter: number | null;
  readonly deadline: number | null;
  readonly work: number | null;
  readonly overhead: number | null;
  readonly checkpointEvery: number | 'never' | null;
  readonly noCapacity: WrittenCause | null;
  readonly preemption: WrittenCause | null;
  readonly error: WrittenCause | null;
}

const strategyOf = (value: unknown) => (value === null ? null : word(value, [...STRATEGIES, 'none']));

function exitCodes(value: unknown): number[] {
  const codes = Array.isArray(value) ? value : [value];
  for (const code of codes) {
    if (typeof code !== 'number' || !Number.isInteger(code) || code < 0 || code > 255)
      throw new FieldError(`must be exit codes from 0 to 255, not ${shown(code)}`);
  }
  if (new Set(codes).size < codes.length) throw new FieldError('must not name an exit code twice');
  return codes as number[];
}

function time(value: unknown): number {
  const seconds = duration(value, 1);
  if (seconds !== null) return seconds;
  throw new FieldError(`must be seconds above 0, or such as "30m" or "36h", not ${shown(value)}`);
}

const TIME = { type: ['integer', 'string'] };
const timeField = () => field(TIME, time);
const checkpointField = () =>
  field(TIME, (value) => (typeof value === 'string' && value.toLowerCase() === 'never' ? 'never' : time(value)));

const causeFields = mapOf(
  {
    max_restarts: doc(wholeField(0), 'times that the job is started again after it', 'without a limit; 0 for `error`'),
    backoff: doc(timeField(), 'seconds, or `30s`, `5m`: the first pause before it is; each one in a row doubles it'),
  },
  { nulls: 'absent' },
).transform(({ max_restarts = null, backoff = null }): WrittenCause => ({ maxRestarts: max_restarts, backoff }));

const recoveryFields = mapOf({
  strategy: doc(
    z
      .unknown()
      .meta({ type: ['string', 'null'] })
      .transform((value, ctx) => attempt(ctx, () => strategyOf(value))),
    'what is tried when machines are lost: `EAGER_NEXT_REGION`, `FAILOVER`, `on_demand_fallback`, `deadline`; `none` says nothing',
    '`EAGER_NEXT_REGION`',
  ),
  max_restarts_on_errors: doc(wholeField(0), 'times that a job which fails by itself is started again', '0'),
  recover_on_exit_codes: doc(
    z
      .unknown()
      .meta({
        anyOf: [
          { type: 'integer', minimum: 0, maximum: 255 },
          { type: 'array', items: { type: 'integer' } },
        ],
      })
      .transform((value, ctx) => attempt(ctx, () => exitCodes(value))),
    'exit codes after which the job is started again however often',
  ),
  replace_nodes: doc(
    flagField(),
    'of several nodes: those that are lost are made anew where the others stand, and the job is run again there',
    '`false`: all of it starts elsewhere',
  ),
  preemptions: doc(
    wholeField(1),
    'of `on_demand_fallback`: times that spot fails before on-demand machines are taken',
    '3',
  ),
  within: doc(timeField(), 'of `on_demand_fallback`: seconds, or `1h`, within which they count', '`1h`'),
  back_after: doc(
    timeField(),
    'of `on_demand_fallback` and `deadline`: how long on-demand machines are kept before spot is looked for, and between two looks',
    '`1h`; `20m` with `deadline`',
  ),
  deadline: doc(
    timeField(),
    'of `deadline`: `36h` from its submission, by which it shall be done',
    '(required with it)',
  ),
  work: doc(timeField(), 'of `deadline`: how long it takes on machines that nobody takes away', '(required with it)'),
  overhead: doc(
    timeField(),
    'of `deadline`: what moving to other machines takes, with setup and reading the last checkpoint',
    '`10m`',
  ),
  checkpoint_every: doc(
    checkpointField(),
    'of `deadline`, of a job that does not say itself how far it is: a copy that ends loses as much of its running time; `never`: all of it',
    'nothing is lost',
  ),
  no_capacity: doc(causeFields, 'when no machines are to be had, in a row: a map of the fields below'),
  preemption: doc(causeFields, 'when machines are taken away, vanish or fall silent'),
  error: doc(causeFields, 'when the job fails by itself'),
});

/** They choose between spot and on-demand machines at each loss. */
const MARKETS: readonly StrategyName[] = ['on_demand_fallback', 'deadline'];

/** Fields that mean something with these strategies alone. */
const BELONGS: Readonly<Record<string, readonly StrategyName[]>> = {
  preemptions: ['on_demand_fallback'],
  within: ['on_demand_fallback'],
  back_after: ['on_demand_fallback', 'deadline'],
  deadline: ['deadline'],
  work: ['deadline'],
  overhead: ['deadline'],
  checkpoint_every: ['deadline'],
};

type Written = z.infer<typeof recoveryFields>;

/** null: recovery was refused by `none`. */
export const jobRecovery = z.union([z.string(), recoveryFields]).transform((value, ctx): JobRecovery | null =>
  attempt(ctx, () => {
    const written: Partial<Written> = typeof value === 'string' ? { strategy: strategyOf(value) } : value;
    const { strategy = null } = written;
    if (strategy === 'none') return null;
    checkFields(strategy, written);
    return {
      strategy,
      maxRestartsOnErrors: written.max_restarts_on_errors ?? null,
      recoverOnExitCodes: written.recover_on_exit_codes ?? null,
      replaceNodes: written.replace_nodes ?? null,
      preemptions: written.preemptions ?? null,
      within: written.within ?? null,
      backAfter: written.back_after ?? null,
      deadline: written.deadline ?? null,
      work: written.work ?? null,
      overhead: written.overhead ?? null,
      checkpointEvery: written.checkpoint_every ?? null,
      noCapacity: written.no_capacity ?? null,
      preemption: written.preemption ?? null,
      error: written.error ?? null,
    };
  }),
);

function checkFields(strategy: StrategyName | null, written: Partial<Written>): void {
  for (const [name, of] of Object.entries(BELONGS)) {
    if (written[name as keyof Written] === undefined || (strategy !== null && of.includes(strategy))) continue;
    throw new FieldError(`means something with strategy ${of.join(' or ')} alone`, [name]);
  }
  if (written.error?.maxRestarts != null && written.max_restarts_on_errors !== undefined)
    throw new FieldError('cannot be given together with "max_restarts_on_errors"', ['error', 'max_restarts']);
  if (written.replace_nodes === true && strategy !== null && MARKETS.includes(strategy))
    throw new FieldError(`does not go with strategy ${strategy}, which takes all nodes anew`, ['replace_nodes']);
  if (strategy !== 'deadline') return;
  const { deadline, work } = written;
  for (const [name, given] of Object.entries({ deadline, work }))
    if (given === undefined) throw new FieldError('is missing: strategy deadline needs "deadline" and "work"', [name]);
  if (deadline !== undefined && work !== undefined && work >= deadline)
    throw new FieldError('must be less than "deadline", or the job cannot be done by then', ['work']);
}

type Config = Record<string, unknown>;

/** As it is written. */
export function recoveryConfig(recovery: JobRecovery): Config {
  const times = {
    within: recovery.within,
    back_after: recovery.backAfter,
    deadline: recovery.deadline,
    work: recovery.work,
    overhead: recovery.overhead,
    checkpoint_every: recovery.checkpointEvery,
  };
  const causes = { no_capacity: recovery.noCapacity, preemption: recovery.preemption, error: recovery.error };
  const timeText = (value: number | 'never') => (value === 'never' ? value : `${value}s`);
  return {
    strategy: recovery.strategy,
    ...given('max_restarts_on_errors', recovery.maxRestartsOnErrors),
    ...(recovery.recoverOnExitCodes === null ? {} : { recover_on_exit_codes: [...recovery.recoverOnExitCodes] }),
    ...given('replace_nodes', recovery.replaceNodes),
    ...given('preemptions', recovery.preemptions),
    ...Object.fromEntries(
      Object.entries(times).flatMap(([name, value]) => (value === null ? [] : [[name, timeText(value)]])),
    ),
    ...Object.fromEntries(
      Object.entries(causes).flatMap(([name, cause]) => (cause === null ? [] : [[name, causeConfig(cause)]])),
    ),
  };
}

function causeConfig({ maxRestarts, backoff }: WrittenCause): Config {
  return { ...given('max_restarts', maxRestarts), ...(backoff === null ? {} : { backoff: `${backoff}s` }) };
}

function given(name: string, value: unknown): Config {
  return value === null ? {} : { [name]: value };
}
