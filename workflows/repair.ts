/**
 * Brings back what stood: machines that are stopped are started, and those that are proved gone are made anew, all of them or none, as a
 * placement of its own beside the others. What still stands is only connected to: its jobs go on.
 */
import { isCancellation, patched } from '@temporalio/workflow';
import type { LostMachine, Revived } from '../activities/types.ts';
import { offersBeside, repairRequest, type Standing } from '../model/cluster-repair.ts';
import type { ErrorKind } from '../model/errors.ts';
import type { NodeInfo, Placement } from '../model/machines.ts';
import { openText, placementText, showDetails } from './details.ts';
import { Failed, failureOf } from './failures.ts';
import {
  type Again,
  beforeRound,
  bootstrapped,
  enoughRounds,
  findPlace,
  isTriedAgain,
  progress,
  type Search,
  type Stands,
} from './placing.ts';
import type { ProvisionInput } from './provision.ts';
import { dutyStep, longStep, step } from './steps.ts';

/** Capacity and quota come and go, and credentials come back; what else keeps machines from starting does so the next time too. */
const PASSES: readonly ErrorKind[] = ['capacity', 'quota', 'auth'];

export async function repair(input: ProvisionInput, standing: Standing): ReturnType<typeof findPlace> {
  const { cluster, timing, resources } = input;
  const { placement, added, nodes } = standing;
  const placements = [placement, ...added];
  const revived = await revive(input, standing);
  if ('again' in revived) return revived;
  const { instances, lost } = revived;
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

/** Again and again where that was asked for: the disks of machines that are stopped are in one place, which may have no room now. */
async function revive(input: ProvisionInput, standing: Standing): Promise<Revived | { again: Again }> {
  const { cluster, timing, attempt } = input;
  const { placement, added, nodes, stopped } = standing;
  const placements = [placement, ...added];
  for (let round = input.round + 1; ; round += 1) {
    const began = Date.now();
    showDetails(`starting ${placements.map(placementText).join(', ')}`, 'connect to its nodes');
    const starting = longStep(timing, `start ${input.numNodes} machines of ${cluster.name}`, timing.createBudget);
    try {
      return await starting.reviveMachines({ cluster, placements, nodes, timing });
    } catch (error) {
      const failure = failureOf(error);
      const passes = !isCancellation(error) && PASSES.includes(failure.kind);
      if (!passes || !isTriedAgain(input, began) || !patched('starts-again')) throw error;
      if (stopped === true) await stopAgain(input, placements);
      const what =
        failure.kind === 'auth'
          ? 'they cannot be started'
          : `they cannot be started (${failure.message.slice(0, 300)})`;
      await beforeRound(input, round + 1, { failures: [failure], tried: [] }, what, 'starting them once more');
    }
    if (enoughRounds(input, round)) return { again: { attempt, round } };
  }
}

/** Machines that started while others did not cost money, and do nothing. */
async function stopAgain({ cluster, timing }: ProvisionInput, placements: readonly Placement[]): Promise<void> {
  const stop = dutyStep(timing, `stop what started of ${cluster.name}`, 'stop');
  await Promise.all(placements.map((placement) => stop.stopMachines({ cluster, placement, timing })));
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
