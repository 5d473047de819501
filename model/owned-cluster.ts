/** A cluster that belongs to another workflow: what it is told by its owner, and what it tells. */
import type { ClusterState, ClusterStatus, OperationKind } from './cluster.ts';
import { costAt, hourlyNow } from './cost.ts';
import type { Failure } from './errors.ts';
import type { JobStatus } from './job.ts';
import type { InstanceTypeOffer } from './machines.ts';
import type { Outputs } from './outputs.ts';

/** In a cluster's input. */
export interface ClusterOwner {
  readonly workflowId: string;
  /** Which of the owner's clusters it is. */
  readonly copy: number;
  /** In place of the id that its job would have. */
  readonly taskId: string;
}

/** Signals of the owner to its cluster, and of the cluster to its owner. */
export const OWNER_SIGNALS = { command: 'ownerCommand', report: 'clusterReport' } as const;

export interface OwnerCommand {
  readonly kind: 'cancel' | 'down';
  /** The same id is carried out once. */
  readonly requestId: string;
  readonly user: string;
}

/** The whole of what an owner goes by, each time: one that is lost or comes late is made good by the next. */
export interface ClusterReport {
  readonly copy: number;
  readonly generation: string;
  readonly status: ClusterStatus;
  readonly reason: string;
  readonly operation: OperationKind | null;
  /** The launch, once it has ended. */
  readonly launch: { readonly outcome: 'succeeded' | 'failed' | 'aborted'; readonly failure: Failure | null } | null;
  /** Places that were tried and given up. */
  readonly tried: number;
  readonly job: {
    readonly id: number;
    readonly status: JobStatus;
    readonly reason: string | null;
    /** Those that are not 0, each once. */
    readonly exitCodes: readonly number[];
    readonly outputs?: Outputs;
  } | null;
  /** The cloud says that a node is stopped or gone. */
  readonly gone: boolean;
  /** Since when a node does not answer; null: all do. */
  readonly silentSince: number | null;
  /** Where it stands. */
  readonly place: Pick<InstanceTypeOffer, 'cloud' | 'region' | 'zone' | 'instanceType' | 'useSpot'> | null;
  /** Dollars until `at`, and in an hour from then on. */
  readonly cost: number;
  readonly hourly: number;
  readonly at: number;
}

const SHOWN_CODES = 20;
const REASON_CHARS = 500;

export function clusterReport(state: ClusterState, copy: number, generation: string, now: number): ClusterReport {
  const launch = state.operations.findLast(({ kind }) => kind === 'launch');
  const [job] = state.jobs;
  const silent = state.lost.filter(({ gone }) => !gone).map(({ since }) => since);
  const { placement } = state;
  return {
    copy,
    generation,
    status: state.status,
    reason: state.statusReason.slice(0, REASON_CHARS),
    operation: state.operation?.kind ?? null,
    launch:
      launch?.outcome == null
        ? null
        : {
            outcome: launch.outcome,
            failure:
              launch.failure === null
                ? null
                : { ...launch.failure, message: launch.failure.message.slice(0, REASON_CHARS) },
          },
    tried: state.tries.length,
    job:
      job === undefined
        ? null
        : {
            id: job.id,
            status: job.status,
            reason: job.reason?.slice(0, REASON_CHARS) ?? null,
            exitCodes: [
              ...new Set((job.exitCodes ?? []).filter((code): code is number => code !== null && code !== 0)),
            ].slice(0, SHOWN_CODES),
            ...(job.outputs === undefined ? {} : { outputs: job.outputs }),
          },
    gone: state.lost.some(({ gone }) => gone),
    silentSince: silent.length === 0 ? null : Math.min(...silent),
    place:
      placement === null
        ? null
        : {
            cloud: placement.cloud,
            region: placement.region,
            zone: placement.zone,
            instanceType: placement.instanceType,
            useSpot: placement.useSpot,
          },
    cost: costAt(state.cost, now),
    hourly: hourlyNow(state.cost),
    at: now,
  };
}

/** What of a report makes it worth telling: time and money that pass are not. */
export function reportDigest({ cost: _cost, at: _at, ...rest }: ClusterReport): string {
  return JSON.stringify(rest);
}
