/** What a launch asks for, as the optimizer takes it. */
import { alternativesOf, choiceOf } from '../model/alternatives.ts';
import type { ResourceRequest } from '../model/machines.ts';
import type { PlacementRequest } from './request.ts';

/** A launch carries out no other fields than these. */
export function launchRequest(asked: ResourceRequest): PlacementRequest {
  const [first, ...others] = alternativesOf(asked);
  const alternatives = [alternative(first ?? asked), ...others.map(alternative)] as const;
  return {
    resources: { order: asked.inOrder === true ? 'ordered' : 'any_of', alternatives },
    numNodes: asked.numNodes,
  };
}

function alternative(asked: ResourceRequest) {
  const { accelerators, wants = {} } = asked;
  return {
    ...choiceOf(asked),
    accelerators: accelerators === null ? null : ({ kind: 'named', ...accelerators } as const),
    acceleratorArgs: null,
    jobRecovery: null,
    diskSize: wants.diskSize ?? null,
    diskTier: wants.diskTier ?? null,
    networkTier: wants.networkTier ?? null,
    localDisk: null,
    maxHourlyCost: wants.maxHourlyCost ?? null,
    ports: wants.ports ?? null,
    labels: wants.labels ?? {},
    imageId: wants.images === undefined ? null : { images: wants.images, docker: null },
    autostop: null,
    priority: null,
    priorityClass: null,
    volumes: [],
  };
}
