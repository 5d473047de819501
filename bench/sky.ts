/** The SkyPilot that is compared with. */
import { accessSync, constants, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

export const NO_SKY = 'no sky on PATH; --sky PATH names one';

/** @param named by --sky; without it the one on PATH. */
export function skyPath(named: string | undefined): string | undefined {
  if (named !== undefined) return named;
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((directory) => join(directory, 'sky'))
    .find(isProgram);
}

/** The python beside it, which can import sky; undefined when there is none. */
export function pythonBeside(sky: string): string | undefined {
  // pipx and uv put links to programs on PATH. The python itself may be one, and must stay it: its place is its environment.
  const real = isProgram(sky) ? realpathSync(sky) : sky;
  return [join(dirname(real), 'python'), join(dirname(real), 'python3')].find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
