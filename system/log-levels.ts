/** Apart from the log itself, so that commands can check a level without loading what writes. */
import { StyxError } from '../model/errors.ts';
import { nearestWord } from '../model/spelling.ts';

/** From what says most. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export function isLogLevel(text: string | undefined): text is LogLevel {
  return LOG_LEVELS.some((level) => level === text);
}

/** @throws invalid for a STYX_LOG_LEVEL that is none */
export function checkLogLevel(env: NodeJS.ProcessEnv): void {
  const { STYX_LOG_LEVEL: level } = env;
  if (!level || isLogLevel(level)) return;
  const near = nearestWord(level, LOG_LEVELS);
  throw new StyxError('invalid', `STYX_LOG_LEVEL is '${level}'; it can be ${LOG_LEVELS.join(', ')}`, {
    hint: near === null ? 'Correct it, or unset it for info.' : `Did you mean ${near}?`,
  });
}
