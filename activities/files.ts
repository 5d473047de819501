/** Puts the files of a job on its nodes, before anything of the job runs there. */
import type { OpenedTargets } from '../clouds/cloud.ts';
import { DirectoryStore } from '../data/directory-store.ts';
import type { Store } from '../data/store.ts';
import { StoreSource } from '../data/store-source.ts';
import { jobKey } from '../model/identity.ts';
import { isAbsoluteTarget } from '../model/mount-target.ts';
import type { ReceiveRequest } from '../nodes/node.ts';
import { nodeAddress } from './addresses.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import type { ActActivities, SyncFilesInput, SyncTree } from './types.ts';
import { whileHeartbeating } from './wrap.ts';

export function fileSteps(context: ActivityContext): Pick<ActActivities, 'syncFiles'> {
  let store: Store | undefined;
  return {
    async syncFiles({ job, trees, nodes, place, timing }: SyncFilesInput): Promise<void> {
      const key = jobKey(job.cluster.generation, job.jobId);
      const absolute = trees.map(({ target }) => target).filter(isAbsoluteTarget);
      const openTargets = async (): Promise<OpenedTargets> => {
        if (absolute.length === 0) return {};
        const cloud = await context.cloud(place.cloud);
        const ids = nodes.map(({ instanceId }) => instanceId);
        return await cloud.openTargets(place, ids, absolute).catch((error: unknown) => {
          throw cloud.classify(error);
        });
      };
      await whileHeartbeating(timing, async (signal) => {
        store ??= new DirectoryStore(context.storeRoot);
        const source = new StoreSource(store);
        // One that cannot be served ends the others too: all of them are asked again together.
        const failed = new AbortController();
        const either = AbortSignal.any([signal, failed.signal]);
        const opened = await openTargets();
        const sent = nodes.map((node) => {
          const request = requestFor(key, trees, opened[node.instanceId] ?? {});
          return context.pool.receive(nodeAddress(context.secret, job.cluster, node), request, source, either);
        });
        await Promise.all(sent).catch(async (error: unknown) => {
          failed.abort(error);
          await Promise.allSettled(sent);
          throw error;
        });
        crashPoint('syncFiles.called');
      });
    },
  };
}

function requestFor(key: string, trees: readonly SyncTree[], opened: Readonly<Record<string, string>>): ReceiveRequest {
  return {
    jobKey: key,
    trees: trees.map((tree) => {
      const at = opened[tree.target];
      return at === undefined ? tree : { ...tree, at };
    }),
  };
}
