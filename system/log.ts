/** What long-lived processes say: one line of JSON each, with ids that can be searched for. `log-text.ts` makes them readable. */
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { StyxError } from '../model/errors.ts';
import { isLogLevel, LOG_LEVELS, type LogLevel } from './log-levels.ts';

/** Children of a process: `log.child({ cluster: 'default/c' })`. */
export type Log = Logger;

/**
 * A log of one part of Styx, written line by line before the call returns, so that a killed process has said what it did.
 * The level is that of STYX_LOG_LEVEL; a wrong one is complained about and counts as `info`, since whoever could be told has gone.
 */
export function createLog(
  part: string,
  env: NodeJS.ProcessEnv = process.env,
  stream: DestinationStream = stderr(),
): Log {
  const { STYX_LOG_LEVEL: wanted } = env;
  const level: LogLevel = isLogLevel(wanted) ? wanted : 'info';
  const log = pino(
    {
      level,
      base: { part, pid: process.pid },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      errorKey: 'error',
      serializers: { error: describeError },
    },
    stream,
  );
  if (wanted && !isLogLevel(wanted)) log.warn(`STYX_LOG_LEVEL is '${wanted}'; it can be ${LOG_LEVELS.join(', ')}`);
  return log;
}

function stderr(): DestinationStream {
  return destination({ fd: 2, sync: true });
}

/** Nothing but names and texts: other properties of errors are whole requests and answers. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const kind = error instanceof StyxError ? { kind: error.kind } : {};
  const stacks: string[] = [];
  for (let at: unknown = error; at instanceof Error && stacks.length < 5; at = at.cause) {
    stacks.push(at.stack ?? String(at));
  }
  return { ...kind, message: error.message, stack: stacks.join('\ncaused by: ') };
}
