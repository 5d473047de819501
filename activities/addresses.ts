/** How the steps reach the nodes of a cluster. */
import { loginKeyScope } from '../model/identity.ts';
import type { Instance, NodeInfo } from '../model/machines.ts';
import type { Timing } from '../model/timing.ts';
import { loginKey } from '../nodes/keys.ts';
import type { NodeAddress } from '../nodes/node.ts';
import type { ClusterRef } from './types.ts';

export function nodeAddress(secret: Buffer, cluster: ClusterRef, node: NodeInfo): NodeAddress {
  return {
    instanceId: node.instanceId,
    host: node.address,
    port: node.port,
    user: node.user,
    hostKey: node.hostKey,
    privateKey: loginKey(secret, loginKeyScope(cluster.workflowId, cluster.generation)).privateKey,
    ...(node.via === undefined ? {} : { via: node.via }),
  };
}

/** Before the first contact: the host key is what the cloud says, or not known yet. */
export function instanceAddress(
  secret: Buffer,
  cluster: ClusterRef,
  instance: Instance,
  { connectTimeout }: Pick<Timing, 'connectTimeout'>,
  via: string | null,
): NodeAddress {
  return {
    instanceId: instance.id,
    host: instance.address ?? '',
    port: instance.sshPort,
    user: instance.user,
    hostKey: instance.hostKey,
    privateKey: loginKey(secret, loginKeyScope(cluster.workflowId, cluster.generation)).privateKey,
    ...(connectTimeout === undefined ? {} : { connectTimeout }),
    ...(via === null ? {} : { via }),
  };
}
