/**
 * All instances of one STYX_HOME: what was ordered is written down first, then made so. A new host calls `load` and goes on
 * where the last one was killed. Only the host that holds the lock makes one of these.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { TAGS } from '../../model/cloud-resource.ts';
import { StyxError } from '../../model/errors.ts';
import { type Instance, instanceEnding, instanceExists, type Placement } from '../../model/machines.ts';
import type { CreateRequest, InstanceFilter, OpenedTargets } from '../cloud.ts';
import type { SharedAgents } from './agents.ts';
import { InstanceRunner } from './instance.ts';
import { writeNotice } from './notice.ts';
import { instanceId, type LocalPaths } from './paths.ts';
import {
  type ContainmentMode,
  forgetPlacement,
  type HostLog,
  type InstanceRecord,
  instanceDirectory,
  loadInstance,
  loadPlacements,
  type PlacementRecord,
  saveInstance,
  savePlacement,
} from './records.ts';
import { localSettings } from './settings.ts';

/** How long a terminated instance is still listed, and its placement's key remembered. */
const TOMBSTONE_MS = 24 * 60 * 60_000;

export interface FleetOptions {
  readonly paths: LocalPaths;
  readonly mode: ContainmentMode;
  readonly log: HostLog;
  /** Null: each instance has an agent of its own. */
  readonly agents: SharedAgents | null;
}

export class Fleet {
  readonly #options: FleetOptions;
  readonly #instances = new Map<string, InstanceRunner>();
  readonly #placements = new Map<string, PlacementRecord>();

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** Reads everything and sets every instance on its way again. */
  load(): void {
    const { paths, log } = this.#options;
    const bad = (file: string, error: unknown): void => log(`cannot read ${file}`, { error });
    for (const placement of loadPlacements(paths, bad)) this.#placements.set(placement.key, placement);
    for (const id of readdirSync(paths.instances)) {
      try {
        const record = loadInstance(paths, id);
        if (record !== undefined) this.#adopt(record);
        else if (readdirSync(instanceDirectory(paths, id)).every((name) => name.startsWith('instance.json.'))) {
          rmSync(instanceDirectory(paths, id), { recursive: true });
        }
      } catch (error) {
        bad(instanceDirectory(paths, id), error);
      }
    }
    for (const placement of this.#placements.values()) {
      this.#makeMissing(placement);
      if (placement.endedAt !== null) this.#end(placement.key, 'terminated by its owner');
    }
    for (const runner of this.#instances.values()) runner.kick();
  }

  /** Instances that take up room on the machine. */
  get busy(): number {
    let count = 0;
    for (const runner of this.#instances.values()) {
      if (runner.record.state !== 'terminated' && runner.record.state !== 'stopped') count += 1;
    }
    return count;
  }

  create(request: CreateRequest): Instance[] {
    const { key } = request.placement;
    const known = this.#placements.get(key);
    if (known === undefined) {
      this.#admit(request.placement);
      const placement: PlacementRecord = { version: 1, key, request, createdAt: Date.now(), endedAt: null };
      savePlacement(this.#options.paths, placement);
      this.#placements.set(key, placement);
      this.#makeMissing(placement);
      return this.list({ placementKey: key });
    }
    this.#makeMissing(known);
    const made = this.list({ placementKey: key });
    if (known.endedAt !== null || made.every((instance) => instance.state === 'terminated')) {
      throw new StyxError('not-found', `placement ${key} was terminated; it is not made again`);
    }
    if (!isDeepStrictEqual(known.request, request)) {
      throw new StyxError('invalid', `placement ${key} was created with another request`);
    }
    return made;
  }

  list(filter: InstanceFilter): Instance[] {
    const found: InstanceRecord[] = [];
    for (const { record } of this.#instances.values()) {
      if (filter.placementKey !== undefined && record.placementKey !== filter.placementKey) continue;
      if (filter.ids !== undefined && !filter.ids.includes(record.id)) continue;
      if (!Object.entries(filter.tags ?? {}).every(([name, value]) => record.tags[name] === value)) continue;
      found.push(record);
    }
    found.sort(
      (a, b) => a.createdAt - b.createdAt || a.placementKey.localeCompare(b.placementKey) || a.index - b.index,
    );
    return found.map(view);
  }

  owned(installation: string): InstanceRecord[] {
    const records = [...this.#instances.values()].map(({ record }) => record);
    return records.filter(({ state, tags }) => instanceExists(state) && tags[TAGS.installation] === installation);
  }

  stop(ids: readonly string[]): void {
    for (const id of ids) {
      const runner = this.#instances.get(id);
      if (runner === undefined || instanceEnding(runner.record.state)) continue;
      if (runner.record.state === 'stopped' || runner.record.state === 'stopping') continue;
      runner.order('stopping', 'stopped by its owner');
    }
  }

  start(ids: readonly string[]): void {
    const runners = ids.map((id) => {
      const runner = this.#instances.get(id);
      if (runner === undefined || instanceEnding(runner.record.state)) {
        throw new StyxError('not-found', `instance ${id} does not exist any more`);
      }
      return runner;
    });
    if (runners.some((runner) => runner.record.state === 'stopping')) {
      throw new StyxError('transient', 'an instance is still stopping');
    }
    for (const runner of runners) if (runner.record.state === 'stopped') runner.order('pending', null);
  }

  terminate(placementKey: string): void {
    const known = this.#placements.get(placementKey);
    if (known === undefined || known.endedAt === null) {
      const now = Date.now();
      const ended: PlacementRecord = {
        ...(known ?? { version: 1, key: placementKey, request: null, createdAt: now }),
        endedAt: now,
      };
      savePlacement(this.#options.paths, ended);
      this.#placements.set(placementKey, ended);
    }
    this.#end(placementKey, 'terminated by its owner');
  }

  /** @throws not-found, invalid, transient */
  async openTargets(ids: readonly string[], targets: readonly string[]): Promise<OpenedTargets> {
    const opened = ids.map(async (id) => {
      const runner = this.#instances.get(id);
      if (runner === undefined) throw new StyxError('not-found', `there is no instance ${id}`);
      return [id, await runner.openTargets(targets)] as const;
    });
    return Object.fromEntries(await Promise.all(opened));
  }

  /** What a provider does to a spot machine that it wants back. */
  preempt(id: string, noticeMs = 0): void {
    const runner = this.#instances.get(id);
    if (runner === undefined) throw new StyxError('not-found', `there is no instance ${id}`);
    const end = (): void => {
      if (!instanceEnding(runner.record.state)) runner.order('shutting-down', 'spot preemption');
    };
    if (noticeMs === 0) return end();
    writeNotice(instanceDirectory(this.#options.paths, id), Date.now() + noticeMs);
    setTimeout(end, noticeMs);
  }

  /** Looks after instances that ended by themselves. */
  watch(): void {
    for (const runner of this.#instances.values()) runner.watch();
  }

  /** Forgets what ended long ago. */
  prune(now: number): void {
    for (const [id, { record }] of this.#instances) {
      if (record.terminatedAt === null || record.terminatedAt > now - TOMBSTONE_MS) continue;
      const placement = this.#placements.get(record.placementKey);
      if (placement !== undefined && placement.endedAt === null) {
        // All or none: as long as one node lives the others are remembered.
        if (this.list({ placementKey: record.placementKey }).some((instance) => instance.state !== 'terminated'))
          continue;
        this.terminate(record.placementKey);
        continue;
      }
      if (placement !== undefined && (placement.endedAt ?? now) > now - TOMBSTONE_MS) continue;
      rmSync(instanceDirectory(this.#options.paths, id), { recursive: true, force: true });
      this.#instances.delete(id);
    }
    for (const [key, placement] of this.#placements) {
      if (placement.endedAt === null || placement.endedAt > now - TOMBSTONE_MS) continue;
      if (this.list({ placementKey: key }).length > 0) continue;
      forgetPlacement(this.#options.paths, key);
      this.#placements.delete(key);
    }
  }

  /** For a host whose directory was deleted: nothing may outlive it. */
  async abandon(): Promise<void> {
    await Promise.all([...this.#instances.values()].map((runner) => runner.abandon()));
  }

  /** Closes the SSH servers; the instances go on. */
  close(): void {
    for (const runner of this.#instances.values()) runner.closeServer();
  }

  #adopt(record: InstanceRecord): InstanceRunner {
    const runner = new InstanceRunner(record, this.#options);
    this.#instances.set(record.id, runner);
    return runner;
  }

  #end(placementKey: string, reason: string): void {
    for (const runner of this.#instances.values()) {
      if (runner.record.placementKey !== placementKey || instanceEnding(runner.record.state)) continue;
      runner.order('shutting-down', reason);
    }
  }

  #admit({ numNodes, useSpot }: Pick<Placement, 'numNodes' | 'useSpot'>): void {
    const { maxInstances, maxSpotInstances } = localSettings(this.#options.paths.limits);
    const existing = [...this.#instances.values()].filter(({ record }) => record.state !== 'terminated');
    mustFit(numNodes, existing.length, maxInstances, 'instances');
    if (!useSpot || maxSpotInstances === undefined) return;
    const isSpot = (key: string) => this.#placements.get(key)?.request?.placement.useSpot === true;
    const onSpot = existing.filter(({ record }) => isSpot(record.placementKey));
    mustFit(numNodes, onSpot.length, maxSpotInstances, 'spot instances');
  }

  #makeMissing(placement: PlacementRecord): void {
    const { request } = placement;
    if (request === null || placement.endedAt !== null) return;
    const { paths, mode } = this.#options;
    for (let index = 0; index < request.placement.numNodes; index += 1) {
      const id = instanceId(paths.root, placement.key, index);
      if (this.#instances.has(id)) continue;
      const record: InstanceRecord = {
        version: 1,
        id,
        placementKey: placement.key,
        index,
        state: 'pending',
        instanceType: request.placement.instanceType,
        address: null,
        sshPort: 0,
        user: userInfo().username,
        internalAddress: null,
        hostKey: null,
        cpus: request.placement.cpus,
        memory: request.placement.memory,
        accelerators: request.placement.accelerators,
        createdAt: placement.createdAt,
        stateReason: null,
        tags: request.tags,
        authorizedKey: request.authorizedKey,
        boot: 0,
        mode,
        terminatedAt: null,
      };
      mkdirSync(join(paths.instances, id), { recursive: true, mode: 0o700 });
      saveInstance(paths, record);
      this.#adopt(record).kick();
    }
  }
}

function view(record: InstanceRecord): Instance {
  return {
    id: record.id,
    placementKey: record.placementKey,
    index: record.index,
    state: record.state,
    instanceType: record.instanceType,
    address: record.state === 'running' ? record.address : null,
    sshPort: record.sshPort,
    user: record.user,
    internalAddress: record.state === 'running' ? record.internalAddress : null,
    hostKey: record.hostKey,
    cpus: record.cpus,
    memory: record.memory,
    accelerators: record.accelerators,
    createdAt: record.createdAt,
    stateReason: record.stateReason,
  };
}

/** @throws capacity */
function mustFit(wanted: number, used: number, max: number, what: string): void {
  if (used + wanted <= max) return;
  throw new StyxError('capacity', `${wanted} more ${what} were asked for; ${used} of at most ${max} exist here`);
}
