/** A task as everything below the parser sees it: normalised, plain JSON. `cli/` and `client/` make it from YAML by `parseTask`. */
import type { Budget } from './cost-budget.ts';
import type { GroupSeat } from './group-hosts.ts';
import type { ResourceRequest } from './machines.ts';
import type { RayRequest } from './ray.ts';
import type { SecretBox } from './secret-box.ts';
import type { FileMount, TaskFiles } from './task-files.ts';

/** When idle for `idleMinutes`, stop, or with `down` terminate. */
export interface AutostopRule {
  readonly idleMinutes: number;
  readonly down: boolean;
  /** What counts as activity: jobs and SSH sessions, jobs only, or nothing (a hard timer). */
  readonly waitFor: 'jobs_and_ssh' | 'jobs' | 'none';
}

/** What a job takes of every node that it runs on, for queueing; not a limit. */
export interface JobDemand {
  /** vCPUs; 0.5 unless told otherwise, as SkyPilot's. */
  readonly cpus: number;
  /** GPUs; fractions below 1, else whole. */
  readonly gpus: number;
  /** GiB; 0: not counted. */
  readonly memory: number;
}

interface TaskFields {
  readonly name: string | null;
  readonly resources: ResourceRequest;
  readonly numNodes: number;
  readonly envs: Readonly<Record<string, string>>;
  readonly setup: string | null;
  readonly run: string | null;
  readonly autostop: AutostopRule | null;
  /** −1000 … 1000; higher first. */
  readonly priority: number;
  readonly demand: JobDemand;
  /** Seconds after which the job is ended; lets it pass a waiting one (backfill). null: no limit. */
  readonly maxDuration: number | null;
  /** Cluster's queue discipline, asked for at launch; null: as it is (`backfill` at first). */
  readonly queue: 'fifo' | 'backfill' | null;
  /** Of the cluster, asked for at launch; absent: as it is (none at first). */
  readonly budget?: Budget;
  /** The cluster's Ray, which the task uses; absent: it uses none. */
  readonly ray?: RayRequest;
  /** What jobs find in `~/sky_workdir`; absent: nothing is put there. */
  readonly workdir?: TaskFiles;
  /** In the order in which they are put in place; absent when there are none. */
  readonly fileMounts?: readonly FileMount[];
  /** Of a copy of a task in a group whose machines have names: its `run` waits for these. */
  readonly group?: GroupSeat;
}

export interface Task extends TaskFields {
  /** Environment variables whose values only the step that writes them to a node opens. They go over `envs` of the same name. */
  readonly secrets: Readonly<Record<string, SecretBox>>;
}

/** A task as it was written: the client closes its secrets before anybody else sees it. */
export interface WrittenTask extends TaskFields {
  readonly secrets: Readonly<Record<string, string>>;
}
