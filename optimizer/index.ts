/** The optimizer: which offers of the catalogues meet a request, and where the tasks of a DAG should run. Pure: no I/O, no clock, no chance. */
export type { Constraint } from './constraints.ts';
export type { Dag, DagTask } from './dag.ts';
export { DISK_PRICES, type DiskPrices, diskCost } from './disk.ts';
export { BETWEEN_CLOUDS_ONLY, type DataPlace, type EgressModel, LIST_PRICES } from './egress.ts';
export { launchRequest } from './launch-request.ts';
export {
  type NoPlan,
  type OptimizeOptions,
  optimize,
  type Plan,
  type TaskPlan,
  type Transfer,
} from './optimize.ts';
export { otherTypes } from './other-types.ts';
export { rank } from './rank.ts';
export type {
  Arch,
  PlacementRequest,
  Ranked,
  Ranking,
  RankOptions,
  Reason,
  Relaxation,
  Reservation,
} from './request.ts';
