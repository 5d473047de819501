/** Stops or terminates the machines of placements, however long it takes. The child of a stop, a down, or a duty. */
import { CancellationScope, isCancellation, setHandler } from '@temporalio/workflow';
import type { ClusterRef } from '../activities/types.ts';
import type { Failure } from '../model/errors.ts';
import type { Placement } from '../model/machines.ts';
import type { Timing } from '../model/timing.ts';
import { list, placementText, showDetails } from './details.ts';
import { failureOf } from './failures.ts';
import { abortSignal, operationEndedSignal, placementGoneSignal } from './messages.ts';
import { tell } from './parent.ts';
import { dutyStep } from './steps.ts';

export interface RetireInput {
  readonly version: 1;
  readonly cluster: ClusterRef;
  readonly opId: string;
  readonly child: number;
  readonly mode: 'stop' | 'terminate';
  readonly placements: readonly Placement[];
  readonly timing: Timing;
}

export async function retire(input: RetireInput): Promise<void> {
  const scope = new CancellationScope();
  // A stop can be overtaken by a down. A terminate is what everything ends in: it is never ended early.
  setHandler(abortSignal, () => {
    if (input.mode === 'stop') scope.cancel();
  });
  let outcome: 'succeeded' | 'failed' | 'aborted' = 'succeeded';
  let failure: Failure | null = null;
  try {
    await scope.run(() => retireAll(input));
  } catch (error) {
    outcome = isCancellation(error) ? 'aborted' : 'failed';
    failure = isCancellation(error) ? { kind: 'aborted', message: 'Another command came.' } : failureOf(error);
  }
  await CancellationScope.nonCancellable(() =>
    tell(input.cluster.workflowId, operationEndedSignal, {
      generation: input.cluster.generation,
      opId: input.opId,
      child: input.child,
      outcome,
      failure,
      stands: null,
    }),
  );
}

async function retireAll(input: RetireInput): Promise<void> {
  const { cluster, timing, opId } = input;
  const happening = input.mode === 'stop' ? 'stopping machines' : 'ending machines';
  const next = 'done when the cloud says that all are; tried until then';
  showDetails(happening, next, list('Of:', input.placements.map(placementText)));
  await Promise.all(
    input.placements.map(async (placement) => {
      const where = `${placement.cloud}/${placement.region}/${placement.zone}`;
      if (input.mode === 'stop') {
        await dutyStep(timing, `stop ${where}`, 'stop').stopMachines({ cluster, placement, timing, opId });
        return;
      }
      await dutyStep(timing, `terminate ${where}`, 'terminate').terminateMachines({
        cluster,
        placement,
        timing,
        until: 'gone',
        opId,
      });
      await tell(cluster.workflowId, placementGoneSignal, {
        generation: cluster.generation,
        placementKey: placement.key,
      });
    }),
  );
}
