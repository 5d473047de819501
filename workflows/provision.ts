/**
 * Brings a cluster's machines up: finds a place for new ones, or brings back those that stood before, and what of them is lost is made
 * anew.
 */
import { CancellationScope, continueAsNew, isCancellation, setHandler } from '@temporalio/workflow';
import type { ClusterRef } from '../activities/types.ts';
import type { Standing } from '../model/cluster-repair.ts';
import type { Failure } from '../model/errors.ts';
import type { Placement, ResourceRequest } from '../model/machines.ts';
import type { Timing } from '../model/timing.ts';
import { placementText, showDetails } from './details.ts';
import { failureOf } from './failures.ts';
import { abortSignal, operationEndedSignal } from './messages.ts';
import { tell } from './parent.ts';
import { bootstrapped, findPlace, type Stands, where } from './placing.ts';
import { repair } from './repair.ts';
import { longStep, step } from './steps.ts';

export interface ProvisionInput {
  readonly version: 1;
  readonly cluster: ClusterRef;
  readonly installation: string;
  readonly opId: string;
  readonly child: number;
  readonly resources: ResourceRequest;
  readonly numNodes: number;
  readonly existing: Placement | null;
  /** Of `existing`: all that stood. Absent: an older build started this. */
  readonly standing?: Standing;
  readonly retryUntilUp: boolean;
  /** Milliseconds since the epoch: the last time that all places are tried. Absent: they are for ever. */
  readonly retryUntil?: number;
  /** Number of the next placement of this generation. */
  readonly attempt: number;
  /** Rounds over all candidates that failed so far. */
  readonly round: number;
  readonly timing: Timing;
}

export async function provision(input: ProvisionInput): Promise<void> {
  const scope = new CancellationScope();
  setHandler(abortSignal, () => scope.cancel());
  let stands: Stands | null = null;
  let failure: Failure | null = null;
  let again: ProvisionInput | null = null;
  try {
    const result = await scope.run(() => bringUp(input));
    if ('again' in result) again = { ...input, ...result.again };
    else stands = result;
  } catch (error) {
    failure = isCancellation(error) ? { kind: 'aborted', message: 'Another command came.' } : failureOf(error);
  }
  if (again !== null) await continueAsNew<typeof provision>(again);
  await CancellationScope.nonCancellable(() =>
    tell(input.cluster.workflowId, operationEndedSignal, {
      generation: input.cluster.generation,
      opId: input.opId,
      child: input.child,
      outcome: stands !== null ? 'succeeded' : failure?.kind === 'aborted' ? 'aborted' : 'failed',
      failure,
      stands,
    }),
  );
}

async function bringUp(input: ProvisionInput): ReturnType<typeof findPlace> {
  const { existing, standing, resources, numNodes } = input;
  if (existing === null) return await findPlace(input, { resources, numNodes });
  return standing === undefined ? await bringBack(input, existing) : await repair(input, standing);
}

/** For whom an older build started. */
async function bringBack(input: ProvisionInput, placement: Placement): Promise<Stands> {
  const { cluster, timing } = input;
  showDetails(`starting ${placementText(placement)}`, 'connect to its nodes');
  const instances = await longStep(timing, `start ${where(placement)}`, timing.createBudget).startMachines({
    cluster,
    placement,
    timing,
  });
  const ports = input.resources.wants?.ports ?? [];
  if (ports.length > 0) await step(timing, `open ports ${ports.join(', ')}`).openPorts({ cluster, placement, ports });
  return { placement, nodes: await bootstrapped(input, placement, instances) };
}
