/** What every activity has around it: crash points, a bound on its result, and errors in the form that workflows decide by. */
import { ApplicationFailure, CancelledFailure, Context, log, metricMeter } from '@temporalio/activity';
import { jsonBytes, RESULT_BYTES } from '../model/budgets.ts';
import { StyxError } from '../model/errors.ts';
import { METRICS, meterName } from '../model/metrics.ts';
import { maskText } from '../system/masking.ts';
import { crashPoint, crashPointAfterReport } from './crash-points.ts';

type Activity = (input: never) => Promise<unknown>;

/** An error as Temporal's failure whose type is the kind; the workflow that called knows which kinds it wants retried. */
export function asFailure(error: unknown): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof StyxError) {
    return ApplicationFailure.create({
      message: error.message,
      type: error.kind,
      details: error.hint === undefined ? [] : [error.hint],
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return ApplicationFailure.create({ message, type: 'internal', ...(error instanceof Error ? { cause: error } : {}) });
}

/** The error with what it quotes of secret values replaced; its cause, which may quote them too, is left out. */
export function masked(error: unknown, values: readonly string[]): unknown {
  if (values.length === 0 || !(error instanceof Error)) return error;
  if (error instanceof StyxError) {
    const hint = error.hint === undefined ? {} : { hint: maskText(error.hint, values) };
    return new StyxError(error.kind, maskText(error.message, values), hint);
  }
  return new StyxError('internal', maskText(error.message, values));
}

function wrap<A extends Activity>(name: string, activity: A): A {
  const wrapped = async (input: never): Promise<unknown> => {
    crashPoint(`${name}.before`);
    const began = performance.now();
    try {
      const result = await activity(input);
      const bytes = result === undefined ? 0 : jsonBytes(result);
      if (bytes > RESULT_BYTES) {
        throw new StyxError('invalid', `${name} answered with ${bytes} bytes; at most ${RESULT_BYTES} can be kept`);
      }
      crashPoint(`${name}.after`);
      crashPointAfterReport(`${name}.reported`);
      tell(name, 'done', began);
      // Not undefined, which a stranger's answer without a payload is read as.
      return result ?? null;
    } catch (error) {
      const failure = asFailure(error);
      // The SDK itself says what failed, and why.
      tell(name, failure instanceof ApplicationFailure ? (failure.type ?? 'internal') : 'cancelled', began);
      throw failure;
    }
  };
  return wrapped as A;
}

function tell(step: string, outcome: string, began: number): void {
  const { steps, retries } = METRICS;
  metricMeter.createCounter(meterName(steps), '', steps.help).add(1, { step, outcome });
  if (Context.current().info.attempt > 1) {
    metricMeter.createCounter(meterName(retries), '', retries.help).add(1, { step });
  }
  if (outcome === 'done') log.info(`${step} is done`, { ms: Math.round(performance.now() - began) });
}

export function wrapAll<T extends { [K in keyof T]: Activity }>(activities: T): T {
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]) => [name, wrap(name, activity as Activity)]),
  ) as T;
}

export interface Patience {
  /** Milliseconds between heartbeats. */
  readonly heartbeatEvery: number;
  /** Milliseconds of work over all attempts after which it is given up; absent: never. */
  readonly budget?: number;
  /** What took too long, for people. */
  readonly what?: string;
  /** Why, as far as is known by then; empty when it is not. */
  readonly why?: () => string;
  /** The step ends when its work has: what it asked for cannot come after what is asked for next. `work` has to heed its signal. */
  readonly endsWithWork?: boolean;
}

/**
 * Heartbeats from a timer while `work` runs, so that a dead worker is noticed however slow the work is.
 * @throws capacity when all attempts together have worked for longer than the budget
 */
export async function whileHeartbeating<T>(patience: Patience, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current();
  const { heartbeatEvery, budget = Number.POSITIVE_INFINITY, what = 'it', why, endsWithWork = false } = patience;
  const before = spentBefore(context.info.heartbeatDetails);
  const began = Date.now();
  const spent = () => before + Date.now() - began;
  const over = new AbortController();
  let working: Promise<T> | undefined;
  const given = new Promise<never>((_, reject) => {
    over.signal.addEventListener('abort', () => {
      const last = why?.() ?? '';
      const reason = last === '' ? '' : `: ${last}`;
      reject(new StyxError('capacity', `${what} took longer than ${Math.round(budget / 1_000)} s${reason}`));
    });
  });
  given.catch(() => undefined);
  const timer = setInterval(() => {
    context.heartbeat({ spent: spent() });
    if (spent() > budget) over.abort();
  }, heartbeatEvery);
  try {
    const signal = AbortSignal.any([context.cancellationSignal, over.signal]);
    working = work(signal);
    return await Promise.race([working, context.cancelled, given]);
  } catch (error) {
    if (endsWithWork) await working?.catch(() => undefined);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** What earlier attempts have used up; a hint, checked. */
function spentBefore(details: unknown): number {
  const spent = typeof details === 'object' && details !== null && 'spent' in details ? details.spent : 0;
  return typeof spent === 'number' && spent > 0 ? spent : 0;
}

/** Pauses between looks: short at first, up to `longest` ms; not past a cancellation. */
export function backoff(longest: number): () => Promise<void> {
  let ms = Math.min(50, longest);
  return async () => {
    await Context.current().sleep(ms);
    ms = Math.min(ms * 1.5, longest);
  };
}
