/** Host names on a node: the agent puts them into a file of the machine. See agent/hosts.py. */
import { StyxError } from '../model/errors.ts';
import type { NodeAddress, NodePool } from './node.ts';

export interface HostsRequest {
  /** The file, as the node finds it. */
  readonly path: string;
  /** What is older than what is there is dropped. */
  readonly version: number;
  readonly hosts: readonly (readonly [address: string, name: string])[];
}

/** May be repeated, also at the same time. @throws unreachable, invalid when the node cannot write the file */
export async function putHosts(pool: NodePool, address: NodeAddress, request: HostsRequest): Promise<void> {
  const { agentVersion } = await pool.node(address);
  const { path, version, hosts } = request;
  const program =
    'dir=$HOME/.styx-agent/bin/$1; read -r python <"$dir/python" && exec "$python" -I -S "$dir/main.py" hosts "$2" "$3"';
  const command = ['sh', '-c', program, 'hosts', agentVersion, path, String(version)];
  const stdin = hosts.map(([host, name]) => `${host} ${name}\n`).join('');
  const { code, stderr } = await pool.exec(address, command, { stdin });
  if (code === 0) return;
  const why = stderr.toString().trim().split('\n').at(-1) || `exit code ${code}`;
  throw new StyxError('invalid', `${path} of ${address.instanceId} cannot be written: ${why}`);
}
