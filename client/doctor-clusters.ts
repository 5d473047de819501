/** Clusters whose machines are not as their status says, by what their cloud shows in two looks. Needs no worker. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cloud } from '../clouds/cloud.ts';
import type { CloudResource } from '../model/cloud-resource.ts';
import { clusterWorkflowId } from '../model/identity.ts';
import { mapLimited } from '../model/map-limited.ts';
import type { Finding } from './doctor.ts';
import type { Link } from './link.ts';
import { type ClusterSummary, summaryNow } from './summary.ts';

/** Between the looks: one list may lack what is there, and an operation may begin. */
const AGAIN_MS = 3_000;
const CALLS_AT_ONCE = 8;

/** Machines of a cluster, by what they do at the cloud. */
interface Shown {
  readonly run: readonly CloudResource[];
  /** Stopped, or on their way there. */
  readonly halted: readonly CloudResource[];
  /** How many are not there at all, or on their way out. */
  readonly gone: number;
}

/**
 * `clusters` of any cloud; `machines`: all of the installation at this cloud. Asks for those again only if something differs.
 * @throws what the cloud says
 */
export async function examineClusters(
  link: Link,
  cloud: Cloud,
  clusters: readonly ClusterSummary[],
  machines: readonly CloudResource[],
): Promise<Finding[]> {
  const here = clusters.filter(({ infra }) => infra?.split('/')[0] === cloud.name);
  const suspects = differing(here, machines);
  if (suspects.length === 0) return [];
  await sleep(AGAIN_MS);
  const again = (await cloud.owned(await link.installation())).filter(({ kind }) => kind === 'instance');
  const found = await mapLimited(differing(suspects, again), CALLS_AT_ONCE, async (before) => {
    const now = await summaryNow(link, idOf(before));
    // What has changed meanwhile was at work on its machines.
    if (now?.status !== before.status || now.statusSince !== before.statusSince) return null;
    return findingOf(cloud, now, shownOf(now, again), again.length === 0);
  });
  return found.filter((finding) => finding !== null);
}

function idOf({ workspace, name }: ClusterSummary): string {
  return clusterWorkflowId(workspace, name);
}

function differing(clusters: readonly ClusterSummary[], machines: readonly CloudResource[]): ClusterSummary[] {
  return clusters.filter((one) => differs(one, shownOf(one, machines)));
}

/** Of a status that an operation is at work on, anything is as it should be. */
function differs({ status, owner }: ClusterSummary, { run, halted, gone }: Shown): boolean {
  if (status === 'STOPPED') return run.length > 0 || gone > 0;
  if (status !== 'UP' && status !== 'UNHEALTHY') return false;
  // An owner is at work on one that says of itself that it lost machines.
  if (status === 'UNHEALTHY' && owner !== undefined) return false;
  return halted.length > 0 || gone > 0;
}

function shownOf(cluster: ClusterSummary, machines: readonly CloudResource[]): Shown {
  const workflowId = idOf(cluster);
  const own = machines.filter((one) => one.workflowId === workflowId);
  const run = own.filter(({ state }) => state === 'running' || state === 'pending');
  const halted = own.filter(({ state }) => state === 'stopped' || state === 'stopping');
  return { run, halted, gone: Math.max(0, cluster.numNodes - run.length - halted.length) };
}

function findingOf(cloud: Cloud, cluster: ClusterSummary, shown: Shown, seesNothing: boolean): Finding {
  const { status, numNodes } = cluster;
  const stopped = status === 'STOPPED';
  const seen = stopped ? shown.run.map(({ id }) => `${id} runs`) : shown.halted.map(({ id }) => `${id} is stopped`);
  const parts = [...(shown.gone === 0 ? [] : [goneText(shown.gone, numNodes)]), ...seen];
  const same = cloud.isShared ? 'credentials of the same account' : 'the same data directory';
  const elsewhere = `It is not known here when the worker has not ${same}: nothing of this installation is seen at ${cloud.name}.`;
  return {
    severity: status === 'UP' || (shown.run.length > 0 && stopped) ? 'error' : 'warning',
    check: 'machines',
    subject: idOf(cluster),
    problem: `it is ${status}, and at ${cloud.name} ${parts.join(', ')}`,
    next: seesNothing ? `${nextOf(cluster, shown)} ${elsewhere}` : nextOf(cluster, shown),
  };
}

function goneText(gone: number, all: number): string {
  if (gone < all) return `${gone} of its ${all} machines ${gone === 1 ? 'is' : 'are'} gone`;
  return all === 1 ? 'its machine is gone' : `all its ${all} machines are gone`;
}

function nextOf({ name, status, numNodes, owner }: ClusterSummary, { run, gone }: Shown): string {
  const start = `\`styx start ${name}\``;
  const down = `\`styx down ${name}\``;
  if (status === 'STOPPED' && run.length > 0) {
    return `It costs: ${start} takes it, and \`styx stop ${name}\` stops it then; ${down} ends it.`;
  }
  const repair = `${start} starts what is stopped and makes anew what is gone, empty; ${down} ends the rest.`;
  if (status !== 'UP') return gone === numNodes ? `${down} ends it.` : repair;
  const watch = 'Its watch sees that within a minute; if not, `styx server logs --part worker` says why.';
  if (owner !== undefined) return `${watch} ${owner} sees to it then.`;
  return `${watch} ${gone === numNodes ? 'It is over then: launch it again.' : `Then ${repair}`}`;
}
