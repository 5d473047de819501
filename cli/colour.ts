/** Colours of statuses on a terminal; none with NO_COLOR, in a pipe or on a dumb terminal. */

const GREEN = 32;
const YELLOW = 33;
const RED = 31;
const CYAN = 36;

const COLOURS: Readonly<Record<string, number>> = {
  UP: GREEN,
  SUCCEEDED: GREEN,
  RUNNING: GREEN,
  INIT: CYAN,
  PENDING: CYAN,
  SETTING_UP: CYAN,
  STARTING: CYAN,
  STOPPING: YELLOW,
  STOPPED: YELLOW,
  AUTOSTOPPING: YELLOW,
  TERMINATING: YELLOW,
  CANCELLED: YELLOW,
  CANCELLING: YELLOW,
  RECOVERING: YELLOW,
  UNHEALTHY: RED,
  FAILED: RED,
  FAILED_SETUP: RED,
  FAILED_DRIVER: RED,
  FAILED_PRECHECKS: RED,
  FAILED_NO_RESOURCE: RED,
};
const STATUS = new RegExp(`(?<=  )(${Object.keys(COLOURS).join('|')})(?=  |$)`, 'gm');

export function usesColour(
  stream: { isTTY?: boolean } = process.stdout,
  env: NodeJS.ProcessEnv = process.env,
): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}

/** Colours the status cells of a formatted table. */
export function colourStatus(table: string, colours = usesColour()): string {
  return colours ? table.replace(STATUS, (status) => `\x1b[${COLOURS[status]}m${status}\x1b[0m`) : table;
}
