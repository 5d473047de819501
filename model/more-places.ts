/** What of a request for machines would have to change for more places to come into question. */
import { alternativesOf } from './alternatives.ts';
import type { MachineChoice, ResourceRequest } from './machines.ts';

/** For people, when nothing that came into question had room. */
export function morePlaces(request: ResourceRequest): string {
  const choices = alternativesOf(request);
  const all = (holds: (one: MachineChoice) => boolean): boolean => choices.every(holds);
  const changes: string[] = [];
  if (request.planned !== undefined) changes.push('make a new plan');
  if (all(({ zone }) => zone !== null)) changes.push('name no zone');
  else if (all(({ region }) => region !== null)) changes.push('name no region');
  else if (all(({ cloud }) => cloud !== null)) changes.push('name no cloud');
  if (all(({ instanceType }) => instanceType !== null)) changes.push('name sizes in place of the instance type');
  if (all(({ useSpot }) => useSpot)) changes.push('do without spot');
  if (request.numNodes > 1) changes.push(`ask for fewer than ${request.numNodes} nodes`);
  return changes.length === 0
    ? 'With --retry-until-up it is tried until there is room.'
    : `To have more places, ${changes.join(', or ')}. With --retry-until-up it is tried until there is room.`;
}
