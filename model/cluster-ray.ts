/** Ray's part of a cluster's transitions: wanted, started when the machines stand, followed, ended. */
import { machinesChange } from './cluster.ts';
import type { Draft } from './cluster-draft.ts';
import { abandonJobs } from './cluster-jobs.ts';
import { generation } from './cluster-state.ts';
import type { RayChanged, RayEnded } from './commands.ts';
import type { Failure } from './errors.ts';
import type { NodeInfo } from './machines.ts';
import { type ClusterRay, DEFAULT_RAY_VERSION, type RayRequest, rayMisfit } from './ray.ts';

/** Why a task's Ray cannot be had on a cluster as it is; null: it can. One that failed is no obstacle. */
export function rayProblem(ray: ClusterRay | null | undefined, asked: RayRequest | undefined): string | null {
  if (asked === undefined || ray == null || !ray.wanted || ray.status === 'FAILED') return null;
  return rayMisfit(ray.spec, asked);
}

function setRay(draft: Draft, change: Partial<ClusterRay>): void {
  const { ray } = draft.state;
  if (ray == null) return;
  const since = change.status === undefined || change.status === ray.status ? ray.since : draft.now;
  draft.set({ ray: { ...ray, since, ...change } });
}

/** Ray is to be there; what fits is left as it is. */
export function wantRay(draft: Draft, asked: RayRequest): void {
  const { ray } = draft.state;
  if (ray?.wanted === true && ray.status !== 'FAILED') return;
  const spec = { ...asked, version: asked.version ?? DEFAULT_RAY_VERSION };
  const ending = ray?.child != null;
  draft.set({
    ray: {
      spec,
      wanted: true,
      status: ending ? 'ENDING' : 'WAITING',
      since: draft.now,
      reason: ending ? 'another one is being ended' : '',
      child: ray?.child ?? null,
      address: null,
      dashboardPort: null,
    },
  });
  startRay(draft);
}

/** Where it is wanted, nobody sees to it, and there are machines. */
export function startRay(draft: Draft): void {
  const { ray, nodes, status, placement } = draft.state;
  if (ray == null || !ray.wanted || ray.child !== null || ray.status !== 'WAITING') return;
  if (machinesChange(draft.state) || placement === null || (status !== 'UP' && status !== 'UNHEALTHY')) return;
  const child = (draft.state.rays ?? 0) + 1;
  draft.set({ rays: child });
  setRay(draft, { child, status: 'STARTING', reason: 'installing', address: null, dashboardPort: null });
  draft.effect({ type: 'startRay', child, nodes, spec: ray.spec });
}

/** The cluster stands, on other machines than `before` it may be. */
export function rayOnNodes(draft: Draft, before: readonly NodeInfo[]): void {
  const { ray, nodes } = draft.state;
  if (ray == null || !ray.wanted) return;
  if (ray.child === null) setRay(draft, { status: 'WAITING', reason: '' });
  else if (ray.status !== 'ENDING' && JSON.stringify(before) !== JSON.stringify(nodes)) leaveRay(draft);
  startRay(draft);
}

/** Its machines go away, or others come: nothing has to be ended on them. */
export function leaveRay(draft: Draft): void {
  const { ray } = draft.state;
  if (ray == null || ray.child === null || ray.status === 'ENDING') return;
  draft.effect({ type: 'stopRay', child: ray.child, clean: false });
  setRay(draft, { status: 'ENDING', reason: '', address: null, dashboardPort: null });
}

/** Ends Ray and keeps the machines. Answers whether there was one. */
export function endRay(draft: Draft): boolean {
  const { ray } = draft.state;
  if (ray == null || !ray.wanted) return false;
  abandonJobs(draft, 'CANCELLED', "the cluster's Ray was ended", {
    which: (job) => job.ray === true && job.allotment === null,
  });
  if (ray.child === null) {
    draft.set({ ray: null });
    return true;
  }
  if (ray.status !== 'ENDING') draft.effect({ type: 'stopRay', child: ray.child, clean: true });
  setRay(draft, { wanted: false, status: 'ENDING', reason: '', address: null, dashboardPort: null });
  return true;
}

export function rayChanged(draft: Draft, change: RayChanged): void {
  const { ray } = draft.state;
  if (change.generation !== generation(draft.state) || ray?.child !== change.child || ray.status === 'ENDING') return;
  const { status, reason, address, dashboardPort } = change;
  setRay(draft, { status, reason, address, dashboardPort });
}

/** Its workflow is gone: as it was told to, because it failed, or (without a failure, not told) from outside. */
export function rayEnded(draft: Draft, child: number, failure: Failure | null): void {
  const { ray } = draft.state;
  if (ray?.child !== child) return;
  setRay(draft, { child: null, address: null, dashboardPort: null });
  if (!ray.wanted) draft.set({ ray: null });
  else if (failure === null || ray.status === 'ENDING') {
    setRay(draft, { status: 'WAITING', reason: '' });
    startRay(draft);
  } else {
    setRay(draft, { status: 'FAILED', reason: failure.message });
    abandonJobs(draft, failure.kind === 'invalid' ? 'FAILED_SETUP' : 'FAILED_DRIVER', `Ray: ${failure.message}`, {
      which: (job) => job.ray === true && job.allotment === null,
    });
  }
}

/** Its workflow was ended from outside. What it left on the nodes is ended by the next one, also when that is all there is to do. */
export function rayCrashed(draft: Draft): void {
  const { ray, nodes } = draft.state;
  if (ray?.child == null) return;
  if (ray.wanted || machinesChange(draft.state) || nodes.length === 0) return rayEnded(draft, ray.child, null);
  const child = (draft.state.rays ?? 0) + 1;
  draft.set({ rays: child });
  setRay(draft, { child });
  draft.effect({ type: 'startRay', child, nodes, spec: ray.spec });
  draft.effect({ type: 'stopRay', child, clean: true });
}

export function rayEndedWord(draft: Draft, ended: RayEnded): void {
  if (ended.generation === generation(draft.state)) rayEnded(draft, ended.child, ended.failure);
}
