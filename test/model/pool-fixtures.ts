/** What a pool is made of where nothing is real. */
import type { Task } from '../../model/task.ts';

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
export const PLACE = { cloud: 'c', region: 'r', zone: 'z', instanceType: 't', useSpot: false };

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
