/** All activities, by the queue that serves them. */
import { activityContext, type HostContext } from './context.ts';
import { fileSteps } from './files.ts';
import { hostSteps } from './hosts.ts';
import { hoursSteps } from './hours.ts';
import { logSteps } from './job-logs.ts';
import { jobSteps } from './jobs.ts';
import { machineSteps } from './machines.ts';
import { nodeSteps } from './nodes.ts';
import { noticeSteps } from './notices.ts';
import { priceSteps } from './prices.ts';
import { raySteps } from './ray.ts';
import { repairSteps } from './repair.ts';
import { sweepSteps } from './sweep.ts';
import type { ActActivities, NoticeActivities, PriceActivities, WatchActivities } from './types.ts';
import { watchSteps } from './watch.ts';
import { wrapAll } from './wrap.ts';

export function createActivities(host: HostContext): {
  actQueue: ActActivities & PriceActivities;
  watchQueue: WatchActivities;
  noticeQueue: NoticeActivities;
} {
  const context = activityContext(host);
  return {
    actQueue: {
      ...wrapAll<ActActivities>({
        ...machineSteps(context),
        ...nodeSteps(context),
        ...fileSteps(context),
        ...hostSteps(context),
        ...hoursSteps(context),
        ...jobSteps(context),
        ...logSteps(context),
        ...raySteps(context),
        ...repairSteps(context),
        ...sweepSteps(context),
      }),
      ...wrapAll<PriceActivities>(priceSteps(host.styxHome)),
    },
    watchQueue: wrapAll<WatchActivities>(watchSteps(context)),
    noticeQueue: wrapAll<NoticeActivities>(noticeSteps(context)),
  };
}
