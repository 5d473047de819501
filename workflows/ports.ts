/** Changes which ports of a cluster's machines anybody may reach. */
import { CancellationScope, isCancellation, setHandler } from '@temporalio/workflow';
import type { ClusterRef } from '../activities/types.ts';
import type { Failure } from '../model/errors.ts';
import type { Placement } from '../model/machines.ts';
import type { Timing } from '../model/timing.ts';
import { openText, showDetails } from './details.ts';
import { failureOf } from './failures.ts';
import { abortSignal, operationEndedSignal } from './messages.ts';
import { tell } from './parent.ts';
import { step } from './steps.ts';

export interface PortsInput {
  readonly version: 1;
  readonly cluster: ClusterRef;
  readonly opId: string;
  readonly child: number;
  readonly placement: Placement;
  /** All that shall be open, besides that of SSH. */
  readonly ports: readonly string[];
  readonly timing: Timing;
}

export async function ports(input: PortsInput): Promise<void> {
  const { cluster, opId, child, placement, timing } = input;
  const scope = new CancellationScope();
  setHandler(abortSignal, () => scope.cancel());
  let failure: Failure | null = null;
  const what = openText(input.ports);
  showDetails(what, null);
  try {
    await scope.run(() => step(timing, what).openPorts({ cluster, placement, ports: input.ports }));
  } catch (error) {
    failure = isCancellation(error) ? { kind: 'aborted', message: 'Another command came.' } : failureOf(error);
  }
  const outcome = failure === null ? 'succeeded' : failure.kind === 'aborted' ? 'aborted' : 'failed';
  await CancellationScope.nonCancellable(() =>
    tell(cluster.workflowId, operationEndedSignal, {
      generation: cluster.generation,
      opId,
      child,
      outcome,
      failure,
      stands: null,
    }),
  );
}
