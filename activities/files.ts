/** Puts the files of a job on its nodes, before anything of the job runs there. */
import { DirectoryStore } from '../data/directory-store.ts';
import type { Store } from '../data/store.ts';
import { StoreSource } from '../data/store-source.ts';
import { jobKey } from '../model/identity.ts';
import type { ReceiveRequest } from '../nodes/node.ts';
import { nodeAddress } from './addresses.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import type { ActActivities, SyncFilesInput } from './types.ts';
import { whileHeartbeating } from './wrap.ts';

export function fileSteps(context: ActivityContext): Pick<ActActivities, 'syncFiles'> {
  let store: Store | undefined;
  return {
    async syncFiles({ job, trees, nodes, timing }: SyncFilesInput): Promise<void> {
      const request: ReceiveRequest = { jobKey: jobKey(job.cluster.generation, job.jobId), trees };
      await whileHeartbeating(timing, async (signal) => {
        store ??= new DirectoryStore(context.storeRoot);
        const source = new StoreSource(store);
        // One that cannot be served ends the others too: all of them are asked again together.
        const failed = new AbortController();
        const either = AbortSignal.any([signal, failed.signal]);
        const sent = nodes.map((node) =>
          context.pool.receive(nodeAddress(context.secret, job.cluster, node), request, source, either),
        );
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
