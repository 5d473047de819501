/**
 * Finds a place for machines: tries ranked placements until one stands. Each is recorded by the entity before its machines are asked
 * for, and retired before the next is tried.
 */
import { ActivityFailure, isCancellation, patched, sleep, workflowInfo } from '@temporalio/workflow';
import type { Try } from '../model/cluster.ts';
import type { OperationEnded } from '../model/commands.ts';
import { ERROR_POLICIES, type Failure } from '../model/errors.ts';
import { placementKey } from '../model/identity.ts';
import type { Instance, InstanceTypeOffer, NodeInfo, Placement, ResourceRequest } from '../model/machines.ts';
import { morePlaces } from '../model/more-places.ts';
import { bootstrapBudget } from '../model/timing.ts';
import { tryText } from '../model/try-text.ts';
import { list, placementText, showDetails } from './details.ts';
import { Failed, failureOf } from './failures.ts';
import { placementFailedSignal, placementGoneSignal, placingSignal, progressSignal } from './messages.ts';
import { tell } from './parent.ts';
import type { ProvisionInput } from './provision.ts';
import { dutyStep, longStep, step } from './steps.ts';

export type Stands = NonNullable<OperationEnded['stands']>;

/** Machines that are looked for. */
export interface Search {
  readonly resources: ResourceRequest;
  readonly numNodes: number;
  /** Of a repair: what becomes of them. */
  readonly part?: Required<Pick<Placement, 'fills' | 'joins'>>;
  /** Which of the offers are tried, in this order; absent: all as they come. */
  readonly choose?: (offers: readonly InstanceTypeOffer[]) => InstanceTypeOffer[];
}

/** Launches that are to be tried until they are up wait for credentials, and did not. */
const WAITS = 'waits-for-credentials';
/** A round of candidates is about 30 events each; continue as new long before history hurts. */
const ROUNDS_PER_RUN = 10;

export async function progress(
  input: ProvisionInput,
  text: string,
  next: string,
  tried: readonly Try[] = [],
): Promise<void> {
  showDetails(text, next, triedText(tried));
  await tell(input.cluster.workflowId, progressSignal, {
    generation: input.cluster.generation,
    opId: input.opId,
    text,
  });
}

function triedText(tried: readonly Try[]): string[] {
  return list('Tried before:', tried.map(tryText));
}

export function where(place: { cloud: string; region: string; zone: string }): string {
  return `${place.cloud}/${place.region}/${place.zone}`;
}

/** Connects to machines of one placement and makes them nodes. */
export async function bootstrapped(
  input: ProvisionInput,
  placement: Placement,
  instances: Instance[],
): Promise<NodeInfo[]> {
  const { cluster, timing } = input;
  const container = input.resources.wants?.container;
  const asked = { cluster, placement, instances, timing, ...(container === undefined ? {} : { container }) };
  const what = `connect to ${instances.length} nodes`;
  return await longStep(timing, what, bootstrapBudget(asked)).bootstrap(asked);
}

/** With this the workflow continues as new. */
export type Again = Pick<ProvisionInput, 'attempt' | 'round'>;

/** @throws Failed when nothing can be had */
export async function findPlace(input: ProvisionInput, search: Search): Promise<Stands | { again: Again }> {
  let { attempt, round } = input;
  for (;;) {
    const began = Date.now();
    const result = await tryRound(input, search, attempt);
    if ('stands' in result) return result.stands;
    attempt = result.attempt;
    round += 1;
    const { failures } = result;
    if (!isTriedAgain(input, began) || !worthRepeating(failures)) throw new Failed(summary(search, failures));
    await beforeRound(input, round + 1, result, `round ${round} found no place`, 'all places once more');
    if (enoughRounds(input, round)) return { again: { attempt, round } };
  }
}

/** Whether a round that began then and failed is followed by another. The last one begins when the time for it is over, or later. */
export function isTriedAgain(
  { retryUntilUp, retryUntil = Number.POSITIVE_INFINITY }: ProvisionInput,
  began: number,
): boolean {
  return retryUntilUp && began < retryUntil;
}

/** Waits as long as rounds wait for each other, and says why. */
export async function beforeRound(
  input: ProvisionInput,
  next: number,
  { failures, tried }: { readonly failures: readonly Failure[]; readonly tried: readonly Try[] },
  what: string,
  then: string,
): Promise<void> {
  const { retryUntilUpFirst, retryUntilUpMax } = input.timing;
  const left = Math.max(0, (input.retryUntil ?? Number.POSITIVE_INFINITY) - Date.now());
  const pause = Math.min(retryUntilUpMax, retryUntilUpFirst * 2 ** Math.min(next - 2, 20), left);
  const refused = failures.find(({ kind }) => kind === 'auth');
  const why = refused === undefined ? '' : ` (${refused.message.slice(0, 300)})`;
  await progress(input, `${what}${why}; next in ${Math.round(pause / 1000)} s`, then, tried);
  await sleep(pause, { summary: `before round ${next}` });
}

export function enoughRounds(input: ProvisionInput, round: number): boolean {
  return round - input.round >= ROUNDS_PER_RUN || workflowInfo().continueAsNewSuggested;
}

/** Nothing that was asked for can ever be had when every answer says that the request itself is wrong. Credentials come back. */
function worthRepeating(failures: readonly Failure[]): boolean {
  if (failures.some(({ kind }) => kind !== 'invalid' && kind !== 'auth')) return true;
  return failures.some(({ kind }) => kind === 'auth') && patched(WAITS);
}

/** What is offered; or the failure of a round that begins without credentials, which may be there at the next. */
async function offersFor(input: ProvisionInput, resources: ResourceRequest): Promise<InstanceTypeOffer[] | Failure> {
  try {
    return await step(input.timing, 'find places').plan({ resources });
  } catch (error) {
    const failure = failureOf(error);
    if (isCancellation(error) || failure.kind !== 'auth' || !input.retryUntilUp || !patched(WAITS)) throw error;
    return failure;
  }
}

function summary({ numNodes, resources, part }: Search, failures: readonly Failure[]): Failure {
  const [first] = failures;
  if (first === undefined) {
    return {
      kind: 'capacity',
      message: `No cloud offers what was asked for (${numNodes} nodes).`,
      hint: 'Run `styx check` to see which clouds are enabled, and ask for less or for another place.',
    };
  }
  const isOpen = part === undefined && first.kind === 'capacity' && first.hint === undefined;
  const next = isOpen ? { hint: morePlaces(resources) } : {};
  if (failures.length === 1) return { ...first, ...next };
  const texts = [...new Set(failures.map((failure) => failure.message))];
  return { ...first, ...next, message: `All ${failures.length} places failed: ${texts.join('; ').slice(0, 2_000)}` };
}

async function tryRound(
  input: ProvisionInput,
  search: Search,
  firstAttempt: number,
): Promise<{ stands: Stands } | { failures: Failure[]; tried: Try[]; attempt: number }> {
  const { cluster } = input;
  showDetails('finding places', 'machines in the best of them');
  const { resources, numNodes, part = {}, choose = (all) => [...all] } = search;
  const found = await offersFor(input, resources);
  if ('kind' in found) return { failures: [found], tried: [], attempt: firstAttempt };
  const offers = choose(found);
  const failures: Failure[] = [];
  const tried: Try[] = [];
  const proofs: Promise<void>[] = [];
  const blocked = new Set<string>();
  let attempt = firstAttempt;
  for (const offer of offers) {
    if (blockKeys(offer).some((key) => blocked.has(key))) continue;
    const placement: Placement = {
      ...offer,
      attempt,
      numNodes,
      ...part,
      key: placementKey(input.installation, cluster.workflowId, cluster.generation, attempt, offer),
    };
    attempt += 1;
    const since = Date.now();
    try {
      return { stands: await place(input, placement, tried) };
    } catch (error) {
      const failure = failureOf(error);
      if (isCancellation(error) || failure.kind === 'aborted') throw error;
      failures.push(failure);
      tried.push(await gaveUp(input, placement, since, failure));
      block(blocked, offer, failure);
      await retirePlacement(input, placement, proofs);
      if (endsLaunch(error, failure)) {
        await Promise.all(proofs);
        throw new Failed(failure);
      }
    }
  }
  await Promise.all(proofs);
  return { failures, tried, attempt };
}

/** What is wrong on machines that stand, an image that cannot be fetched, is wrong in every place. */
function endsLaunch(error: unknown, { kind }: Failure): boolean {
  return (
    kind === 'invalid' &&
    error instanceof ActivityFailure &&
    error.activityType === 'bootstrap' &&
    patched('images-end-launches')
  );
}

async function place(input: ProvisionInput, placement: Placement, tried: readonly Try[]): Promise<Stands> {
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

/** `since`: when it was begun. */
async function gaveUp(input: ProvisionInput, placement: Placement, since: number, failure: Failure): Promise<Try> {
  const { key: placementKey, cloud, region, zone, instanceType, useSpot } = placement;
  const at = Date.now();
  const spot = useSpot ? { useSpot } : {};
  const tried: Try = { at, cloud, region, zone, instanceType, took: at - since, ...spot, failure };
  const { generation } = input.cluster;
  await tell(input.cluster.workflowId, placementFailedSignal, { generation, opId: input.opId, placementKey, tried });
  return tried;
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
