/** Makes the host names of a job group known on the machines of one of its tasks. */
import type { NodeInfo } from '../model/machines.ts';
import { putHosts } from '../nodes/hosts.ts';
import { nodeAddress } from './addresses.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import type { ActActivities, PutHostsInput } from './types.ts';

export function hostSteps(context: ActivityContext): Pick<ActActivities, 'putHosts'> {
  return {
    async putHosts({ cluster, nodes, place, hosts: { version, hosts } }: PutHostsInput): Promise<void> {
      const cloud = await context.cloud(place.cloud);
      const ids = nodes.map(({ instanceId }) => instanceId);
      const addresses = [...new Set(hosts.map(([address]) => address))];
      const files = await cloud.joinGroup(place, ids, addresses).catch((error: unknown) => {
        throw cloud.classify(error);
      });
      const put = async (node: NodeInfo): Promise<void> => {
        const path = files[node.instanceId] ?? '/etc/hosts';
        await putHosts(context.pool, nodeAddress(context.secret, cluster, node), { path, version, hosts });
      };
      await Promise.all(nodes.map(put));
      crashPoint('putHosts.called');
    },
  };
}
