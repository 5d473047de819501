/**
 * Brings back what stood: machines that are stopped are started, and those that are proved gone are made anew, all of them or none, as a
 * placement of its own beside the others. What still stands is only connected to: its jobs go on.
 */
import type { LostMachine } from '../activities/types.ts';
import { offersBeside, repairRequest, type Standing } from '../model/cluster-repair.ts';
import type { NodeInfo, Placement } from '../model/machines.ts';
import { openText, placementText, showDetails } from './details.ts';
import { Failed } from './failures.ts';
import { bootstrapped, findPlace, progress, type Search, type Stands } from './placing.ts';
import type { ProvisionInput } from './provision.ts';
import { longStep, step } from './steps.ts';

export async function repair(input: ProvisionInput, standing: Standing): ReturnType<typeof findPlace> {
  const { cluster, timing, resources } = input;
  const { placement, added, nodes } = standing;
  const placements = [placement, ...added];
  showDetails(`starting ${placements.map(placementText).join(', ')}`, 'connect to its nodes');
  const starting = longStep(timing, `start ${input.numNodes} machines of ${cluster.name}`, timing.createBudget);
  const { instances, lost } = await starting.reviveMachines({ cluster, placements, nodes, timing });
  if (lost.length === nodes.length) throw new Failed(allGone(lost));
  const ports = resources.wants?.ports;
  if (ports !== undefined) await step(timing, openText(ports)).openPorts({ cluster, placement, ports });
  const left = await Promise.all(
    placements.map(async (one, index) => {
      const there = instances[index] ?? [];
      return there.length === 0 ? [] : await bootstrapped(input, one, there);
    }),
  );
  const survivors = left.flat();
  if (lost.length === 0) return stands(placement, added, survivors);
  const ranks = lost.map(({ rank }) => rank);
  await progress(input, `making node ${ranks.join(', ')} anew: ${lost[0]?.reason}`, 'the cluster is UP again');
  const made = await findPlace(input, replacing(input, placement, ranks));
  return 'again' in made ? made : stands(placement, [...added, made.placement], [...survivors, ...made.nodes]);
}

function replacing({ resources }: ProvisionInput, placement: Placement, ranks: readonly number[]): Search {
  return {
    resources: repairRequest(resources, placement, ranks.length),
    numNodes: ranks.length,
    part: { fills: ranks, joins: placement.key },
    choose: (offers) => offersBeside(offers, placement),
  };
}

function stands(placement: Placement, added: readonly Placement[], nodes: readonly NodeInfo[]): Stands {
  const inOrder = nodes.toSorted((a, b) => a.rank - b.rank);
  return added.length === 0 ? { placement, nodes: inOrder } : { placement, added, nodes: inOrder };
}

function allGone(lost: readonly LostMachine[]) {
  const message = `All ${lost.length} machines are gone: ${lost[0]?.reason}`;
  return { kind: 'not-found', message, hint: 'Take the cluster down and launch it again.' } as const;
}
