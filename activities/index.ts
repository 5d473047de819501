/** All activities, by the queue that serves them. */
import { activityContext, type HostContext } from './context.ts';
import { fileSteps } from './files.ts';
import { hoursSteps } from './hours.ts';
import { logSteps } from './job-logs.ts';
import { jobSteps } from './jobs.ts';
import { machineSteps } from './machines.ts';
import { nodeSteps } from './nodes.ts';
import { priceSteps } from './prices.ts';
import { raySteps } from './ray.ts';
import { sweepSteps } from './sweep.ts';
import type { ActActivities, PriceActivities, WatchActivities } from './types.ts';
import { watchSteps } from './watch.ts';
import { wrapAll } from './wrap.ts';

export function createActivities(host: HostContext): {
  actQueue: ActActivities & PriceActivities;
  watchQueue: WatchActivities;
} {
  const context = activityContext(host);
  return {
    actQueue: {
      ...wrapAll<ActActivities>({
        ...machineSteps(context),
        ...nodeSteps(context),
        ...fileSteps(context),
        ...hoursSteps(context),
        ...jobSteps(context),
        ...logSteps(context),
        ...raySteps(context),
        ...sweepSteps(context),
      }),
      ...wrapAll<PriceActivities>(priceSteps(host.styxHome)),
    },
    watchQueue: wrapAll<WatchActivities>(watchSteps(context)),
  };
}
