/** What a node is told to do when nobody talks to it any more: the autostop rule, else a dead-man's switch. */
import type { Capabilities, Cloud } from '../clouds/cloud.ts';
import type { Instance, NodeInfo, PowerOff } from '../model/machines.ts';
import type { Lease } from '../nodes/node.ts';
import type { LeaseInput } from './types.ts';

/** What a node does to itself when it is left alone, and by which rule. */
export interface LeaseRule {
  readonly rule: 'autostop' | 'deadman';
  readonly action: PowerOff['action'];
}

/**
 * Without autostop a cluster that stands alone for `timing.deadman` is stopped where it can be stopped, ended only when it is
 * spot (a spot machine cannot be stopped everywhere, and its user counts on losing it). A stop that the cloud cannot do is not carried
 * out by the node: powering off would end the machine, which nobody asked for.
 */
export function leaseRule({ autostop, placement }: LeaseInput, capabilities: Capabilities): LeaseRule | null {
  const canStop = (placement.useSpot ? capabilities.stopSpot : capabilities.stop) === true;
  if (autostop?.down === true) return { rule: 'autostop', action: 'terminate' };
  if (autostop !== null && canStop) return { rule: 'autostop', action: 'stop' };
  if (placement.useSpot) return { rule: 'deadman', action: 'terminate' };
  return canStop && autostop === null ? { rule: 'deadman', action: 'stop' } : null;
}

export function leaseFor(input: LeaseInput, node: NodeInfo, cloud: Cloud, rule: LeaseRule | null): Lease {
  const { autostop, timing } = input;
  const powerOff = rule === null ? null : cloud.powerOff(asInstance(input, node), rule.action);
  const idle =
    rule?.rule === 'autostop' && autostop !== null && powerOff !== null
      ? { after: autostop.idleMinutes * timing.idleMinute, waitFor: autostop.waitFor, powerOff }
      : null;
  const deadman = rule?.rule === 'deadman' && powerOff !== null ? { after: timing.deadman, powerOff } : null;
  const notices = cloud.notices(input.placement, asInstance(input, node));
  return { idle, deadman, contactLost: timing.contactLost, notices };
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
