/** Ends what runs of a job whose own workflow was ended from outside. Its room on the cluster is taken by others meanwhile. */
import type { ClusterRef } from '../activities/types.ts';
import type { NodeInfo } from '../model/machines.ts';
import type { Timing } from '../model/timing.ts';
import { step } from './steps.ts';

export interface ReapInput {
  readonly version: 1;
  readonly cluster: ClusterRef;
  /** `numberOnNodes`. */
  readonly jobId: number | string;
  readonly nodes: readonly NodeInfo[];
  readonly timing: Timing;
}

/** A node that does not answer is asked this often and long; after that its machine's end is what ends the job there. */
const TRIES = 100;

export async function reap({ cluster, jobId, nodes, timing }: ReapInput): Promise<void> {
  await Promise.all(
    nodes.map(async (node) => {
      const ending = step(timing, `end job ${jobId} on node ${node.rank}`, TRIES);
      await ending.cancelJob({ job: { cluster, jobId }, node, graceMs: timing.killGrace }).catch(() => undefined);
    }),
  );
}
