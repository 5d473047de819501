/** A cluster's Ray as its users reach it: whether it stands, its token, a tunnel to its dashboard. */
import type { ClusterView } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { clusterWorkflowId } from '../model/identity.ts';
import type { ClusterRay } from '../model/ray.ts';
import { proxyCommand } from '../system/proxy-command.ts';
import { installationSecret } from '../system/secret.ts';
import type { Styx } from './connect.ts';
import type { FollowedCluster, FollowOptions } from './follow.ts';
import { followUntil } from './followed.ts';
import { addressOf } from './login.ts';

const BUDGET_MS = 30_000;

/** Null when the cluster has none (any more); else UP. @throws StyxError of its failure */
export async function waitForRay(
  cluster: FollowedCluster,
  wanted: 'up' | 'ended',
  { signal, onWait }: FollowOptions = {},
): Promise<ClusterRay | null> {
  const decide = (view: ClusterView): ClusterRay | null | undefined => {
    const { name, ray = null, entityStatus } = view;
    if (ray === null || (wanted === 'up' && ray.status === 'UP')) return ray;
    if (ray.status === 'FAILED') throw failed(name, ray);
    if (entityStatus === 'STOPPED' || entityStatus === 'TERMINATED') {
      throw new StyxError('aborted', `cluster '${name}' is ${entityStatus}`);
    }
    onWait?.(rayDoing(ray));
    return undefined;
  };
  return await followUntil<ClusterView, ClusterRay | null>(cluster, decide, { signal });
}

function rayDoing({ status, reason }: ClusterRay): string {
  return `Ray is ${status}${reason === '' ? '' : `: ${reason}`}`;
}

function failed(name: string, { reason }: ClusterRay): StyxError {
  return new StyxError('internal', `Ray of cluster '${name}' failed: ${reason}`, {
    hint: `\`styx ray up ${name}\` tries again; what it said is on the nodes in ~/sky_logs and ~/.styx-ray.`,
  });
}

/** What a client of the cluster's Ray, and its dashboard, must show. Everything can be done with it that Ray can do. */
export async function tokenOfRay(
  home: string,
  view: Pick<ClusterView, 'workspace' | 'name' | 'generation'>,
): Promise<string> {
  const { rayToken } = await import('../nodes/keys.ts');
  const secret = Buffer.from(installationSecret(home));
  return rayToken(secret, clusterWorkflowId(view.workspace, view.name), view.generation);
}

export interface Dashboard {
  readonly url: string;
  close(): Promise<void>;
}

/** Leads a port of 127.0.0.1 (0: a free one) to the dashboard, over SSH. @throws not-found, refused when Ray is not up */
export async function openDashboard(styx: Styx, name: string, port = 0): Promise<Dashboard> {
  const view = await styx.clusters.view(name, { budget: BUDGET_MS });
  const { ray = null, nodes, workspace, generation } = view;
  const [head] = nodes;
  if (ray === null) throw noRay(name);
  if (ray.dashboardPort === null || head === undefined) {
    throw new StyxError('refused', `Ray of cluster '${name}' is ${ray.status}: its dashboard cannot be reached`, {
      hint: `\`styx ray status ${name}\` tells how it goes.`,
    });
  }
  const { createNodePool } = await import('../nodes/pool.ts');
  const pool = createNodePool({ anyAgent: true, proxyOf: (place) => proxyCommand(styx.home, place) });
  try {
    const secret = installationSecret(styx.home);
    const address = await addressOf(head, secret, clusterWorkflowId(workspace, name), generation);
    const server = await pool.forward(address, port, '127.0.0.1', ray.dashboardPort);
    const bound = server.address();
    const at = typeof bound === 'object' && bound !== null ? bound.port : port;
    const close = async () => {
      server.close();
      await pool.close();
    };
    return { url: `http://127.0.0.1:${at}/`, close };
  } catch (error) {
    await pool.close();
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new StyxError('invalid', `port ${port} of 127.0.0.1 is taken`, { cause: error, hint: 'Leave --port out.' });
    }
    throw error;
  }
}

export function noRay(name: string): StyxError {
  return new StyxError('not-found', `Cluster '${name}' has no Ray`, {
    hint: `\`styx ray up ${name}\` brings it up; so does a task with \`ray: true\`.`,
  });
}
