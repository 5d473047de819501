/** What a machine says of its set-up. */
import type { NodeAddress, NodePool } from '../node.ts';
import { ON_MACHINE } from './set-up.ts';

const PATH = '/var/log/styx/set-up.log';
const MOST_BYTES = 1024 ** 2;

/** The last MiB of it; empty for a machine that was not set up. Of the machine itself, whether its container runs or not. @throws unreachable */
export async function readSetUpLog(pool: NodePool, address: NodeAddress, signal: AbortSignal): Promise<string> {
  const read = `tail -c ${MOST_BYTES} ${PATH} 2>/dev/null || true`;
  const { stdout } = await pool.exec(address, ['env', ON_MACHINE, 'sh', '-c', read], { signal });
  return stdout.toString();
}
