/** The embedded cloud: instances are contained process trees with SSH servers of their own, on this machine. */
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, renameSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import { type CloudResource, TAGS } from '../../model/cloud-resource.ts';
import { StyxError } from '../../model/errors.ts';
import { stableHash } from '../../model/identity.ts';
import type { NoticeSource } from '../../model/machine-notices.ts';
import type { MachineWants } from '../../model/machine-wants.ts';
import {
  type Instance,
  type InstanceTypeOffer,
  instanceExists,
  type Placement,
  type PowerOff,
  type ResourceRequest,
} from '../../model/machines.ts';
import { styxHome } from '../../system/home.ts';
import type { Capabilities, Cloud, CloudCheck, CreateRequest, InstanceFilter, OpenedTargets } from '../cloud.ts';
import { NO_NAMESPACE, probeContainment } from './containment.ts';
import { askHost, type HostInfo, type HostRequest } from './control.ts';
import { NOTICE } from './notice.ts';
import { cpusOf, machineSize, offersFor, REGION, ZONE } from './offers.ts';
import { type LocalPaths, localPaths } from './paths.ts';
import type { InstanceRecord } from './records.ts';
import { probeRoot } from './root.ts';
import { localSettings } from './settings.ts';
import { mustMeet } from './wants.ts';

const HOSTS = '/etc/hosts';
const KEY = /^[\x21-\x7e]{1,64}$/;

const MULTI_NODE =
  process.platform === 'linux' || 'only Linux gives every node a loopback address of its own; use one node here';

const NO_CONTAINERS = 'the local cloud runs no containers: its instances are processes of this machine';

type Place = Pick<Placement, 'region' | 'zone'>;

function isHere({ region, zone }: Place): boolean {
  return region === REGION && zone === ZONE;
}

export class LocalCloud implements Cloud {
  readonly name = 'local';
  readonly isShared = false;
  readonly #paths: LocalPaths;
  readonly #environment: NodeJS.ProcessEnv;
  #canOpen: Promise<true | string> | undefined;

  /** `home` is the data directory of Styx; a host that has to be started gets `environment`. */
  constructor(home: string = styxHome(), environment: NodeJS.ProcessEnv = process.env) {
    this.#paths = localPaths(home);
    this.#environment = environment;
  }

  async capabilities(): Promise<Capabilities> {
    return {
      stop: true,
      stopSpot: true,
      spot: true,
      multiNode: MULTI_NODE,
      openPorts: true,
      storage: 'it has no buckets',
      absoluteTargets: await this.#absoluteTargets(),
      groupHosts: await this.#groupHosts(),
      wholeMachines: NO_CONTAINERS,
      hostKeysKnown: true,
    };
  }

  async check(): Promise<CloudCheck> {
    const problems: string[] = [];
    try {
      const isOld = 'import sys; sys.exit(sys.version_info < (3, 8))';
      await promisify(execFile)('python3', ['-c', isOld], { timeout: 10_000 });
    } catch {
      problems.push('Python 3.8 or newer is needed as python3 on the PATH; install it and run `styx check` again.');
    }
    const how =
      probeContainment(this.#environment) === 'namespace'
        ? 'process namespaces'
        : 'processes found by their environment';
    return {
      ok: problems.length === 0,
      identity: `${userInfo().username}@${hostname()} (${how})`,
      account: `local-${stableHash(['local account', hostname(), this.#paths.root], 10)}`,
      problems,
      capabilities: await this.capabilities(),
    };
  }

  async policy(): Promise<null> {
    return null;
  }

  async offers(request: ResourceRequest): Promise<InstanceTypeOffer[]> {
    if (request.numNodes > 1 && MULTI_NODE !== true) throw new StyxError('invalid', MULTI_NODE);
    mustMeet(request.wants ?? {}, this.#paths.root);
    const { vcpuHourlyCost } = localSettings(this.#paths.limits);
    return offersFor(request, await machineSize(), vcpuHourlyCost);
  }

  async prepare(
    placement: Placement,
    authorizedKey: string,
    tags: Readonly<Record<string, string>>,
    { labels }: MachineWants = {},
  ): Promise<CreateRequest> {
    const request: CreateRequest = {
      placement,
      authorizedKey: authorizedKey.trim(),
      tags: { ...labels, ...tags },
      resolved: {},
    };
    validate(request);
    return request;
  }

  async create(request: CreateRequest): Promise<Instance[]> {
    validate(request);
    return (await this.#ask({ op: 'create', request })) as Instance[];
  }

  async places(): Promise<Place[]> {
    return [{ region: REGION, zone: ZONE }];
  }

  async list(place: Place, filter: InstanceFilter): Promise<Instance[]> {
    if (!isHere(place)) return [];
    return (await this.#ask({ op: 'list', filter })) as Instance[];
  }

  async stop(place: Place, ids: readonly string[]): Promise<void> {
    if (isHere(place)) await this.#ask({ op: 'stop', ids });
  }

  async start(place: Place, ids: readonly string[]): Promise<void> {
    if (!isHere(place)) throw new StyxError('not-found', `local has no zone "${place.zone}" in "${place.region}"`);
    await this.#ask({ op: 'start', ids });
  }

  async terminate(place: Place, placementKey: string): Promise<string[]> {
    if (isHere(place)) await this.#ask({ op: 'terminate', placementKey });
    return [];
  }

  async setPorts(): Promise<void> {
    // An instance has the network of this machine: what listens there is reached by whoever reaches it.
  }

  async openTargets(_place: Place, ids: readonly string[], targets: readonly string[]): Promise<OpenedTargets> {
    return (await this.#ask({ op: 'open', ids, targets })) as OpenedTargets;
  }

  /** All reach one another anyway. The machine's own names are the first in the file. */
  async joinGroup(place: Place, ids: readonly string[]): Promise<Record<string, string>> {
    const opened = await this.openTargets(place, ids, [HOSTS]);
    return Object.fromEntries(
      ids.map((id) => {
        const path = opened[id]?.[HOSTS] ?? HOSTS;
        if (!existsSync(path)) {
          copyFileSync(HOSTS, `${path}.first`);
          renameSync(`${path}.first`, path);
        }
        return [id, path];
      }),
    );
  }

  async owned(installation: string): Promise<CloudResource[]> {
    const { vcpuHourlyCost } = localSettings(this.#paths.limits);
    const owned = (await this.#ask({ op: 'owned', installation })) as InstanceRecord[];
    return owned.map((record) => resourceOf(record, vcpuHourlyCost));
  }

  async existing(resources: readonly CloudResource[]): Promise<CloudResource[]> {
    const there = await this.list({ region: REGION, zone: ZONE }, { ids: resources.map(({ id }) => id) });
    const ids = new Set(there.filter(({ state }) => instanceExists(state)).map(({ id }) => id));
    return resources.filter(({ id }) => ids.has(id));
  }

  /** Machines of one placement come and go together. */
  async remove({ placementKey }: CloudResource): Promise<void> {
    if (placementKey !== null) await this.#ask({ op: 'terminate', placementKey });
  }

  async armPowerOff(): Promise<void> {
    // The command says what it does.
  }

  powerOff(instance: Instance, action: 'stop' | 'terminate'): PowerOff {
    const directory = join(this.#paths.instances, instance.id);
    return {
      action,
      command: ['/bin/sh', join(directory, 'power-off'), action],
      identity: { path: join(directory, 'identity'), text: instance.id },
    };
  }

  notices(_placement: Pick<Placement, 'useSpot'>, { id }: Instance): NoticeSource {
    const url = `file://${join(this.#paths.instances, id, NOTICE)}`;
    return { every: 1_000, token: null, interruption: { url, time: 'time' }, rebalance: null };
  }

  classify(error: unknown): StyxError {
    if (error instanceof StyxError) return error;
    const { code, message = String(error) } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') return new StyxError('quota', message, { cause: error });
    if (code === 'EACCES' || code === 'EPERM') return new StyxError('auth', message, { cause: error });
    if (code === 'EMFILE' || code === 'EAGAIN' || code === 'ENFILE')
      return new StyxError('transient', message, { cause: error });
    return new StyxError('internal', message, { cause: error });
  }

  /** Tried out once a process. */
  #absoluteTargets(): Promise<true | string> {
    this.#canOpen ??=
      probeContainment(this.#environment) === 'namespace' ? probeRoot(this.#paths.root) : Promise.resolve(NO_NAMESPACE);
    return this.#canOpen;
  }

  async #groupHosts(): Promise<true | string> {
    return MULTI_NODE === true ? await this.#absoluteTargets() : MULTI_NODE;
  }

  #ask(request: HostRequest): Promise<unknown> {
    return askHost(this.#paths, request, this.#environment);
  }

  /**
   * Ends an instance as a provider ends a spot machine, `noticeMs` after it was told so: for rehearsals and tests. A host that ends
   * meanwhile forgets it. @throws not-found
   */
  async preempt(id: string, noticeMs = 0): Promise<void> {
    await this.#ask({ op: 'preempt', id, noticeMs });
  }

  /** The host process, started when absent. */
  async host(): Promise<HostInfo> {
    return (await this.#ask({ op: 'info' })) as HostInfo;
  }
}

function resourceOf(record: InstanceRecord, vcpuHourlyCost: number): CloudResource {
  return {
    cloud: 'local',
    region: REGION,
    zone: ZONE,
    kind: 'instance',
    id: record.id,
    state: record.state,
    placementKey: record.placementKey,
    workflowId: record.tags[TAGS.workflow] ?? null,
    generation: record.tags[TAGS.generation] ?? null,
    createdAt: record.createdAt,
    hourlyCost: record.state === 'stopped' ? 0 : record.cpus * vcpuHourlyCost,
  };
}

function validate({ placement, authorizedKey }: CreateRequest): void {
  const wrong = (message: string): StyxError => new StyxError('invalid', message);
  if (placement.cloud !== 'local' || !isHere(placement)) {
    throw wrong(
      `placement is for ${placement.cloud}/${placement.region}/${placement.zone}, not for local/${REGION}/${ZONE}`,
    );
  }
  if (!KEY.test(placement.key)) throw wrong('a placement key has 1 to 64 printable ASCII characters');
  if (!Number.isInteger(placement.numNodes) || placement.numNodes < 1) throw wrong('a placement has at least one node');
  if (cpusOf(placement.instanceType) === undefined)
    throw wrong(`local has no instance type "${placement.instanceType}"`);
  const key = /[\r\n]/.test(authorizedKey) ? new Error('more than a line') : ssh2.utils.parseKey(authorizedKey);
  if (key instanceof Error || (Array.isArray(key) ? key.length !== 1 : key.isPrivateKey())) {
    throw wrong('the authorized key is not one OpenSSH public key line');
  }
}
