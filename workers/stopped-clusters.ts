/**
 * Sees when somebody ends or starts machines of stopped clusters outside of Styx: nobody watches them, and they cost. One listing for
 * each region with stopped clusters, whatever their number. What it remembers are hints: another worker begins anew.
 */
import type { Client } from '@temporalio/client';
import type { Cloud } from '../clouds/cloud.ts';
import { TAGS } from '../model/cloud-resource.ts';
import { type ClusterView, type MachinesMissing, QUERIES, SEARCH, SIGNALS } from '../model/commands.ts';
import { instanceEnding } from '../model/machines.ts';

/** Two looks and a question must find the same. */
export const LOOK_EVERY_MS = 15_000;
const ASK_MS = 10_000;

interface Place {
  readonly cloud: string;
  readonly region: string;
  readonly zone: string;
}

interface Stopped {
  readonly workflowId: string;
  readonly place: Place;
}

export class StoppedClusters {
  readonly #client: Client;
  readonly #installation: string;
  readonly #cloud: (name: string) => Promise<Cloud>;
  /** Ids of their machines, by workflow. */
  readonly #machines = new Map<string, readonly string[]>();
  /** Those whose machines somebody started, as they know it. */
  readonly #running = new Set<string>();
  /** Those whose machines were not as they know it at the last look. */
  #suspects = new Set<string>();

  constructor(client: Client, installation: string, cloud: (name: string) => Promise<Cloud>) {
    this.#client = client;
    this.#installation = installation;
    this.#cloud = cloud;
  }

  /** @throws what the last cloud says that could not be asked */
  async look(): Promise<void> {
    const stopped = await this.#stopped();
    for (const id of this.#machines.keys()) if (!stopped.some(({ workflowId }) => workflowId === id)) this.#forget(id);
    const suspects = new Set<string>();
    let failure: unknown;
    for (const [cloudName, those] of Map.groupBy(stopped, ({ place }) => place.cloud)) {
      try {
        await this.#lookAt(await this.#cloud(cloudName), those, suspects);
      } catch (error) {
        failure = error;
      }
    }
    this.#suspects = suspects;
    if (failure !== undefined) throw failure;
  }

  async #stopped(): Promise<Stopped[]> {
    const query = `${SEARCH.kind} = 'cluster' AND ${SEARCH.status} = 'STOPPED' AND ExecutionStatus = 'Running'`;
    const found: Stopped[] = [];
    for await (const { workflowId, searchAttributes } of this.#client.workflow.list({ query, pageSize: 1_000 })) {
      const [infra] = searchAttributes[SEARCH.infra] ?? [];
      const [cloud, region, zone] = typeof infra === 'string' ? infra.split('/') : [];
      if (cloud === undefined || region === undefined || zone === undefined) continue;
      found.push({ workflowId, place: { cloud, region, zone } });
    }
    return found;
  }

  async #lookAt(cloud: Cloud, stopped: readonly Stopped[], suspects: Set<string>): Promise<void> {
    if (!cloud.isShared) return;
    const tags = { [TAGS.installation]: this.#installation };
    for (const [, those] of Map.groupBy(stopped, ({ place }) => place.region)) {
      const [{ place } = { place: null }] = those;
      if (place === null) continue;
      const listed = await cloud.list(place, { tags });
      const there = new Set(listed.filter(({ state }) => !instanceEnding(state)).map(({ id }) => id));
      const run = new Set(listed.filter(({ state }) => state === 'running').map(({ id }) => id));
      for (const one of those) {
        const known = this.#machines.get(one.workflowId) ?? (await this.#remember(one.workflowId));
        const isRunning = known.some((id) => run.has(id));
        if (known.every((id) => there.has(id)) && isRunning === this.#running.has(one.workflowId)) continue;
        if (!this.#suspects.has(one.workflowId)) suspects.add(one.workflowId);
        else await this.#confirm(cloud, one, there, run);
      }
    }
  }

  async #view(workflowId: string): Promise<ClusterView> {
    const handle = this.#client.workflow.getHandle(workflowId);
    return await this.#client.withDeadline(Date.now() + ASK_MS, () => handle.query<ClusterView, []>(QUERIES.view));
  }

  async #remember(workflowId: string): Promise<readonly string[]> {
    const { nodes, running = [] } = await this.#view(workflowId);
    const ids = nodes.map(({ instanceId }) => instanceId);
    this.#machines.set(workflowId, ids);
    if (running.length > 0) this.#running.add(workflowId);
    return ids;
  }

  #forget(workflowId: string): void {
    this.#machines.delete(workflowId);
    this.#running.delete(workflowId);
  }

  /** As the cluster is now; absence from a list is a question, so the cloud is asked for the ids. */
  async #confirm(
    cloud: Cloud,
    { workflowId, place }: Stopped,
    listed: ReadonlySet<string>,
    run: ReadonlySet<string>,
  ): Promise<void> {
    this.#forget(workflowId);
    const { entityStatus, operation, generation, nodes, lost, running: known = [] } = await this.#view(workflowId);
    if (entityStatus !== 'STOPPED' || operation !== null) return;
    const running = nodes.filter(({ instanceId }) => run.has(instanceId)).map(({ rank }) => rank);
    const missing = nodes.filter(
      ({ rank, instanceId }) => !listed.has(instanceId) && !lost.some((one) => one.rank === rank),
    );
    const ids = missing.map(({ instanceId }) => instanceId);
    const asked = ids.length === 0 ? [] : await cloud.list(place, { ids });
    const byId = new Map(asked.map((one) => [one.id, one]));
    const gone: MachinesMissing['gone'] = missing.flatMap(({ rank, instanceId }) => {
      const now = byId.get(instanceId);
      if (now !== undefined && now.state !== 'terminated') return [];
      return [
        { rank, state: 'terminated' as const, reason: now?.stateReason ?? 'the cloud does not know it any more' },
      ];
    });
    if (gone.length === 0 && running.join() === known.join()) return;
    const told: MachinesMissing = { generation, at: Date.now(), gone, running };
    await this.#client.workflow.getHandle(workflowId).signal(SIGNALS.machinesMissing, told);
  }
}
