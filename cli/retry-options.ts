/** Whether places that had no room are tried again: options of `launch` and `start`. */
import type { Command } from 'commander';
import type { Retries } from '../client/clusters.ts';
import { parseDuration } from '../model/duration.ts';
import { StyxError } from '../model/errors.ts';

export interface RetryOptions {
  readonly retryUntilUp?: boolean;
  readonly retryFor?: string;
}

export function retryOptions(command: Command): Command {
  return command
    .option('-r, --retry-until-up', 'try again until the machines are there')
    .option('--retry-for <duration>', 'try again for so long at the most: 30m, 2h');
}

/** @throws invalid */
export function retriesOf({ retryUntilUp, retryFor }: RetryOptions): Retries {
  return {
    ...(retryUntilUp === undefined ? {} : { retryUntilUp }),
    ...(retryFor === undefined ? {} : { retryFor: retryDuration(retryFor) }),
  };
}

/** Milliseconds. */
function retryDuration(text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== null && seconds > 0) return seconds * 1_000;
  throw new StyxError(
    'invalid',
    `--retry-for: "${text.slice(0, 64)}" is no length of time: expected 30m, 2h or the like`,
  );
}
