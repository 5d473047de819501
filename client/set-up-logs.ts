/** What the set-up of a cluster's machines said, read from the machines over SSH; nothing of it goes through Temporal. */
import { rankOf } from '../model/cluster-repair.ts';
import type { ClusterView } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { clusterWorkflowId } from '../model/identity.ts';
import type { Placement } from '../model/machines.ts';
import type { NodePool } from '../nodes/node.ts';
import { readSetUpLog } from '../nodes/set-up/log.ts';
import { proxyCommand } from '../system/proxy-command.ts';
import { addressOf, type Reached } from './login.ts';

export interface SetUpLog {
  readonly rank: number;
  readonly instanceId: string;
  /** Its last MiB. */
  readonly log: string;
  /** Why it could not be read; null when it was. */
  readonly problem: string | null;
}

export interface SetUpLogSource {
  readonly home: string;
  readonly pool: NodePool;
  readonly secret: Uint8Array;
}

type Machine = Reached & { readonly rank: number };

/** Nobody waits longer for one machine. */
const READ_MS = 20_000;

/** By rank; machines that needed no set-up are left out. @throws auth, unreachable when a cloud cannot say which machines are being set up */
export async function setUpLogs(source: SetUpLogSource, view: ClusterView): Promise<SetUpLog[]> {
  const machines = await machinesOf(source.home, view);
  const logs = await Promise.all(machines.map((machine) => read(source, view, machine)));
  return logs.filter(({ log, problem }) => log !== '' || problem !== null).toSorted((a, b) => a.rank - b.rank);
}

/** The nodes, and while an operation runs what its clouds know of machines that are none yet. */
async function machinesOf(home: string, { placement, added = [], intents, nodes, operation }: ClusterView) {
  const { cloudNamed } = await import('../clouds/registry.ts');
  const all = [...(placement === null ? [] : [placement]), ...added, ...intents];
  const found = new Map<string, Machine>();
  for (const one of new Map(all.map((each) => [each.key, each])).values()) {
    const cloud = await cloudNamed(one.cloud);
    if ((await cloud.capabilities()).wholeMachines !== true) continue;
    for (const node of nodes) found.set(node.instanceId, node);
    if (operation === null && nodes.length > 0) continue;
    for (const machine of await onTheirWay(home, one)) {
      if (!found.has(machine.instanceId)) found.set(machine.instanceId, machine);
    }
  }
  return [...found.values()];
}

async function onTheirWay(home: string, placement: Placement): Promise<Machine[]> {
  const { cloudNamed } = await import('../clouds/registry.ts');
  const cloud = await cloudNamed(placement.cloud);
  const place = `${placement.cloud}/${placement.region}`;
  const via = (await proxyCommand(home, place)) === null ? {} : { via: place };
  const instances = await cloud.list(placement, { placementKey: placement.key }).catch((error: unknown) => {
    throw cloud.classify(error);
  });
  return instances.flatMap(({ id, index, state, address, sshPort: port, user, hostKey }) =>
    state !== 'running' || address === null
      ? []
      : [{ rank: rankOf(placement, index), instanceId: id, address, port, user, hostKey, ...via }],
  );
}

async function read({ pool, secret }: SetUpLogSource, view: ClusterView, machine: Machine): Promise<SetUpLog> {
  const { rank, instanceId } = machine;
  try {
    const id = clusterWorkflowId(view.workspace, view.name);
    const address = await addressOf(machine, secret, id, view.generation);
    const log = await readSetUpLog(pool, address, AbortSignal.timeout(READ_MS));
    return { rank, instanceId, log, problem: null };
  } catch (error) {
    const late = `it did not answer within ${READ_MS / 1_000} s`;
    return { rank, instanceId, log: '', problem: error instanceof StyxError ? error.message : late };
  }
}
