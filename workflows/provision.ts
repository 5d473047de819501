/**
 * Brings a cluster's machines up: tries ranked placements until one stands, or brings back the one that stood before. Each placement
 * is recorded by the entity before its machines are asked for, and retired before the next is tried.
 */
import {
  CancellationScope,
  continueAsNew,
  isCancellation,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { ClusterRef } from '../activities/types.ts';
import type { OperationEnded } from '../model/commands.ts';
import { ERROR_POLICIES, type Failure } from '../model/errors.ts';
import { placementKey } from '../model/identity.ts';
import type { Instance, InstanceTypeOffer, NodeInfo, Placement, ResourceRequest } from '../model/machines.ts';
import type { Timing } from '../model/timing.ts';
import { list, placementText, showDetails } from './details.ts';
import { Failed, failureOf } from './failures.ts';
import {
  abortSignal,
  operationEndedSignal,
  placementFailedSignal,
  placementGoneSignal,
  placingSignal,
  progressSignal,
} from './messages.ts';
import { tell } from './parent.ts';
import { dutyStep, longStep, step } from './steps.ts';

export interface ProvisionInput {
  readonly version: 1;
  readonly cluster: ClusterRef;
  readonly installation: string;
  readonly opId: string;
  readonly child: number;
  readonly resources: ResourceRequest;
  readonly numNodes: number;
  readonly existing: Placement | null;
  readonly retryUntilUp: boolean;
  /** Number of the next placement of this generation. */
  readonly attempt: number;
  /** Rounds over all candidates that failed so far. */
  readonly round: number;
  readonly timing: Timing;
}

type Stands = NonNullable<OperationEnded['stands']>;

/** A round of candidates is about 30 events each; continue as new long before history hurts. */
const ROUNDS_PER_RUN = 10;

export async function provision(input: ProvisionInput): Promise<void> {
  const scope = new CancellationScope();
  setHandler(abortSignal, () => scope.cancel());
  let stands: Stands | null = null;
  let failure: Failure | null = null;
  let again: ProvisionInput | null = null;
  try {
    const result = await scope.run(() =>
      input.existing === null ? findPlace(input) : bringBack(input, input.existing),
    );
    if ('again' in result) again = result.again;
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

async function progress(
  input: ProvisionInput,
  text: string,
  next: string,
  tried: readonly Failure[] = [],
): Promise<void> {
  showDetails(text, next, triedText(tried));
  await tell(input.cluster.workflowId, progressSignal, {
    generation: input.cluster.generation,
    opId: input.opId,
    text,
  });
}

function triedText(tried: readonly Failure[]): string[] {
  return list(
    'Tried before:',
    tried.map(({ kind, message }) => `${kind}: ${message}`),
  );
}

function where(place: { cloud: string; region: string; zone: string }): string {
  return `${place.cloud}/${place.region}/${place.zone}`;
}

async function bootstrapped(input: ProvisionInput, placement: Placement, instances: Instance[]): Promise<NodeInfo[]> {
  const { cluster, timing } = input;
  return await longStep(timing, `connect to ${instances.length} nodes`, timing.bootstrapBudget).bootstrap({
    cluster,
    placement,
    instances,
    timing,
  });
}

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

async function findPlace(input: ProvisionInput): Promise<Stands | { again: ProvisionInput }> {
  let { attempt, round } = input;
  for (;;) {
    const result = await tryRound(input, attempt);
    if ('stands' in result) return result.stands;
    attempt = result.attempt;
    round += 1;
    if (!input.retryUntilUp || !worthRepeating(result.failures)) throw new Failed(summary(input, result.failures));
    const { retryUntilUpFirst, retryUntilUpMax } = input.timing;
    const pause = Math.min(retryUntilUpMax, retryUntilUpFirst * 2 ** Math.min(round - 1, 20));
    const waits = `round ${round} found no place; next in ${Math.round(pause / 1000)} s`;
    await progress(input, waits, 'all places once more', result.failures);
    await sleep(pause, { summary: `before round ${round + 1}` });
    if (round - input.round >= ROUNDS_PER_RUN || workflowInfo().continueAsNewSuggested) {
      return { again: { ...input, attempt, round } };
    }
  }
}

/** Nothing that was asked for can ever be had when every answer says that the request itself is wrong. */
function worthRepeating(failures: readonly Failure[]): boolean {
  return failures.some(({ kind }) => kind !== 'invalid' && kind !== 'auth');
}

function summary(input: ProvisionInput, failures: readonly Failure[]): Failure {
  const [first] = failures;
  if (first === undefined) {
    return {
      kind: 'capacity',
      message: `No cloud offers what was asked for (${input.numNodes} nodes).`,
      hint: 'Run `styx check` to see which clouds are enabled, and ask for less or for another place.',
    };
  }
  if (failures.length === 1) return first;
  const texts = [...new Set(failures.map((failure) => failure.message))];
  return { ...first, message: `All ${failures.length} places failed: ${texts.join('; ').slice(0, 2_000)}` };
}

async function tryRound(
  input: ProvisionInput,
  firstAttempt: number,
): Promise<{ stands: Stands } | { failures: Failure[]; attempt: number }> {
  const { cluster, timing } = input;
  showDetails('finding places', 'machines in the best of them');
  const offers = await step(timing, 'find places').plan({ resources: input.resources });
  const failures: Failure[] = [];
  const proofs: Promise<void>[] = [];
  const blocked = new Set<string>();
  let attempt = firstAttempt;
  for (const offer of offers) {
    if (blockKeys(offer).some((key) => blocked.has(key))) continue;
    const placement: Placement = {
      ...offer,
      attempt,
      numNodes: input.numNodes,
      key: placementKey(input.installation, cluster.workflowId, cluster.generation, attempt, offer),
    };
    attempt += 1;
    try {
      return { stands: await place(input, placement, failures) };
    } catch (error) {
      const failure = failureOf(error);
      if (isCancellation(error) || failure.kind === 'aborted') throw error;
      failures.push(failure);
      await gaveUp(input, placement, failure);
      block(blocked, offer, failure);
      await retirePlacement(input, placement, proofs);
    }
  }
  await Promise.all(proofs);
  return { failures, attempt };
}

async function place(input: ProvisionInput, placement: Placement, tried: readonly Failure[]): Promise<Stands> {
  const { cluster, timing, opId } = input;
  const { generation } = cluster;
  const recorded = await tell(cluster.workflowId, placingSignal, { generation, opId, placement });
  // The entity was ended from outside: machines made now would be nobody's.
  if (!recorded) throw new Failed({ kind: 'aborted', message: 'The cluster is gone.' });
  const what = placementText(placement);
  showDetails(`creating ${what}`, 'connect to its nodes, or the next place when it fails', triedText(tried));
  const { wants } = input.resources;
  const request = await step(timing, `prepare ${what}`).prepare({
    cluster,
    placement,
    ...(wants === undefined ? {} : { wants }),
  });
  const create = longStep(timing, `create ${what}`, timing.createBudget);
  const instances = await create.createMachines({ cluster, request, timing });
  const told = progress(input, `connecting to ${what}`, 'the cluster is UP, and its jobs start', tried);
  const nodes = await bootstrapped(input, placement, instances);
  await told;
  return { placement, nodes };
}

async function gaveUp(input: ProvisionInput, placement: Placement, failure: Failure): Promise<void> {
  await tell(input.cluster.workflowId, placementFailedSignal, {
    generation: input.cluster.generation,
    opId: input.opId,
    placementKey: placement.key,
    tried: {
      at: Date.now(),
      cloud: placement.cloud,
      region: placement.region,
      zone: placement.zone,
      instanceType: placement.instanceType,
      failure,
    },
  });
}

/** Returns when the next placement may start: this one's machines are on their way out. Proof that they are gone goes on in `proofs`. */
async function retirePlacement(input: ProvisionInput, placement: Placement, proofs: Promise<void>[]): Promise<void> {
  const { cluster, timing } = input;
  showDetails(`retiring ${placementText(placement)}`, 'the next place');
  const steps = dutyStep(timing, `retire ${where(placement)}`, 'terminate');
  const gone = () =>
    tell(cluster.workflowId, placementGoneSignal, { generation: cluster.generation, placementKey: placement.key });
  const reached = await steps.terminateMachines({ cluster, placement, timing, until: 'ending' });
  if (reached === 'gone') await gone();
  else {
    const proof = async (): Promise<void> => {
      await steps.terminateMachines({ cluster, placement, timing, until: 'gone' });
      await gone();
    };
    // Cut short by a success or an abort: the cluster's own duty goes on from its intents.
    proofs.push(proof().catch(() => undefined));
  }
}

function blockKeys(offer: InstanceTypeOffer): string[] {
  const { cloud, region, zone, instanceType, useSpot } = offer;
  return [
    JSON.stringify(['cloud', cloud]),
    JSON.stringify(['region', cloud, region, useSpot]),
    JSON.stringify(['zone', cloud, region, zone, instanceType, useSpot]),
    JSON.stringify(['candidate', cloud, region, zone, instanceType, useSpot]),
  ];
}

function block(blocked: Set<string>, offer: InstanceTypeOffer, failure: Failure): void {
  const what = ERROR_POLICIES[failure.kind].blocks ?? 'candidate';
  const index = ['cloud', 'region', 'zone', 'candidate'].indexOf(what);
  const key = blockKeys(offer)[index];
  if (key !== undefined) blocked.add(key);
}
