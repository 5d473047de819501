/** What a watch is told of the job whose output it keeps. */
import type { Task } from '../model/task.ts';

/** The job of its owner's on a cluster, whose output goes to the store of logs while it runs. */
export interface KeptJob {
  /** Its number; absent: the first. */
  readonly jobId?: number;
  /** See `jobLogFolder`. */
  readonly folder: string;
  readonly phases: readonly ('setup' | 'run')[];
  /** Masked in what is kept. */
  readonly secrets: Task['secrets'];
}
