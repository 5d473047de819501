/** What is asked of the optimizer and what it answers. Plain JSON. */
import type { Resources } from '../model/spec/resources.ts';
import type { Constraint } from './constraints.ts';
import type { DiskPrices } from './disk.ts';

export type Arch = 'x86_64' | 'arm64';

/** A `TaskSpec` is one. */
export interface PlacementRequest {
  readonly resources: Resources;
  readonly numNodes: number;
  /** null or absent: any, but for the general-purpose types that are taken when nothing but sizes is asked, which are x86_64. */
  readonly arch?: Arch | null;
}

/** Machines that are paid for already: so many nodes of a placement cost nothing. Never spot ones. */
export interface Reservation {
  readonly cloud: string;
  readonly instanceType: string;
  readonly region: string;
  /** null: in any zone of the region. */
  readonly zone: string | null;
  readonly nodes: number;
}

export interface RankOptions {
  /** Only these come into question; null or absent: all that there are rows of. */
  readonly clouds?: readonly string[] | null;
  /** How long the machines are needed, for all alternatives or for each by its index. Default 1. */
  readonly hours?: number | readonly number[];
  readonly reservations?: readonly Reservation[];
  /** Count disks too, at these prices; null or absent: no. */
  readonly disk?: DiskPrices | null;
  /** `all` (default): every offer that fits. `cheapest`: of each cloud and alternative only the type with the cheapest one, as SkyPilot does. */
  readonly types?: 'all' | 'cheapest';
}

/** An offer that meets a request, and what it comes to. */
export interface Ranked {
  readonly cloud: string;
  readonly region: string;
  /** null: any zone of the region. */
  readonly zone: string | null;
  readonly instanceType: string;
  readonly cpus: number | null;
  /** GiB. */
  readonly memory: number | null;
  readonly accelerators: { readonly name: string; readonly count: number } | null;
  readonly arch: Arch | null;
  readonly useSpot: boolean;
  /** US dollars an hour for one node. */
  readonly hourlyCost: number;
  /** Which of the alternatives of the request it meets. */
  readonly alternative: number;
  readonly numNodes: number;
  /** Nodes that a reservation pays for. */
  readonly reservedNodes: number;
  readonly hours: number;
  /** US dollars an hour of one node's disk; 0 when disks are not counted. */
  readonly diskHourly: number;
  /** US dollars of all nodes for `hours`, with disks when they are counted. */
  readonly cost: number;
}

/** How many rows one constraint keeps out. */
export interface Reason {
  readonly alternative: number;
  readonly constraint: Constraint;
  /** As people write it: `8+`, `A100:8`. */
  readonly asked: string;
  /** Rows that do not meet it. */
  readonly rows: number;
  /** Of these, the rows that meet everything else. */
  readonly alone: number;
}

/** What would fit if some constraints were given up. */
export interface Relaxation {
  readonly alternative: number;
  readonly relax: readonly Constraint[];
  /** Rows that would fit then. */
  readonly rows: number;
  /** The one nearest to what was asked, then the cheapest. */
  readonly nearest: Ranked;
}

export interface Ranking {
  /** All that fits: by alternative when they are ordered, then by cost, then by cloud, region (those of the US first), zone and type. An offer is there once. */
  readonly placements: readonly Ranked[];
  /** Most rows first, for each alternative. A constraint that keeps nothing out is not there. */
  readonly excluded: readonly Reason[];
  /** Rows that were looked at. */
  readonly considered: number;
  /**
   * Only when nothing fits: for every constraint whose giving up would be enough, what would fit then; for an alternative without
   * such a constraint, the smallest sets of constraints.
   */
  readonly relaxations: readonly Relaxation[];
  /** Fields of the request that rows say nothing about, so that the cloud has to check them. */
  readonly unchecked: readonly string[];
}
