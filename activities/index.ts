/** All activities, by the queue that serves them. */
import { activityContext, type HostContext } from './context.ts';
import { fileSteps } from './files.ts';
import { machineSteps } from './machines.ts';
import { nodeSteps } from './nodes.ts';
import { raySteps } from './ray.ts';
import type { ActActivities, WatchActivities } from './types.ts';
import { watchSteps } from './watch.ts';
import { wrapAll } from './wrap.ts';

export function createActivities(host: HostContext): { actQueue: ActActivities; watchQueue: WatchActivities } {
  const context = activityContext(host);
  return {
    actQueue: wrapAll<ActActivities>({
      ...machineSteps(context),
      ...nodeSteps(context),
      ...fileSteps(context),
      ...raySteps(context),
    }),
    watchQueue: wrapAll<WatchActivities>(watchSteps(context)),
  };
}
