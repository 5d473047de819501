/** What a pool is made of where nothing is real. */
import { DEFAULT_RECOVERY } from '../../model/job-recovery.ts';
import type { JobRules, ManagedJobState } from '../../model/managed-job.ts';
import type { ClusterReport } from '../../model/owned-cluster.ts';
import type { Task } from '../../model/task.ts';
import { TEST } from '../../model/timing.ts';

export const TASK = {
  name: null,
  resources: {},
  numNodes: 1,
  envs: {},
  secrets: {},
  setup: null,
  run: null,
  autostop: null,
  priority: 0,
  demand: { cpus: 0.5, gpus: 0, memory: 0 },
  maxDuration: null,
  queue: null,
} as unknown as Task;
export const SIZE = { nodes: 1, cpus: 1, gpus: 0, memory: 4 };
const PLACE = { cloud: 'c', region: 'r', zone: 'z', instanceType: 't', useSpot: false };

export interface MadeUpCluster {
  state: 'launching' | 'up' | 'ending' | 'silenced' | 'gone';
  silentSince: number | null;
  lost: boolean;
  readonly digest: string;
  /** Jobs that it took, and whether something of them may run. */
  readonly guests: Map<
    string,
    { copy: number; runs: boolean; status: 'RUNNING' | 'SUCCEEDED' | 'CANCELLED' | 'FAILED' | 'FAILED_DRIVER' }
  >;
}

export interface MadeUpJob {
  state: ManagedJobState;
  readonly rules: JobRules;
  open: boolean;
}

/** What a cluster says to all; absent: there is none any more. */
export function baseReport(
  name: string,
  cluster: MadeUpCluster | undefined,
  now: number,
): Omit<ClusterReport, 'copy' | 'job' | 'launch'> {
  const state = cluster?.state ?? 'gone';
  return {
    cluster: name,
    generation: 'g',
    status: state === 'gone' ? 'TERMINATED' : state === 'launching' ? 'INIT' : 'UP',
    reason: '',
    operation: state === 'ending' ? 'down' : state === 'launching' ? 'launch' : null,
    tried: 1,
    gone: cluster?.lost ?? false,
    silentSince: cluster?.silentSince ?? null,
    place: PLACE,
    cost: 0,
    hourly: 0,
    at: now,
  };
}

export function jobRules(workflowId: string): JobRules {
  return {
    workflowId,
    numNodes: 1,
    pool: 'p',
    recovery: { ...DEFAULT_RECOVERY, maxRestartsOnErrors: 1 },
    fenceAfter: 1_000,
    timing: TEST,
  };
}
