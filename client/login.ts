/** How a user of this installation gets into a cluster's machines. */
import { loginKeyScope } from '../model/identity.ts';
import type { NodeInfo } from '../model/machines.ts';
import type { NodeAddress } from '../nodes/node.ts';

/** What of a machine is needed to reach it; its host key is null when its cloud does not know it. */
export interface Reached extends Pick<NodeInfo, 'instanceId' | 'address' | 'port' | 'user' | 'via'> {
  readonly hostKey: string | null;
}

export async function addressOf(
  node: Reached,
  secret: Uint8Array,
  clusterId: string,
  generation: string,
): Promise<NodeAddress> {
  return {
    instanceId: node.instanceId,
    host: node.address,
    port: node.port,
    user: node.user,
    hostKey: node.hostKey,
    privateKey: await privateKeyOf(secret, clusterId, generation),
    ...(node.via === undefined ? {} : { via: node.via }),
  };
}

/** OpenSSH private key text (ed25519). */
export async function privateKeyOf(secret: Uint8Array, clusterId: string, generation: string): Promise<string> {
  const { loginKey } = await import('../nodes/keys.ts');
  return loginKey(Buffer.from(secret), loginKeyScope(clusterId, generation)).privateKey;
}
