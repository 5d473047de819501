/** Keeps one long activity on all nodes of a cluster, for as long as the cluster stands. */
import { CancellationScope, condition, continueAsNew, isCancellation, setHandler } from '@temporalio/workflow';
import type { WatchInput } from '../activities/types.ts';
import { list, showDetails } from './details.ts';
import { autostopSignal, endWatchSignal, watchEndedSignal } from './messages.ts';
import { tell } from './parent.ts';
import { step, watchStep } from './steps.ts';

export interface WatchWorkflowInput {
  readonly version: 1;
  readonly watch: WatchInput;
}

export async function watch(input: WatchWorkflowInput): Promise<void> {
  let lease = input.watch;
  let leaseSet = false;
  let ended = false;
  const scope = new CancellationScope();
  setHandler(endWatchSignal, () => {
    ended = true;
    scope.cancel();
  });
  setHandler(autostopSignal, (autostop) => {
    lease = { ...lease, autostop };
    leaseSet = false;
  });
  showDetails(
    `watching ${lease.nodes.length} nodes`,
    null,
    list(
      'Of:',
      lease.nodes.map(({ rank, address, port }) => `${rank}: ${address}:${port}`),
    ),
  );
  try {
    await scope.run(async () => {
      let over = false;
      const leases = async (): Promise<void> => {
        for (;;) {
          await condition(() => !leaseSet || over);
          if (over) return;
          leaseSet = true;
          await step(lease.timing, 'tell the nodes what to do when nobody is there').setLease(lease);
        }
      };
      const following = watchStep(lease.timing, `watch ${lease.nodes.length} nodes`)
        .watchNodes(lease)
        .then((positions) => {
          lease = { ...lease, positions };
        })
        .finally(() => {
          over = true;
        });
      await Promise.all([following, leases()]);
    });
  } catch (error) {
    if (!isCancellation(error) && !ended) throw error;
  }
  if (!ended) await continueAsNew<typeof watch>({ version: 1, watch: lease });
  await CancellationScope.nonCancellable(() =>
    tell(lease.cluster.workflowId, watchEndedSignal, { generation: lease.cluster.generation, child: lease.child }),
  );
}
