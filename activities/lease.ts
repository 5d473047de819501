/** What a node is told to do when nobody talks to it any more: the autostop rule, else a dead-man's switch. */
import type { Capabilities, Cloud } from '../clouds/cloud.ts';
import type { Instance, NodeInfo } from '../model/machines.ts';
import type { Lease } from '../nodes/node.ts';
import type { LeaseInput } from './types.ts';

/**
 * Without autostop a cluster that stands alone for `timing.deadman` is stopped where it can be stopped, ended only when it is
 * spot (a spot machine cannot be stopped everywhere, and its user counts on losing it).
 */
export function leaseFor(input: LeaseInput, node: NodeInfo, cloud: Cloud, capabilities: Capabilities): Lease {
  const { autostop, placement, timing } = input;
  const instance = asInstance(input, node);
  const powerOff = (action: 'stop' | 'terminate') => cloud.powerOff(instance, action);
  const canStop = capabilities.stop === true;
  const idle =
    autostop === null
      ? null
      : {
          after: autostop.idleMinutes * timing.idleMinute,
          waitFor: autostop.waitFor,
          powerOff: powerOff(autostop.down ? 'terminate' : 'stop'),
        };
  const action = placement.useSpot ? 'terminate' : canStop ? 'stop' : null;
  const deadman = idle !== null || action === null ? null : { after: timing.deadman, powerOff: powerOff(action) };
  return { idle, deadman, contactLost: timing.contactLost };
}

function asInstance({ placement }: LeaseInput, node: NodeInfo): Instance {
  return {
    id: node.instanceId,
    placementKey: placement.key,
    index: node.rank,
    state: 'running',
    instanceType: placement.instanceType,
    address: node.address,
    sshPort: node.port,
    user: node.user,
    internalAddress: node.internalAddress,
    hostKey: node.hostKey,
    cpus: node.cpus,
    memory: node.memory,
    accelerators: placement.accelerators,
    createdAt: 0,
    stateReason: null,
  };
}
