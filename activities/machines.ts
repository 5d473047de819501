/** Steps on the machines of one placement: observe, ensure, remove. */
import type { CreateRequest } from '../clouds/cloud.ts';
import { offersOf } from '../clouds/offers.ts';
import { alternativesOf, mayBeOf } from '../model/alternatives.ts';
import { LAUNCH_OFFERS } from '../model/budgets.ts';
import { TAGS } from '../model/cloud-resource.ts';
import { StyxError } from '../model/errors.ts';
import { loginKeyScope } from '../model/identity.ts';
import { type Instance, type InstanceTypeOffer, instanceEnding, instanceExists } from '../model/machines.ts';
import { inPlaceOrder } from '../model/place-order.ts';
import { leftOf } from '../model/planned-offers.ts';
import type { Timing } from '../model/timing.ts';
import { loginKey } from '../nodes/keys.ts';
import { Absence } from './absence.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import type {
  ActActivities,
  ClusterRef,
  CreateInput,
  OpenPortsInput,
  PlacementInput,
  PlanInput,
  PrepareInput,
  TerminateInput,
} from './types.ts';
import { sayingWhy } from './waiting.ts';
import { backoff, type Patience, whileHeartbeating } from './wrap.ts';

type MachineSteps = Pick<
  ActActivities,
  'plan' | 'prepare' | 'createMachines' | 'startMachines' | 'openPorts' | 'stopMachines' | 'terminateMachines'
>;

export function tagsOf(cluster: ClusterRef, installation: string): Record<string, string> {
  return {
    [TAGS.installation]: installation,
    [TAGS.workflow]: cluster.workflowId,
    [TAGS.workspace]: cluster.workspace,
    [TAGS.cluster]: cluster.name,
    [TAGS.generation]: cluster.generation,
  };
}

export function machineSteps(context: ActivityContext): MachineSteps {
  return {
    async plan({ resources }: PlanInput): Promise<InstanceTypeOffer[]> {
      const { planned, order, ...request } = resources;
      const named = alternativesOf(request).map(({ cloud }) => cloud);
      const known = named.includes(null)
        ? await context.clouds()
        : await Promise.all([...new Set(named)].map(async (name) => await context.cloud(name ?? '')));
      const clouds = known.filter(({ name }) => mayBeOf(name, request));
      if (clouds.length === 0) throw new StyxError('invalid', 'none of the clouds that may be used is known here');
      const { offers, reasons } = await offersOf(clouds, request);
      if (offers.length === 0 && reasons.length > 0) throw reasons[0];
      if (planned === undefined) return inPlaceOrder(offers, order).slice(0, LAUNCH_OFFERS);
      const left = leftOf(planned, offers);
      if (left.length > 0) return left;
      throw new StyxError(
        'capacity',
        `none of the ${planned.length} places of the plan is offered at its price any more`,
        {
          hint: 'Make a new plan by `styx plan`, or launch with --replan.',
        },
      );
    },

    async prepare({ cluster, placement, wants = {} }: PrepareInput): Promise<CreateRequest> {
      const key = loginKey(context.secret, loginKeyScope(cluster.workflowId, cluster.generation));
      const tags = tagsOf(cluster, context.installation);
      return await (await context.cloud(placement.cloud)).prepare(placement, key.publicKey, tags, wants);
    },

    async createMachines({ request, timing }: CreateInput): Promise<Instance[]> {
      return await whileHeartbeating(starting(timing), async (signal) => {
        const { placement } = request;
        const cloud = await context.cloud(placement.cloud);
        await cloud.create(request);
        crashPoint('createMachines.called');
        const pause = backoff(timing.pollEvery);
        for (;;) {
          const seen = await cloud.list(placement, { placementKey: placement.key });
          const dead = seen.find((instance) => instanceEnding(instance.state) || instance.state === 'stopped');
          if (dead !== undefined) {
            throw new StyxError('capacity', `machine ${dead.index} ended while it started${because(dead)}`);
          }
          if (seen.length === placement.numNodes && seen.every(answers)) return inOrder(seen);
          signal.throwIfAborted();
          await pause();
        }
      });
    },

    async startMachines({ placement, timing }: PlacementInput): Promise<Instance[]> {
      return await whileHeartbeating(starting(timing), async (signal) => {
        const cloud = await context.cloud(placement.cloud);
        const pause = backoff(timing.pollEvery);
        for (;;) {
          const seen = await cloud.list(placement, { placementKey: placement.key });
          const gone = seen.find((instance) => instanceEnding(instance.state));
          const present = seen.filter((instance) => instanceExists(instance.state));
          if (gone !== undefined || present.length < placement.numNodes) {
            throw new StyxError(
              'not-found',
              `${placement.numNodes - present.length || 1} of ${placement.numNodes} machines are gone${gone === undefined ? '' : because(gone)}`,
              { hint: 'Take the cluster down and launch it again.' },
            );
          }
          const stopped = present.filter((instance) => instance.state === 'stopped').map((instance) => instance.id);
          signal.throwIfAborted();
          if (stopped.length > 0) {
            await cloud.start(placement, stopped);
          } else if (present.every(answers)) return inOrder(present);
          await pause();
        }
      });
    },

    async openPorts({ placement, ports }: OpenPortsInput): Promise<void> {
      const cloud = await context.cloud(placement.cloud);
      await cloud.setPorts(placement, placement.key, ports);
      crashPoint('openPorts.called');
    },

    async stopMachines(input: PlacementInput): Promise<void> {
      const { placement, timing } = input;
      const stop = async (signal: AbortSignal): Promise<void> => {
        const cloud = await context.cloud(placement.cloud);
        const pause = backoff(timing.pollEvery);
        const absence = new Absence(timing.unreachableAfter);
        for (;;) {
          const seen = await cloud.list(placement, { placementKey: placement.key });
          const running = seen.filter(({ state }) => state === 'running' || state === 'pending').map(({ id }) => id);
          if (running.length > 0) {
            await cloud.stop(placement, running);
            crashPoint('stopMachines.called');
          } else if (seen.every(({ state }) => state === 'stopped' || state === 'terminated')) {
            const isWhole = seen.length >= placement.numNodes;
            if (isWhole || absence.believed(!isWhole)) return;
          }
          signal.throwIfAborted();
          await pause();
        }
      };
      await sayingWhy(context, input, () => whileHeartbeating(timing, stop));
    },

    async terminateMachines(input: TerminateInput): Promise<'ending' | 'gone'> {
      const { placement, timing, until } = input;
      const terminate = async (signal: AbortSignal): Promise<'ending' | 'gone'> => {
        const cloud = await context.cloud(placement.cloud);
        const pause = backoff(timing.pollEvery);
        for (;;) {
          const left = await cloud.terminate(placement, placement.key);
          crashPoint('terminateMachines.called');
          const seen = await cloud.list(placement, { placementKey: placement.key });
          if (left.length === 0 && seen.every(({ state }) => !instanceExists(state))) return 'gone';
          if (until === 'ending' && seen.every(({ state }) => instanceEnding(state))) return 'ending';
          signal.throwIfAborted();
          await pause();
        }
      };
      return await sayingWhy(context, input, () => whileHeartbeating(timing, terminate));
    },
  };
}

export function starting(timing: Timing): Patience {
  const { heartbeatEvery, createBudget: budget } = timing;
  return { heartbeatEvery, budget, what: 'starting the machines', endsWithWork: true };
}

export function answers(instance: Instance): boolean {
  return instance.state === 'running' && instance.address !== null;
}

function inOrder(instances: readonly Instance[]): Instance[] {
  return instances.toSorted((a, b) => a.index - b.index);
}

function because(instance: Instance): string {
  return instance.stateReason === null ? '' : `: ${instance.stateReason}`;
}
