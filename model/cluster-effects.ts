/** What a transition asks its workflow to do, in order. Plain data; each is carried out by `workflows/cluster-effects.ts`. */
import type { NewJob, OperationKind } from './cluster.ts';
import type { Standing } from './cluster-repair.ts';
import type { AbandonJob, RunJob } from './job-messages.ts';
import type { MachineNotice } from './machine-notices.ts';
import type { NodeInfo, Placement, ResourceRequest } from './machines.ts';
import type { RaySpec } from './ray.ts';
import type { AutostopRule } from './task.ts';

export type Effect =
  | {
      readonly type: 'startProvision';
      readonly opId: string;
      readonly child: number;
      readonly resources: ResourceRequest;
      readonly numNodes: number;
      /** A placement that stood before and is brought back; null: find one. */
      readonly existing: Placement | null;
      /** Of a placement that stood: all that did, so that what is lost of it is made anew. Absent: an older build said it. */
      readonly standing?: Standing;
      readonly retryUntilUp: boolean;
      /** Of `Operation`. */
      readonly retryUntil?: number;
      /** Number of the next placement of this generation. */
      readonly attempt: number;
    }
  | {
      readonly type: 'startRetire';
      readonly opId: string;
      readonly child: number;
      readonly mode: 'stop' | 'terminate';
      readonly placements: readonly Placement[];
    }
  | {
      readonly type: 'startPorts';
      readonly opId: string;
      readonly child: number;
      readonly placement: Placement;
      /** All that shall be open. */
      readonly ports: readonly string[];
    }
  | { readonly type: 'abortOperation'; readonly kind: OperationKind; readonly opId: string; readonly child: number }
  | {
      readonly type: 'startWatch';
      /** Of which copy of its owner's work it is, by which job; absent: of the first. */
      readonly owned?: { readonly copy: number; readonly jobId: number };
      readonly child: number;
      readonly nodes: readonly NodeInfo[];
      readonly placement: Placement;
      readonly added?: readonly Placement[];
      readonly autostop: AutostopRule | null;
    }
  | { readonly type: 'stopWatch'; readonly child: number }
  | { readonly type: 'setAutostop'; readonly child: number; readonly autostop: AutostopRule | null }
  | { readonly type: 'startRay'; readonly child: number; readonly nodes: readonly NodeInfo[]; readonly spec: RaySpec }
  /** `clean`: its processes on the nodes are ended. */
  | { readonly type: 'stopRay'; readonly child: number; readonly clean: boolean }
  | { readonly type: 'startJob'; readonly job: NewJob }
  | { readonly type: 'runJob'; readonly jobId: number; readonly run: RunJob }
  | { readonly type: 'cancelJob'; readonly jobId: number }
  /** The job's own workflow is gone: end what runs of it on these nodes. */
  | { readonly type: 'reapJob'; readonly jobId: number; readonly nodes: readonly NodeInfo[]; readonly life?: string }
  /** A machine of its is taken back: it ends, with the time that is left. */
  | { readonly type: 'interruptJob'; readonly jobId: number; readonly notice: MachineNotice }
  | { readonly type: 'abandonJob'; readonly jobId: number; readonly end: AbandonJob };

/** An effect with the making of the cluster that it belongs to. */
export type QueuedEffect = Effect & { readonly generation: string };
