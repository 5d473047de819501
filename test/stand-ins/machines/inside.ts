/** Runs a program where the addresses of machines are real and nothing leaves: in namespaces that end with it, with all that it started. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findTemporal } from '../../../workers/temporal-binary.ts';

const NAMESPACES = ['unshare', '--net', '--pid', '--fork', '--kill-child', '--mount', '--mount-proc'];
const WITH_LOOPBACK = ['sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];

/**
 * Resolves with its exit code; null: a signal ended it. It ends when this process does.
 * @param command `module` of Node and its arguments
 */
export async function runInside(
  command: readonly [module: string, ...args: string[]],
  env: NodeJS.ProcessEnv,
  say: (text: string) => void,
): Promise<number | null> {
  // What is downloaded once must be there before the network is gone.
  await findTemporal(say);
  const all = ['--pdeathsig', 'KILL', ...NAMESPACES, ...WITH_LOOPBACK, process.execPath, ...command];
  const child = spawn('setpriv', all, { stdio: 'inherit', env: { ...process.env, ...env } });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}
