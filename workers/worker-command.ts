import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const LEAN_SANDBOX = pathToFileURL(join(import.meta.dirname, 'lean-sandbox.ts')).href;

/** Command line of a worker process. @param main its module */
export function workerCommand(main: string, ...args: string[]): string[] {
  return [process.execPath, '--import', LEAN_SANDBOX, main, ...args];
}
