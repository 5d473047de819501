/** Sends one command until it is answered: the same request id each time, so that it is carried out once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { StyxError } from '../model/errors.ts';
import { isConnectionLoss, isRepeatable, toStyxError } from './errors.ts';

export interface RepeatOptions {
  /** Milliseconds in all; default 60 s. */
  readonly budget?: number | undefined;
  /** What is being waited for, for people; called when an attempt failed and another follows. */
  readonly onProgress?: ((text: string) => void) | undefined;
  /** More that is worth another attempt. */
  readonly alsoRepeat?: (error: unknown) => boolean;
}

/** Longest time that one attempt may take; a worker that starts meanwhile answers the next. */
const ATTEMPT_MS = 20_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Calls `attempt` with a deadline (milliseconds since the epoch) until it succeeds or fails for good.
 * @throws StyxError of the last failure; `transient` when the budget is spent
 */
export async function repeat<T>(attempt: (deadline: number) => Promise<T>, options: RepeatOptions = {}): Promise<T> {
  const until = Date.now() + (options.budget ?? 60_000);
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await attempt(Math.min(until, Date.now() + ATTEMPT_MS));
    } catch (error) {
      if (!isRepeatable(error) && options.alsoRepeat?.(error) !== true) throw toStyxError(error);
      const wait = pause * (0.5 + Math.random());
      if (Date.now() + wait >= until) throw outOfTime(error);
      options.onProgress?.(isConnectionLoss(error) ? 'waiting for the Styx server to answer' : 'repeating the request');
      await sleep(wait);
    }
  }
}

function outOfTime(error: unknown): StyxError {
  const last = toStyxError(error);
  const stuck = /workflow task in failed state/i.test(last.message);
  return new StyxError(last.kind === 'internal' ? 'transient' : last.kind, `no answer in time: ${last.message}`, {
    hint: stuck
      ? 'The workflow cannot go on; `styx server logs` says why.'
      : (last.hint ?? 'The request may still be carried out: look at `styx status` and `styx server status`.'),
    cause: error,
  });
}
