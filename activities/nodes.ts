/** Steps on the nodes of a cluster: put the agent there, start and end jobs, leave the lease. */
import { rankOf } from '../model/cluster-repair.ts';
import { StyxError } from '../model/errors.ts';
import { jobKey } from '../model/identity.ts';
import type { Instance, NodeInfo } from '../model/machines.ts';
import { bootstrapBudget } from '../model/timing.ts';
import type { Node, ProcessState } from '../nodes/node.ts';
import { proxyCommand } from '../system/proxy-command.ts';
import { openSecrets } from '../system/secret-box.ts';
import { instanceAddress, nodeAddress } from './addresses.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import { jobEnvironment, taskSecrets } from './job-env.ts';
import { leaseFor, leaseRule } from './lease.ts';
import { MachineSetUp } from './set-up.ts';
import type {
  ActActivities,
  BootstrapInput,
  CancelJobInput,
  DescribeInput,
  LeaseInput,
  ProcessView,
  RankState,
  StartPhaseInput,
} from './types.ts';
import { backoff, masked, whileHeartbeating } from './wrap.ts';

type NodeSteps = Pick<ActActivities, 'bootstrap' | 'startPhase' | 'cancelJob' | 'setLease' | 'describe'>;

export function nodeSteps(context: ActivityContext): NodeSteps {
  const reach = (cluster: BootstrapInput['cluster'], node: NodeInfo): Promise<Node> =>
    context.pool.node(nodeAddress(context.secret, cluster, node));

  async function connect(
    input: BootstrapInput,
    instance: Instance,
    via: string | null,
    setUp: MachineSetUp,
    signal: AbortSignal,
    failed: (message: string) => void,
  ): Promise<NodeInfo> {
    const pause = backoff(input.timing.pollEvery);
    for (;;) {
      try {
        const address = instanceAddress(context.secret, input.cluster, instance, input.timing, via);
        await setUp.run(address, signal);
        const node = await context.pool.node(address, signal);
        return describeNode(instance, rankOf(input.placement, instance.index), node.hostKey, via);
      } catch (error) {
        if (!(error instanceof StyxError) || error.kind !== 'unreachable') throw error;
        signal.throwIfAborted();
        failed(error.message);
        await stillThere(context, input, instance, error);
        await pause();
      }
    }
  }

  return {
    async bootstrap(input: BootstrapInput): Promise<NodeInfo[]> {
      const { heartbeatEvery } = input.timing;
      const budget = bootstrapBudget(input);
      let last = '';
      const failed = (message: string): void => {
        last = message;
      };
      const patience = { heartbeatEvery, budget, what: 'connecting to the nodes', why: () => last };
      return await whileHeartbeating(patience, async (signal) => {
        const { cloud, region } = input.placement;
        const place = `${cloud}/${region}`;
        const via = (await proxyCommand(context.styxHome, place)) === null ? null : place;
        const setUp = await MachineSetUp.of(context, input);
        const nodes = await Promise.all(
          input.instances.map((instance) => connect(input, instance, via, setUp, signal, failed)),
        ).finally(() => setUp.close());
        crashPoint('bootstrap.called');
        return nodes.toSorted((a, b) => a.rank - b.rank);
      });
    },

    async startPhase(input: StartPhaseInput): Promise<RankState[]> {
      const { job, phase, task, run } = input;
      const script = phase === 'setup' ? task.setup : task.run;
      if (script === null) throw new StyxError('invalid', `the task has no ${phase} script`);
      // The only place where they are open; what fails from here on may quote them.
      const opened = openSecrets(context.keyring, task.secrets ?? {});
      const { conda = false, ray } = run;
      const environment = ray === undefined ? { conda } : { conda, ray };
      const start = async (info: NodeInfo, rank: number): Promise<ProcessState> => {
        const env = jobEnvironment(input, rank);
        const secrets = taskSecrets(input, rank, opened);
        const node = await reach(job.cluster, info);
        const key = jobKey(job.cluster.generation, job.jobId);
        return await node.start({ jobKey: key, phase, rank, script, env, secrets, ...environment, owner: job.owner });
      };
      const states = await Promise.all(run.nodes.map(start)).catch((error: unknown) => {
        throw masked(error, Object.values(opened));
      });
      crashPoint('startPhase.called');
      return states.map(rankState);
    },

    async cancelJob({ job, node, graceMs }: CancelJobInput): Promise<ProcessView[]> {
      const key = jobKey(job.cluster.generation, job.jobId);
      const there = await reach(job.cluster, node);
      await there.cancel(key, graceMs);
      crashPoint('cancelJob.called');
      return (await there.processes(key)).map((process) => ({ ...rankState(process), phase: process.phase }));
    },

    async setLease(input: LeaseInput): Promise<void> {
      const cloud = await context.cloud(input.placement.cloud);
      const { placement } = input;
      const capabilities = await cloud.capabilities();
      const rule = leaseRule(input, capabilities);
      // What cannot be stopped ends at a power-off anyway.
      if (rule !== null && !(placement.useSpot && capabilities.stopSpot !== true)) {
        const ids = input.nodes.map(({ instanceId }) => instanceId);
        await cloud.armPowerOff(placement, ids, rule.action).catch((error: unknown) => {
          throw cloud.classify(error);
        });
      }
      await Promise.all(
        input.nodes.map(async (info) => {
          const node = await reach(input.cluster, info);
          await node.setLease(leaseFor(input, info, cloud, rule));
        }),
      );
      crashPoint('setLease.called');
    },

    async describe({ workflowIds }: DescribeInput): Promise<Record<string, 'running' | 'closed' | 'missing'>> {
      const found = await Promise.all(workflowIds.map(async (id) => [id, await statusOf(context, id)] as const));
      return Object.fromEntries(found);
    },
  };
}

export async function statusOf(
  context: ActivityContext,
  workflowId: string,
): Promise<'running' | 'closed' | 'missing'> {
  try {
    const { status } = await context.client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING' ? 'running' : 'closed';
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') return 'missing';
    throw error;
  }
}

/** No SSH yet is a matter of patience while the machine runs, and the end of this placement when it does not. */
async function stillThere(
  context: ActivityContext,
  input: BootstrapInput,
  instance: Instance,
  contact: StyxError,
): Promise<void> {
  const cloud = await context.cloud(input.placement.cloud);
  const [now] = await cloud.list(input.placement, { ids: [instance.id] });
  if (now === undefined || now.state === 'running' || now.state === 'pending') return;
  throw new StyxError('capacity', `machine ${instance.index} is ${now.state}: ${now.stateReason ?? contact.message}`);
}

function describeNode(instance: Instance, rank: number, hostKey: string, via: string | null): NodeInfo {
  const address = instance.address ?? '';
  return {
    instanceId: instance.id,
    rank,
    address,
    port: instance.sshPort,
    user: instance.user,
    internalAddress: instance.internalAddress ?? address,
    ...(via === null ? {} : { via }),
    hostKey,
    cpus: instance.cpus,
    memory: instance.memory,
    gpus: instance.accelerators?.count ?? 0,
    gpuName: instance.accelerators?.name ?? null,
  };
}

function rankState(process: ProcessState): RankState {
  return {
    rank: process.rank,
    exitCode: process.exitCode,
    lost: process.lost,
    ...(process.interrupted == null ? {} : { interrupted: process.interrupted * 1_000 }),
    startedAt: Math.round(process.startedAt * 1_000),
    endedAt: process.endedAt === null ? null : Math.round(process.endedAt * 1_000),
    ...(process.output === undefined ? {} : { output: process.output }),
  };
}
