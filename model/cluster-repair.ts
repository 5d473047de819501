/**
 * A cluster on more than one placement: machines that were lost are made anew by a repair, as placements of their own beside the one
 * that the cluster was launched on. Each `fills` ranks; a rank belongs to the last that fills it.
 */
import type { ClusterState } from './cluster.ts';
import { type InstanceTypeOffer, type NodeInfo, nodeHourly, type Placement, type ResourceRequest } from './machines.ts';

/** What stands, as operations and steps are told of it: the placement of the launch, and those that repairs added, oldest first. */
export interface Standing {
  readonly placement: Placement;
  readonly added: readonly Placement[];
  readonly nodes: readonly NodeInfo[];
  /** All of it was stopped: none of its machines need run until all do. */
  readonly stopped?: true;
}

/** Empty when nothing stands. */
export function standingPlacements({ placement, added = [] }: Pick<ClusterState, 'placement' | 'added'>): Placement[] {
  return placement === null ? [] : [placement, ...added];
}

/** Rank of a placement's machine by its index there. */
export function rankOf({ fills }: Pick<Placement, 'fills'>, index: number): number {
  return fills?.[index] ?? index;
}

function ranksMade(placement: Placement): number[] {
  return Array.from({ length: placement.numNodes }, (_, index) => rankOf(placement, index));
}

/** Where a rank's machine is: of the placements, oldest first, the last that made one for it. */
export function placementOf(placements: readonly Placement[], rank: number): Placement | undefined {
  return placements.findLast((placement) => ranksMade(placement).includes(rank));
}

/** The ranks whose machines are still this placement's. */
export function ranksOf(placements: readonly Placement[], placement: Placement): number[] {
  return ranksMade(placement).filter((rank) => placementOf(placements, rank)?.key === placement.key);
}

/** Those of `added` that still have a rank. What others had is gone, and is proved so like a failed placement's. */
export function stillUsed(placement: Placement, added: readonly Placement[]): Placement[] {
  const all = [placement, ...added];
  return added.filter((one) => ranksOf(all, one).length > 0);
}

/** US dollars an hour of all nodes while they run, disks included. */
export function hourlyOf(placements: readonly Placement[]): number {
  return sum(placements, nodeHourly);
}

/** US dollars an hour of the disks of all nodes. */
export function disksHourlyOf(placements: readonly Placement[]): number {
  return sum(placements, ({ disk }) => disk?.hourlyCost ?? 0);
}

function sum(placements: readonly Placement[], each: (placement: Placement) => number): number {
  return placements.reduce((total, one) => total + each(one) * ranksOf(placements, one).length, 0);
}

/**
 * Asks for `count` machines like those that stand, which is what they have to work with: the same type, in the same region, and in the
 * same zone where nodes were to be near each other.
 */
export function repairRequest(resources: ResourceRequest, beside: Placement, count: number): ResourceRequest {
  const { planned: _planned, order: _order, others: _others, inOrder: _inOrder, clouds: _clouds, ...rest } = resources;
  const near = resources.wants?.networkTier === 'best';
  return {
    ...rest,
    cloud: beside.cloud,
    region: beside.region,
    zone: near ? beside.zone : resources.zone,
    instanceType: beside.instanceType,
    cpus: null,
    memory: null,
    accelerators: beside.accelerators,
    useSpot: beside.useSpot,
    numNodes: count,
  };
}

/** Those of the same machines in the same region, the same zone first; else as they come. */
export function offersBeside(offers: readonly InstanceTypeOffer[], beside: Placement): InstanceTypeOffer[] {
  const { cloud, region, zone, instanceType, useSpot } = beside;
  const alike = offers.filter(
    (one) =>
      one.cloud === cloud && one.region === region && one.instanceType === instanceType && one.useSpot === useSpot,
  );
  return [...alike.filter((one) => one.zone === zone), ...alike.filter((one) => one.zone !== zone)];
}
