/**
 * The steps of a cluster whose machines and jobs exist only as numbers, for tests of what workflows do over hours. An activity that
 * runs holds the clock, so the watch fails at once and waits for its next try, and the test itself signals what it would see.
 */
import { ApplicationFailure } from '@temporalio/activity';
import type { ActActivities, NoticeActivities, RankState, WatchActivities } from '../../activities/types.ts';
import type { Instance, InstanceTypeOffer, Placement } from '../../model/machines.ts';

const OFFER: InstanceTypeOffer = {
  cloud: 'simulated',
  region: 'r',
  zone: 'z',
  instanceType: 'm',
  cpus: 4,
  memory: 16,
  accelerators: null,
  useSpot: false,
  hourlyCost: 2,
};

export interface SimulatedCluster {
  readonly actions: string[];
  readonly act: ActActivities;
  readonly watch: WatchActivities;
  readonly notices: NoticeActivities;
}

function instance(placement: Placement, index: number): Instance {
  return {
    id: `i-${placement.key.slice(0, 8)}-${index}`,
    placementKey: placement.key,
    index,
    state: 'running',
    instanceType: placement.instanceType,
    address: `10.0.0.${index + 1}`,
    sshPort: 22,
    user: 'u',
    internalAddress: `10.0.0.${index + 1}`,
    hostKey: 'ssh-ed25519 AAAA',
    cpus: 4,
    memory: 16,
    accelerators: null,
    createdAt: 0,
    stateReason: null,
  };
}

export function simulatedCluster(): SimulatedCluster {
  const actions: string[] = [];
  const note = (what: string) => {
    actions.push(what);
  };
  const all = (placement: Placement) =>
    Array.from({ length: placement.numNodes }, (_, index) => instance(placement, index));
  return {
    actions,
    act: {
      async installRay() {
        return [];
      },
      async startRay() {
        return { head: { address: '127.0.0.2:20000', dashboardPort: 20001 }, ended: [] };
      },
      async endRay() {},
      async plan() {
        return [OFFER];
      },
      async prepare({ placement }) {
        return { placement, authorizedKey: 'k', tags: {}, resolved: {} };
      },
      async createMachines({ request }) {
        note('create');
        return all(request.placement);
      },
      async openPorts({ ports }) {
        note(`open ${ports.join(' ')}`);
      },
      async startMachines({ placement }) {
        note('start');
        return all(placement);
      },
      async reviveMachines({ placements }) {
        note('start');
        return { instances: placements.map(all), lost: [] };
      },
      async stopMachines() {
        note('stop');
      },
      async terminateMachines() {
        note('terminate');
        return 'gone';
      },
      async bootstrap({ instances }) {
        return instances.map((one) => ({
          instanceId: one.id,
          rank: one.index,
          address: one.address ?? '',
          port: 22,
          user: 'u',
          internalAddress: one.internalAddress ?? '',
          hostKey: 'k',
          cpus: 4,
          memory: 16,
          gpus: 0,
          gpuName: null,
        }));
      },
      async syncFiles({ job }) {
        note(`files ${job.jobId}`);
      },
      async putHosts({ nodes, hosts }) {
        note(`names ${hosts.version} on ${nodes.length}`);
      },
      async startPhase({ run, job, phase }) {
        note(`${phase} ${job.jobId}`);
        return run.nodes.map(
          (_, rank): RankState => ({ rank, exitCode: null, lost: false, startedAt: 0, endedAt: null }),
        );
      },
      async cancelJob({ job, node }) {
        note(`cancel ${job.jobId} on ${node.rank}`);
        return [];
      },
      async setLease() {
        note('lease');
      },
      async describe({ workflowIds }) {
        return Object.fromEntries(workflowIds.map((id) => [id, 'running' as const]));
      },
      async sweepSettings() {
        return { fix: false, max: null };
      },
      async lookForOrphans() {
        return { looked: [], seen: 0, young: 0, unclaimed: [], unknown: [] };
      },
      async removeOrphans() {
        note('remove');
        return { removed: [], left: [] };
      },
      async lookAtCluster() {
        return { state: 'running', report: null };
      },
      async machinesStand() {
        return true;
      },
      async intentsOf() {
        return null;
      },
      async collectLogs({ copy }) {
        note(`logs ${copy}`);
        return { problem: null };
      },
      async jobRows() {
        return { rows: [], users: [], more: false, last: 0 };
      },
      async commandCluster() {
        return { outcome: 'sent', note: '' };
      },
    },
    notices: {
      async receiversOf() {
        return [];
      },
      async sendNotice() {
        return { problem: null };
      },
    },
    watch: {
      async watchNodes() {
        throw ApplicationFailure.create({ message: 'nothing to see', type: 'transient', nextRetryDelay: '1000 days' });
      },
    },
  };
}
