/** The environment that a task's scripts see: its own, then SkyPilot's and Styx's names, which a task cannot replace. */
import type { NodeInfo } from '../model/machines.ts';
import type { StartPhaseInput } from './types.ts';

/** `rank` is the job's: 0 … n−1 over the nodes that it runs on. IPs are in rank order, separated by newlines. */
export function jobEnvironment(input: StartPhaseInput, rank: number): Record<string, string> {
  return { ...input.task.envs, ...ownNames(input, rank) };
}

/** The task's secrets, without those of names that a task cannot replace. */
export function taskSecrets(
  input: StartPhaseInput,
  rank: number,
  opened: Readonly<Record<string, string>>,
): Record<string, string> {
  const own = ownNames(input, rank);
  return Object.fromEntries(Object.entries(opened).filter(([name]) => !Object.hasOwn(own, name)));
}

function ownNames(input: StartPhaseInput, rank: number): Record<string, string> {
  const { job, run, task, phase } = input;
  const ips = run.nodes.map((node) => node.internalAddress).join('\n');
  const jobId = String(job.number ?? job.jobId);
  const gpusPerNode = String(Math.ceil(task.demand.gpus));
  const common = {
    SKYPILOT_TASK_ID: job.taskId,
    SKYPILOT_NUM_NODES: String(run.nodes.length),
    SKYPILOT_CLUSTER_INFO: spacedJson({ cluster_name: job.cluster.name, ...run.clusterInfo }),
    SKYPILOT_USER: job.user,
    SKYPILOT_INTERNAL_JOB_ID: jobId,
  };
  const placed =
    phase === 'setup'
      ? {
          SKYPILOT_SETUP_NODE_RANK: String(rank),
          SKYPILOT_SETUP_NODE_IPS: ips,
          SKYPILOT_SETUP_NUM_GPUS_PER_NODE: gpusPerNode,
        }
      : { SKYPILOT_NODE_RANK: String(rank), SKYPILOT_NODE_IPS: ips, SKYPILOT_NUM_GPUS_PER_NODE: gpusPerNode };
  return {
    ...common,
    ...placed,
    STYX_TASK_ID: job.taskId,
    STYX_CLUSTER: job.cluster.name,
    STYX_JOB_ID: jobId,
    STYX_NODE_RANK: String(rank),
    STYX_NODE_IPS: ips,
    STYX_NUM_NODES: String(run.nodes.length),
    STYX_NUM_GPUS_PER_NODE: gpusPerNode,
    ...devices(run.nodes[rank], run.allotment.gpus[rank] ?? []),
  };
}

/** As Python prints it: scripts that cut it with sed find the spaces where they expect them. */
function spacedJson(fields: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(fields).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  return `{${pairs.join(', ')}}`;
}

/** On a node with GPUs a job sees those it was allotted, and none when it asked for none. */
function devices(node: NodeInfo | undefined, gpus: readonly number[]): Record<string, string> {
  return node === undefined || node.gpus === 0 ? {} : { CUDA_VISIBLE_DEVICES: gpus.join(',') };
}
